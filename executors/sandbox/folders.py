"""Folders of runs: each is locked for as long as its process lives, so that others can tell what is left.

A process that is killed cannot remove its folder. The operating system releases its lock. The next run of
any process then removes the folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from braid.executors.sandbox.launcher import FIRST_UID
from braid.executors.sandbox.watcher import remove_groups

try:
    import fcntl
except ImportError:  # no POSIX: what a killed process left stays
    fcntl = None

PREFIX: Final = "braid-run-"


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A new folder for temporary files, removed at the end. First goes what killed processes left behind."""
    root = Path(tempfile.gettempdir()).resolve()  # the sandbox mounts on the folder, and /tmp may be a link
    remove_stale(root)
    folder, lock = _new_folder(root)
    try:
        yield folder
    finally:
        _remove(folder)
        if lock is not None:
            os.close(lock)


def remove_stale(root: Path) -> None:
    """Remove the folders of runs in `root` whose process is gone."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for folder in root.glob(f"{PREFIX}*"):
            lock = _lock(folder, wait=False)
            if lock is not None:
                _remove(folder)
                os.close(lock)
        remove_groups(f"{PREFIX}*", of=root)


def _new_folder(root: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        if fcntl is None:
            return folder, None
        lock = _lock(folder, wait=True)
        if folder.exists():
            return folder, lock  # some file systems have no locks
        # Another process found the folder before it was locked, and removed it.
        if lock is not None:
            os.close(lock)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """Lock a folder of ours. None where it is no such folder, is gone, or is in use."""
    assert fcntl is not None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _is_ours(os.fstat(descriptor).st_uid):
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _is_ours(owner: int) -> bool:
    """Whether a folder belongs to us, or to a user that a run of root's had to itself."""
    return owner == os.geteuid() or (os.geteuid() == 0 and owner >= FIRST_UID)


def _remove(folder: Path) -> None:
    def open_and_retry(function: object, path: str, _: object) -> None:
        found = Path(path)
        with contextlib.suppress(OSError):
            found.parent.chmod(0o700)
            if found.is_dir() and not found.is_symlink():
                found.chmod(0o700)
                shutil.rmtree(found, ignore_errors=True)
            else:
                found.unlink()

    shutil.rmtree(folder, onerror=open_and_retry)
