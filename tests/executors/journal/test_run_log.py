"""What a run writes into the journal is read back, and a journal that fails costs the run nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys

import pytest

from braid.engine import Envelope, Usage
from braid.executors import GraphPatch, NodeFinished
from braid.executors.journal import Journal, JournalError, RunBusyError, resume_run, start_run
from braid.executors.journal.value_codec import LostValueError
from braid.executors.nodes import Ask, Const, Node
from braid.executors.scheduler import Patched, Settled
from tests.support.recorded_runs import Fact, plan, settle


def test_a_run_is_read_as_it_was_written(journal: Journal) -> None:
    log = start_run(journal, "run1", question="why?", spec={"engine": "e"})
    assert log.begin() is None
    log.patched(GraphPatch(base_version=0, add=plan()), at=0.1, running=())
    event = NodeFinished(node="a", at=1.0, seconds=0.5, result="é")
    log.event(Envelope(run="run1", seq=0, at=12.0, event=event))
    settle(log, "a", Fact("K2", 8611.0))
    log.settled("b", state="failed", value=None, error="no", started=0.0, finished=2.0, usage=None)
    log.planned(at=1.0)
    log.close()
    assert journal.find("run1").status == "interrupted"
    again = resume_run(journal, journal.find("run"))
    (envelope,) = again.load()
    assert envelope == Envelope(run="run1", seq=0, at=12.0, event=event)
    (past,) = again.recorded
    assert past.planned and not past.over and past.until == 2.0
    assert past.records[0] == Patched(GraphPatch(base_version=0, add=plan()), 0.1)
    assert past.known["a"] == Settled("a", "done", Fact("K2", 8611.0), None, 0.5, 1.5, Usage(calls=1))
    assert past.known["b"].error == "no"
    assert journal.find("run1").status == "running"
    again.finish("answered", "because")
    assert (journal.find("run1").status, journal.find("run1").answer) == ("answered", "because")


def test_one_process_at_a_time_works_on_a_run(journal: Journal) -> None:
    log = start_run(journal, "run1")
    with pytest.raises(RunBusyError, match="live process"):
        resume_run(journal, journal.find("run1"))
    script = (
        "import sys\nfrom braid.executors.journal import Journal, resume_run, RunBusyError\n"
        "with Journal(sys.argv[1]) as j:\n"
        "    row = j.find('run1')\n    print(row.status)\n"
        "    try: resume_run(j, row).close()\n    except RunBusyError: print('busy')\n"
    )

    def elsewhere() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", script, str(journal.path)], capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    assert elsewhere() == ["running", "busy"]
    log.close()
    assert elsewhere() == ["interrupted"]


async def test_everything_of_a_turn_is_committed_before_the_next(journal: Journal) -> None:
    log = start_run(journal, "run1")
    log.begin()
    settle(log, "a")
    seen = sqlite3.connect(journal.path)
    assert seen.execute("SELECT count(*) FROM log").fetchone() == (0,)
    await asyncio.sleep(0)
    assert seen.execute("SELECT count(*) FROM log").fetchone() == (2,)
    seen.close()
    log.close()


def test_calls_are_remembered_with_their_results(journal: Journal) -> None:
    log = start_run(journal, "run1")
    assert log.recall("k1") is None
    for key in ("k1", "k2", "k3", "k4", "k5"):
        log.started(key, node="n", tool="pay", args={"amount": 3, "to": "x" * 9000}, effect="mutating")
    log.finished("k1", Fact("paid", 3.0))
    log.failed("k2", "no money")
    log.finished("k4", object())
    log.not_done("k5")
    known = log.recall("k1")
    assert known is not None and known.value == Fact("paid", 3.0)
    log.close()
    again = resume_run(journal, journal.find("run1"))
    again.load()
    one, two, three, five = (again.recall(key) for key in ("k1", "k2", "k3", "k5"))
    assert one is not None and (one.state, one.value) == ("done", Fact("paid", 3.0))
    assert two is not None and (two.state, two.error) == ("failed", "no money")
    assert three is not None and three.state == "started"
    assert five is not None and five.state == "not_done"
    with pytest.raises(LostValueError, match="the call was made"):
        again.recall("k4")
    again.close()


def test_text_that_cannot_be_encoded_is_no_error(journal: Journal) -> None:
    half = "half a pair: \ud800"
    log = start_run(journal, "run1", question=half, spec={"instructions": half})
    log.begin()
    log.event(Envelope(run="run1", seq=0, at=0.0, event=NodeFinished(node="a", at=0, seconds=0, result=half)))
    log.patched(
        GraphPatch(base_version=0, add=(Node(id="a", op=Ask(Const(half)), source=half),)), at=0.0, running=()
    )
    log.settled("a", state="failed", value=None, error=half, started=0, finished=0, usage=None)
    log.started("k", node="a", tool="t", args={"x": half}, effect="mutating")
    log.failed("k", half)
    log.finish("answered", half)
    again = resume_run(journal, journal.find("run1"))
    (envelope,) = again.load()
    assert envelope.event == NodeFinished(node="a", at=0, seconds=0, result=half)
    assert again.recorded[0].known["a"].error == half
    again.close()


def test_a_full_disk_stops_the_journal_and_nothing_else(journal: Journal) -> None:
    told: list[JournalError] = []
    log = start_run(journal, "run1")
    log.on_failure = told.append
    log.begin()
    settle(log, "a")
    log.flush()
    pages = journal.size() // 4096
    with journal.transaction() as db:
        db.execute("INSERT INTO blobs VALUES (x'00', 'x')")
    journal._db.execute(f"PRAGMA max_page_count = {pages}")  # pyright: ignore[reportPrivateUsage]
    settle(log, "b", list(range(100_000)))
    log.flush()
    assert len(told) == 1 and "free some space" in str(told[0])
    settle(log, "c")
    log.flush()
    with pytest.raises(JournalError, match="pay is not called"):
        log.started("k", node="n", tool="pay", args={}, effect="mutating")
    assert len(told) == 1
    log.finish("answered", "a")
    journal._db.execute("PRAGMA max_page_count = 1000000")  # pyright: ignore[reportPrivateUsage]
    again = resume_run(journal, journal.find("run1"))
    again.load()
    assert list(again.recorded[0].known) == ["a"], "what was there before is whole"
    again.close()
