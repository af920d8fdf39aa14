"""kill -9 at random moments: what happened is not lost, not doubled, and uncertain only where nobody can say.

Real processes, real SIGKILL, real databases. What stands in for the world is a database that the tools write
to.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path

import pytest

from braid.executors.journal.store import Journal
from tests.crash import worker

PACE = 0.01
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
_processes = multiprocessing.get_context("forkserver")


@pytest.fixture(autouse=True, scope="module")
def _server_with_everything_imported() -> None:
    """A process is then a fork of it, and costs milliseconds."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    _processes.set_forkserver_preload(["tests.crash.worker"])
    forkserver.ensure_running()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@dataclass
class Tally:
    """Over all runs, by tool: effects that are missing or doubled, and calls whose outcome is unknown."""

    kills: int = 0
    resumes: int = 0
    lost: Counter[str] = field(default_factory=lambda: Counter[str]())
    doubled: Counter[str] = field(default_factory=lambda: Counter[str]())
    uncertain: Counter[str] = field(default_factory=lambda: Counter[str]())


Ending = tuple[str | None, list[tuple[str, str]]]


def start(
    folder: Path,
    resume: str | None,
    kill_after: float | None,
    *,
    person: bool = False,
    on_begin: Callable[[], None] = lambda: None,
) -> Ending | None:
    """Run or resume in a process of its own. Returns None if it was killed before its end."""
    here, there = _processes.Pipe(duplex=False)
    process = _processes.Process(target=worker.main, args=(folder, resume, person, PACE, there))
    process.start()
    there.close()
    assert here.recv() == "begin"
    on_begin()
    if kill_after is not None and not here.poll(kill_after):
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    try:
        ending: Ending | None = here.recv()
    except EOFError:
        ending = None
    process.join()
    if kill_after is None:
        assert process.exitcode == 0 and ending is not None
    return ending


def kill_and_resume(folder: Path, rng: random.Random, length: float, tally: Tally) -> None:
    """One run, killed once or several times, and resumed until it ends."""
    folder.mkdir()
    ending = start(folder, None, rng.uniform(0, length))
    while ending is None and rng.random() < 0.4:
        tally.kills += 1
        tally.resumes += 1
        ending = (
            start(folder, "last", rng.uniform(0, length)) if has_run(folder) else start(folder, None, 0.1)
        )
    if ending is None:
        tally.kills += 1
        tally.resumes += 1
        ending = start(folder, "last" if has_run(folder) else None, None)
    assert ending is not None
    answer, states = ending
    unclear = [id for id, state in states if state == "uncertain"]
    expected = list(worker.ANSWER)
    for id in unclear:
        place = {"note": 0, "second": 1}.get(id)
        tally.uncertain["mail" if place is not None else id] += 1
        if place is not None and happened(folder)[EXPECTED_MAILS[place]]:
            expected[place] = "none"  # a person says that it happened, but not what came of it
    if unclear:
        assert answer is None
        ending = start(folder, "last", None, person=True)
        assert ending is not None
        answer, states = ending
    assert answer == ", ".join(expected), (answer, states)
    assert {state for _, state in states} <= {"done", "skipped"}, states
    world = happened(folder)
    for effect in EXPECTED:
        tally.lost[effect[0]] += max(0, 1 - world[effect])
        tally.doubled[effect[0]] += max(0, world[effect] - 1)
    foreign = [effect for effect in world if effect[0] != "fetch" and effect not in EXPECTED]
    assert not foreign, foreign
    with Journal(folder / "journal.db") as journal:
        (row,) = journal.runs()
        assert row.status == "answered"


def happened(folder: Path) -> Counter[tuple[str, str]]:
    world = worker.World(folder / "world.db")
    with world.open() as db:
        shelf = db.execute("SELECT key FROM shelf").fetchall()
    return Counter(
        [*((kind, value) for kind, _, value in world.effects()), *(("keep", key) for (key,) in shelf)]
    )


def has_run(folder: Path) -> bool:
    if not (folder / "journal.db").exists():
        return False
    with Journal(folder / "journal.db") as journal:
        return bool(journal.runs())


RECEIPTS = "; ".join(f"receipt {n}" for n in (10, 20, 30, 40))
EXPECTED_MAILS = [("mail", f"paid: {RECEIPTS}"), ("mail", "last: receipt 90")]
EXPECTED = [
    *(("pay", f"receipt {n}") for n in (10, 20, 30, 40, 90)),
    *(("keep", str(n)) for n in (10, 20, 30, 40)),
    *EXPECTED_MAILS,
]


def crash(folder: Path, *, times: int, seed: int) -> Tally:
    (folder / "whole").mkdir()
    began: list[float] = []
    ending = start(folder / "whole", None, None, on_begin=lambda: began.append(time.monotonic()))
    length = time.monotonic() - began[0]
    assert ending is not None and ending[0] == ", ".join(worker.ANSWER)
    tally = Tally()
    rng = random.Random(seed)
    number = 0
    while tally.kills < times:
        number += 1
        kill_and_resume(folder / str(number), rng, length, tally)
    print(f"{number} runs, {tally}")  # noqa: T201
    return tally


def check(tally: Tally) -> None:
    assert sum(tally.lost.values()) == 0, tally
    assert sum(tally.doubled.values()) == 0, tally
    assert set(tally.uncertain) <= {"mail"}, tally


def test_ten_kills(tmp_path: Path) -> None:
    check(crash(tmp_path, times=10, seed=1))


@pytest.mark.long
def test_two_hundred_kills(tmp_path: Path) -> None:
    tally = crash(tmp_path, times=200, seed=2)
    check(tally)
    assert tally.uncertain["mail"] > 0, "not one kill hit the moment that matters"
