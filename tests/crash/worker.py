"""A process that runs or resumes one task and may be killed at any moment.

Its tools write what they do into a database of their own, which stands for the world outside: what is in
there has happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import ToolContext, tool
from braid.executors.journal import Journal
from braid.executors.scheduler import ToolCallRequest
from braid.executors.tools import Tool
from braid.executors.tools.effects import Done, NotDone
from braid.orchestrator import Agent, RunResult
from braid.orchestrator.events import RunStatus

CHARACTERS = 12
"""Of a plan, in each piece in which the model writes it."""

REFUSED = 600
"""The person refuses payments from here on."""

PAYMENTS = """\
xs = [fetch(i) for i in [1, 2, 3, 4]]
kept = [keep(x) for x in xs]
paid = [pay(x) for x in kept]
rest = fetch(9)
all_paid = as_one(paid)
if rest > 50:
    note = mail(f"paid: {all_paid}")
else:
    note = mail("nothing")
last = pay(rest)
second = mail(f"last: {last}")
answer(note, second, all_paid)
"""
REFUSALS = """\
first = pay(1)
some = [pay(x, on_error="collect") for x in [2, 601, 3]]
strict = [pay(x) for x in [4, 602, 5]]
never = [pay(x) for x in [603, 604]]
mails = [mail(x, on_error="collect") for x in ["one", "refuse this", "two"]]
last = mail(f"first: {first}")
answer(first, some[0], some[2], mails[2], last)
"""
DECLINED = """\
opaque = [conceal(i) for i in [1, 2]]
paid = [pay_concealed(x) for x in opaque]
note = mail("before the end")
rest = fetch(1)
if rest > 5:
    decline(f"no more than {note}")
late = pay(29)
answer(late)
"""
JOINED = """\
quick = fetch(1)
slow = fetch(quick)
first = join([slow, quick], policy="first")
sure = join([first, slow], policy="verified", verifier="is_ten")
paid = pay(first)
note = mail(f"sure: {sure}")
answer(paid, note)
"""
NESTED = """\
a = helper("the first")
b = helper("the second")
refused = helper("refuse this")
rest = fetch(3)
c = pay(rest)
answer(a, b, c)
"""
HELPER = {
    "the first": """\
m = [pay(x, on_error="collect") for x in [41, 641, 42]]
n = mail("from the first")
answer(m[2], n)
""",
    "the second": """\
