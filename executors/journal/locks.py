"""Locks on runs. The operating system releases them when their process ends, however it ends.

There is one file beside the journal, and one byte of it for each run. A journal is known by its file and not
by its path: it may be moved away while a process works, and another one made in its place.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import NamedTuple, TypeAlias

try:
    import fcntl
except ImportError:  # no POSIX: only runs of one process exclude each other
    fcntl = None

FileId: TypeAlias = "tuple[int, int]"
"""Device and number of a file."""

_mutex = threading.Lock()
_files: dict[FileId, int] = {}
_ours: set[tuple[FileId, int]] = set()


class JournalFile(NamedTuple):
    """The file of an open journal."""

    path: Path
    """Where it was when it was opened."""
    id: FileId

    @classmethod
    def at(cls, path: Path) -> JournalFile:
        """The file that is at `path` now."""
        found = path.stat()
        return cls(path.absolute(), (found.st_dev, found.st_ino))


class RunLock:
    """The right to work on run number `run` of a journal."""

    def __init__(self, journal: JournalFile, run: int) -> None:
        self._key = (journal, run)
        self._held = True

    @classmethod
    def acquire(cls, journal: JournalFile, run: int) -> RunLock | None:
        """The lock, or None when somebody works on the run.

        Raises:
            OSError: The lock file cannot be opened.
        """
        with _mutex:
            if (journal.id, run) in _ours or not _lock(journal, run):
                return None
            _ours.add((journal.id, run))
        return cls(journal, run)

    def release(self) -> None:
        """Give the lock back. Releasing twice does nothing."""
        with _mutex:
            if not self._held:
                return
            self._held = False
            journal, run = self._key
            _ours.discard((journal.id, run))
            _unlock(journal, run)


def is_locked(journal: JournalFile, run: int) -> bool:
    """Whether a live process works on the run."""
    lock = RunLock.acquire(journal, run)
    if lock is None:
        return True
    lock.release()
    return False


def _lock(journal: JournalFile, run: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.lockf(_descriptor(journal), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(journal, run))
    except BlockingIOError:
        return False
    except PermissionError:  # some systems raise this instead
        return False
    return True


def _unlock(journal: JournalFile, run: int) -> None:
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.lockf(_descriptor(journal), fcntl.LOCK_UN, 1, _byte(journal, run))


def _byte(journal: JournalFile, run: int) -> int:
    """The place of the lock. Journals that followed one another at a path may have the same lock file."""
    return (journal.id[1] % (1 << 30) << 32) + run


def _descriptor(journal: JournalFile) -> int:
    # Never closed: closing any descriptor of a file releases all locks that the process holds on it.
    found = _files.get(journal.id)
    if found is None:
        name = journal.path.with_name(journal.path.name + ".lock")
        found = _files[journal.id] = os.open(
            name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600
        )
    return found


def _forget() -> None:
    """Called after a fork. The child holds none of the parent's locks."""
    global _mutex
    _mutex = threading.Lock()
    _ours.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
