"""The way before the plan on the command line, with the model that Braid comes with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BRAID = str(Path(sys.executable).with_name("braid"))


def braid(*args: str, home: Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "BRAID_HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    return subprocess.run(
        [BRAID, *args], capture_output=True, text=True, timeout=150, env=env, input=stdin, check=False
    )


@pytest.mark.parametrize(
    ("question", "answer", "kind"),
    [("What is 2+2?", "4", "arithmetic"), ("how many metres in 3 km", "3000 metres", "conversion")],
)
def test_run_says_that_no_plan_was_needed(question: str, answer: str, kind: str, tmp_path: Path) -> None:
    done = braid("run", "--shortcuts", question, home=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{answer}\n"), done.stderr
    assert f"no plan needed: {kind}" in done.stderr


def test_the_document_carries_the_decision_and_replay_tells_it_again(tmp_path: Path) -> None:
    done = braid("run", "--shortcuts", "--json", "17 times 23", home=tmp_path)
    document = json.loads(done.stdout)
    assert (document["answer"], document["route"], document["plan"]) == ("391", "arithmetic", "")
    again = braid("replay", "last", home=tmp_path)
    assert again.stdout == "391\n" and "no plan needed: arithmetic" in again.stderr


def test_plan_shows_the_decision(tmp_path: Path) -> None:
    done = braid("plan", "--shortcuts", "17 times 23", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "391\n") and "no plan needed: arithmetic" in done.stderr
    document = json.loads(braid("plan", "--shortcuts", "--json", "17 times 23", home=tmp_path).stdout)
    assert (document["route"], document["answer"], document["valid"]) == ("arithmetic", "391", True)
    assert "calculate" in braid("plan", "--no-shortcuts", "17 times 23", home=tmp_path).stdout


def test_a_session_takes_shortcuts(tmp_path: Path) -> None:
    done = braid("repl", "--shortcuts", home=tmp_path, stdin="hello\nWhat is 2+2?\n/plan 3*3\n/quit\n")
    assert "Hello!" in done.stdout and "\n4\n" in done.stdout and "\n9\n" in done.stdout
