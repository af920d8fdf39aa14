"""Which display a run gets, and the questions that a run may put to the person in front of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from engine import Envelope
from executors import Approve, AskPerson, ToolCallRequest, preview
from orchestrator.cli.output import console, one_line


class Display(Protocol):
    """Shows a run while it happens."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, envelope: Envelope) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


def display_for_stderr() -> Display:
    """A live display if stderr is a terminal that can redraw, else plain lines."""
    target = console(stderr=True)
    if target.is_terminal and not target.is_dumb_terminal:
        from orchestrator.cli.live import LiveDisplay

        return LiveDisplay(target)
    from orchestrator.cli.plain import PlainDisplay

    return PlainDisplay(sys.stderr)


def approver(yes: bool, display: Callable[[], Display | None]) -> Approve | None:
    """Who decides on mutating tools: nobody if there is no terminal to ask on, and `--yes` was not given."""
    if yes:
        return _approve_all
    if not _can_ask():
        return None

    async def approve(request: ToolCallRequest) -> bool:
        args = ", ".join(f"{name}={preview(value, 60)}" for name, value in request.args.items())
        answer = await _question(display(), f"Allow {one_line(f'{request.tool}({args})')}? [y/N] ")
        return answer.strip().lower() in ("y", "yes")

    return approve


def asker(display: Callable[[], Display | None]) -> AskPerson | None:
    """Who answers a plan's `ask(...)`: the person at the terminal, if there is one."""
    if not _can_ask():
        return None

    async def ask(question: str) -> str:
        return await _question(display(), one_line(question, 500) + "\n? ")

    return ask


async def _approve_all(request: ToolCallRequest) -> bool:
    return True


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


async def _question(display: Display | None, prompt: str) -> str:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import create_output

    if display is not None:
        display.pause()
    try:
        return await PromptSession[str](output=create_output(stdout=sys.stderr)).prompt_async(prompt)
    finally:
        if display is not None:
            display.resume()
