"""Which display a run gets, and the questions that a run may put to the person in front of it."""

from __future__ import annotations

import asyncio
import signal
import sys
from types import TracebackType
from typing import Protocol, Self

from braid.engine import Envelope
from braid.executors.scheduler import Approve, AskPerson, NobodyToAskError, ToolCallRequest
from braid.executors.values import preview
from braid.orchestrator.cli.keyboard import KeyboardInput
from braid.orchestrator.cli.output import console, one_line


class Display(Protocol):
    """Shows a run while it happens."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, envelope: Envelope) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def typed(self, line: str) -> None: ...


def display_for_stderr() -> Display:
    """A live display if stderr is a terminal that can redraw, else plain lines."""
    target = console(stderr=True)
    if target.is_terminal and not target.is_dumb_terminal:
        from braid.orchestrator.cli.display import LiveDisplay

        return LiveDisplay(target)
    from braid.orchestrator.cli.display import PlainDisplay

    return PlainDisplay(sys.stderr)


class Person:
    """Who sits at the terminal: decides on mutating tools and answers a plan's `ask(...)`, one question at a time.

    `approve` and `ask` are None where nobody can be asked, because stdin or stderr is no terminal; `yes` approves everything.
    `display` is told to leave the screen to a question, `steering` the keys.
    """

    def __init__(self, *, yes: bool = False) -> None:
        self.display: Display | None = None
        self.steering: KeyboardInput | None = None
        self._turn = asyncio.Lock()
        present = sys.stdin.isatty() and sys.stderr.isatty()
        self.approve: Approve | None = _approve_all if yes else self._approve if present else None
        self.ask: AskPerson | None = self._ask if present else None

    async def _approve(self, request: ToolCallRequest) -> bool:
        args = ", ".join(f"{name}={preview(value, 60)}" for name, value in request.args.items())
        answer = await self._question(f"Allow {one_line(f'{request.tool}({args})')}? [y/N] ")
        return answer.strip().lower() in ("y", "yes")

    async def _ask(self, question: str) -> str:
        return await self._question(one_line(question, 500) + "\n? ")

    async def _question(self, prompt: str) -> str:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.output import create_output

        async with self._turn:
            if self.steering is not None:
                self.steering.pause()
            if self.display is not None:
                self.display.pause()
            try:
                session: PromptSession[str] = PromptSession(output=create_output(stdout=sys.stderr))
                return await session.prompt_async(prompt, handle_sigint=False)
            except KeyboardInterrupt:
                # Typed at the question, it means the run: whoever handles Ctrl-C for the run shall do so.
                signal.raise_signal(signal.SIGINT)
                raise NobodyToAskError("interrupted at the question") from None
            except EOFError:
                raise NobodyToAskError("the question was left without an answer (Ctrl-D)") from None
            finally:
                if self.display is not None:
                    self.display.resume()
                if self.steering is not None:
                    self.steering.resume()


async def _approve_all(request: ToolCallRequest) -> bool:
    return True
