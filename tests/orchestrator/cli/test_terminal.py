"""What a person sees and types: the live display, Ctrl-C, and the REPL, on a pseudo-terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripted_server import ScriptedServer, serving
from tests.support.terminal import Terminal

BRAID = Path(sys.executable).with_name("braid")
CTRL_C, CTRL_D = "\x03", "\x04"
QUICK = 'a = search("height of K2")\nanswer(a)\n'
SLOW = 'a = search("height of K2")\nb = python("import time\\ntime.sleep(60)")\nanswer(a, b)\n'

POST = """
from braid.executors import tool

@tool(effect="mutating")
async def post(text: str) -> str:
    '''Put a text where all can read it.'''
    return f"posted {text}"
"""


def reply(messages: list[dict[str, str]]) -> str:
    """Plans by the last task: slow when it says so, else the number of tasks seen."""
    if any("use blue" in m["content"] for m in messages):
        return 'answer("blue")\n'
    told = next(m["content"] for m in reversed(messages) if m["content"].startswith("The task:"))
    task = told.splitlines()[1]  # behind it stand the values of earlier answers
    if "slow" in task:
        return SLOW
    if "post it" in task:
        return 'a = search("height of K2")\nb = post("hello")\nanswer(a, b)\n'
    if "ask me" in task:
        return 'a = ask("Which colour?")\nb = ask("Which size?")\nanswer(a, b)\n'
    if "recall" in task:
        return f"answer({sum(m['role'] == 'user' for m in messages) - 2})"
    return QUICK


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(reply) as server:
        yield server


@pytest.fixture
def env(server: ScriptedServer, tmp_path: Path) -> dict[str, str]:
    return {
        "BRAID_ENGINE": server.uri,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "BRAID_SEARCH_LATENCY": "0.2",
    }


def test_run_draws_every_node_and_leaves_the_answer(env: dict[str, str]) -> None:
    with Terminal([BRAID, "run", "How tall is K2?"], env=env) as terminal:
        assert terminal.wait_for_end() == 0
        shown = terminal.text
    assert "\x1b" in terminal.raw.decode()
    assert 'a = search("height of K2")' in shown and "8611 m" in shown
    assert "critical path" in shown and "parallelism" in shown
    assert max(map(len, terminal.lines())) <= 80


def test_a_thousand_nodes_do_not_flood_the_screen(env: dict[str, str]) -> None:
    items = ", ".join(map(str, range(1000)))
    plan = f'xs = [calculate(f"{{i}} + 1") for i in [{items}]]\nanswer(xs[999])'
    with (
        serving(plan) as server,
        Terminal([BRAID, "run", "?"], env={**env, "BRAID_ENGINE": server.uri}) as terminal,
    ):
        assert terminal.wait_for_end() == 0
    assert "and 984 more; in all 1002 done" in terminal.text
    assert terminal.lines()[-8].strip("\x00") and "1000" in terminal.text
    frame = terminal.text.rpartition("plan  2 statements")[2]
    assert len(frame.splitlines()) <= 32


def test_no_colour_is_respected(env: dict[str, str]) -> None:
    with Terminal([BRAID, "run", "How tall is K2?"], env={**env, "NO_COLOR": "1"}) as terminal:
        terminal.wait_for_end()
    assert not any(code in terminal.raw for code in (b"[31m", b"[32m", b"[36m", b"[1;36m"))


def test_ctrl_c_ends_a_run_with_130_and_no_traceback(env: dict[str, str]) -> None:
    with Terminal([BRAID, "run", "something slow"], env=env) as terminal:
        terminal.wait_for("8611 m")
        terminal.type(CTRL_C)
        assert terminal.wait_for_end() == 130
    assert "interrupted" in terminal.text and "Traceback" not in terminal.text


@pytest.mark.parametrize(
    ("number", "code", "more"),
    [
        (signal.SIGINT, 130, []),
        (signal.SIGTERM, 143, []),
        (signal.SIGINT, 130, ["--json"]),
        (signal.SIGTERM, 143, ["--sequential"]),
    ],
)
def test_an_interrupt_without_a_terminal_says_how_to_go_on(
    env: dict[str, str], number: signal.Signals, code: int, more: list[str]
) -> None:
    process = subprocess.Popen(
        [BRAID, "run", "something slow", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )
    assert process.stderr is not None
    if "--json" in more:
        time.sleep(4)
    else:
        next(line for line in process.stderr if "8611" in line)
    process.send_signal(number)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == code
    said, goes_on = rest.strip().splitlines()[-2:]
    assert said == "braid: interrupted" and "Traceback" not in rest
    command = goes_on.split("`")[1].split()
    assert command[:2] == ["braid", "resume"]
    listed = subprocess.run(
        [BRAID, "runs", "--json"], env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    assert command[2] in listed.stdout


def test_a_plan_asks_the_person_one_question_at_a_time(env: dict[str, str]) -> None:
    with Terminal([BRAID, "run", "ask me"], env=env) as terminal:
        terminal.wait_for("Which colour?")
        terminal.type("blue\r")
        terminal.wait_for("Which size?")
        terminal.type("large\r")
        assert terminal.wait_for_end() == 0
    assert "blue, large" in terminal.text.splitlines()


@pytest.fixture
def posting(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """With an installed tool that changes something."""
    info = tmp_path / "site" / "posting-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "posting.py").write_text(POST)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: posting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[braid.tools]\npost = posting:post\n")
    return {**env, "PYTHONPATH": str(tmp_path / "site")}


@pytest.mark.parametrize(("typed", "code"), [("y", 0), ("", 3)])
def test_a_change_is_allowed_or_refused_while_the_rest_goes_on(
    posting: dict[str, str], typed: str, code: int
) -> None:
    with Terminal([BRAID, "run", "post it", "--max-rounds", "1"], env=posting) as terminal:
        terminal.wait_for('Allow post(text="hello")?')
        terminal.wait_for("[y/N]")
        terminal.type(f"{typed}\r")
        assert terminal.wait_for_end() == code
    assert ("posted hello" in terminal.text) == (code == 0)
    assert "8611" in terminal.text  # what does not depend on it came all the same


def test_a_session_asks_before_a_change(posting: dict[str, str]) -> None:
    with Terminal([BRAID, "repl"], env=posting) as terminal:
        terminal.wait_for("braid>")
        terminal.type("post it\r")
        terminal.wait_for("[y/N]")
        terminal.type("y\r")
        terminal.wait_for("posted hello")
        terminal.wait_for("braid>")
        terminal.type("/quit\r")
        assert terminal.wait_for_end() == 0


def test_a_line_typed_while_a_plan_streams_is_the_next_question(env: dict[str, str]) -> None:
    with (
        serving(reply, pause=0.3) as slow,
        Terminal([BRAID, "repl"], env={**env, "BRAID_ENGINE": slow.uri}) as terminal,
    ):
        terminal.wait_for("braid>")
        terminal.type("How tall is K2?\r")
        terminal.wait_for("planning")
        terminal.type("recall\r")
        terminal.wait_for("you: recall")
        terminal.wait_for("and you asked: recall")
        terminal.wait_for("braid>")
        terminal.type("/quit\r")
        assert terminal.wait_for_end() == 0


def test_ctrl_c_at_a_question_ends_the_run(env: dict[str, str]) -> None:
    with Terminal([BRAID, "run", "ask me"], env=env) as terminal:
        terminal.wait_for("Which colour?")
        terminal.type(CTRL_C)
        assert terminal.wait_for_end() == 130
    assert "Traceback" not in terminal.text


def test_ctrl_c_at_a_question_keeps_the_session(env: dict[str, str]) -> None:
    with Terminal([BRAID, "repl"], env=env) as terminal:
        terminal.wait_for("braid>")
        terminal.type("ask me\r")
        terminal.wait_for("Which colour?")
        terminal.type(CTRL_C)
        terminal.wait_for("stopped")
        terminal.wait_for("braid>")
        terminal.type("something slow\r")
        terminal.wait_for("▸ b = python")
        terminal.type(CTRL_C)
        terminal.wait_for("stopped")
        terminal.wait_for("braid>")
        terminal.type("/quit\r")
        assert terminal.wait_for_end() == 0


def test_plan_streams_the_text(env: dict[str, str]) -> None:
    with Terminal([BRAID, "plan", "How tall is K2?"], env=env) as terminal:
        assert terminal.wait_for_end() == 0
    assert 'a = search("height of K2")\nanswer(a)\n2 statements' in terminal.text


def test_a_line_typed_while_a_task_runs_reaches_the_planner(env: dict[str, str]) -> None:
    with Terminal([BRAID, "repl"], env=env) as terminal:
        terminal.wait_for("braid>")
        terminal.type("something slow\r")
        terminal.wait_for("import time")
        terminal.type("use bluu\x7fe instaed")
        terminal.wait_for("> use blue instaed")
        terminal.type("\r")
        terminal.wait_for("blue")
        terminal.wait_for("braid>")
        terminal.type("/quit\r")
        assert terminal.wait_for_end() == 0
    assert "blue" in terminal.text.splitlines()


def test_repl_session(env: dict[str, str], tmp_path: Path) -> None:
    with Terminal([BRAID, "repl"], env=env) as terminal:
        terminal.wait_for("braid>")
        terminal.type("How tall is K2?\r")
        terminal.wait_for("prompt tokens")
        assert "8611 m" in terminal.text
        terminal.wait_for("braid>")
        terminal.type("something slow\r")
        terminal.wait_for("▸ b = python")
        began = time.monotonic()
        terminal.type(CTRL_C)
        terminal.wait_for("stopped")
        assert time.monotonic() - began < 20
        terminal.wait_for("braid>")
        terminal.type("recall\r")  # the session is kept, and with it what was said before
        terminal.wait_for("prompt tokens")
        terminal.wait_for("braid>")
        for command, expected in (
            ("/plan How tall?", "2 statements"),
            ("/tools", "calculate(expression: str)"),
            ("/engine", "scripted"),
            ("/engine nowhere:at-all", "unknown engine kind"),
            ("/help", "/quit"),
            ("/nonsense", "unknown command"),
        ):
            terminal.type(command + "\r")
            terminal.wait_for(expected)
            terminal.wait_for("braid>")
        terminal.type(CTRL_C)  # at the prompt it drops the line
        terminal.wait_for("braid>")
        terminal.type(CTRL_D)
        assert terminal.wait_for_end() == 0
    assert "Traceback" not in terminal.text
    assert "something slow" in (tmp_path / "state" / "braid" / "history").read_text()


def test_repl_reads_from_a_pipe(env: dict[str, str]) -> None:
    done = subprocess.run(
        [BRAID, "repl"],
        input="How tall is K2?\nrecall\n/engine nowhere\n/new\nrecall\n/quit\nnever reached\n",
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["8611 m", "1", "0"]
    assert "nowhere" in done.stderr and "\x1b" not in done.stdout + done.stderr
