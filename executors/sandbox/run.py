"""Run a program that is not trusted: isolated, and limited in time, memory, output, files and processes.

The program gets a session of its own and a scrubbed environment. On Linux it also gets
a network namespace with nothing in it, a PID namespace that dies as a whole, read-only file systems but for its
working directory, and, when we run as root, a user that owns nothing. Where the kernel refuses one of these, and on other
systems, the program is not run, unless the caller allows a weaker sandbox (`IsolationMode`). What remains then are the limits
and the session, and a program that leaves its session can outlive its run. `SandboxResult.isolation` says what held;
`probe` says it beforehand.

It may still read what our user may read: this keeps accidents and careless code in, it is no wall against an attacker with a
kernel exploit.
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
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from braid.engine import BraidError

MIB: Final = 1024 * 1024
LAUNCHER: Final = Path(__file__).with_name("launcher.py")
DRAIN_SECONDS: Final = 1.0
"""How long a pipe may stay open after the program ended; longer means that something escaped and holds it."""

IsolationMode: TypeAlias = Literal["required", "best-effort", "none"]
"""What happens where the system refuses a protection: "required" does not run the program, "best-effort" runs it with what is
left. "none" asks for no protection, only for the limits.
"""
SANDBOX_VARIABLE: Final = "BRAID_SANDBOX"
"""The environment variable by which a user allows a weaker sandbox."""


class SandboxError(BraidError):
    """The program could not be started at all."""


class IsolationRefusedError(SandboxError):
    """The system refused a protection that the caller requires. The program was not started.

    `isolation` says what would have held.
    """

    def __init__(self, isolation: Isolation) -> None:
        super().__init__(
            f"the program was not run, because this system refuses to isolate its {isolation.describe_lacking()}; "
            f"`braid doctor` says more, and {SANDBOX_VARIABLE}=best-effort allows a sandbox without them"
        )
        self.isolation = isolation


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a program may use.

    `seconds` is wall time and `cpu_seconds` processor time of each process; `memory` (bytes) is address space of each process;
    `disk` (bytes) bounds the working directory where it is in memory, and else each file; `output` (bytes) is how much of each of
    stdout and stderr is kept, and a program that writes more than `output_total` is stopped.
    """

    seconds: float = 10.0
    cpu_seconds: int = 10
    memory: int = 1024 * MIB
    disk: int = 64 * MIB
    processes: int = 64
    open_files: int = 256
    output: int = 64 * 1024
    output_total: int = 4 * MIB


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """Which protections held."""

    network: bool = False
    """There is no network."""
    processes: bool = False
    """The program's processes end with it."""
    files: bool = False
    """Files outside the working directory cannot be written, and other processes cannot be seen."""
    refused: tuple[str, ...] = ()
    """What the system said where it refused something."""

    @property
    def lacking(self) -> tuple[str, ...]:
        """The protections that did not hold, by name."""
        return tuple(name for name in ("network", "processes", "files") if not getattr(self, name))

    @property
    def complete(self) -> bool:
        return not self.lacking

    def describe_lacking(self) -> str:
        """For people: what did not hold, and why."""
        return f"{', '.join(self.lacking)} ({'; '.join(self.refused) or 'no reason given'})"


