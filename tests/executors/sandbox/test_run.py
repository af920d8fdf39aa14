"""The sandbox: what a program gets, what it is kept from, and that nothing of it stays."""

import asyncio
import gc
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from braid.executors.sandbox import SandboxError, SandboxLimits, SandboxResult, probe, run_sandboxed
from braid.executors.sandbox.run import LAUNCHER, Isolation, IsolationMode, IsolationRefusedError

GENEROUS = SandboxLimits(seconds=30)


async def run(code: str, limits: SandboxLimits = GENEROUS, **options: object) -> SandboxResult:
    chosen: dict[str, Any] = {"isolation": "best-effort", **options}
    return await run_sandboxed([sys.executable, "-I", "-c", code], limits=limits, **chosen)


def require(held: bool, isolation: Isolation) -> None:
    """Skip where the system refuses a protection. Where root has all rights, it must hold."""
    if not held:
        assert not all_rights(), isolation
        pytest.skip(f"this system refuses a protection: {isolation.describe_lacking()}")


def all_rights() -> bool:
    """Whether this process is root outside of containers, with all that a complete sandbox needs."""
    if sys.platform != "linux" or os.geteuid() != 0 or Path("/").stat().st_mode & 0o1 == 0:
        return False
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    needed = sum(
        1 << capability for capability in (0, 2, 6, 7, 8, 21)
    )  # chown ... sys_admin, of capabilities(7)
    unfiltered = status["Seccomp"].strip() == "0"
    all_users = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    return unfiltered and all_users and int(status["CapEff"], 16) & needed == needed


