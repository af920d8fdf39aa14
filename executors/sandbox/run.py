"""The sandbox: a program that is not trusted runs isolated and with limits.

The program gets a session of its own and a scrubbed environment. On Linux it also gets a network namespace
with nothing in it, a PID namespace that ends as a whole, read-only file systems except for its working
directory, folders of its own in the place of `/tmp`, `/run` and `/var`, no capabilities, and a filter of
system calls without sockets of other programs. When we run as root it also gets a user that owns nothing.
Where the kernel refuses one of these, and on other systems, the program is not run, unless the caller allows
a weaker sandbox (`IsolationMode`). What remains then are the limits and the session, and a program that
leaves its session can outlive its run. `SandboxResult.isolation` says what held. `probe` says it beforehand.

The program may read what our user may read. The sandbox keeps accidents and careless code in. It is no wall
against an attacker with a kernel exploit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from braid.engine import BraidError
from braid.executors.sandbox.folders import run_folder
from braid.executors.sandbox.watcher import Cgroup, control_group, watch_usage

MIB: Final = 1024 * 1024
LAUNCHER: Final = Path(__file__).with_name("launcher.py")
DRAIN_SECONDS: Final = 1.0
"""Seconds that a pipe may stay open after the program's end.

Longer means that a process escaped and holds it.
"""

IsolationMode: TypeAlias = Literal["required", "best-effort", "none"]
"""What happens where the system refuses a protection.

"required" does not run the program. "best-effort" runs it with what is left. "none" asks for no protection,
only for the limits.
"""

StopReason: TypeAlias = Literal["timeout", "output", "memory", "processes"]

SANDBOX_VARIABLE: Final = "BRAID_SANDBOX"
"""The environment variable by which a user allows a weaker sandbox."""


class SandboxError(BraidError):
    """The program could not be started at all."""


class IsolationRefusedError(SandboxError):
    """The system refused a protection that the caller requires. The program was not started.

    Attributes:
        isolation: The protections that would have held.
    """

    def __init__(self, isolation: Isolation) -> None:
        super().__init__(
            "the program was not run, because this system refuses to isolate its "
            f"{isolation.describe_lacking()}; `braid doctor` says more, and "
            f"{SANDBOX_VARIABLE}=best-effort allows a sandbox without them"
        )
        self.isolation = isolation


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a program may use."""

    seconds: float = 10.0
    """Wall time."""
    cpu_seconds: int = 10
    """Processor time of each process."""
    memory: int = 1024 * MIB
    """Memory of all processes together, and address space of each, in bytes."""
    disk: int = 64 * MIB
    """Size of the working directory where it is in memory, else of each file, in bytes."""
    processes: int = 64
    """Most processes and threads at a time."""
    open_files: int = 256
    output: int = 64 * 1024
    """Bytes of stdout and of stderr that are kept."""
    output_total: int = 4 * MIB
    """A program that writes more bytes to one of them is stopped."""


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """Which protections held."""

    network: bool = False
    """There is no network."""
    processes: bool = False
    """The program's processes end with it."""
    files: bool = False
    """Files outside the working directory cannot be written, and other processes cannot be seen."""
    sockets: bool = False
    """There are no sockets of other programs, and no memory that no limit counts."""
    memory: Literal["cgroup", "counted"] = "counted"
    """How the memory of all processes together is bounded: by the kernel, or by counting it."""
    refused: tuple[str, ...] = ()
    """Reasons that the system gave where it refused something."""

    @property
    def lacking(self) -> tuple[str, ...]:
        """The protections that did not hold, by name."""
        return tuple(name for name in ("network", "processes", "files", "sockets") if not getattr(self, name))

    @property
    def complete(self) -> bool:
        """Whether every protection held."""
        return not self.lacking

    def describe_lacking(self) -> str:
        """What did not hold, and why, as text."""
        return f"{', '.join(self.lacking)} ({'; '.join(self.refused) or 'no reason given'})"


@dataclass(frozen=True, kw_only=True)
class SandboxResult:
    """How a program ended."""

    stdout: str
    stderr: str
    returncode: int
    """Negative for a signal, as in `subprocess`."""
    stopped: StopReason | None
    """Set where the program was stopped: by its time, its output, or what its processes used together."""
    seconds: float
    """Wall time."""
    isolation: Isolation
    """The protections that held."""
    report: bytes = b""
    """What the program wrote to its report descriptor (see `run_sandboxed`)."""

    @property
    def ok(self) -> bool:
        """Whether the program ended by itself and successfully."""
        return self.returncode == 0 and self.stopped is None


