"""The watcher of a sandbox: it counts what all processes of a run use together.

The kernel's limits are for each process. Where a cgroup can be had, the kernel bounds the memory of the whole
run too. Else the watcher alone does, by looking at the processes several times a second.

Sources: proc_pid_smaps(5) on proportional set sizes, cgroups(7).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

INTERVAL: Final = 0.05
"""Seconds between two looks."""
KIB: Final = 1024
_left: set[Path] = set()
"""Control groups of runs that are over, and that could not be removed yet."""


async def watch_usage(
    launcher: int, *, memory: int, processes: int, group: Cgroup | None = None
) -> Literal["memory", "processes"]:
    """Wait until the descendants of `launcher` use more than is allowed, and say of what."""
    while True:
        found = descendants(launcher)[1:]  # the first one is init
        if len(found) > processes:
            return "processes"
        if (group is not None and group.exceeded()) or sum(map(memory_of, found)) > memory:
            return "memory"
        await asyncio.sleep(INTERVAL)


def descendants(process: int) -> list[int]:
    """The processes below `process`, the nearest first."""
    found: list[int] = []
    level = [process]
    while level:
        level = [child for parent in level for child in _children(parent)]
        found += level
    return found


def memory_of(process: int) -> int:
    """Bytes in memory that a process has, with its part of what it shares."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * KIB
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _children(process: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_bytes().split())
    return found


class Cgroup:
    """A control group for one run: the kernel ends a program that uses more memory than it allows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, process: int) -> bool:
        """Take in a process and all that it starts from now on. Returns whether that was allowed."""
        try:
            (self._folder / "cgroup.procs").write_text(str(process))
        except OSError:
            return False
        return True

    def exceeded(self) -> bool:
        """Whether the kernel has ended a process for its memory."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError, ValueError):
                lines = [line.split() for line in (self._folder / name).read_text().splitlines()]
                return any(key == "oom_kill" and int(count) > 0 for key, count in lines)
        return False


@contextlib.contextmanager
def control_group(name: str, memory: int) -> Iterator[Cgroup | None]:
    """A new control group below our own one. None where the system does not let us make one."""
    _remove_left()
    folder = _own_group()
    group = None if folder is None else folder / name
    if group is None or not _make(group, memory):
        yield None
        return
    try:
        yield Cgroup(group)
    finally:
        _left.add(group)
        _remove_left()


@atexit.register
def _remove_left() -> None:
    """Remove groups of runs that are over. What was killed may still be ending, so each is tried again."""
    for group in list(_left):
        with contextlib.suppress(OSError):
            group.rmdir()
        if not group.exists():
            _left.discard(group)


def remove_groups(pattern: str, *, of: Path) -> None:
    """Remove control groups that killed processes left behind: those whose folder in `of` is gone.

    One that still has processes stays.
    """
    folder = _own_group()
    if folder is None:
        return
    for group in folder.glob(pattern):
        if not (of / group.name).exists():
            with contextlib.suppress(OSError):
                group.rmdir()


def _make(group: Path, memory: int) -> bool:
    try:
        group.mkdir()
    except OSError:
        return False
    limits = {"memory.max": memory, "memory.swap.max": 0}
    if not (group / "memory.max").exists():
        limits = {"memory.limit_in_bytes": memory}
    try:
        for file, value in limits.items():
            if file != "memory.swap.max" or (group / file).exists():
                (group / file).write_text(str(value))
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        return False
    return True


def _own_group() -> Path | None:
    """The folder of our control group that counts memory."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            root = None
            if number == "0":
                root = Path("/sys/fs/cgroup")
            elif "memory" in controllers.split(","):
                root = Path("/sys/fs/cgroup/memory")
            if root is not None:
                folder = root / path.lstrip("/")
                limit = "memory.limit_in_bytes" if number != "0" else "cgroup.subtree_control"
                with contextlib.suppress(OSError):
                    if number != "0" or "memory" in (folder / limit).read_text().split():
                        return folder
    return None
