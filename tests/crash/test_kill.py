"""kill -9 at random moments: what happened is not lost, not doubled, and uncertain only where nobody can say.

Real processes, real SIGKILL, real databases. What stands in for the world is a database that the tools write
to. A run is killed, stopped by smaller budgets, killed again while it is resumed, and in the end resumed by a
process that lives and has a person.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import re
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from braid.engine import Event
from braid.executors.events import (
    ApprovalRefused,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeUncertain,
)
from braid.executors.journal import recorded_events
from braid.executors.journal.store import Journal, RunRow
from tests.crash import worker
from tests.crash.worker import TASKS, Ending, Start

PACE = 0.01
AT_ONCE = 4
"""Runs side by side."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
_processes = multiprocessing.get_context("forkserver")
_one_at_a_time = threading.Lock()
"""Starting a process reads the exit codes of all others, which can be read once."""
Effect = tuple[str, str]
"""Kind and value of something that happened outside."""


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
    """Over all runs: what was done to them, and what must not be."""

    runs: Counter[str] = field(default_factory=lambda: Counter[str]())
    """Runs, by task."""
    kills: int = 0
    kills_of_resumes: int = 0
    kills_at_questions: int = 0
    """Kills while at least one call waited for the person."""
    endings: Counter[str] = field(default_factory=lambda: Counter[str]())
    """How processes that were not killed ended."""
    uncertain: Counter[str] = field(default_factory=lambda: Counter[str]())
    """Calls told as uncertain, by tool."""
    lost: Counter[str] = field(default_factory=lambda: Counter[str]())
    doubled: Counter[str] = field(default_factory=lambda: Counter[str]())
    mistold: Counter[str] = field(default_factory=lambda: Counter[str]())
    """Calls that had begun, and were told as something that says that they had not."""
    refused: int = 0
    """Calls that the person refused and that were carried out."""
    unfinished: int = 0
    """Runs, nested ones included, without a final status."""

    def add(self, other: Tally) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


def process(start: Start, kill_after: float | None) -> Ending | None:
    """Run or resume in a process of its own. Returns None if it was killed before its end."""
    here, there = _processes.Pipe(duplex=False)
    process = _processes.Process(target=worker.main, args=(start, PACE, there))
    with _one_at_a_time:
        process.start()
    there.close()
    assert here.recv() == "begin"
    if kill_after is not None and not here.poll(kill_after):
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    try:
        ending: Ending | None = here.recv()
    except EOFError:
        ending = None
    wait([process.sentinel])
    with _one_at_a_time:
        process.join()
    if kill_after is None:
        assert process.exitcode == 0 and ending is not None
    return ending


def kill_and_resume(folder: Path, task: str, rng: random.Random, length: float) -> Tally:
    """One run, killed and stopped once or several times, and resumed until it ends."""
    folder.mkdir()
    tally = Tally(runs=Counter([task]))
    for turn in itertools.count():
        resume = "last" if has_run(folder) else None
        start = Start(folder, task, resume, person=rng.random() < 0.5)
        if rng.random() < 0.3:
            start = Start(folder, task, resume, start.person, calls=rng.randrange(1, 12))
        elif rng.random() < 0.2:
            start = Start(folder, task, resume, start.person, seconds=rng.uniform(0.1, 2) * length)
        ending = process(start, rng.uniform(0, 2 * length))  # several run at once, so each takes longer
        if ending is None:
            tally.kills += 1
            tally.kills_of_resumes += resume is not None
            tally.kills_at_questions += waits_for_person(folder)
        else:
            tally.endings[ending.status] += 1
            check_telling(folder, ending, tally)
            if ending.status in ("answered", "declined"):
                break
        if turn and rng.random() < 0.5:
            break
    last = Start(folder, task, "last" if has_run(folder) else None, person=True)
    ending = process(last, None)
    assert ending is not None
    check_telling(folder, ending, tally)
    check_end(folder, task, ending, tally)
    return tally


def check_telling(folder: Path, ending: Ending, tally: Tally) -> None:
    """A call that happened was told as done, or as uncertain."""
    happened = [key for _, key, _ in worker.World(folder / "world.db").effects() if key]
    with Journal(folder / "journal.db") as journal:
        for row in journal.runs(nested=True):
            if row.status == "interrupted":
                continue  # the run around it was stopped before it went on, and tells of it
            told = tellings(journal, row)
            for call in journal.calls(row.no):
                # A payment within an agent belongs to the call of the agent, too.
                began = call.state == "started" or any(
                    key == call.key or key.startswith(f"{call.key}:") for key in happened
                )
                event = told.get(call.node)
                fine = (NodeFinished, NodeUncertain)
                if call.tool == "helper":
                    fine = (*fine, NodeFailed)
                if isinstance(event, NodeUncertain):
                    tally.uncertain[call.tool] += 1
                if began and not isinstance(event, fine):
                    tally.mistold[f"{call.tool} {call.state} told as {event and event.kind}"] += 1
                    report(folder, ending, f"{call.key} {call.state}: {event!r}")


UNKNOWN = r"|failed: mail: whether the call happened is not known"


