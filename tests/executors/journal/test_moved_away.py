"""The journal moved away while a process works, and a new one made in its place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from braid.executors.journal import Journal, JournalError, RunBusyError, start_run
from tests.support.recorded_runs import fill, settle

WORK = """
import sys
from braid.executors.journal import Journal, start_run
from tests.support.recorded_runs import fill, settle
journal = Journal(sys.argv[1])
log = start_run(journal, "theirs")
log.begin()
settle(log, "before")
log.flush()
print("begun", flush=True)
sys.stdin.readline()
settle(log, "after", "x" * 10_000)
log.finish("answered", "a")
fill(journal, "another")
journal.close()
print("over", flush=True)
"""


@contextmanager
def working(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that works on a run of the journal until it gets a line."""
    command = [sys.executable, "-c", WORK, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        try:
            yield process
        finally:
            process.kill()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.communicate("go\n")[0] == "over\n" and process.returncode == 0


def move_all(file: Path, to: Path, *, but: str = "nothing") -> None:
    for one in file.parent.glob(file.name + "*"):
        if not one.name.endswith(but):
            one.rename(to.with_name(to.name + one.name.removeprefix(file.name)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.mark.parametrize("but", ["nothing", ".lock"])
def test_another_process_goes_on_with_what_was_moved(file: Path, tmp_path: Path, but: str) -> None:
    moved = tmp_path / "old.db"
    with working(file) as process:
        move_all(file, moved, but=but)
        with Journal(file) as new:
            fill(new, "ours")
            log = start_run(new, "busy")
            go_on(process)
            log.begin()
            settle(log, "n")
            log.finish("answered", "a")
        with Journal(file) as new, Journal(moved) as old:
            assert {row.id: row.status for row in new.runs()} == {"ours": "answered", "busy": "answered"}
            assert {row.id: row.status for row in old.runs()} == {"theirs": "answered", "another": "answered"}


def test_one_process_goes_on_with_both(file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "old.db"
    with Journal(file) as old:
        first = start_run(old, "first")
        move_all(file, moved)
        with Journal(file) as new:
            second, third = start_run(new, "second"), start_run(old, "third")
            assert [row.status for row in (*new.runs(), *old.runs())] == ["running"] * 3
            for log, journal in ((first, old), (second, new), (third, old)):
                with pytest.raises(RunBusyError):
                    journal.lock(journal.find(log.run))
                log.finish("answered", "a")
    with Journal(file) as new, Journal(moved) as old:
        assert [row.id for row in (*new.runs(), *old.runs())] == ["second", "third", "first"]


def test_what_was_moved_stays_locked(file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "old.db"
    with working(file) as process:
        move_all(file, moved)
        fill_new = Journal(file)
        fill(fill_new, "theirs")
        fill_new.close()
        with Journal(moved) as old:
            assert old.find("theirs").status == "running"
            with pytest.raises(RunBusyError):
                old.lock(old.find("theirs"))
        process.kill()
        process.wait()
        with Journal(moved) as old:
            assert old.find("theirs").status == "interrupted"
            old.lock(old.find("theirs")).release()


def test_moving_only_the_main_file_is_told(file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "old.db"
    with working(file) as process:
        file.rename(moved)
        with pytest.raises(JournalError, match="moved away"):
            Journal(file)
        go_on(process)
    for rest in ("-wal", "-shm"):
        (tmp_path / f"journal.db{rest}").rename(tmp_path / f"old.db{rest}")
    with Journal(file) as new, Journal(moved) as old:
        fill(new, "ours")
        assert {row.id: row.status for row in old.runs()} == {"theirs": "answered", "another": "answered"}
