"""A run's report and page: `RunResult.page`, `braid run --html`, `braid view`."""

from __future__ import annotations

import json
import os
import re
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
        if name.startswith("BRAID_") and name != "BRAID_SHORTCUTS":
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


@pytest.mark.parametrize("more", [[], ["--sequential"], ["--compare"], ["--seed", "7"]])
def test_a_run_has_one_speed_up_wherever_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    monkeypatch.setenv("BRAID_SEARCH_LATENCY", "0.05")
    page = tmp_path / "run.html"
    with serving(PLAN) as server:
        ran = invoke("run", "?", "--engine", server.uri, "--html", str(page), *more)
    told = re.search(r"speed-up about ([\d.]+)", ran.stderr)
    assert told is not None
    report = json.loads(invoke("view", "last", "--json").stdout)["report"]
    assert f"{report['speedup']:.2f}" == told[1]
    assert f"{told[1]}×" in page.read_text(encoding="utf-8")
    assert f"{told[1]}x over one node at a time" in invoke("view", "last").stdout


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        ("a.value > 8000", "a.value > 8000"),
        ("a.value > 9000", "not (a.value > 9000)"),
        ("a.value > 1 and not a.unit == 'km'", '(a.value > 1) and (not (a.unit == "km"))'),
        ("a.title in ['Everest']", 'not (a.title in ["Everest"])'),
    ],
)
def test_the_log_shows_under_which_condition_a_statement_runs(condition: str, shown: str) -> None:
    plan = f'a = search("height of K2")\nif {condition}:\n    answer("yes")\nelse:\n    answer("no")\n'
    with serving(plan) as server:
        ran = invoke("run", "?", "--engine", server.uri)
    answer = "no" if shown.startswith("not") else "yes"
    assert ran.stdout == f"{answer}\n"
    assert f'plan if {shown}: answer("{answer}")' in ran.stderr
    assert f'done if {shown}: answer("{answer}")' in ran.stderr


@pytest.mark.parametrize(
    "file", ["nowhere/run.html", "nowhere/../x/run.html", "readme/run.html", "readme/x/run.html"]
)
def test_a_page_that_cannot_be_written_is_told_before_the_run(tmp_path: Path, file: str) -> None:
    (tmp_path / "readme").touch()
    with serving(PLAN) as server:
        ran = invoke("run", "?", "--engine", server.uri, "--html", str(tmp_path / file))
        assert not server.requests
    assert ran.stdout == "" and ran.exit_code == 1
    assert len(ran.stderr.strip().splitlines()) == 1 and "run.html" in ran.stderr


def test_a_run_that_is_not_there() -> None:
    assert invoke("view", "nothing").exit_code != 0


def test_a_recorded_run_is_drawn_as_text() -> None:
    with serving(PLAN) as server:
        invoke("run", "How much taller?", "--engine", server.uri)
    mermaid, dot = invoke("view", "last", "--mermaid"), invoke("view", "last", "--dot")
    assert mermaid.stdout.startswith("flowchart TD\n") and mermaid.stdout.count("-->") == 5
    assert dot.stdout.startswith("digraph run {\n") and dot.stdout.count("->") == 5
    both = invoke("view", "last", "--mermaid", "--json")
    assert both.exit_code == 2 and "exclude one another" in both.stderr
