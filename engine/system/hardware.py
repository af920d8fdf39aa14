"""What this machine gives the process: processors, memory, GPUs. Standard library only."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Processors:
    """Numbers of processors."""

    installed: int
    """Processors in the machine."""
    allowed: int
    """Processors that the affinity mask allows."""
    quota: float | None
    """Limit of the control group, in processors. None: no limit."""

    @property
    def usable(self) -> int:
        """Threads that can run at the same time."""
        return self.allowed if self.quota is None else max(1, min(self.allowed, math.ceil(self.quota)))


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Sizes in bytes. None where the system does not report them."""

    total: int | None
    available: int | None
    limit: int | None
    """Limit of the control group."""


def processors() -> Processors:
    """The processors of this machine, and how many this process may use."""
    installed = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else installed
    return Processors(installed=installed, allowed=allowed, quota=_cpu_quota())


def memory() -> Memory:
    """The memory of this machine, and how much this process may use."""
    found: dict[str, int] = {}
    for line in (_read(Path("/proc/meminfo")) or "").splitlines():
        key, _, rest = line.partition(":")
        if rest.strip().endswith("kB"):
            found[key] = int(rest.split()[0]) * 1024
    total = found.get("MemTotal")
    if total is None and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [
        int(text)
        for text in _limits("memory", "memory.max", "memory.limit_in_bytes")
        if text.isdigit() and (total is None or int(text) < total)
    ]
    return Memory(total=total, available=found.get("MemAvailable"), limit=min(limits, default=None))


def gpus() -> list[str]:
    """Names and memory of the NVIDIA GPUs that the driver lists. Empty without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run(
            [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _cpu_quota() -> float | None:
    quotas: list[float] = []
    for text in _limits("cpu", "cpu.max", "cpu.cfs_quota_us"):
        fields = text.split()
        if len(fields) == 2 and fields[0].isdigit():
            quotas.append(int(fields[0]) / int(fields[1]))
        elif (
            len(fields) == 1 and fields[0].isdigit()
        ):  # version 1; -1 is no limit, the period is 100 ms by default
            quotas.append(int(fields[0]) / 100_000)
    return min(quotas, default=None)


def _limits(controller: str, unified: str, legacy: str) -> Iterator[str]:
    """The texts of one limit in our control group and those above it, in version 2 or 1 of the interface."""
    for line in (_read(Path("/proc/self/cgroup")) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, name = _CGROUPS, unified
        elif controller in controllers.split(","):
            base, name = _CGROUPS / controller, legacy
        else:
            continue
        folder = base / path.lstrip("/")
        for place in (folder, *folder.parents):
            if not place.is_relative_to(base):
                break
            text = _read(place / name)
            if text is not None:
                yield text.strip()


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
