"""The journal: values and plans as they were, one file for many writers, what goes wrong with it, and what never gets into it."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import enum
import json
import math
import sqlite3
import subprocess
import sys
import uuid
from collections import Counter, OrderedDict, deque
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr, SecretStr

from braid.engine import Envelope, Usage
from braid.executors import GraphPatch, NodeFinished, tool
from braid.executors.journal.plan_codec import dump_patch, load_patch
from braid.executors.journal.redaction import Secrets, secret_arguments, secrets_of
from braid.executors.journal.result_cache import StoredResults
from braid.executors.journal.run_log import RunLog, recorded_events, resume_run, start_run
from braid.executors.journal.store import (
    Journal,
    JournalError,
    JournalVersionError,
    RunBusyError,
    UnknownRunError,
)
from braid.executors.journal.value_codec import LostValueError, dump_value, load_value
from braid.executors.nodes import nodes
from braid.executors.nodes.nodes import (
    AllOf,
    Answer,
    AnyOf,
    Ask,
    Compare,
    Const,
    DictOf,
    Field,
    Guard,
    ListOf,
    Map,
    Node,
    Not,
    Ref,
    Template,
    Think,
    ToolCall,
)
from braid.executors.scheduler.replay import Patched, Settled
from braid.executors.tools import Cached, Recorded
from braid.executors.values.values import ItemError
from braid.orchestrator import RunFinished, RunStarted
from braid.planner import PlannerText
from braid.reasoning import Solution


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(frozen=True)
class Fact:
    title: str
    value: float
    where: Point | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.title, "restoring runs no constructor"


class City(BaseModel):
    name: str
    facts: list[Fact]
    colour: Colour = Colour.RED
    extra: dict[int, Any] = {}
    _seen: int = PrivateAttr(default=0)


class Login(BaseModel):
    user: str
    password: SecretStr


def back(value: Any) -> Any:
    return load_value(dump_value(value).text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**64,
        10**5000,
        1.5,
        math.inf,
        "text",
        "half a pair \ud800 and a nul \x00",
        [1, [2, {"a": None}]],
        (1, (2,)),
        {"$": "a key that is our own"},
        {1: "a", (2, 3): "b", None: "c"},
        {1, 2},
        frozenset({"a"}),
        b"\x00\xff",
        bytearray(b"x"),
        1 + 2j,
        range(3, 9, 2),
        deque([1, 2]),
        Counter("aab"),
        OrderedDict([("b", 1), ("a", 2)]),
        decimal.Decimal("1.10"),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
        datetime.date(2026, 1, 2),
        datetime.time(1, 2),
        datetime.timedelta(days=-1, microseconds=3),
        uuid.UUID(int=5),
        Path("a") / "b",
        Colour.RED,
        Point(1, 2),
        Fact("K2", 8611.0, Point(3, 4), ("high",)),
        City(name="Rome", facts=[Fact("Rome", 2.8e6)], extra={1: (2, 3)}),
        Solution(answer="yes", candidates=(), reason="", usage=Usage(calls=2)),
        [ItemError("gone"), Fact("a", math.pi)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back_as_what_they_were(value: Any) -> None:
    restored = back(value)
    assert restored == value and type(restored) is type(value)
    assert dump_value(value).lost is None


def test_nan_and_private_state_come_back() -> None:
    assert math.isnan(back(math.nan))
    city = City(name="Rome", facts=[])
    city._seen = 3  # pyright: ignore[reportPrivateUsage]
    assert back(city)._seen == 3


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=12,
)


@given(json_like)
def test_any_nesting_comes_back(value: Any) -> None:
    assert back(value) == value


def test_what_cannot_be_stored_is_text_that_says_so() -> None:
    @dataclasses.dataclass
    class Local:
        x: int

    loop: list[Any] = []
    loop.append(loop)
    for value, why in (
        (object(), "object"),
        (Local(1), "inside a function"),
        ([1, open], "no form"),
        (loop, "contains itself"),
        (SecretStr("hunter2hunter2"), "secret"),
        (Login(user="a", password=SecretStr("hunter2hunter2")), "secret"),
    ):
        stored = dump_value(value)
        assert stored.lost is not None and why in stored.lost
        assert "hunter2" not in stored.text
        with pytest.raises(LostValueError, match="could not be stored"):
            load_value(stored.text)


def test_a_type_that_changed_is_mended_by_defaults_or_refused() -> None:
    stored = json.loads(dump_value(Fact("K2", 1.0, tags=("a",))).text)
    del stored["v"]["tags"]
    assert load_value(json.dumps(stored)) == Fact("K2", 1.0)
    del stored["v"]["value"]
    with pytest.raises(LostValueError, match="gained the field 'value'"):
        load_value(json.dumps(stored))
    stored["t"] = "nowhere:Fact"
    with pytest.raises(LostValueError, match="nowhere"):
        load_value(json.dumps(stored))


def _plan() -> tuple[Node, ...]:
    guard = Guard(Not(Compare("<", Ref("a", ("value", 0)), Const(1.5))), False)
    return (
        Node(
            id="a",
            name="a",
            op=ToolCall(
                "search",
                (
                    (
                        "query",
                        Template(("x ", Field(Ref("b"), ".2f"))),
                    )
                ),
            ),
        ),
        Node(
            id="m",
            name="m",
            op=Map("x", ListOf((Const(1), Ref("a"))), ToolCall("f", (("x", Ref("x")),)), "collect"),
        ),
        Node(
            id="t", op=Think(Const("why?"), (Ref("a"),), "direct", (("n", 3), ("x", None))), guards=(guard,)
        ),
        Node(
            id="q",
            op=Ask(Const("")),
            guards=(Guard(AllOf((Ref("a"), AnyOf(()))), True),),
            round=2,
            line=7,
            source="é",
        ),
        Node(
            id="r", op=Answer((DictOf((("k", Const(None)), ("l", Const(True)))),)), tags=frozenset({"b", "a"})
        ),
    )


def test_plans_come_back_exactly() -> None:
    patch = GraphPatch(base_version=3, add=_plan(), cancel=("z",), reason="why")
    assert load_patch(dump_patch(patch, running=("p",))) == (patch, ("p",))
    used = {type(part).__name__ for node in _plan() for part in _parts(node)}
    known = {
        name for name, one in vars(nodes).items() if isinstance(one, type) and dataclasses.is_dataclass(one)
    }
    assert used == known, "a new part of plans is to be added here"


def _parts(value: Any) -> list[Any]:
    if dataclasses.is_dataclass(value):
        return [value, *(part for f in dataclasses.fields(value) for part in _parts(getattr(value, f.name)))]
    if isinstance(value, tuple):
        return [part for item in value for part in _parts(item)]
    return []


# The file.


@pytest.fixture
def journal(tmp_path: Path):
    with Journal(tmp_path / "deep" / "journal.db") as journal:
        yield journal


def settle(log: RunLog, node: str, value: Any = 1) -> None:
    log.settled(node, state="done", value=value, error=None, started=0.5, finished=1.5, usage=Usage(calls=1))


def fill(journal: Journal, run: str, *, value: Any = "v", nodes: int = 3) -> None:
    log = start_run(journal, run, question="q", spec={})
    log.begin()
    for number in range(nodes):
        settle(log, f"n{number}", value)
    log.finish("answered", "a")


def test_a_run_is_read_as_it_was_written(journal: Journal) -> None:
    log = start_run(journal, "run1", question="why?", spec={"engine": "e"})
    assert log.begin() is None
    log.patched(GraphPatch(base_version=0, add=_plan()), at=0.1, running=())
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
    (past,) = again.pasts
    assert past.planned and not past.over and past.until == 2.0
    assert past.records[0] == Patched(GraphPatch(base_version=0, add=_plan()), 0.1)
    assert past.known["a"] == Settled("a", "done", Fact("K2", 8611.0), None, 0.5, 1.5, Usage(calls=1))
    assert past.known["b"].error == "no"
    assert journal.find("run1").status == "running"
    again.finish("answered", "because")
    assert (journal.find("run1").status, journal.find("run1").answer) == ("answered", "because")


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
    assert log.pasts[0].known["n2"].value == large
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
        assert {node: s.value for node, s in log.pasts[0].known.items()} == {f"n{i}": i for i in range(200)}
        log.close()


def test_space_grows_with_the_number_of_nodes(tmp_path: Path) -> None:
    sizes: list[int] = []
    for count in (1_000, 10_000):
        with Journal(tmp_path / f"{count}.db") as journal:
            fill(journal, "run", nodes=count)
            sizes.append(journal.size())
    assert sizes[1] < 11 * sizes[0]


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
    assert log.recall("k1") is not None and log.recall("k1").value == Fact("paid", 3.0)  # pyright: ignore[reportOptionalMemberAccess]
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


def test_results_of_pure_tools_outlive_the_process(journal: Journal) -> None:
    results = StoredResults(journal)
    results.put("k", Fact("K2", 8611.0))
    results.put("none", None)
    results.put("lost", object())
    assert results.get("k") == Cached(Fact("K2", 8611.0)) and results.get("none") == Cached(None)
    assert results.get("lost") is None and results.get("other") is None
    journal.prune(older_than=3600)
    assert results.get("k") is not None
    journal.prune(older_than=-1)
    assert results.get("k") is None


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
    assert again.pasts[0].known["a"].error == half
    again.close()


# What goes wrong.


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
        assert log.pasts[0].known["xs[1]"].value == 4
        assert log.recall("0123456789ab:note") == Recorded("done", value="noted 4")
        log.close()


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
    assert list(again.pasts[0].known) == ["a"], "what was there before is whole"
    again.close()


def test_a_locked_file_is_named(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal._db.execute("PRAGMA busy_timeout = 20")  # pyright: ignore[reportPrivateUsage]
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another process has kept it locked"):
        start_run(journal, "run1")
    other.execute("ROLLBACK")
    other.close()
    start_run(journal, "run1").close()


# Secrets.


def test_secrets_of_the_environment_are_told_by_their_names() -> None:
    environment = {
        "OPENAI_API_KEY": "sk-12345678",
        "GITHUB_TOKEN": "ghp_12345678",
        "DB_PASSWORD": "hunter2hunter2",
        "SHORT_KEY": "abc",
        "PATH": "/usr/bin:/bin",
        "TOKENIZERS_PARALLELISM": "falsefalse",
    }
    assert set(secrets_of(environment)) == {"sk-12345678", "ghp_12345678", "hunter2hunter2"}
    addresses = {"DATABASE_URL": "postgres://braid:s3cretpass@db:5432/x", "PWD": "/home/somebody/braid"}
    assert secrets_of({**addresses, "HOME_PAGE": "https://example.org:8000/a@b"}) == ["s3cretpass"]


def everything(journal: Journal) -> str:
    """All that the file holds, as SQL."""
    db = sqlite3.connect(journal.path)
    text = "\n".join(db.iterdump())
    db.close()
    return text


def test_secrets_never_reach_the_file(journal: Journal) -> None:
    @tool(effect="mutating")
    def login(user: str, password: SecretStr, token: SecretStr | None = None) -> str:
        """Log in."""
        return user

    arguments = secret_arguments([login.spec])
    assert arguments == {"login": frozenset({"password", "token"})}
    key, word = 'sk-abc"def/ä12345', "hunter2"
    log = start_run(
        journal,
        "run1",
        question=f"log in with {word} and {key}",
        spec={"engine": key},
        secrets=Secrets([key]),
        secret_arguments=arguments,
    )
    log.begin()
    for place, piece in enumerate(('login("me", ', '"hun', 'ter2")')):
        log.event(Envelope(run="run1", seq=place, at=0.0, event=PlannerText(text=piece)))
    log.flush()
    node = Node(
        id="n",
        op=ToolCall("login", (("user", Const("me")), ("password", Const(word)))),
        source=f'login("me", "{word}")',
    )
    log.patched(GraphPatch(base_version=0, add=(node,)), at=0.0, running=())
    log.started("k", node="n", tool="login", args={"user": "me", "password": word}, effect="mutating")
    settle(log, "n", f"logged in with {key}")
    log.finished("k", [key])
    log.failed("k", f"wrong: {key}")
    log.finish("answered", f"used {key} and {word}")
    files = [journal.path, journal.path.with_name(journal.path.name + "-wal")]
    text = everything(journal) + "".join(
        file.read_bytes().decode("latin-1") for file in files if file.exists()
    )
    for part in (key, key.encode().decode("latin-1"), json.dumps(key)[1:-1], word, "hun", "ter2"):
        assert part not in text
    again = resume_run(journal, journal.find("run1"))
    again.load()
    assert again.pasts[0].known["n"].lost is not None
    again.close()
