"""Values in journals outlive the modules of their types: tags, older names, and journals without tags."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import json
import pkgutil
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from braid.engine import ScriptedEngine
from braid.executors import ToolReused, tool
from braid.executors.builtin import builtin_tools
from braid.executors.builtin.atlas import Fact
from braid.executors.journal import Journal, RunLog, StoredResults, resume_run
from braid.executors.journal.value_codec import LostValueError, dump_value, load_value
from braid.executors.scheduler import RecordedRun
from braid.executors.tools import UsageResult
from braid.executors.tools.memo import result_key
from braid.executors.values import EARLIER, HOMES, is_own, tag_of
from braid.orchestrator import Agent, RunFinished, RunStarted
from braid.orchestrator.cli import app
from tests.support.stored_values import (
    FINISHED_ANSWER,
    FINISHED_QUESTION,
    K2,
    KILLED_ANSWER,
    KILLED_QUESTION,
    NEWER,
    USAGE,
    VALUES,
    Place,
    Tools,
    yes,
)

ROOMS = (
    "braid.engine",
    "braid.reasoning",
    "braid.executors",
    "braid.planner",
    "braid.orchestrator",
    "braid.evals",
    "braid.training",
)
SQL = (Path(__file__).parent / "fixtures/journal_v1_values.sql").read_text(encoding="utf-8")

NO_VALUES = {
    *(
        "Budget",
        "Completion",
        "PlanTask",
        "Reservation",
        "MethodRun",
        "RunContext",
        "RunResult",
        "Task",
        "ToolContext",
        "ToolOptions",
    ),  # hold live objects
    *(
        "Event",
        "RecordedRun",
        "Replan",
        "Settings",
        "Statement",
    ),  # a base, and what runs and parsers are made of
}
"""Types of data in the faces of the rooms that have no tag: the journal stores no value of theirs."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The journal of the fixture, as the user's own."""
    monkeypatch.setenv("BRAID_HOME", str(tmp_path))
    db = sqlite3.connect(tmp_path / "journal.db")
    db.executescript(SQL)
    db.close()
    return tmp_path / "journal.db"


@pytest.fixture
def finished(file: Path) -> Iterator[RunLog]:
    with Journal(file) as journal:
        log = resume_run(journal, next(row for row in journal.runs() if row.status == "answered"))
        yield log
        log.close()


def agent_of(file: Path, tools: Tools, plans: list[str]) -> Agent:
    return Agent(
        ScriptedEngine(plans, chunk="whole"),
        tools=tools.all,
        builtins=False,
        approve=yes,
        max_rounds=1,
        journal=file,
    )


def invoke(*args: str):
    done = CliRunner().invoke(app, list(args))
    assert done.exit_code == 0, done.output
    return done


def test_both_runs_are_listed(file: Path) -> None:
    runs = json.loads(invoke("runs", "--json").stdout)["runs"]
    assert [(run["question"], run["status"]) for run in runs] == [
        (KILLED_QUESTION, "interrupted"),
        (FINISHED_QUESTION, "answered"),
    ]


def test_the_finished_run_is_replayed_and_viewed(file: Path, finished: RunLog, tmp_path: Path) -> None:
    events = [envelope.event for envelope in finished.load(read_only=True)]
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunFinished)
    run = finished.run
    assert invoke("replay", run).stdout.split() == FINISHED_ANSWER.split()
    invoke("view", run, "--html", str(tmp_path / "run.html"))
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert FINISHED_QUESTION in page and FINISHED_ANSWER in page and f"vs[{len(VALUES) - 1}]" in page


def test_every_value_is_restored(finished: RunLog) -> None:
    finished.load(read_only=True)
    (past,) = finished.recorded
    assert past.known["ns"].value == list(VALUES)
    for place, (name, value) in enumerate(VALUES.items()):
        restored = past.known[f"vs[{place}]"].value
        assert restored == value and type(restored) is type(value), name
    assert past.known["f"].value == K2 and past.known["w"].value.answer == "It is high"


async def test_the_killed_run_goes_on_and_pays_no_second_time(file: Path) -> None:
    tools = Tools()
    async with agent_of(file, tools, []) as agent:  # the plan was whole: no model is asked
        result = await agent.resume("last")
        assert agent.journal is not None and agent.journal.find("last").status == "answered"
    assert result.complete and result.answer == KILLED_ANSWER
    assert tools.calls == [("paid_before", "p")], "nothing is called but `reconcile`"


