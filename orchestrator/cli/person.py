"""The person at the terminal, and the questions that a run may put to them."""

from __future__ import annotations

import asyncio
import signal
import sys

from braid.executors.scheduler import Approve, AskPerson, NobodyToAskError, ToolCallRequest
from braid.executors.values import preview
from braid.orchestrator.cli.display import Display
from braid.orchestrator.cli.keyboard import KeyboardInput
from braid.orchestrator.cli.output import one_line


class Person:
    """Who sits at the terminal: decides on mutating tools and answers a plan's `ask(...)`, one question at a time.

    `approve` and `ask` are None where nobody can be asked, because stdin or stderr is no terminal; `yes` approves everything.
    `display` is told to leave the screen to a question, `keyboard` the keys.
    """

    def __init__(self, *, yes: bool = False) -> None:
        self.display: Display | None = None
        self.keyboard: KeyboardInput | None = None
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
            if self.keyboard is not None:
                self.keyboard.pause()
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
                if self.keyboard is not None:
                    self.keyboard.resume()


async def _approve_all(request: ToolCallRequest) -> bool:
    return True
