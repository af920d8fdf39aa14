"""The person at the terminal, whom a run may ask."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator

from braid.executors.scheduler import Approve, AskPerson, NobodyToAskError, ToolCallRequest, shown_call
from braid.orchestrator.cli.display import Display
from braid.orchestrator.cli.keyboard import KeyboardInput
from braid.orchestrator.cli.output import one_line, printable
from braid.orchestrator.review import ApprovePlan, Decision, EditPlan, PlanReview, RejectPlan, Review


class Person:
    """The person at the terminal: approves mutating tools and answers a plan's `ask(...)`, one at a time.

    `approve`, `ask` and `review` are None where nobody can be asked, because stdin or stderr is no terminal.

    Args:
        yes: Approve everything without asking.
    """

    def __init__(self, *, yes: bool = False) -> None:
        self.display: Display | None = None
        """Leaves the screen to a question."""
        self.keyboard: KeyboardInput | None = None
        """Leaves the keys to a question."""
        self._turn = asyncio.Lock()
        present = sys.stdin.isatty() and sys.stderr.isatty()
        self.approve: Approve | None = _approve_all if yes else self._approve if present else None
        self.ask: AskPerson | None = self._ask if present else None
        self.review: Review | None = self._review if present else None

    async def _approve(self, request: ToolCallRequest) -> bool:
        call = one_line(shown_call(request.tool, request.args), 10_000)
        answer = await self._question(f"Allow {call}?\n[y/N] ")
        return answer.strip().lower() in ("y", "yes")

    async def _ask(self, question: str) -> str:
        return await self._question(one_line(question, 10_000) + "\n? ")

    async def _review(self, plan: PlanReview) -> Decision:
        lines = list(review_lines(plan))
        while True:
            answer = await self._question("\n".join([*lines, "Run it? [y]es, [n]o, [e]dit: "]))
            match answer.strip().lower():
                case "y" | "yes":
                    return ApprovePlan()
                case "n" | "no":
                    return RejectPlan(await self._question("Why not? "))
                case "e" | "edit":
                    note = "Edit the plan. Esc then Enter ends it, Ctrl-X Ctrl-E opens your editor.\n"
                    return EditPlan(await self._question(note, text=plan.plan))
                case _:
                    lines = []

    async def _question(self, prompt: str, *, text: str | None = None) -> str:
        """Ask for one line, or have `text` edited."""
        from prompt_toolkit import PromptSession
        from prompt_toolkit.output import create_output

        async with self._turn:
            if self.keyboard is not None:
                self.keyboard.pause()
            if self.display is not None:
                self.display.pause()
            *lines, prompt = prompt.split("\n")
            if lines:  # the terminal wraps them, the prompt would be cut
                sys.stderr.write("\n".join(lines) + "\n")
                sys.stderr.flush()
            try:
                session: PromptSession[str] = PromptSession(output=create_output(stdout=sys.stderr))
                return await session.prompt_async(
                    prompt,
                    handle_sigint=False,
                    default=text or "",
                    multiline=text is not None,
                    enable_open_in_editor=text is not None,
                )
            except KeyboardInterrupt:
                # Ctrl-C at the question means the run, so it goes to the handler of the run.
                signal.raise_signal(signal.SIGINT)
                raise NobodyToAskError("interrupted at the question") from None
            except EOFError:
                raise NobodyToAskError("the question was left without an answer (Ctrl-D)") from None
            finally:
                if self.display is not None:
                    self.display.resume()
                if self.keyboard is not None:
                    self.keyboard.resume()


def review_lines(review: PlanReview) -> Iterator[str]:
    """A plan that waits for a decision, as it is shown: each statement with what it does."""
    calls = f"{review.calls} call{'' if review.calls == 1 else 's'}"
    if any(statement.calls is None for statement in review.statements):
        calls = f"at least {calls}"
    yield f"The plan of round {review.round + 1}, {calls}:"
    width = max((len(line) for line in review.plan.splitlines()), default=0)
    effects = {
        line: f"  # {statement.tool}: {statement.effect}"
        for statement in review.statements
        if statement.effect is not None
        for line in (statement.source.splitlines()[-1:] or [""])
    }
    for line in review.plan.splitlines():
        note = effects.get(line.strip(), "")
        yield printable(f"    {line.ljust(min(width, 60)) if note else line}{note}")
    for error in review.errors:
        yield from ("", *map(printable, str(error).splitlines()))


async def _approve_all(request: ToolCallRequest) -> bool:
    return True
