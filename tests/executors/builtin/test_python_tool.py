import asyncio
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from braid.executors import ToolRegistry
from braid.executors.builtin.python.tool import python
from braid.executors.sandbox.run import (
    LAUNCHER,
    IsolationMode,
    IsolationRefusedError,
    SandboxError,
    SandboxLimits,
    SandboxResult,
    probe,
    run_sandboxed,
)
from braid.executors.tools.errors import ToolError, ToolTimeoutError

GENEROUS = SandboxLimits(seconds=30)


async def run(code: str, limits: SandboxLimits = GENEROUS, **options: object) -> SandboxResult:
    chosen: dict[str, Any] = {"isolation": "best-effort", **options}
    return await run_sandboxed([sys.executable, "-I", "-c", code], limits=limits, **chosen)


HERE = Path.cwd()


def exists(path: str) -> bool:
    return Path(path).exists()


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
    """The kernel ends a PID namespace right after its first process; give it a moment."""
    for _ in range(100):
        if not processes_with(mark):
            return True
        await asyncio.sleep(0.02)
    return False


# The tool


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("1 + 1", 2, "2"),
        ("x = [1, 2.5]\nx", [1, 2.5], None),
        ("'text'", "text", "text"),
        ("(1, 2)", "(1, 2)", "(1, 2)"),
        ("{'a': None}", {"a": None}, None),
        ("{1: 2}", "{1: 2}", "{1: 2}"),
        ("x = 3", None, None),
        ("None", None, None),
        ("print('printed')\n5", 5, "printed"),
        ("import math\nmath.pi", 3.141592653589793, None),
        ("def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nf(15)", 610, "610"),
        ("10 ** 5000", None, None),
        ("'$1 {x} \\n é'", "$1 {x} \n é", "$1 {x} \n é"),
        ("", None, None),
    ],
)
async def test_values_and_output(code: str, value: object, shown: str | None) -> None:
    result = await python.call({"code": code})
    if code != "10 ** 5000":
        assert result.value == value
    else:
        assert result.value.startswith("<int")
    if shown is not None:
        assert result.short_form() == shown
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "1 / 0",
            "line 1, in <module>\n    1 / 0\n.*\nZeroDivisionError|ZeroDivisionError: division by zero",
        ),
        ("def f(:", "SyntaxError"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("import os; os._exit(4)", "exit code 4"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("input()", "EOFError"),
        ("x = bytearray(10 ** 10)", "MemoryError"),
        ("while True: print('x' * 1000)", "printed more than"),
    ],
)
async def test_failures_carry_the_end_of_the_traceback(code: str, says: str) -> None:
    with pytest.raises(ToolError, match=says) as caught:
        await python.call({"code": code})
    assert "bootstrap" not in str(caught.value)


async def test_an_endless_loop_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("braid.executors.builtin.python.tool.LIMITS", SandboxLimits(seconds=0.5))
    with pytest.raises(ToolTimeoutError):
        await python.call({"code": "while True: pass"})


async def test_nothing_of_ours_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    result = await python.call(
        {"code": "import os, sys; [sorted(os.environ), os.getcwd(), os.listdir(), sys.stdin.read()]"}
    )
    names, folder, files, read = result.value
    assert "SOME_API_KEY" not in names
    assert folder != str(HERE) and files == ["code.py"] and read == ""
    assert not exists(folder)


async def test_a_forged_report_is_only_a_value() -> None:
    result = await python.call({"code": "import os; os.write(int(os.environ['BRAID_REPORT']), b'[}')"})
    assert result.value is None


async def test_it_can_be_registered() -> None:
    assert ToolRegistry([python]).get("python").spec.effect == "idempotent"


# The sandbox


async def test_input_files_and_environment() -> None:
    code = "import os, sys; print(sys.stdin.read(), open('a/b.txt').read(), os.environ['X'], len(os.listdir('/tmp')) >= 0)"
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
    assert (await bomb).stopped == "timeout"
    assert 2 < most <= limits.processes + 4
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
    assert target.read_text() == ("before" if result.isolation.files else "after")


async def test_the_directory_is_bounded() -> None:
    code = "for n in range(100): open(str(n), 'wb').write(b'0' * 2 ** 20)"
    result = await run(code, SandboxLimits(seconds=5, disk=8 * 2**20))
    if result.isolation.files:
        assert "No space left" in result.stderr