def children(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def processes_with(mark: str) -> list[str]:
    """Live processes whose command line contains `mark`."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "cmdline").read_text(errors="replace"):
                found.append(entry.name)
        except OSError:
            continue
    return found


async def all_gone(mark: str) -> bool:
    """The kernel ends a PID namespace right after its first process. Give it a moment."""
    for _ in range(100):
        if not processes_with(mark):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_input_files_and_environment() -> None:
    code = (
        "import os, sys\n"
        "print(sys.stdin.read(), open('a/b.txt').read(), os.environ['X'], len(os.listdir('/tmp')) >= 0)"
    )
    result = await run(code, stdin=b"given", files={"a/b.txt": "content"}, env={"X": "y"})
    assert result.stdout == "given content y True\n", result.stderr
    assert result.ok


async def test_a_large_input_that_nobody_reads() -> None:
    assert (await run("pass", stdin=b"x" * 1_000_000)).ok


async def test_the_temporary_folder_may_be_a_link(
    outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    link.symlink_to(outside)
    monkeypatch.setattr("tempfile.tempdir", str(link))
    assert (await run("print(open('a.txt').read())", files={"a.txt": "content"})).stdout == "content\n"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "."])
async def test_files_stay_inside(name: str) -> None:
    with pytest.raises(SandboxError, match="leads out"):
        await run("pass", files={name: ""})


async def test_a_command_that_is_not_there() -> None:
    with pytest.raises(SandboxError, match="no-such-program"):
        await run_sandboxed(["no-such-program"], isolation="best-effort")


async def test_output_keeps_both_ends() -> None:
    limits = SandboxLimits(seconds=5, output=1000)
    result = await run("print('begin'); print('x' * 100_000); print('end')", limits)
    assert result.stdout.startswith("begin") and result.stdout.endswith("end\n")
    assert "bytes left out" in result.stdout
    assert len(result.stdout) < 1100


async def test_infinite_output_is_stopped() -> None:
    result = await run("import sys\nwhile True: sys.stderr.write('y' * 9999)", SandboxLimits(seconds=20))
    assert result.stopped == "output" and not result.ok
    assert len(result.stderr) < 2 * SandboxLimits().output


async def test_a_program_that_ignores_signals_is_killed() -> None:
    mark = uuid.uuid4().hex
    code = (
        f"import signal, time # {mark}\n"
        "for one in set(range(1, 32)) - {9, 19}:\n"
        "    signal.signal(one, signal.SIG_IGN)\n"
        "time.sleep(60)"
    )
    result = await run(code, SandboxLimits(seconds=0.5))
    assert result.stopped == "timeout"
    assert await all_gone(mark)


async def test_a_fork_bomb_stays_small_and_dies() -> None:
    mark = uuid.uuid4().hex
    code = (
        f"import os, time # {mark}\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.05)\n"
    )
    limits = SandboxLimits(seconds=1.0, processes=24)
    bomb = asyncio.create_task(run(code, limits))
    most = 0
    while not bomb.done():
        most = max(most, len(processes_with(mark)))
        await asyncio.sleep(0.05)
    result = await bomb
    if result.isolation.complete:
        assert result.stopped == "timeout" and 2 < most <= limits.processes + 4
    else:  # root that cannot be given up has no limit of the kernel's: its processes are counted
        assert result.stopped is not None and most > 2
    assert await all_gone(mark)


async def test_children_that_leave_the_session_die_too() -> None:
    if not (await run("pass")).isolation.processes:
        pytest.skip("this system refuses PID namespaces")
    mark = uuid.uuid4().hex
    code = (
        f"import os, time # {mark}\nif os.fork() == 0:\n    os.setsid()\n    os.fork()\n    time.sleep(60)\n"
    )
    result = await run(code)
    assert result.ok
    assert await all_gone(mark)


@pytest.mark.parametrize("isolation", ["best-effort", "none"])
async def test_cancellation_leaves_no_process(
    isolation: IsolationMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = uuid.uuid4().hex
    code = f"import os, time # {mark}\nos.fork(); os.fork(); time.sleep(60)"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    call = asyncio.create_task(run(code, SandboxLimits(seconds=60), isolation=isolation))
    while len(processes_with(mark)) < 4:  # noqa: ASYNC110 - another process sets no event of ours
        await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await all_gone(mark)
    assert not children(tmp_path)


async def test_cancellation_at_any_moment_leaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mark = uuid.uuid4().hex
    await run("pass")  # what the event loop opens once, it opens here
    gc.collect()  # what earlier tests left open would close in the middle
    descriptors = len(children(Path("/proc/self/fd")))
    for step in range(24):
        call = asyncio.create_task(run(f"import time # {mark}\ntime.sleep(60)"))
        await asyncio.sleep(step * 0.004)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert await all_gone(mark)
    assert not children(tmp_path)
    assert len(children(Path("/proc/self/fd"))) == descriptors


async def test_without_isolation_the_limits_hold() -> None:
    result = await run("b = bytearray(3 * 10 ** 9)", isolation="none")
    assert "MemoryError" in result.stderr
    assert not result.isolation.network and not result.isolation.complete


async def test_processor_time_is_limited() -> None:
    result = await run("while True: pass", SandboxLimits(seconds=60, cpu_seconds=1))
    assert result.returncode < 0 and result.stopped is None


async def test_no_network() -> None:
    code = (
        "import socket\n"
        "try: socket.create_connection(('127.0.0.1', {port}), 2); print('in')\n"
        "except OSError: print('out')"
    )
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        result = await run(code.format(port=server.sockets[0].getsockname()[1]))
    assert result.stdout.strip() == ("out" if result.isolation.network else "in")


async def test_files_outside_cannot_be_written(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("before")
    target.chmod(0o666)
    result = await run(f"open({str(target)!r}, 'w').write('after')")
    assert target.read_text() == "before" or not result.isolation.files


@pytest.fixture
def link(outside: Path) -> Iterator[Path]:
    """A link to a file of a folder that comes later in the alphabet."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as later:
        needed = Path(later, "needed")
        needed.write_text("read")
        Path(later).chmod(0o755)
        (outside / "link").symlink_to(needed)
        yield outside / "link"


async def test_a_link_to_what_is_needed_may_come_before_it(link: Path) -> None:
    code = "import sys; print(open(sys.argv[2]).read())"
    command = [sys.executable, "-I", "-c", code, str(link.parent), str(link)]
    result = await run_sandboxed(command, limits=GENEROUS, isolation="best-effort")
    require(result.isolation.files, result.isolation)
    assert result.stdout == "read\n", result


async def test_the_directory_is_bounded() -> None:
    code = "for n in range(100): open(str(n), 'wb').write(b'0' * 2 ** 20)"
    result = await run(code, SandboxLimits(seconds=5, disk=8 * 2**20))
    if result.isolation.files:
        assert "No space left" in result.stderr


HOLDING = {
    "memfds": "import os\nfor n in range(40):\n    fd = os.memfd_create('x')\n    os.truncate(fd, 0)\n    "
    "os.write(fd, b'0' * 2**22)\n    held.append(fd)\n",
    "processes": "import os\nfor n in range(6):\n    if os.fork() == 0:\n        b = b'0' * (40 * 2**20)\n"
    "        time.sleep(20)\ntime.sleep(20)\n",
    "sessions": "import os\nfor n in range(6):\n    if os.fork() == 0:\n        os.setsid()\n"
    "        b = b'0' * (40 * 2**20)\n        time.sleep(20)\ntime.sleep(20)\n",
    "shared": "import mmap, os\nfor n in range(6):\n    if os.fork() == 0:\n"
    "        m = mmap.mmap(-1, 40 * 2**20)\n        m[:] = b'0' * len(m)\n"
    "        time.sleep(20)\ntime.sleep(20)\n",
    "segments": "import ctypes\nlibc = ctypes.CDLL(None)\nfor n in range(4):\n"
    "    if libc.shmget(0, 40 * 2**20, 0o1600) < 0: raise OSError('refused')\n",
}


@pytest.mark.parametrize("kind", HOLDING)
@pytest.mark.parametrize("group", [True, False])
async def test_memory_is_bounded_for_all_processes(
    kind: str, group: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not group:
        monkeypatch.setattr("braid.executors.sandbox.watcher._own_group", lambda: None)
    limits = SandboxLimits(seconds=15, memory=128 * 2**20)
    result = await run("import time\nheld = []\n" + HOLDING[kind] + "print('held')", limits)
    assert "held" not in result.stdout
    refused = "Operation not permitted" in result.stderr or "refused" in result.stderr
    assert result.stopped == "memory" or refused, result


async def test_shared_memory_is_counted_once() -> None:
    code = (
        "import os, time\nb = b'0' * (100 * 2**20)\nfor n in range(5):\n"
        "    if os.fork() == 0:\n        time.sleep(0.5)\n        os._exit(0)\ntime.sleep(0.7)\nprint('done')"
    )
    result = await run(code, SandboxLimits(seconds=20, memory=256 * 2**20))
    assert result.stdout == "done\n", result


async def test_processes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, time\nfor n in range(30):\n    if os.fork() == 0: time.sleep(20)\ntime.sleep(20)"
    result = await run(code, SandboxLimits(seconds=10, processes=8))
    assert result.stopped == "processes" or "Resource temporarily unavailable" in result.stderr


def listening(path: str | bytes) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    return server


@pytest.mark.parametrize("place", ["/tmp", "/run", "/var/tmp", "/dev/shm", "abstract", "home"])
@pytest.mark.parametrize("kind", ["stream", "pair"])
async def test_no_sockets_of_the_host(place: str, kind: str, outside: Path) -> None:
    name = uuid.uuid4().hex
    folder = {"/tmp": outside, "home": Path.home(), "abstract": outside}.get(place, Path(place))
    if not os.access(folder, os.W_OK):
        pytest.skip(f"{folder} is not writable")
    path: Any = f"\0{name}" if place == "abstract" else str(folder / name)
    if kind == "stream":
        server = listening(path)
        make = "socket.socket(socket.AF_UNIX)"
    else:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        server.bind(path)
        make = "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]"
    code = (
        f"import socket\ntry:\n    {make}.connect({path!r})\n    print('in')\n"
        "except OSError as error:\n    print('out')"
    )
    try:
        result = await run(code)
    finally:
        server.close()
        if place != "abstract":
            os.unlink(path)  # noqa: PTH108 - a test may block
    require(result.isolation.sockets, result.isolation)
    assert result.stdout == "out\n", result


async def test_sockets_of_its_own_remain() -> None:
    code = (
        "import asyncio, socket, subprocess, sys\na, b = socket.socketpair()\na.send(b'x')\n"
        "async def main():\n    await asyncio.sleep(0)\n    return b.recv(1)\n"
        "done = subprocess.run([sys.executable, '-c', 'print(1)'], check=True)\n"
        "print(asyncio.run(main()), done.returncode)"
    )
    result = await run(code)
    assert result.stdout.endswith("b'x' 0\n"), result


RIGHTS = {
    "capabilities": "print([line for line in open('/proc/self/status') if line[:6] in ('CapPrm', 'CapEff', "
    "'CapAmb', 'CapInh') and int(line.split()[1], 16)])",
    "privileges": "print([line for line in open('/proc/self/status') if line.startswith('NoNewPrivs') "
    "and line.split()[1] != '1'])",
    "shadow": "print([1 for _ in [open('/etc/shadow')]])",
    "namespace": "import ctypes\nprint([1] if ctypes.CDLL(None).unshare(0x10000000) == 0 else [])",
    "mount": "import ctypes\nlibc = ctypes.CDLL(None)\n"
    "print([1] if libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0 else [])",
}


@pytest.mark.parametrize("what", RIGHTS)
async def test_no_rights_are_left(what: str) -> None:
    result = await run(RIGHTS[what])
    require(result.isolation.complete, result.isolation)
    assert result.stdout == "[]\n" or "PermissionError" in result.stderr, result


async def test_files_of_root_alone_cannot_be_read(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has root to give up")
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        for folder in (Path(name), tmp_path):
            (folder / "secret").write_text("secret")
            (folder / "secret").chmod(0o600)
            result = await run(f"print(open({str(folder / 'secret')!r}).read())")
            require(result.isolation.files, result.isolation)
            assert "secret\n" not in result.stdout and "Error" in result.stderr


async def test_many_at_once() -> None:
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(run(f"print({n})", SandboxLimits(seconds=30))) for n in range(20)]
    assert [one.result().stdout for one in runs] == [f"{n}\n" for n in range(20)]


def test_probe_says_what_holds() -> None:
    isolation = probe()
    assert probe() is isolation
    assert isolation.complete or isolation.refused or sys.platform != "linux"


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that every user can reach and write."""
    with tempfile.TemporaryDirectory(prefix="outside-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


async def test_systems_without_namespaces_refuse(
    outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "launcher.py"
    elsewhere.write_text(
        "import runpy, sys\nsys.platform = 'darwin'\n"
        f"runpy.run_path({str(LAUNCHER)!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr("braid.executors.sandbox.run.LAUNCHER", elsewhere)
    code = f"open({str(outside / 'ran')!r}, 'w').write('x')"
    with pytest.raises(IsolationRefusedError, match="no namespaces on darwin") as caught:
        await run(code, isolation="required")
    assert caught.value.isolation.lacking == ("network", "processes", "files", "sockets")
    assert not children(outside)
    assert (await run(code)).ok
    assert children(outside)
