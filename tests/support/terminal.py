"""A program on a pseudo-terminal of its own: what a person would type, and what the person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_=>])")


class Terminal:
    r"""`with Terminal([...]) as t: t.wait_for("braid>"); t.type("hello\r")`."""

    def __init__(
        self, args: Sequence[str | Path], *, env: Mapping[str, str], rows: int = 24, columns: int = 80
    ) -> None:
        self._args = [str(arg) for arg in args]
        self._env = {**os.environ, "TERM": "xterm-256color", **env}
        self._size = struct.pack("HHHH", rows, columns, 0, 0)
        self.raw = b""
        self._read_to = 0
        self.code: int | None = None

    def __enter__(self) -> Terminal:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, self._size)
            os.execve(self._args[0], self._args, self._env)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._fd)

    @property
    def text(self) -> str:
        """Everything shown so far, without escape codes."""
        return _ESCAPES.sub("", self.raw.decode(errors="replace")).replace("\r", "")

    def lines(self) -> list[str]:
        """Every line that was drawn, those drawn over later included, without escape codes."""
        drawn = re.split(r"\x1b\[\d*[AK]|[\r\n]+", self.raw.decode(errors="replace"))
        return [_ESCAPES.sub("", line) for line in drawn]

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_for(self, what: str, seconds: float = 30.0) -> None:
        """Read until `what` shows up behind what was waited for last."""
        deadline = time.monotonic() + seconds
        while (found := self.text.find(what, self._read_to)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"no {what!r} in what was shown: {self.text[self._read_to :]!r}")
        self._read_to = found + len(what)

    def wait_for_end(self, seconds: float = 30.0) -> int:
        """Read until the program ends. Returns its exit code, negative for the signal that ended it."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        if time.monotonic() >= deadline:
            raise AssertionError(f"still running; shown so far: {self.text!r}")
        self.code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self.code

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the other side is closed
            return False
        if b"\x1b[6n" in data:  # asked where the cursor is
            self.type("\x1b[1;1R")
        self.raw += data
        return bool(data)