async def run_sandboxed(
    command: Sequence[str],
    *,
    files: Mapping[str, str | bytes] | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    limits: SandboxLimits | None = None,
    isolation: IsolationMode = "required",
    report_variable: str | None = None,
) -> SandboxResult:
    """Run `command` in a new temporary directory, wait for its end, and remove the directory.

    Cancelling the caller, like the time limit, kills the program with everything that it started, and waits
    for that.

    Args:
        command: Program and arguments, without a shell. Relative to the working directory, or found on a
            plain PATH.
        files: Put into the working directory first, by relative path.
        stdin: What the program reads, followed by the end of input.
        env: Added to a scrubbed environment. Nothing of our own environment is passed on.
        limits: What the program may use.
        isolation: What happens where the system refuses a protection.
        report_variable: Environment variable that names a descriptor to the program. It may write up to 64
            KiB to it, apart from its output.

    Raises:
        IsolationRefusedError: The system refuses a protection, and `isolation` is "required".
        SandboxError: The program could not be started. A program that fails is no error: see
            `SandboxResult.ok`.
    """
    limits = limits or SandboxLimits()
    with contextlib.ExitStack() as stack:
        workdir = stack.enter_context(run_folder())
        for name, content in (files or {}).items():
            _write_inside(workdir, name, content)
        group = stack.enter_context(control_group(workdir.name, limits.memory))
        status = stack.enter_context(_Pipe())
        report = stack.enter_context(_Pipe()) if report_variable is not None else None
        environment = _environment(workdir, env)
        if report is not None and report_variable is not None:
            environment[report_variable] = str(report.write_end)
        config = {
            "status_fd": status.write_end,
            "workdir": str(workdir),
            "env": environment,
            "isolation": isolation,
            "needs": _needs(command),
            "limits": {
                "cpu": limits.cpu_seconds,
                "memory": limits.memory,
                "disk": limits.disk,
                "processes": limits.processes,
                "open_files": limits.open_files,
            },
        }
        output = [stack.enter_context(_Pipe()) for _ in range(2)]
        started = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", str(LAUNCHER), json.dumps(config), *command),
                stdin=stack.enter_context(_file_with(stdin)),
                stdout=output[0].write_end,
                stderr=output[1].write_end,
                cwd=workdir,
                env=environment,
                start_new_session=True,
                pass_fds=[pipe.write_end for pipe in (status, report) if pipe is not None],
            )
        except OSError as error:
            raise SandboxError(f"cannot start {sys.executable}: {error}") from error
        for pipe in (status, report, *output):
            if pipe is not None:
                pipe.close_write_end()
        held_by_kernel = group is not None and group.add(process.pid)
        stdout, stderr = _Capture(limits), _Capture(limits)
        streams = dict(zip((stdout, stderr), output, strict=True))
        stopped = await _wait_for_end(process, streams, limits, group)
        if stopped is None and group is not None and group.exceeded():
            stopped = "memory"
        seconds = time.monotonic() - started
        reported = _read_status(status.read_all())
        held = replace(_isolation(reported), memory="cgroup" if held_by_kernel else "counted")
        if reported.get("withheld"):
            raise IsolationRefusedError(held)
        if "failed" in reported:
            raise SandboxError(f"cannot start {command[0]!r}: {reported['failed']}")
        returncode = int(reported.get("exit", -signal.SIGKILL if stopped else process.returncode or 0))
        if not stopped and ("done" not in reported or ("exit" not in reported and process.returncode == 126)):
            raise SandboxError(f"the sandbox could not be set up: {stderr.text().strip()[-500:]}")
        return SandboxResult(
            stdout=stdout.text(),
            stderr=stderr.text(),
            returncode=returncode,
            stopped=stopped,
            seconds=seconds,
            isolation=held,
            report=report.read_all() if report is not None else b"",
        )


@cache
def probe() -> Isolation:
    """The protections that hold on this system, tried once in a real sandbox.

    Not to be called in an event loop.
    """
    command = [sys.executable, "-I", "-S", "-c", "pass"]
    try:
        return asyncio.run(run_sandboxed(command, isolation="best-effort")).isolation
    except SandboxError as error:
        return Isolation(refused=(str(error),))


def allowed_isolation() -> Literal["required", "best-effort"]:
    """What the user set in the environment: "required", unless a weaker sandbox is allowed.

    Raises:
        SandboxError: The variable has another value.
    """
    value = os.environ.get(SANDBOX_VARIABLE, "").strip() or "required"
    if value == "required" or value == "best-effort":
        return value
    raise SandboxError(f"{SANDBOX_VARIABLE} must be 'required' or 'best-effort', got {value!r}")


