"""A run's report and page: `RunResult.page`, `braid run --html`, `braid view`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from braid.orchestrator.cli.app import app
from tests.support.scripted_server import serving

PLAN = """\
hs = [search(f"height of {p}") for p in ["K2", "Mont Blanc"]]
d = calculate(f"{hs[0].value} - {hs[1].value}")
answer(f"{d} m")
"""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("BRAID_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("BRAID_HOME", str(tmp_path / "home"))


def invoke(*args: str):
    return CliRunner().invoke(app, list(args))


def test_a_run_writes_its_page_and_the_journal_gives_it_again(tmp_path: Path) -> None:
    first, second = tmp_path / "run.html", tmp_path / "view.html"
    with serving(PLAN) as server:
        ran = invoke("run", "How much <taller>?", "--engine", server.uri, "--html", str(first))
    assert ran.exit_code == 0 and ran.stdout == "3805 m\n"
    page = first.read_text(encoding="utf-8")
    assert "How much &lt;taller&gt;?" in page and "3805 m" in page and "<taller>" not in page
    viewed = invoke("view", "last", "--html", str(second))
    assert viewed.exit_code == 0
    assert "work" in viewed.stdout and "critical path" in viewed.stdout
    again = second.read_text(encoding="utf-8")
    for id in ("hs[0]", "hs[1]", "search ×2", "calculate", "3805 m"):
        assert id in page and id in again
    report = json.loads(invoke("view", "last", "--json").stdout)["report"]
    assert report["states"] == {"done": 5}
    assert report["running"] + report["planning"] + report["queueing"] == pytest.approx(report["seconds"])


def test_a_page_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    with serving(PLAN) as server:
        ran = invoke("run", "?", "--engine", server.uri, "--html", str(tmp_path / "nowhere" / "run.html"))
    assert ran.stdout == "3805 m\n"
    assert ran.exit_code == 1 and "nowhere" in ran.output


def test_a_run_that_is_not_there() -> None:
    assert invoke("view", "nothing").exit_code != 0