async def test_the_kept_result_is_used_again(file: Path) -> None:
    tools = Tools()
    async with agent_of(file, tools, ["k = kept(7)\nanswer(k)\n"]) as agent:
        result = await agent.run("Again?")
    assert result.output == Place("K2 no. 7") and tools.calls == []
    assert [event.source for e in result.events if isinstance(event := e.event, ToolReused)] == [
        "earlier run"
    ]
    with Journal(file) as journal:
        with journal.reading() as db:
            (key,) = db.execute("SELECT key FROM results").fetchone()
        kept = StoredResults(journal).get(key)
    assert kept is not None and kept.value == UsageResult(value=Place("K2 no. 7"), usage=USAGE)


def test_a_journal_is_read_without_torch(file: Path) -> None:
    script = (
        "import sys\nfrom braid.executors.journal import Journal, resume_run\n"
        "with Journal(sys.argv[1]) as journal:\n"
        "    for row in journal.runs():\n        log = resume_run(journal, row)\n"
        "        log.load(read_only=True)\n        log.close()\n"
        "print('torch' in sys.modules, 'braid.evals' in sys.modules)"
    )
    path = [str(Path(__file__).parents[3])]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {path!r}\n{script}", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]


# Tags.


def names_in(text: str) -> set[str]:
    """The names of types in stored values."""
    return set(re.findall(r'"t":"([^"]*)"', text))


def test_the_fixture_has_every_older_name() -> None:
    found = {name for name in names_in(SQL) if not name.startswith("tests.support.stored_values:")}
    assert found == set(EARLIER)


def test_own_types_are_stored_under_their_tags() -> None:
    written = set[str]()
    for name, value in (VALUES | NEWER).items():
        stored = dump_value(value)
        assert stored.lost is None and load_value(stored.text) == value, name
        written |= names_in(stored.text)
    own = {name for name in written if not name.startswith("tests.support.stored_values:")}
    assert own == set(HOMES), "a new type of values is to be added to `stored_values`"


def test_an_older_name_leads_to_where_the_type_lives_today(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = json.loads(dump_value(K2).text)
    assert stored["t"] == "braid:Fact"
    monkeypatch.setitem(EARLIER, "a_module_that_is_gone:Fact", "braid:Fact")
    stored["t"] = "a_module_that_is_gone:Fact"
    assert load_value(json.dumps(stored)) == K2
    stored["t"] = "braid:Fiction"
    with pytest.raises(LostValueError, match="braid:Fiction cannot be imported"):
        load_value(json.dumps(stored))


def test_the_key_of_a_kept_result_depends_on_no_module() -> None:
    @tool(version="1")
    def f(fact: Fact) -> str:
        """Of a fact."""
        return fact.title

    assert result_key(f, {"fact": K2}) == "f:e592dee8e93824b313a137a6dd0e219e"


def is_data(kind: object) -> bool:
    """Whether the journal stores instances of `kind` under a name."""
    return isinstance(kind, type) and (
        issubclass(kind, (BaseModel, enum.Enum))
        or dataclasses.is_dataclass(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def rooms() -> list[ModuleType]:
    return [importlib.import_module(name) for name in ROOMS]


def own_types() -> list[type[Any]]:
    """Every type of data that any module of Braid defines."""
    found: list[type[Any]] = []
    for room in rooms():
        for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
            members = vars(importlib.import_module(module.name)).values()
            found += [kind for kind in members if is_data(kind) and kind.__module__ == module.name]
    return found


def parts(hint: Any) -> Iterator[type[Any]]:
    """The types of data in an annotation."""
    if is_data(hint):
        yield hint
    for one in get_args(hint):
        yield from parts(one)


def test_every_type_of_values_has_a_tag() -> None:
    own = own_types()
    assert all(is_own(kind) for kind in own), (
        "a type of Braid's own never stands under the name of its module"
    )
    offered = {id(getattr(room, name)) for room in rooms() for name in getattr(room, "__all__", ())}
    values = [kind for kind in own if id(kind) in offered and kind.__name__ not in NO_VALUES]
    values += [kind for one in builtin_tools() for kind in parts(get_type_hints(one.function)["return"])]
    for kind in values:  # grows: what is in the fields of a value, and what can stand in its place
        fields = [hint for one in get_type_hints(kind).values() for hint in parts(one)]
        inside = [one for one in own if one in fields or (issubclass(one, kind) and one.__name__[0] != "_")]
        values += [one for one in inside if one not in values and one.__name__ not in NO_VALUES]
    missing = [f"{kind.__module__}:{kind.__qualname__}" for kind in values if tag_of(kind) is None]
    assert not missing, f"give them tags in braid.executors.values.type_tags: {missing}"


def test_what_is_own_and_no_value_is_not_stored() -> None:
    stored = dump_value(RecordedRun(records=(), known={}))
    assert stored.lost is not None and "no value" in stored.lost
