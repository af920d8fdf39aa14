"""Plans from files at the command line: run, checked, drawn, reviewed at a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

BRAID = Path(sys.executable).parent / "braid"
PLAN = 'a = search("height of K2")\nb = calculate(f"{a.value} / 2")\nanswer(b)\n'
NOWHERE = "openai:http://127.0.0.1:9/v1#none"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"BRAID_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "BRAID_ENGINE": NOWHERE}


def braid(home: dict[str, str], *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **home}
    return subprocess.run([BRAID, *args], capture_output=True, text=True, timeout=60, env=env, input=stdin)


def test_a_plan_from_a_file_and_from_stdin(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "k2.plan"
    file.write_text(PLAN)
    done = braid(home, "run", "--plan", str(file))
    assert (done.returncode, done.stdout) == (0, "4305.5\n"), done.stderr
    piped = braid(home, "run", "Half of K2", "--plan", "-", "--json", stdin=PLAN)
    document = json.loads(piped.stdout)
    assert document["answer"] == "4305.5" and document["engine"] == "none"
    assert document["question"] == "Half of K2" and document["plan"] == PLAN.rstrip("\n")
    again = braid(home, "resume", "last")
    assert again.returncode == 0 and again.stdout == "4305.5\n"


def test_a_plan_with_mistakes_is_shown_with_their_places(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "k2.plan"
    file.write_text(PLAN.replace("search", "serch"))
    for command in ("run", "plan"):
        done = braid(home, command, "--plan", str(file))
        assert done.returncode == 2 and done.stdout == ""
        assert (
            'line 1, column 5: there is no tool `serch`\n    a = serch("height of K2")\n        ^\n'
            in done.stderr
        )
        assert "did you mean `search`?" in done.stderr


@pytest.mark.parametrize(
    ("given", "says"),
    [(["--plan", "no/such.plan"], "no/such.plan"), (["--plan", "-"], "empty"), ([], "--plan")],
)
def test_what_is_no_plan_is_wrong_usage(home: dict[str, str], given: list[str], says: str) -> None:
    for command in ("run", "plan"):
        done = braid(home, command, *given)
        assert done.returncode == 2 and says in done.stderr and done.stdout == ""


def test_a_plan_is_drawn_without_being_run(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "k2.plan"
    file.write_text(PLAN)
    assert braid(home, "plan", "--plan", str(file)).stdout == PLAN
    assert braid(home, "plan", "--plan", str(file), "--mermaid").stdout.startswith("flowchart TD\n")
    assert braid(home, "plan", "--plan", str(file), "--dot").stdout.startswith("digraph")
    document = json.loads(braid(home, "plan", "--plan", str(file), "--json").stdout)
    assert document["valid"] and [node["tool"] for node in document["nodes"]] == ["search", "calculate", None]


def test_a_review_needs_a_terminal(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "k2.plan"
    file.write_text(PLAN)
    done = braid(home, "run", "--plan", str(file), "--review")
    assert done.returncode == 2 and "terminal" in done.stderr


def test_a_plan_is_reviewed_at_the_terminal(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "k2.plan"
    file.write_text(PLAN)
    command = [BRAID, "run", "--plan", str(file), "--review"]
    with Terminal(command, env=home) as terminal:
        terminal.wait_for("2 calls:")
        terminal.wait_for("# search: pure")
        terminal.wait_for("[y]es, [n]o, [e]dit:")
        terminal.type("y\r")
        assert terminal.wait_for_end() == 0
    assert "4305.5" in terminal.text
    with Terminal(command, env=home) as terminal:
        terminal.wait_for("[e]dit:")
        terminal.type("n\r")
        terminal.wait_for("Why not?")
        terminal.type("too small\r")
        assert terminal.wait_for_end() == 1
    assert "too small" in terminal.text and "4305.5" not in terminal.text
    with Terminal(command, env=home) as terminal:
        terminal.wait_for("[e]dit:")
        terminal.type("e\r")
        terminal.wait_for("Esc then Enter")
        terminal.wait_for("answer(b)")
        terminal.type("\x1b[A\x1b[F" + "\b\b" + '"edited", b)' + "\x1b\r")  # the end of the last line
        assert terminal.wait_for_end() == 0
    assert "edited, 4305.5" in terminal.text


DESK = """
from braid import tool

def free_slots(day: str) -> list[str]:
    '''Free times of a day.'''
    return ["09:00", "10:30"]

@tool(effect="mutating")
def book(time: str) -> str:
    '''Book a time.'''
    return f"booked {time}"

tools = [free_slots, book]
broken = 3
"""
BOOK = 's = free_slots("2026-03-02")\nanswer(book(s[0]))\n'


def test_a_module_of_ones_own_has_tools_for_the_command_line(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "desk.py").write_text(DESK)
    (tmp_path / "book.plan").write_text(BOOK)

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BRAID, *args],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **home, **env},
            cwd=tmp_path,
        )

    done = run("run", "--plan", "book.plan", "--tools-from", "desk:tools", "--yes")
    assert (done.returncode, done.stdout) == (0, "booked 09:00\n"), done.stderr
    assert run("resume", "last").stdout == "booked 09:00\n"
    by_variable = run("plan", "--plan", "book.plan", BRAID_TOOLS_FROM="desk:free_slots, desk:book")
    assert by_variable.returncode == 0 and by_variable.stdout == BOOK
    assert "book(time: str)" in run("tools", "--tools-from", "desk:tools").stdout
    for wrong, says in (
        ("desk", "module:NAME"),
        ("desk:nothing", "nothing"),
        ("desk:broken", "names no tools"),
    ):
        refused = run("run", "--plan", "book.plan", "--tools-from", wrong)
        assert refused.returncode == 2 and says in refused.stderr, refused.stderr