x = fetch(5)
m = pay(x)
n = [mail(x) for x in ["of the second", "and another"]]
answer(m, n[0])
""",
    "refuse this": "answer(pay(649))\n",
}


@dataclass(frozen=True)
class Task:
    """A plan, and what must have happened at its end."""

    plan: str
    answer: tuple[str, ...]
    pays: tuple[int, ...]
    mails: tuple[str, ...]
    keeps: tuple[int, ...] = ()
    collected: tuple[str, ...] = ()
    """Parts of the answer out of lists that collect their errors: a call that is not known is one."""
    status: RunStatus = "answered"


TASKS = {
    "payments": Task(
        PAYMENTS,
        (
            "mailed paid: receipt 10; receipt 20; receipt 30; receipt 40",
            "mailed last: receipt 90",
            "receipt 10; receipt 20; receipt 30; receipt 40",
        ),
        pays=(10, 20, 30, 40, 90),
        mails=("paid: receipt 10; receipt 20; receipt 30; receipt 40", "last: receipt 90"),
        keeps=(10, 20, 30, 40),
    ),
    "refusals": Task(
        REFUSALS,
        ("receipt 1", "receipt 2", "receipt 3", "mailed two", "mailed first: receipt 1"),
        pays=(1, 2, 3, 4, 5),
        mails=("one", "two", "first: receipt 1"),
        collected=("mailed two",),
    ),
    "declined": Task(
        DECLINED,
        ("no more than mailed before the end",),
        pays=(1, 2),
        mails=("before the end",),
        status="declined",
    ),
    "joined": Task(JOINED, ("receipt 10", "mailed sure: 10"), pays=(10,), mails=("sure: 10",)),
    "nested": Task(
        NESTED,
        ("receipt 42", "mailed from the first", "receipt 50", "mailed of the second", "receipt 30"),
        pays=(41, 42, 50, 30),
        mails=("from the first", "of the second", "and another"),
    ),
}

world = Path()
pace = 0.0


class World:
    """What happened outside: one row for each effect, in the order of happening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.open() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE IF NOT EXISTS effects (kind TEXT, key TEXT, value TEXT)")
            db.execute("CREATE TABLE IF NOT EXISTS shelf (key TEXT PRIMARY KEY, value TEXT)")

    @contextlib.contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        try:
            yield db
        finally:
            db.close()

    def add(self, kind: str, key: str, value: str) -> None:
        with self.open() as db:
            db.execute("INSERT INTO effects VALUES (?, ?, ?)", (kind, key, value))

    def find(self, kind: str, key: str) -> str | None:
        with self.open() as db:
            row = db.execute("SELECT value FROM effects WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return row[0] if row else None

    def effects(self) -> list[tuple[str, str, str]]:
        with self.open() as db:
            return db.execute("SELECT kind, key, value FROM effects").fetchall()


class Concealed:
    """A value that no journal can hold."""

    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __reduce__(self) -> str:
        raise TypeError("it cannot be stored")

    def __deepcopy__(self, memo: object) -> Concealed:
        return self


@tool
async def fetch(number: int) -> int:
    """Look up a number."""
    World(world).add("fetch", "", str(number))
    await asyncio.sleep(pace)
    return number * 10


@tool
async def conceal(amount: int) -> object:
    """An amount that no journal can hold."""
    await asyncio.sleep(pace)
    return Concealed(amount)


@tool(effect="idempotent")
async def keep(number: int) -> int:
    """Put a number on the shelf."""
    await asyncio.sleep(pace)
    with World(world).open() as db:
        db.execute("INSERT OR REPLACE INTO shelf VALUES (?, ?)", (str(number), "kept"))
    await asyncio.sleep(pace)
    return number


@tool
async def is_ten(number: int) -> bool:
    """Whether a number is ten."""
    await asyncio.sleep(pace)
    return number == 10


@tool
def as_one(texts: list[str]) -> str:
    """Texts as one."""
    return "; ".join(texts)


async def paid_before(key: str) -> Done | NotDone:
    """Ask the bank."""
    await asyncio.sleep(pace)
    value = World(world).find("pay", key)
    return NotDone() if value is None else Done(value)


@tool(effect="mutating", reconcile=paid_before)
async def pay(context: ToolContext, amount: int) -> str:
    """Pay an amount."""
    await asyncio.sleep(pace)
    World(world).add("pay", context.idempotency_key, f"receipt {amount}")
    await asyncio.sleep(pace)
    return f"receipt {amount}"


@tool(effect="mutating", reconcile=paid_before)
async def pay_concealed(context: ToolContext, amount: object) -> str:
    """Pay an amount that no journal can hold."""
    assert isinstance(amount, Concealed)
    await asyncio.sleep(pace)
    World(world).add("pay", context.idempotency_key, f"receipt {amount.amount}")
    await asyncio.sleep(pace)
    return f"receipt {amount.amount}"


@tool(effect="mutating")
async def mail(context: ToolContext, text: str) -> str:
    """Send a mail, which nobody can find again."""
    await asyncio.sleep(pace)
    World(world).add("mail", context.idempotency_key, text)
    await asyncio.sleep(pace)
    return f"mailed {text}"


async def approve(request: ToolCallRequest) -> bool:
    """The person takes a while, and says the same each time."""
    await asyncio.sleep(2 * pace)
    (argument,) = request.args.values()
    if isinstance(argument, int):
        return argument < REFUSED
    return not (isinstance(argument, str) and argument.startswith("refuse"))


async def ask(question: str) -> str:
    """The person knows of each mail whether it was sent, and of nothing else."""
    await asyncio.sleep(2 * pace)
    if not question.startswith("mail("):
        return "I do not know"
    sent = [value for kind, _, value in World(world).effects() if kind == "mail"]
    return "yes" if any(f"(text={json.dumps(value)})" in question for value in sent) else "no"


def helper() -> Tool:
    """An agent that changes things, as a tool."""

    def plan(prompt: str) -> str:
        return next(plan for question, plan in HELPER.items() if f"The task:\n{question}" in prompt)

    engine = ScriptedEngine(plan, chunk=CHARACTERS, delay=pace / 8)
    agent = Agent(engine, tools=[fetch, pay, mail], builtins=False, max_rounds=1)
    return agent.as_tool("helper", "helps")


async def carry_out(
    folder: Path, task: str, *, resume: str | None, person: bool = False, budget: Budget | None = None
) -> RunResult[object]:
    """Run the task, or go on with it. `person` can be asked whether a mail was sent, and looks it up."""
    global world
    world = folder / "world.db"
    agent = Agent(
        ScriptedEngine(TASKS[task].plan, chunk=CHARACTERS, delay=pace / 8),
        tools=[fetch, keep, as_one, is_ten, conceal, pay, pay_concealed, mail, helper()],
        builtins=False,
        max_rounds=1,
        approve=approve,
        ask=ask if person else None,
        journal=Journal(folder / "journal.db"),
    )
    async with agent:
        if resume is None:
            return await agent.run("go", budget=budget)
        return await agent.resume(resume, budget=budget)


@dataclass(frozen=True)
class Start:
    """How a process begins."""

    folder: Path
    task: str
    resume: str | None = None
    person: bool = False
    calls: int | None = None
    seconds: float | None = None
    """Limits of the run from now on. None: it has none."""


@dataclass(frozen=True)
class Ending:
    """What a process told at its end."""

    status: RunStatus
    answer: str
    reason: str
    states: dict[str, str]
    seconds: float


def main(start: Start, seconds: float, told: Connection) -> None:
    """In a process of its own: tells when it begins, and, if it lives, how it ended."""
    global pace
    pace = seconds
    told.send("begin")
    budget = Budget(calls=start.calls, seconds=start.seconds)
    result = asyncio.run(
        carry_out(start.folder, start.task, resume=start.resume, person=start.person, budget=budget)
    )
    states = {id: str(result.graph.state(id)) for id in result.graph.nodes}
    told.send(Ending(result.status, result.answer, result.reason, states, result.seconds))