async def test_many_at_once() -> None:
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(run(f"print({n})", SandboxLimits(seconds=30))) for n in range(20)]
    assert [one.result().stdout for one in runs] == [f"{n}\n" for n in range(20)]


def test_probe_says_what_holds() -> None:
    isolation = probe()
    assert probe() is isolation
    assert isolation.complete or isolation.refused or sys.platform != "linux"


# Where the system refuses

REFUSING = Path(__file__).parents[2] / "support/refusing_kernel.py"
UNSHARE = ("unshare", 0, 0xFFFFFFFF)
TOOL = """\
import asyncio, json, sys
from braid.executors.builtin.python.tool import python
from braid.executors.tools.retry import may_retry
try:
    result = asyncio.run(python.call({"code": sys.argv[1]}))
    print(json.dumps({"network": result.network}))
except Exception as error:
    cause = error.__cause__
    told = {"error": type(error).__name__, "cause": type(cause).__name__, "retried": may_retry(error, None)}
    print(json.dumps(told | {"text": str(error), "lacking": getattr(getattr(cause, "isolation", None), "lacking", [])}))
"""


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that every user can reach and write."""
    with tempfile.TemporaryDirectory(prefix="outside-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def call_python(code: str, refused: tuple[str, int, int], **env: str) -> dict[str, Any]:
    """What the tool says in a process in which the kernel refuses a system call."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux has seccomp filters")
    clean = {name: value for name, value in os.environ.items() if name != "BRAID_SANDBOX"}
    done = subprocess.run(
        [sys.executable, REFUSING, *map(str, refused), sys.executable, "-c", TOOL, code],
        capture_output=True,
        text=True,
        check=True,
        env={**clean, **env},
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("refused", "lacking"),
    [
        (UNSHARE, {"network", "processes", "files"}),
        (("unshare", 0, 0x40000000), {"network"}),
        (("unshare", 0, 0x20000000), {"processes"}),
        (("mount_setattr", 2, 0xFFFFFFFF), {"files"}),
        (("mount", 3, 1), {"files"}),  # MS_RDONLY: what hides the processes outside
        (("setresuid", 0, 0xFFFFFFFF), {"files"}),
    ],
    ids=["all", "network", "processes", "files", "proc", "root"],
)
def test_where_a_protection_is_refused_nothing_runs(
    refused: tuple[str, int, int], lacking: set[str], outside: Path
) -> None:
    if refused[0] == "setresuid" and os.geteuid() != 0:
        pytest.skip("only root has root to give up")
    told = call_python(f"open({str(outside / 'ran')!r}, 'w').write('x')", refused)
    assert (told.get("error"), told.get("cause")) == ("ToolError", "IsolationRefusedError"), told
    assert lacking <= set(told["lacking"]) and not told["retried"]
    assert all(name in told["text"] for name in (*lacking, "BRAID_SANDBOX=best-effort"))
    assert not children(outside)


def test_a_user_can_allow_a_weaker_sandbox(outside: Path) -> None:
    told = call_python(
        f"open({str(outside / 'ran')!r}, 'w').write('x')", UNSHARE, BRAID_SANDBOX="best-effort"
    )
    assert told == {"network": "open"}
    assert children(outside) == [outside / "ran"]


async def test_another_word_allows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_SANDBOX", "weak")
    with pytest.raises(ToolError, match="BRAID_SANDBOX must be 'required' or 'best-effort', got 'weak'"):
        await python.call({"code": "1"})


async def test_a_complete_sandbox_needs_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (await run("pass")).isolation.complete:
        pytest.skip("this system refuses a complete sandbox")
    monkeypatch.delenv("BRAID_SANDBOX")
    assert (await python.call({"code": "6 * 7"})).value == 42
    assert (await run("pass", isolation="required")).isolation.complete


async def test_systems_without_namespaces_refuse(
    outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "launcher.py"
    elsewhere.write_text(
        f"import runpy, sys\nsys.platform = 'darwin'\nrunpy.run_path({str(LAUNCHER)!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr("braid.executors.sandbox.run.LAUNCHER", elsewhere)
    code = f"open({str(outside / 'ran')!r}, 'w').write('x')"
    with pytest.raises(IsolationRefusedError, match="no namespaces on darwin") as caught:
        await run(code, isolation="required")
    assert caught.value.isolation.lacking == ("network", "processes", "files")
    assert not children(outside)
    assert (await run(code)).ok
    assert children(outside)
