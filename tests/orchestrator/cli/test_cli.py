"""The `braid` command: help, errors and exit codes, and the commands against a real HTTP server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from braid.executors.sandbox.run import probe
from braid.orchestrator.cli.app import app
from tests.support.scripted_server import serving
from tests.support.terminal import Terminal

BRAID = Path(sys.executable).with_name("braid")
PLAN = """\
a = search("height of K2")
b = search("height of Mont Blanc")
d = calculate(f"{a.value} - {b.value}")
answer(f"{d} {a.unit}")
"""
HEAVY = ("torch", "transformers", "httpx", "prompt_toolkit", "networkx", "openai")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("BRAID_") and name != "BRAID_SHORTCUTS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def braid(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BRAID, *args], capture_output=True, text=True, timeout=60, env={**os.environ, **env}, check=False
    )


def invoke(*args: str):
    return CliRunner().invoke(app, list(args))


@pytest.mark.parametrize(
    "args",
    [[], ["run"], ["plan"], ["repl"], ["tools"], ["doctor"], ["bench"]],
    ids=lambda a: " ".join(a) or "braid",
)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    script = (
        "import sys\nfrom braid.orchestrator.cli import app\n"
        f"try: app({[*args, '--help']!r})\n"
        "except SystemExit as e: code = e.code\n"
        f"print('HEAVY', code, sorted(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY 0 []"
    assert "Usage: braid" in done.stdout


def test_help_lists_plugin_commands_with_their_summary() -> None:
    done = braid("--help", COLUMNS="80")
    assert done.returncode == 0
    assert "bench" in done.stdout and "train" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_version() -> None:
    done = braid("--version")
    assert done.returncode == 0 and done.stdout.startswith("braid ")


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["nonsense"], 2, "nonsense"),
        (["rum"], 2, "'run'"),
        (["run"], 2, "question"),
        (["run", "?", "--max-rounds", "0"], 2, "max-rounds"),
        (["run", "?", "--nope"], 2, "--nope"),
        (["run", "?", "--sequential", "--compare"], 2, "--compare"),
        (["run", "   "], 2, "empty"),
        (["run", "?", "--engine", "nowhere"], 2, "nowhere"),
        (["run", "?", "--engine", "local:no/such/folder/x"], 2, "no/such/folder/x"),
        (["run", "?", "--tools", "serch"], 2, "'search'"),
        (["bench", "run", "no-such-task"], 2, "no-such-task"),
        (["run", "?", "--html", "no/such/folder/page.html"], 1, "no/such/folder"),
        (["run", "?", "--html", "/page/of/nobody.html"], 1, "/page/of"),
        (["plan", "?", "--engine", "openai:http://127.0.0.1:9/v1#m"], 1, "127.0.0.1:9"),
    ],
)
def test_errors_are_one_line_on_stderr(
    args: list[str], code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A slow machine says first what it gets ready.
    monkeypatch.setattr("braid.orchestrator.cli.commands.run.PATIENCE", 60.0)
    done = invoke(*args)
    assert done.exit_code == code
    assert says in done.stderr and done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_debug_adds_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_DEBUG", "1")
    done = invoke("run", "?", "--engine", "nowhere")
    assert "Traceback" in done.stderr and done.exit_code == 2


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_MAX_ROUNDS", "many")
    done = invoke("run", "?")
    assert done.exit_code == 2 and "BRAID_MAX_ROUNDS" in done.stderr and "many" in done.stderr


def test_a_wrong_config_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config" / "braid" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("engine = [not toml")
    done = invoke("run", "?")
    assert done.exit_code == 2 and "config.toml" in done.stderr


@pytest.mark.parametrize(
    ("key", "meant"), [("engin", "engine"), ("max_round", "max_rounds"), ("sede", "seed"), ("colour", "")]
)
def test_a_key_of_the_config_file_that_nothing_reads_is_named(tmp_path: Path, key: str, meant: str) -> None:
    file = tmp_path / "config" / "braid" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f"{key} = 1\n")
    done = braid("tools", "--json")
    assert done.returncode == 0
    with serving(PLAN) as server:
        done = braid("run", "?", "--engine", server.uri)
    assert done.returncode == 0
    (warning,) = [line for line in done.stderr.splitlines() if repr(key) in line]
    assert warning.startswith("braid: warning: unknown key") and meant in warning
    findings = json.loads(braid("doctor", "--json").stdout)["findings"]
    assert [f["status"] for f in findings if f["name"] == key] == ["broken"]


@pytest.mark.parametrize("closed", ["stdout", "stderr", "stdin", "all"])
def test_closed_streams_end_quietly(closed: str) -> None:
    redirects = {"stdout": ">&-", "stderr": "2>&-", "stdin": "<&-", "all": ">&- 2>&- <&-"}[closed]
    with serving(PLAN) as server:
        done = subprocess.run(
            f"{BRAID} run '?' --no-journal --engine {server.uri} {redirects}",
            shell=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0 and "Error" not in done.stderr
    assert done.stdout == ("3805 m\n" if closed in ("stderr", "stdin") else "")


@pytest.mark.parametrize("command", ["tools", "doctor", "--help", "tools --json", "runs"])
def test_a_reader_that_has_enough_is_no_failure(command: str) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{BRAID} {command} | true"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", ["braid.orchestrator.cli", "typer", "rich.console", "pydantic"])
def test_ctrl_c_while_the_command_is_imported_leaves_no_traceback(module: str) -> None:
    script = f"""
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from braid.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "doctor"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr in ("", "braid: interrupted\n")


