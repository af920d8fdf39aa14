"""Keyboard input while a run is shown. A line that is ended by Enter goes to the planner."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self


class KeyboardInput:
    """Reads keys without echo, inside `with KeyboardInput(on_line, on_change):`.

    Does nothing where stdin is no terminal. Ctrl-C keeps its meaning.

    Args:
        on_line: Called with each finished line.
        on_change: Called with the line so far.
    """

    def __init__(self, on_line: Callable[[str], None], on_change: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._on_change = on_change
        self._line = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("ignore").decode
        self._saved: list[Any] | None = None

    def __enter__(self) -> Self:
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()

    def resume(self) -> None:
        """Start to read keys, if there is a terminal."""
        try:
            import termios
            import tty

            fd = sys.stdin.fileno()
            if self._saved is not None or not os.isatty(fd):
                return
            asyncio.get_running_loop().add_reader(fd, self._read, fd)
            self._saved = termios.tcgetattr(fd)
            tty.setcbreak(fd)
        except (ImportError, OSError, NotImplementedError):  # another system, or no stdin at all
            return

    def pause(self) -> None:
        """Leave the keys to another reader."""
        if self._saved is None:
            return
        import termios

        fd = sys.stdin.fileno()
        asyncio.get_running_loop().remove_reader(fd)
        termios.tcsetattr(fd, termios.TCSADRAIN, self._saved)
        self._saved = None

    def _read(self, fd: int) -> None:
        typed = os.read(fd, 1024)
        if not typed:
            self.pause()
        for key in self._decode(typed):
            if key in "\r\n":
                line, self._line = self._line.strip(), ""
                if line:
                    self._on_line(line)
            elif key in "\x7f\b":
                self._line = self._line[:-1]
            elif key == "\x15":  # Ctrl-U
                self._line = ""
            elif key.isprintable():
                self._line += key
        self._on_change(self._line)
