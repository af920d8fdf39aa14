"""The journal's file: one for many runs and writers, and what goes wrong with it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from braid.executors.journal import (
    Journal,
    JournalError,
    JournalVersionError,
    UnknownRunError,
    recorded_events,
    resume_run,
    start_run,
)
from braid.executors.tools import Recorded
from braid.orchestrator import RunFinished, RunStarted
from tests.support.recorded_runs import fill


def test_runs_are_found_by_what_their_ids_begin_with(journal: Journal) -> None:
    for id in ("abc1", "abc2", "b"):
        fill(journal, id)
    assert (
        journal.find("b").id == "b" and journal.find("abc2").id == "abc2" and journal.find("last").id == "b"
    )
    with pytest.raises(UnknownRunError, match="abc2, abc1"):
        journal.find("abc")
    for wrong in ("zzz", "", "%"):
        with pytest.raises(UnknownRunError, match="no run"):
            journal.find(wrong)


def test_large_values_are_stored_once(journal: Journal) -> None:
    large = "x" * 1_000_000
    for id in ("a", "b"):
        fill(journal, id, value=large)
    assert 1_000_000 < journal.size() < 1_500_000
    log = resume_run(journal, journal.find("a"))
    log.load(read_only=True)
    assert log.recorded[0].known["n2"].value == large
    log.close()


def test_pruning_gives_the_room_back_and_keeps_what_others_need(journal: Journal) -> None:
    shared, own = "x" * 500_000, "y" * 500_000
    fill(journal, "old", value=own)
    fill(journal, "older", value=shared)
    fill(journal, "new", value=shared)
    live = start_run(journal, "live")
    assert journal.prune(max_size=1_000_000).runs == 1
    assert [row.id for row in journal.runs()] == ["live", "new", "older"]
    assert journal.size() < 1_000_000
    assert journal.prune(older_than=3600).runs == 0
    pruned = journal.prune(older_than=-1)
    assert pruned.runs == 2 and pruned.size < 100_000
    assert [row.id for row in journal.runs()] == ["live"], "nobody takes a run away from its process"
    live.close()


def test_many_processes_write_to_one_file(journal: Journal) -> None:
    script = (
        "import sys\nfrom braid.executors.journal import Journal, start_run\n"
        "with Journal(sys.argv[1]) as j:\n"
        "    log = start_run(j, sys.argv[2])\n    log.begin()\n"
        "    for i in range(200):\n"
        "        log.settled(f'n{i}', state='done', value=i, error=None, started=0, finished=1, usage=None)\n"
        "        log.flush(durable=i % 50 == 0)\n"
        "    log.finish('answered', 'a')\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(journal.path), f"run{n}"]) for n in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    for row in journal.runs():
        log = resume_run(journal, row)
        log.load(read_only=True)
        assert {node: s.value for node, s in log.recorded[0].known.items()} == {
            f"n{i}": i for i in range(200)
        }
        log.close()


def test_space_grows_with_the_number_of_nodes(tmp_path: Path) -> None:
    sizes: list[int] = []
    for count in (1_000, 10_000):
        with Journal(tmp_path / f"{count}.db") as journal:
            fill(journal, "run", nodes=count)
            sizes.append(journal.size())
    assert sizes[1] < 11 * sizes[0]


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to look at" * 100)
    with pytest.raises(JournalError, match="move it away"):
        Journal(text)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(JournalError, match="some other program"):
        Journal(other)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "text" / "below")
    assert text.read_text().startswith("not a database"), "bad input never costs data"


def test_other_versions_say_why_not(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    for version, why in ((999, "newer Braid"), (-1, "cannot bring up")):
        file.unlink(missing_ok=True)
        with Journal(file) as journal:
            fill(journal, "run1")
        db = sqlite3.connect(file)
        db.execute(f"PRAGMA user_version = {version}")
        db.close()
        with pytest.raises(JournalVersionError, match=why):
            Journal(file)


def test_a_journal_of_the_first_version_opens(tmp_path: Path) -> None:
    """The file was written by version 1 and stays: every later version must read it."""
    file = tmp_path / "journal.db"
    db = sqlite3.connect(file)
    db.executescript((Path(__file__).parent / "fixtures/journal_v1.sql").read_text())
    db.close()
    with Journal(file) as journal:
        (row,) = journal.runs()
        assert (row.id, row.status, row.answer) == ("0123456789ab", "answered", "2, 4")
        events = [envelope.event for envelope in recorded_events(journal, row)]
        assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunFinished)
        log = resume_run(journal, row)
        log.load(read_only=True)
        assert log.recorded[0].known["xs[1]"].value == 4
        assert log.recall("0123456789ab:note") == Recorded("done", value="noted 4")
        log.close()


def test_a_locked_file_is_named(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal._db.execute("PRAGMA busy_timeout = 20")  # pyright: ignore[reportPrivateUsage]
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another process has kept it locked"):
        start_run(journal, "run1")
    other.execute("ROLLBACK")
    other.close()
    start_run(journal, "run1").close()


def test_rows_of_older_versions_read_as_what_they_mean_now(journal: Journal) -> None:
    for status in ("answered", "declined", "partial", "failed", "cancelled"):
        start_run(journal, status).finish(status, "a")
        assert journal.find(status).status == status
        assert journal.find(status).final == (status in ("answered", "declined"))
    with journal.transaction() as db:
        db.execute("UPDATE runs SET status = 'stopped' WHERE id = 'partial'")
    assert journal.find("partial").status == "partial"


def test_failures_of_older_versions_are_plain_errors(journal: Journal) -> None:
    log = start_run(journal, "run")
    log.begin()
    for node, failure in (("new", "outage"), ("old", "missing")):
        log.settled(
            node, state="failed", value=None, error="no", started=0, finished=1, usage=None, failure=failure
        )
    log.close()
    with journal.transaction() as db:
        db.execute("UPDATE log SET data = json_remove(data, '$[5]') WHERE data LIKE '[\"old\"%'")
    again = resume_run(journal, journal.find("run"))
    again.load()
    known = again.recorded[0].known
    assert (known["new"].failure, known["old"].failure) == ("outage", "error")
    again.close()