def test_the_config_file_is_read_and_variables_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config" / "braid" / "config.toml"
    file.parent.mkdir(parents=True)
    with serving(PLAN) as server:
        file.write_text(f'engine = "{server.uri}"\n')
        assert invoke("run", "?").stdout == "3805 m\n"
    monkeypatch.setenv("BRAID_ENGINE", "nowhere")
    assert "nowhere" in invoke("run", "?").stderr


def test_run_prints_the_answer_on_stdout_and_the_rest_on_stderr() -> None:
    with serving(PLAN) as server:
        question = "How much taller is K2 than Mont Blanc?"
        done = braid("run", question, "--engine", server.uri, BRAID_SEARCH_LATENCY="0.2")
    assert (done.returncode, done.stdout) == (0, "3805 m\n")
    assert "\x1b" not in done.stderr
    assert 'a = search("height of K2")' in done.stderr
    assert "critical path" in done.stderr and "speed-up" in done.stderr


@pytest.mark.parametrize(
    ("patience", "args", "said"), [(0.0, [], True), (600.0, [], False), (0.0, ["--json"], False)]
)
def test_a_pipe_is_told_what_takes_long_before_the_run(
    patience: float, args: list[str], said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("braid.orchestrator.cli.commands.run.PATIENCE", patience)
    with serving(PLAN) as server:
        done = invoke("run", "?", "--engine", server.uri, *args)
    assert done.exit_code == 0
    assert (f"getting {server.uri} ready" in done.stderr) == said


@pytest.mark.parametrize(
    ("plan", "question"),
    [
        ('answer("yes")', "How tall is K2 \udcff?"),
        ('answer("half \ud835 pair")', "?"),
        ('answer("\udc00")', "\udce9t\udce9"),
        ('a = calculate("1 + 1")\nanswer(f"{a} \ud835")', "?"),
    ],
)
def test_halves_of_characters_from_the_terminal_and_the_server(plan: str, question: str) -> None:
    with serving(plan) as server:
        done = braid("run", question, "--engine", server.uri)
    assert done.returncode == 0, done.stderr
    assert "\ufffd" in done.stdout or done.stdout == "yes\n"


def test_run_json_is_one_document() -> None:
    with serving(PLAN) as server:
        done = invoke("run", "How much?", "--json", "--engine", server.uri, "--compare")
    assert done.exit_code == 0 and done.stderr == ""
    document = json.loads(done.stdout)
    assert document["answer"] == "3805 m" and document["question"] == "How much?"
    assert [node["state"] for node in document["nodes"]] == ["done"] * 4
    assert document["usage"]["generated_tokens"] > 0
    assert document["report"]["critical_path"] > 0
    assert document["comparison"]["one_by_one"] > 0 and document["comparison"]["speedup"] > 0


def test_run_compare_prints_both_sides() -> None:
    with serving(PLAN) as server:
        done = invoke("run", "?", "--compare", "--engine", server.uri)
    assert "one node at a time" in done.stderr and "times as fast" in done.stderr


def test_a_budget_leaves_a_partial_answer_and_exit_code_3() -> None:
    with serving(PLAN) as server:
        done = invoke("run", "?", "--budget-calls", "2", "--engine", server.uri)
        document = json.loads(
            invoke("run", "?", "--json", "--budget-calls", "2", "--engine", server.uri).stdout
        )
    assert done.exit_code == 3 and "budget" in done.stderr
    assert document["stopped"] == "budget" and document["answer"] is None
    assert document["status"] == "partial" and document["partial"]


@pytest.mark.parametrize(
    ("plan", "status", "code"),
    [
        (PLAN, "answered", 0),
        ('decline("nobody knows")', "declined", 4),
        (f"{PLAN[: PLAN.index('d =')]}c = calculate('x')\nanswer(a, c)", "partial", 3),
        ("c = calculate('x')\nanswer(c)", "failed", 1),
    ],
)
def test_the_exit_code_tells_how_a_run_ended(plan: str, status: str, code: int) -> None:
    with serving(plan) as server:
        document = invoke("run", "?", "--json", "--max-rounds", "1", "--engine", server.uri)
        shown = invoke("run", "?", "--max-rounds", "1", "--engine", server.uri)
        piped = CliRunner().invoke(app, ["repl", "--max-rounds", "1", "--engine", server.uri], input="?\n")
        again = [invoke(command, "last") for command in ("replay", "resume")] if code in (0, 4) else []
    assert json.loads(document.stdout)["status"] == status
    assert [done.exit_code for done in (document, shown, piped, *again)] == [code] * (3 + len(again))
    if status != "answered":
        assert f"{status}: " in shown.stderr
    if status == "declined":
        assert shown.stdout == "" and "nobody knows" in shown.stderr and "--mcp" in shown.stderr
        assert all("declined: nobody knows" in done.stderr and done.stdout == "" for done in again)
        assert f"  {status} " in invoke("runs").stdout


def test_continue_goes_on_with_the_last_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_HOME", str(tmp_path / "home"))
    with serving(PLAN) as server:
        nothing = invoke("run", "And now?", "--continue", "--engine", server.uri)
        first = json.loads(invoke("run", "How much taller?", "--json", "--engine", server.uri).stdout)
        invoke("run", "Something else?", "--engine", server.uri)
        invoke("run", "And now?", "--continue", "--engine", server.uri)
        last = json.dumps(server.requests[-1])
        invoke("run", "And then?", "--continue-from", first["run_id"], "--engine", server.uri)
        from_first = json.dumps(server.requests[-1])
    assert nothing.exit_code == 1 and "no run" in nothing.stderr
    assert "Something else?" in last and "How much taller?" not in last
    assert "How much taller?" in from_first and "Something else?" not in from_first
    assert "earlier1" in from_first


def test_tools_option_limits_the_plan() -> None:
    with serving(PLAN) as server:
        done = invoke("run", "?", "--tools", "calculate", "--engine", server.uri)
        shown = json.dumps(server.requests[0])
    assert done.exit_code == 1 and "search" in done.stderr
    assert (
        "calculate(expression" in shown
        and "search(" not in shown.split("# Your tools")[1].split("The task")[0]
    )


def test_plan_shows_the_plan_and_runs_nothing() -> None:
    with serving(PLAN) as server:
        done = invoke("plan", "How much?", "--engine", server.uri)
        document = json.loads(invoke("plan", "How much?", "--json", "--engine", server.uri).stdout)
    assert done.exit_code == 0 and done.stdout == PLAN
    assert document["valid"] and document["plan"].strip() == PLAN.strip()
    assert {node["state"] for node in document["nodes"]} == {"pending"}


def test_a_plan_that_stays_invalid_is_exit_code_1() -> None:
    with serving("no plan at all") as server:
        done = invoke("plan", "?", "--engine", server.uri)
        document = json.loads(invoke("plan", "?", "--json", "--engine", server.uri).stdout)
    assert done.exit_code == 1 and "Traceback" not in done.stderr
    assert document["valid"] is False and document["rejected"]


def test_tools_are_listed() -> None:
    done = invoke("tools")
    assert done.exit_code == 0
    for name in ("search", "calculate", "rank", "python", "now"):
        assert f"{name}(" in done.stdout
    listed = json.loads(invoke("tools", "--json").stdout)["tools"]
    assert {"name", "description", "effect", "parameters", "returns", "examples"} == set(listed[0])


def test_doctor_reports_what_is_there() -> None:
    done = invoke("doctor", "--json")
    document = json.loads(done.stdout)
    areas = {finding["area"] for finding in document["findings"]}
    assert {"braid", "package", "extra", "settings", "machine", "model"} <= areas
    assert done.exit_code == (0 if document["healthy"] else 1)
    threads = next(f for f in document["findings"] if f["name"] == "threads")
    assert threads["detail"].split()[0].isdigit()
    assert "torch" in invoke("doctor").stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has seccomp filters")
@pytest.mark.parametrize(
    ("allowed", "says"), [("", "refuses to run"), ("best-effort", "runs with what is left")]
)
def test_doctor_says_what_the_sandbox_lacks(allowed: str, says: str) -> None:
    refusing = Path(__file__).parents[2] / "support/refusing_kernel.py"
    done = subprocess.run(
        [
            sys.executable,
            refusing,
            "unshare",
            "0",
            str(0xFFFFFFFF),
            sys.executable,
            BRAID,
            "doctor",
            "--json",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "BRAID_SANDBOX": allowed},
        check=False,
    )
    finding = next(f for f in json.loads(done.stdout)["findings"] if f["name"] == "sandbox")
    assert finding["status"] == "absent"
    assert finding["detail"].startswith("without network, processes, files (")
    assert says in finding["detail"]


def test_doctor_says_that_the_sandbox_is_complete() -> None:
    finding = next(
        f for f in json.loads(invoke("doctor", "--json").stdout)["findings"] if f["name"] == "sandbox"
    )
    assert finding["detail"].startswith("complete" if probe().complete else "without")


def test_a_thousand_nodes_do_not_flood_the_pipe() -> None:
    items = ", ".join(map(str, range(1000)))
    with serving(f'xs = [calculate(f"{{i}} + 1") for i in [{items}]]\nanswer(xs[999])') as server:
        done = invoke("run", "?", "--engine", server.uri)
    assert done.stdout == "1000\n"
    assert 50 < len(done.stderr.splitlines()) < 100


@pytest.mark.parametrize("text", ["\x1b]52;c;aGk=\x07", "\x1b[2J", "a\x9b31mb", "x\x08\x08y\rz"])
def test_what_would_control_the_terminal_is_shown_escaped(text: str) -> None:
    with serving(f"answer({json.dumps(text)})") as server:
        env = {"BRAID_ENGINE": server.uri, "TERM": "xterm"}
        with Terminal([BRAID, "run", "?", "--no-journal"], env=env) as terminal:
            assert terminal.wait_for_end() == 0
        piped = braid("run", "?", "--no-journal", "--engine", server.uri)
    raw = terminal.raw.decode()
    assert text not in raw and f"\\x{next(ord(c) for c in text if c < ' ' or c > '~'):02x}" in raw
    assert piped.stdout == text.replace("\r", "\n") + "\n"  # a program gets what there is


def test_control_characters_in_results_do_not_reach_the_terminal() -> None:
    with serving('answer("red \\x1b[31m alert")') as server:
        done = braid("run", "?", "--engine", server.uri)
    assert "\x1b" not in done.stderr


def test_output_that_the_terminal_cannot_encode_is_replaced() -> None:
    with serving('answer("Šárka ↑ 上")') as server:
        done = braid("run", "?", "--engine", server.uri, PYTHONIOENCODING="ascii")
        document = json.loads(
            braid("run", "?", "--json", "--engine", server.uri, PYTHONIOENCODING="ascii").stdout
        )
    assert done.returncode == 0, done.stderr
    assert document["answer"] == "Šárka ↑ 上"


def test_money_is_told_and_limits_a_run() -> None:
    with serving(PLAN) as server:
        dear = invoke("run", "?", "--price", "scripted=1000/2000", "--engine", server.uri)
        poor = invoke(
            *("run", "?", "--price", "scripted=1000/2000", "--budget-cost", "0.001", "--engine", server.uri)
        )
        wrong = invoke("run", "?", "--price", "scripted", "--engine", server.uri)
    assert dear.exit_code == 0 and "cost " in dear.stderr
    assert poor.exit_code == 1 and "cost limit" in poor.stderr
    assert wrong.exit_code == 2 and "--price takes" in wrong.stderr


@pytest.mark.parametrize(
    "prices", [(), ("--price", "other=1/2"), ("--price", "gpt-*=1/2"), ("--price", "local:*=0/0")]
)
def test_a_limit_of_money_without_a_fitting_price_is_wrong_usage(prices: tuple[str, ...]) -> None:
    with serving(PLAN) as server:
        done = invoke("run", "?", "--budget-cost", "0.0001", *prices, "--engine", server.uri)
    assert (
        done.exit_code == 2 and "has no price" in done.stderr and "--price 'scripted=IN/OUT'" in done.stderr
    )
    assert not done.stdout and not any(body.get("stream") for body in server.requests)


def test_instructions_and_settings_of_the_model_reach_the_model() -> None:
    options = ("--instructions", "Metric units only.", "--temperature", "0.3", "--max-tokens", "99")
    with serving("answer(1)\n") as server:
        assert invoke("run", "Which?", *options, "--engine", server.uri).exit_code == 0
        piped = CliRunner().invoke(app, ["repl", *options, "--engine", server.uri], input="Which?\n")
        assert piped.exit_code == 0
        bodies = [body for body in server.requests if body.get("stream")]
    assert len(bodies) == 2
    for body in bodies:
        assert "Metric units only." in json.dumps(body["messages"])
        assert body["temperature"] == 0.3 and 99 in (
            body.get("max_tokens"),
            body.get("max_completion_tokens"),
        )
    assert invoke("run", "Which?", "--temperature", "-1").exit_code == 2