def check_end(folder: Path, task: str, ending: Ending, tally: Tally) -> None:
    """Everything that the task is there for has happened once, and its answer says so."""
    wanted = TASKS[task]
    world = happened(folder)
    expected = [
        *(("pay", f"receipt {n}") for n in wanted.pays),
        *(("mail", text) for text in wanted.mails),
        *(("keep", str(n)) for n in wanted.keeps),
    ]
    problems = ""
    # A list that collects its errors goes on after a mail of which nobody knows, and says so.
    unknown = mails_told_as_unknown(folder) if wanted.collected else 0
    for effect in expected:
        if effect[0] == "mail" and world[effect] == 0 and unknown:
            unknown -= 1
            continue
        tally.lost[effect[0]] += max(0, 1 - world[effect])
        tally.doubled[effect[0]] += max(0, world[effect] - 1)
        if world[effect] != 1:
            problems += f"{effect} happened {world[effect]} times; "
    foreign = {effect: n for effect, n in world.items() if effect[0] != "fetch" and effect not in expected}
    tally.refused += sum(foreign.values())
    if foreign:
        problems += f"never to happen: {foreign}; "
    # A person says that a mail was sent, but not what the tool returned.
    pattern = ", ".join(
        f"(?:{re.escape(part)}|none{UNKNOWN * (part in wanted.collected)})"
        if "mailed" in part
        else re.escape(part)
        for part in wanted.answer
    )
    if wanted.status == "declined":
        pattern = pattern.replace("mailed\\ before\\ the\\ end", "(?:mailed before the end|none)")
    if ending.status != wanted.status or not re.fullmatch(pattern, ending.answer):
        tally.unfinished += 1
        problems += "not the answer; "
    with Journal(folder / "journal.db") as journal:
        for row in journal.runs(nested=True):
            if row.status not in ("answered", "declined"):
                tally.unfinished += 1
                problems += f"{row.id} is {row.status}; "
    if problems:
        report(folder, ending, problems)


def mails_told_as_unknown(folder: Path) -> int:
    """How many mails the run tells as uncertain."""
    with Journal(folder / "journal.db") as journal:
        (row,) = journal.runs()
        told = tellings(journal, row)
        return sum(
            call.tool == "mail" and isinstance(told.get(call.node), NodeUncertain)
            for call in journal.calls(row.no)
        )


def report(folder: Path, ending: Ending, problem: str) -> None:
    print(f"{folder}: {problem}\n  {ending}")  # noqa: T201


def tellings(journal: Journal, row: RunRow) -> dict[str, Event]:
    """The last event of each node that says how it ended."""
    told: dict[str, Event] = {}
    for envelope in recorded_events(journal, row):
        match envelope.event:
            case (
                NodeFinished(node=node)
                | NodeFailed(node=node)
                | NodeCancelled(node=node)
                | NodeSkipped(node=node)
                | NodeUncertain(node=node)
            ):
                told[node] = envelope.event
            case _:
                pass
    return told


def waits_for_person(folder: Path) -> bool:
    """Whether a killed process left a question open."""
    if not has_run(folder):
        return False
    open_: set[tuple[str, str]] = set()
    with Journal(folder / "journal.db") as journal:
        for row in journal.runs(nested=True):
            for envelope in recorded_events(journal, row):
                event = envelope.event
                if event.kind == "run.resumed":
                    open_.clear()
                elif event.kind == "node.waits":
                    open_.add((row.id, str(getattr(event, "node", ""))))
                elif event.kind.startswith("node.") or isinstance(event, ApprovalRefused):
                    open_.discard((row.id, str(getattr(event, "node", ""))))
    return bool(open_)


def happened(folder: Path) -> Counter[Effect]:
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


def crash(folder: Path, *, times: int, seed: int, at_most: int | None = None) -> Tally:
    """Kill `times` times, then up to `at_most` until a kill has hit the moment that matters."""
    tally = Tally()
    lengths: dict[str, float] = {}
    for task in TASKS:
        (folder / task).mkdir()
        ending = process(Start(folder / task, task), None)
        assert ending is not None
        lengths[task] = ending.seconds
        check_telling(folder / task, ending, tally)
        check_end(folder / task, task, ending, tally)

    def one(number: int, task: str) -> Tally:
        rng = random.Random(f"{seed} {number}")
        return kill_and_resume(folder / str(number), task, rng, lengths[task])

    tasks = itertools.cycle(TASKS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for first in itertools.count(0, AT_ONCE):
            if tally.kills >= times and (hit(tally) or tally.kills >= (at_most or times)):
                break
            for part in pool.map(one, range(first, first + AT_ONCE), itertools.islice(tasks, AT_ONCE)):
                tally.add(part)
    print(tally)  # noqa: T201
    return tally


def hit(tally: Tally) -> bool:
    """Whether a process was killed between a call and the note that it happened."""
    return tally.uncertain["mail"] > 0


def check(tally: Tally) -> None:
    assert sum(tally.lost.values()) == 0, tally
    assert sum(tally.doubled.values()) == 0, tally
    assert sum(tally.mistold.values()) == 0, tally
    assert tally.refused == 0, tally
    assert tally.unfinished == 0, tally


def test_twenty_kills(tmp_path: Path) -> None:
    check(crash(tmp_path, times=20, seed=1))


@pytest.mark.long
def test_five_hundred_kills(tmp_path: Path) -> None:
    tally = crash(tmp_path, times=500, seed=2, at_most=2000)
    check(tally)
    assert hit(tally), "not one kill hit the moment that matters"
    assert tally.kills_at_questions > 0, "not one kill hit an open question"