@dataclass(frozen=True, kw_only=True)
class SandboxResult:
    """How a program ended.

    `returncode` is negative for a signal, as in `subprocess`. `stopped` says that we ended it: for its time, or its output.
    `report` is what it wrote to the descriptor that it was given (see `run_sandboxed`).
    """

    stdout: str
    stderr: str
    returncode: int
    stopped: Literal["timeout", "output"] | None
    seconds: float
    isolation: Isolation
    report: bytes = b""

    @property
    def ok(self) -> bool:
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
    """Run `command` in a new temporary directory and wait for its end; the directory is removed afterwards.

    Cancelling the caller, like the time limit, kills the program with everything it started, and waits for that.

    Args:
        command: program and arguments; no shell. Relative to the working directory, or found on a plain PATH.
        files: put into the working directory first, by relative path.
        stdin: what the program reads; then, or at once, the end of input.
        env: added to a scrubbed environment; nothing of ours is passed on.
        limits: see `SandboxLimits`.
        isolation: see `IsolationMode`.
        report_variable: names an environment variable that tells the program a descriptor on which it may write up to
            64 KiB, apart from its output.

    Raises:
        IsolationRefusedError: the system refuses a protection, and `isolation` is "required".
        SandboxError: the program could not be started; a program that fails is no error, see `SandboxResult.ok`.
    """
    limits = limits or SandboxLimits()
    with contextlib.ExitStack() as stack:
        workdir = stack.enter_context(_temporary_directory())
        for name, content in (files or {}).items():
            _write_inside(workdir, name, content)
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
            "needs": [
                command[0] if command[0].startswith("/") else "/",
                sys.executable,
                sys.prefix,
                sys.base_prefix,
            ],
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
                stdin=stack.enter_context(_readable(stdin)),
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
        stdout, stderr = _Capture(limits), _Capture(limits)
        stopped = await _attend(process, dict(zip((stdout, stderr), output, strict=True)), limits.seconds)
        seconds = time.monotonic() - started
        told = _read_status(status.read_all())
        held = _isolation(told)
        if told.get("withheld"):
            raise IsolationRefusedError(held)
        if "failed" in told:
            raise SandboxError(f"cannot start {command[0]!r}: {told['failed']}")
        returncode = int(told.get("exit", -signal.SIGKILL if stopped else process.returncode or 0))
        if not stopped and ("done" not in told or ("exit" not in told and process.returncode == 126)):
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
    """What this system lets a sandbox do; tried out once, with a real one. For `braid doctor`, outside an event loop."""
    command = [sys.executable, "-I", "-S", "-c", "pass"]
    try:
        return asyncio.run(run_sandboxed(command, isolation="best-effort")).isolation
    except SandboxError as error:
        return Isolation(refused=(str(error),))


def allowed_isolation() -> Literal["required", "best-effort"]:
    """What the user set in the environment: "required", unless a weaker sandbox is allowed.

    Raises:
        SandboxError: the variable has another value.
    """
    value = os.environ.get(SANDBOX_VARIABLE, "").strip() or "required"
    if value == "required" or value == "best-effort":
        return value
    raise SandboxError(f"{SANDBOX_VARIABLE} must be 'required' or 'best-effort', got {value!r}")


async def _attend(
    process: asyncio.subprocess.Process, streams: Mapping[_Capture, _Pipe], seconds: float
) -> Literal["timeout", "output"] | None:
    """Read and wait; leaves no process behind, however it ends."""
    stopped: Literal["timeout", "output"] | None = None
    readers = [asyncio.create_task(capture.fill(pipe.read_end)) for capture, pipe in streams.items()]
    watchers = [asyncio.create_task(capture.exceeded.wait()) for capture in streams]
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait((*watchers, ended), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if any(capture.exceeded.is_set() for capture in streams):
            stopped = "output"
        elif not ended.done():
            stopped = "timeout"
        _kill_group(process)
        # The session is dead: its pipes close now, unless something left the session and keeps them.
        await asyncio.wait(readers, timeout=DRAIN_SECONDS)
    finally:
        _kill_group(process)
        for task in (*readers, *watchers):
            task.cancel()
        await _whatever_comes(ended, *readers, *watchers)
    return stopped


async def _whatever_comes(*tasks: asyncio.Task[Any]) -> None:
    """Wait for all, even when cancelled meanwhile: leaving early would leave a process that nobody reaps."""
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
    """The beginning and the end of a stream, and how much was left out between them."""

    limits: SandboxLimits
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    total: int = 0
    exceeded: asyncio.Event = field(default_factory=asyncio.Event)

    async def fill(self, descriptor: int) -> None:
        """Read until the end. What is over the limit is read too, and dropped: the program is being stopped by then."""
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
    """A pipe that the program writes and that is read once, after its end."""

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
    told: dict[str, Any] = {}
    for line in content.splitlines():
        told.update(json.loads(line))
    return told


def _isolation(told: Mapping[str, Any]) -> Isolation:
    held = told.get("done", ())
    return Isolation(
        network="network" in held,
        processes="processes" in held,
        files="files" in held,
        refused=tuple(told.get("refused", ())),
    )


@contextlib.contextmanager
def _temporary_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="braid-", ignore_cleanup_errors=True) as name:
        # Resolved: the sandbox mounts on it, and /tmp may be a link.
        yield Path(name).resolve()


@contextlib.contextmanager
def _readable(content: bytes) -> Iterator[int]:
    """A file and not a pipe: a program that does not read its input cannot block us."""
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


def _write_inside(workdir: Path, name: str, content: str | bytes) -> None:
    target = (workdir / name).resolve()
    if not target.is_relative_to(workdir) or target == workdir:
        raise SandboxError(f"file name {name!r} leads out of the working directory; give a relative path")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)
