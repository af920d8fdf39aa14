"""The `python` tool: what a program gives, and what it refuses to run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from braid.executors import ToolRegistry
from braid.executors.builtin.python import python
from braid.executors.sandbox import SandboxLimits, probe, run_sandboxed
from braid.executors.tools import ToolError, ToolTimeoutError

HERE = Path.cwd()


def exists(path: str) -> bool:
    return Path(path).exists()


def children(folder: Path) -> list[Path]:
    return list(folder.iterdir())


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


REFUSING = Path(__file__).parents[2] / "support/refusing_kernel.py"


ALL = 0xFFFFFFFF
UNSHARE = ("unshare", 0, ALL)


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
    lacking = getattr(getattr(cause, "isolation", None), "lacking", [])
    print(json.dumps(told | {"text": str(error), "lacking": lacking}))
"""


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that every user can reach and write."""
    with tempfile.TemporaryDirectory(prefix="outside-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def call_python(
    code: str, refused: tuple[str, int, int], *, lead: Sequence[str] = (), **env: str
) -> dict[str, Any]:
    """What the tool says in a process in which the kernel refuses a system call."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux has seccomp filters")
    clean = {name: value for name, value in os.environ.items() if name != "BRAID_SANDBOX"}
    done = subprocess.run(
        [*lead, sys.executable, REFUSING, *map(str, refused), sys.executable, "-c", TOOL, code],
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
    if refused[0] == "mount" and not probe().processes:
        pytest.skip("this system refuses PID namespaces, so no processes can be hidden")
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


@pytest.mark.parametrize(
    "refused",
    [
        ("mount_setattr", 2, ALL),
        ("mount", 3, 1),
        ("mount", 3, 0x1000),
        ("mount", 3, 0x4000),
        ("setresuid", 0, ALL),
    ],
    ids=["files", "proc", "bind", "private", "root"],
)
def test_a_weaker_sandbox_runs_whatever_is_refused(refused: tuple[str, int, int]) -> None:
    assert "network" in call_python("1", refused, BRAID_SANDBOX="best-effort")


@pytest.mark.parametrize("lacking", ["dac_read_search", "sys_admin", "setpcap", "setuid", "chown"])
def test_a_weaker_sandbox_runs_for_root_of_a_container(lacking: str) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, and setpriv of util-linux")
    gone = ",".join(dict.fromkeys(("-dac_read_search", f"-{lacking}")))
    lead = ["setpriv", f"--bounding-set={gone}", f"--inh-caps={gone}"]
    assert "network" in call_python("1", ("mount", 3, 0), lead=lead, BRAID_SANDBOX="best-effort")


async def test_another_word_allows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_SANDBOX", "weak")
    with pytest.raises(ToolError, match="BRAID_SANDBOX must be 'required' or 'best-effort', got 'weak'"):
        await python.call({"code": "1"})


async def test_a_complete_sandbox_needs_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = [sys.executable, "-I", "-c", "pass"]
    if not (await run_sandboxed(nothing, isolation="best-effort")).isolation.complete:
        pytest.skip("this system refuses a complete sandbox")
    monkeypatch.delenv("BRAID_SANDBOX")
    assert (await python.call({"code": "6 * 7"})).value == 42
    assert (await run_sandboxed(nothing, isolation="required")).isolation.complete
