"""`braid runs`, `braid resume` and `braid replay`, and what Ctrl-C leaves in the journal."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from braid.executors.journal.store import Journal
from braid.orchestrator.cli.app import app
from tests.support.scripted_server import serving

BRAID = Path(sys.executable).with_name("braid")
PLAN = """\
a = search("height of K2")
b = search("height of Mont Blanc")
d = calculate(f"{a.value} - {b.value}")
answer(f"{d} m")
"""


@pytest.fixture(autouse=True)
def journal_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith("BRAID_") and name != "BRAID_SHORTCUTS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("BRAID_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "journal.db"


def invoke(*args: str):
    return CliRunner().invoke(app, list(args))


def test_a_run_is_listed_shown_and_replayed() -> None:
    with serving(PLAN) as server:
        first = json.loads(invoke("run", "How much taller?", "--json", "--engine", server.uri).stdout)
        asked = len(server.requests)
    id = first["run_id"]
    listed = invoke("runs")
    assert listed.exit_code == 0 and id in listed.stdout and "answered" in listed.stdout
    (document,) = json.loads(invoke("runs", "--json").stdout)["runs"]
    assert document["run_id"] == id and document["answer"] == "3805 m"
    shown = invoke("runs", "show", id[:5])
    assert "How much taller?" in shown.stdout and 'a = search("height of K2")' in shown.stdout
    nodes = json.loads(invoke("runs", "show", "last", "--json").stdout)["nodes"]
    assert {node["id"]: node["state"] for node in nodes} == dict.fromkeys(["a", "b", "d", "answer"], "done")
    # The server is gone: whatever is shown now comes out of the journal.
    again = invoke("replay", id)
    assert again.exit_code == 0 and again.stdout == "3805 m\n"
    assert 'done a = search("height of K2")' in again.stderr
    events = json.loads(invoke("replay", id, "--json").stdout)["events"]
    assert events[0]["event"]["kind"] == "run.started" and events[-1]["event"]["kind"] == "run.finished"
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert asked == len(server.requests)


def test_replay_at_the_speed_that_it_had() -> None:
    with serving(PLAN, pause=0.05) as server:
        invoke("run", "?", "--engine", server.uri)
    began = time.monotonic()
    assert invoke("replay", "last", "--speed", "1").exit_code == 0
    assert time.monotonic() - began >= 0.15  # the pauses of the model, not a claim about speed


def test_a_damaged_run_is_listed_and_named(journal_file: Path) -> None:
    with serving(PLAN) as server:
        ids = [
            json.loads(invoke("run", "?", "--json", "--engine", server.uri).stdout)["run_id"]
            for _ in range(2)
        ]
    db = sqlite3.connect(journal_file)
    db.execute("UPDATE runs SET spec = '{' WHERE id = ?", (ids[0],))
    db.commit()
    db.close()
    listed = invoke("runs").stdout.splitlines()
    assert ids[1] in listed[0] and ids[0] in listed[1] and "damaged" in listed[1]
    assert [bool(run.get("damage")) for run in json.loads(invoke("runs", "--json").stdout)["runs"]] == [
        False,
        True,
    ]
    for command in (["resume"], ["replay"], ["view"], ["runs", "show"]):
        refused = invoke(*command, ids[0])
        assert refused.exit_code == 1 and f"run {ids[0]} is damaged" in str(
            refused.stderr or refused.exception
        )
        assert invoke(*command, ids[1]).exit_code == 0


def test_a_run_that_was_stopped_is_resumed_with_more() -> None:
    with serving(PLAN) as server:
        stopped = invoke("run", "?", "--budget-calls", "2", "--engine", server.uri)
        assert stopped.exit_code == 3
        replayed = invoke("replay", "last")
        assert replayed.exit_code == 3 and "partial: budget" in replayed.stderr
        again = invoke("resume", "last")
        assert again.exit_code == 3, "what was spent counts"
        done = invoke("resume", "last", "--budget-calls", "20", "--json")
        document = json.loads(done.stdout)
        assert done.exit_code == 0 and document["answer"] == "3805 m"
        assert invoke("resume", "last").stdout == "3805 m\n", "an answered run answers again"


def test_without_a_journal_there_is_nothing_to_list(
    journal_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(PLAN) as server:
        invoke("run", "?", "--no-journal", "--engine", server.uri)
        monkeypatch.setenv("BRAID_JOURNAL", "false")
        invoke("run", "?", "--engine", server.uri)
        assert not journal_file.exists()
        assert json.loads(invoke("runs", "--json").stdout) == {"runs": []}
        invoke("run", "?", "--journal", "--engine", server.uri)
        assert len(json.loads(invoke("runs", "--json").stdout)["runs"]) == 1


def test_pruning(journal_file: Path) -> None:
    with serving(PLAN) as server:
        for _ in range(2):
            invoke("run", "?", "--engine", server.uri)
    assert json.loads(invoke("runs", "prune", "--older-than", "30d", "--json").stdout)["runs"] == 0
    db = sqlite3.connect(journal_file)
    db.execute("UPDATE runs SET updated = updated - 90000 WHERE no = 1")
    db.commit()
    db.close()
    assert "1 run removed" in invoke("runs", "prune", "--older-than", "1d", "--max-size", "1GB").stdout
    assert json.loads(invoke("runs", "prune", "--max-size", "0", "--json").stdout)["runs"] == 1


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["resume"], 2, "run"),
        (["resume", "nope"], 1, "no run 'nope'"),
        (["replay", "nope"], 1, "braid runs"),
        (["runs", "show", "last"], 1, "no run"),
        (["runs", "prune"], 2, "--older-than"),
        (["runs", "prune", "--older-than", "soon"], 2, "30d"),
        (["runs", "prune", "--max-size", "big"], 2, "1GB"),
        (["runs", "nonsense"], 2, "nonsense"),
    ],
)
def test_errors_are_one_line(args: list[str], code: int, says: str) -> None:
    done = invoke(*args)
    assert done.exit_code == code and says.lower() in done.stderr.lower()
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_damaged_journal_is_named_and_kept(journal_file: Path) -> None:
    journal_file.parent.mkdir(parents=True)
    journal_file.write_bytes(b"rubbish" * 1000)
    with serving(PLAN) as server:
        done = invoke("run", "?", "--engine", server.uri)
        assert done.exit_code == 1 and "move it away" in done.stderr and str(journal_file) in done.stderr
        assert invoke("run", "?", "--no-journal", "--engine", server.uri).stdout == "3805 m\n"
    assert journal_file.read_bytes() == b"rubbish" * 1000


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_leaves_a_journal_to_resume_from(journal_file: Path, times: int) -> None:
    with serving(PLAN, pause=0.2) as server:
        process = subprocess.Popen(
            [BRAID, "run", "How much?", "--engine", server.uri],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert server.talking.wait(30)
        time.sleep(0.25)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        process.communicate(timeout=30)
        assert process.returncode != 0
        db = sqlite3.connect(journal_file)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
        with Journal(journal_file) as journal:
            assert journal.find("last").status in ("cancelled", "interrupted")
        server.pause = 0.0
        done = invoke("resume", "last")
    assert (done.exit_code, done.stdout) == (0, "3805 m\n")


def test_a_run_that_money_stopped_is_resumed_with_more_and_its_prices_hold() -> None:
    with serving(PLAN) as server:
        price = ("--price", "scripted=1000/2000")
        poor = invoke("run", "?", *price, "--budget-cost", "0.001", "--engine", server.uri)
        still = invoke("resume", "last", "--budget-cost", "0.002")
        dearer = invoke("resume", "last", "--budget-cost", "10", "--price", "scripted=9000000/1")
        rich = invoke("resume", "last", "--budget-cost", "10")
    assert [done.exit_code for done in (poor, still, dearer, rich)] == [1, 1, 1, 0]
    assert "cost limit" in still.stderr and "cost limit" in dearer.stderr and rich.stdout == "3805 m\n"


def test_a_resumed_run_with_a_limit_of_money_needs_a_price() -> None:
    with serving(PLAN) as server:
        invoke("run", "?", "--budget-tokens", "5", "--engine", server.uri)
        done = invoke("resume", "last", "--budget-cost", "1")
        priced = invoke("resume", "last", "--budget-cost", "1", "--price", "*=1/1")
    assert done.exit_code == 2 and "--price" in done.stderr and priced.exit_code == 0