async def _wait_for_end(
    process: asyncio.subprocess.Process,
    streams: Mapping[_Capture, _Pipe],
    limits: SandboxLimits,
    group: Cgroup | None,
) -> StopReason | None:
    """Read the output and wait for the end. Leaves no process behind, however it ends."""
    stopped: StopReason | None = None
    readers = [asyncio.create_task(capture.fill(pipe.read_end)) for capture, pipe in streams.items()]
    watchers = [asyncio.create_task(capture.exceeded.wait()) for capture in streams]
    usage = asyncio.create_task(
        watch_usage(process.pid, memory=limits.memory, processes=limits.processes, group=group)
    )
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait(
            (*watchers, usage, ended), timeout=limits.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if any(capture.exceeded.is_set() for capture in streams):
            stopped = "output"
        elif usage.done():
            stopped = usage.result()
        elif not ended.done():
            stopped = "timeout"
        _kill_group(process)
        # The session is dead. Its pipes close now, unless a process left the session and holds them.
        await asyncio.wait(readers, timeout=DRAIN_SECONDS)
    finally:
        _kill_group(process)
        for task in (*readers, *watchers, usage):
            task.cancel()
        await _wait_for_all(ended, *readers, *watchers, usage)
    return stopped


async def _wait_for_all(*tasks: asyncio.Task[Any]) -> None:
    """Wait for all, even when cancelled: a process that nobody reaps must not stay."""
    cancelled: asyncio.CancelledError | None = None
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _kill_group(process: asyncio.subprocess.Process) -> None:
    # The process id is that of the session and of its group, which may live on after its leader.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@dataclass(eq=False)
class _Capture:
    """The beginning and the end of a stream. The middle is only counted."""

    limits: SandboxLimits
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    total: int = 0
    exceeded: asyncio.Event = field(default_factory=asyncio.Event)

    async def fill(self, descriptor: int) -> None:
        """Read until the end. What is over the limit is read too, and dropped."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(descriptor, ready.set)
        try:
            while True:
                await ready.wait()
                ready.clear()
                with contextlib.suppress(BlockingIOError):
                    chunk = os.read(descriptor, 64 * 1024)
                    if not chunk:
                        return
                    self._take(chunk)
        finally:
            loop.remove_reader(descriptor)

    def _take(self, chunk: bytes) -> None:
        room_head, room_tail = self.limits.output // 2, self.limits.output - self.limits.output // 2
        self.total += len(chunk)
        fits = room_head - len(self.head)
        self.head += chunk[:fits]
        self.tail += chunk[fits:]
        del self.tail[:-room_tail]
        if self.total > self.limits.output_total:
            self.exceeded.set()

    def text(self) -> str:
        head, tail = self.head.decode(errors="replace"), self.tail.decode(errors="replace")
        left_out = self.total - len(self.head) - len(self.tail)
        return f"{head}\n[... {left_out} bytes left out ...]\n{tail}" if left_out else head + tail


class _Pipe:
    """A pipe that the program writes to. It is read once, after the program's end."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self._writable = True

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_write_end()
        os.close(self.read_end)

    def close_write_end(self) -> None:
        if self._writable:
            self._writable = False
            os.close(self.write_end)

    def read_all(self) -> bytes:
        content = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.read_end, 64 * 1024):
                content += chunk
        return content


def _read_status(content: bytes) -> dict[str, Any]:
    reported: dict[str, Any] = {}
    for line in content.splitlines():
        reported.update(json.loads(line))
    return reported


def _isolation(reported: Mapping[str, Any]) -> Isolation:
    done = reported.get("done", ())
    return Isolation(
        network="network" in done,
        processes="processes" in done,
        files="files" in done,
        sockets="sockets" in done,
        refused=tuple(reported.get("refused", ())),
    )


@contextlib.contextmanager
def _file_with(content: bytes) -> Iterator[int]:
    """A file with `content`. With a pipe, a program that does not read its input would block us."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()


def _environment(workdir: Path, extra: Mapping[str, str] | None) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(workdir),
        "TMPDIR": str(workdir),
        "LANG": "C.UTF-8",
        # Numerical libraries would start a thread for every core of the machine.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **(extra or {}),
    }


def _needs(command: Sequence[str]) -> list[str]:
    """What the program must be able to read: the interpreter, and the files that the command names."""
    named = [part for part in command if part.startswith("/") and Path(part).exists()]
    ours = [sys.executable, sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    return list(dict.fromkeys((*ours, *named)))


def _write_inside(workdir: Path, name: str, content: str | bytes) -> None:
    target = (workdir / name).resolve()
    if not target.is_relative_to(workdir) or target == workdir:
        raise SandboxError(f"file name {name!r} leads out of the working directory; give a relative path")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)
