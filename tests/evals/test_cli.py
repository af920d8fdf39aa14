"""The commands of `braid bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from braid.evals import (
    EvalError,
)
from braid.evals.cli import app


def test_the_command_line_knows_the_tasks_by_itself() -> None:
    """In a process of its own, where no test has imported them."""
    command = [sys.executable, "-m", "braid", "bench", "list", "--json"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert [task["name"] for task in listed] == [
        "bfcl-parallel",
        "bfcl-parallel-multiple",
        "countdown",
        "parallelqa",
        "planning",
    ]


def test_the_command_line_teaches_and_refuses(tmp_path: Path) -> None:
    runner = CliRunner()
    assert "--resume" in runner.invoke(app, ["run", "--help"]).output
    log = tmp_path / "x.jsonl"
    log.write_text("")
    result = runner.invoke(app, ["run", "planning", "--log", str(log)])
    assert isinstance(result.exception, EvalError) and "there already" in str(result.exception)
    assert isinstance(runner.invoke(app, ["view", str(tmp_path / "none")]).exception, EvalError)
    assert isinstance(runner.invoke(app, ["run", "planning", "-T", "split"]).exception, EvalError)
