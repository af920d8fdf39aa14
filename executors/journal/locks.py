"""Locks on runs. The operating system releases them when their process ends, however it ends.

There is one file beside the journal, and one byte of it for each run.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

try:
    import fcntl
except ImportError:  # no POSIX: only runs of one process exclude each other
    fcntl = None

_mutex = threading.Lock()
_files: dict[Path, int] = {}
_ours: set[tuple[Path, int]] = set()


class RunLock:
    """The right to work on run number `run` of the journal at `journal`."""

    def __init__(self, journal: Path, run: int) -> None:
        self._key = (journal, run)
        self._held = True

    @classmethod
    def acquire(cls, journal: Path, run: int) -> RunLock | None:
        """The lock, or None when somebody works on the run.

        Raises:
            OSError: The lock file cannot be opened.
        """
        journal = journal.absolute()
        with _mutex:
            if (journal, run) in _ours or not _lock(journal, run):
                return None
            _ours.add((journal, run))
        return cls(journal, run)

    def release(self) -> None:
        """Give the lock back. Releasing twice does nothing."""
        with _mutex:
            if not self._held:
                return
            self._held = False
            _ours.discard(self._key)
            _unlock(*self._key)


def is_locked(journal: Path, run: int) -> bool:
    """Whether a live process works on the run."""
    lock = RunLock.acquire(journal, run)
    if lock is None:
        return True
    lock.release()
    return False


def _lock(journal: Path, run: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.lockf(_descriptor(journal), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, run)
    except BlockingIOError:
        return False
    except PermissionError:  # some systems raise this instead
        return False
    return True


def _unlock(journal: Path, run: int) -> None:
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.lockf(_descriptor(journal), fcntl.LOCK_UN, 1, run)


def _descriptor(journal: Path) -> int:
    # Never closed: closing any descriptor of a file releases all locks that the process holds on it.
    found = _files.get(journal)
    if found is None:
        name = journal.with_name(journal.name + ".lock")
        found = _files[journal] = os.open(name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    return found


def _forget() -> None:
    """Called after a fork. The child holds none of the parent's locks."""
    global _mutex
    _mutex = threading.Lock()
    _ours.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
