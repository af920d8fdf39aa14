"""Ctrl-C and SIGTERM: the first one stops the task, the second one ends the program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import FrameType
from typing import Any, Final, TypeVar

T = TypeVar("T")

HINT_SECONDS: Final = 1.0
"""When stopping takes longer than this, a hint says that Ctrl-C leaves at once."""

SHOW_CURSOR: Final = "\x1b[?25h"


class Interrupt:
    """Handles Ctrl-C while a task runs. The first one cancels the task, the second one ends the program.

    The second one cleans nothing up. Subprocesses of sandboxed tools die with this process, and a journal is
    whole at any moment.
    """

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.signal = signal.SIGINT
        """The signal that came last."""
        self.stopped = False
        """Whether there was a first one."""
        self._restore = _restoring_terminal()

    def __call__(self, number: int = signal.SIGINT) -> None:
        self.signal = signal.Signals(number)
        if self.stopped:
            self._leave()
        self.stopped = True
        loop = self.task.get_loop()
        loop.call_soon_threadsafe(self._stop, loop)

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.task.done():
            self.task.cancel()
            loop.call_later(HINT_SECONDS, self._hint)

    def _hint(self) -> None:
        if not self.task.done():
            _say("braid: stopping; Ctrl-C leaves at once")

    def _leave(self) -> None:
        self._restore()
        if sys.stderr.isatty():
            sys.stderr.write(SHOW_CURSOR)
        _say("braid: left at once")
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(128 + self.signal)


class InterruptedBySignal(KeyboardInterrupt):
    """A signal stopped the work of a command.

    Attributes:
        exit_code: What the shell expects of a program that the signal ended: 130 for Ctrl-C.
        notes: What the person should know, such as how to go on.
    """

    def __init__(self, number: int, notes: Sequence[str] = ()) -> None:
        super().__init__()
        self.exit_code = 128 + number
        self.notes = tuple(notes)


@contextlib.contextmanager
def interrupting(
    task: asyncio.Task[Any], signals: Sequence[signal.Signals] = (signal.SIGINT,)
) -> Iterator[Interrupt]:
    """`signals` mean `task` inside the block. Off the main thread no handler can be set."""
    interrupt = Interrupt(task)

    def handle(number: int, frame: FrameType | None) -> None:
        interrupt(number)

    with contextlib.ExitStack() as restoring:
        with contextlib.suppress(ValueError):
            for number in signals:
                restoring.callback(signal.signal, number, signal.signal(number, handle))
        yield interrupt


def run_interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end.

    Raises:
        InterruptedBySignal: Ctrl-C or SIGTERM stopped it. Everything that it started has ended.
    """
    results: list[T] = []
    stopped: list[InterruptedBySignal] = []

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        with interrupting(task, (signal.SIGINT, signal.SIGTERM)) as interrupt:
            try:
                results.append(await work)
            except asyncio.CancelledError as error:
                if not interrupt.stopped:
                    raise
                stopped.append(InterruptedBySignal(interrupt.signal, getattr(error, "__notes__", ())))

    asyncio.run(main())
    if not results:
        raise stopped[0]
    return results[0]


def _restoring_terminal() -> Callable[[], None]:
    """A function that restores the present state of the terminal. It does nothing where there is none."""
    if not sys.stdin.isatty():
        return lambda: None
    try:
        import termios
    except ImportError:  # another system
        return lambda: None
    fd = sys.stdin.fileno()
    state = termios.tcgetattr(fd)
    return lambda: termios.tcsetattr(fd, termios.TCSANOW, state)


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
