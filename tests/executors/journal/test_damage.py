"""Damaged journals: a typed error names the run, and the other runs stay readable."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from braid.engine import Envelope
from braid.executors import GraphPatch
from braid.executors.journal import (
    Journal,
    JournalDamagedError,
    JournalError,
    StoredResults,
    recorded_events,
    resume_run,
    start_run,
)
from braid.executors.scheduler.replay import RecordedRun
from braid.orchestrator.events import RoundStarted
from tests.support.recorded_runs import Fact, fill, plan, settle


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def two_runs(file: Path, *, sizes: int = 1) -> None:
    """A run `good` that is over, and a run `bad` that was interrupted."""
    with Journal(file) as journal:
        fill(journal, "good", value="x" * 3000, nodes=3 * sizes)
        log = start_run(journal, "bad", question="q", spec={"engine": "e"})
        log.begin()
        log.event(Envelope(run="bad", seq=0, at=0.0, event=RoundStarted(round=0)))
        log.patched(GraphPatch(base_version=0, add=plan()), at=0.0, running=())
        for number in range(3 * sizes):
            settle(log, f"n{number}", Fact("y" * (3000 + number % 2 * 3000), 1.0))
        log.started("key", node="n0", tool="pay", args={"x": 1}, effect="mutating")
        log.finished("key", Fact("z", 2.0))
        log.close()
        fill(journal, "later", value="x" * 3000, nodes=3 * sizes)


def read(journal: Journal, run: str) -> list[RecordedRun]:
    log = resume_run(journal, journal.find(run))
    try:
        log.load(read_only=True)
        recorded_events(journal, journal.find(run))
        return list(log.recorded)
    finally:
        log.close()


def damage(file: Path, statement: str) -> None:
    db = sqlite3.connect(file)
    assert db.execute(statement).rowcount > 0, statement
    db.commit()
    db.close()


BAD = "(SELECT no FROM runs WHERE id = 'bad')"
IN_BAD = f"id >> 32 = {BAD}"


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE log SET data = substr(data, 1, 7) WHERE {IN_BAD} AND kind = 'patch'",
        f"UPDATE log SET data = substr(data, 1, 7) WHERE {IN_BAD} AND kind = 'event'",
        f"UPDATE log SET data = '[]' WHERE {IN_BAD} AND kind = 'settled'",
        f"UPDATE log SET data = '[]' WHERE {IN_BAD} AND kind = 'event'",
        f"UPDATE log SET data = '{{}}' WHERE {IN_BAD} AND kind = 'patch'",
        f'UPDATE log SET value = \'{{"$": "data"}}\' WHERE {IN_BAD} AND value IS NOT NULL',
        f"UPDATE log SET value = 'xx' WHERE {IN_BAD} AND kind = 'settled'",
        f"UPDATE log SET data = CAST(x'ff61' AS TEXT) WHERE {IN_BAD} AND kind = 'patch'",
        f"UPDATE log SET data = x'00ff' WHERE {IN_BAD} AND kind = 'event'",
        f"DELETE FROM log WHERE {IN_BAD} AND kind = 'begin'",
        f"UPDATE calls SET value = '[1' WHERE run = {BAD}",
        "UPDATE runs SET spec = '{' WHERE id = 'bad'",
        "UPDATE runs SET spent = '[1]' WHERE id = 'bad'",
        "UPDATE runs SET status = 'nonsense' WHERE id = 'bad'",
        "UPDATE runs SET created = 'yesterday' WHERE id = 'bad'",
        "UPDATE runs SET question = CAST(x'ff61' AS TEXT) WHERE id = 'bad'",
    ],
)
def test_a_damaged_row_is_an_error_that_names_the_run(file: Path, statement: str) -> None:
    two_runs(file)
    damage(file, statement)
    with Journal(file) as journal:
        with pytest.raises(JournalDamagedError, match="run bad"):
            read(journal, "bad")
        assert [row.id for row in journal.runs()] == ["later", "bad", "good"]
        assert read(journal, "good") and read(journal, "later")
        fill(journal, "new")
        assert read(journal, "new")
        journal.prune(older_than=-1)
        assert journal.runs() == []


def test_a_page_that_was_overwritten(file: Path) -> None:
    two_runs(file, sizes=8)
    with Journal(file) as journal:
        journal.checkpoint()
    whole = file.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    harmed: set[int] = set()
    for place in range(size, len(whole), size):
        for garbage in (b"\xff" * size, b"\0" * size):
            file.write_bytes(whole[:place] + garbage + whole[place + size :])
            for rest in ("-wal", "-shm"):
                file.with_name(file.name + rest).unlink(missing_ok=True)
            readable: list[str] = []
            try:
                with Journal(file) as journal:
                    listed = [row.id for row in journal.runs()]
                    for run in listed:
                        with suppress(JournalError):
                            read(journal, run)
                            readable.append(run)
            except JournalDamagedError:
                continue
            assert len(listed) == 3
            harmed.add(len(listed) - len(readable))
    assert 1 in harmed


def test_a_write_ahead_log_that_was_cut(file: Path, tmp_path: Path) -> None:
    with Journal(file) as journal:
        fill(journal, "first")
        journal.checkpoint()
        log = start_run(journal, "bad", question="q", spec={})
        log.begin()
        for number in range(20):
            settle(log, f"n{number}", Fact("y" * 3000, 1.0))
            log.flush()
        log.close()
        copy = tmp_path / "copy.db"
        wal = file.with_name(file.name + "-wal").read_bytes()
        shutil.copy(file, copy)
    for keep in (0, 16, 4000, len(wal) // 2, len(wal) - 5000, len(wal) - 1):
        for garbage in (b"", b"\xff" * 5000):
            copy.with_name("copy.db-shm").unlink(missing_ok=True)
            copy.with_name("copy.db-wal").write_bytes(wal[:keep] + garbage)
            with Journal(copy) as journal:
                ids = {row.id for row in journal.runs()}
                assert "first" in ids and all(read(journal, id) for id in ids - {"bad"})
                if "bad" in ids:
                    read(journal, "bad")
            shutil.copy(file, copy)


@pytest.mark.parametrize("text", ["{", '{"$": "data"}', '{"$": "tuple"}', "x'00ff'"])
def test_a_damaged_result_is_computed_again(file: Path, text: str) -> None:
    with Journal(file) as journal:
        results = StoredResults(journal)
        results.put("k", 1)
        damage(file, f"UPDATE results SET value = {text if text[0] == 'x' else repr(text)}")
        assert results.get("k") is None
