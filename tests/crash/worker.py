"""A process that runs or resumes one task and may be killed at any moment.

Its tools write what they do into a database of their own, which stands for the world outside: what is in
there has happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from braid.engine.scripted import ScriptedEngine
from braid.executors import ToolContext, tool
from braid.executors.tools.effects import Done, NotDone
from braid.orchestrator import Agent, RunResult

PLAN = """\
xs = [fetch(i) for i in [1, 2, 3, 4]]
kept = [keep(x) for x in xs]
paid = [pay(x) for x in kept]
rest = fetch(9)
all_paid = join(paid)
if rest > 50:
    note = mail(f"paid: {all_paid}")
else:
    note = mail("nothing")
last = pay(rest)
second = mail(f"last: {last}")
answer(note, second, all_paid)
"""
ANSWER = (
    "mailed paid: receipt 10; receipt 20; receipt 30; receipt 40",
    "mailed last: receipt 90",
    "receipt 10; receipt 20; receipt 30; receipt 40",
)
CHARACTERS = 12
"""Of the plan, in each piece in which the model writes it."""

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


@tool
async def fetch(number: int) -> int:
    """Look up a number."""
    World(world).add("fetch", "", str(number))
    await asyncio.sleep(pace)
    return number * 10


@tool(effect="idempotent")
async def keep(number: int) -> int:
    """Put a number on the shelf."""
    await asyncio.sleep(pace)
    with World(world).open() as db:
        db.execute("INSERT OR REPLACE INTO shelf VALUES (?, ?)", (str(number), "kept"))
    await asyncio.sleep(pace)
    return number


@tool
def join(texts: list[str]) -> str:
    """Texts as one."""
    return "; ".join(texts)


async def paid_before(key: str) -> Done | NotDone:
    """Ask the bank."""
    value = World(world).find("pay", key)
    return NotDone() if value is None else Done(value)


@tool(effect="mutating", reconcile=paid_before)
async def pay(context: ToolContext, amount: int) -> str:
    """Pay an amount."""
    await asyncio.sleep(pace)
    World(world).add("pay", context.idempotency_key, f"receipt {amount}")
    await asyncio.sleep(pace)
    return f"receipt {amount}"


@tool(effect="mutating")
async def mail(context: ToolContext, text: str) -> str:
    """Send a mail, which nobody can find again."""
    await asyncio.sleep(pace)
    World(world).add("mail", context.idempotency_key, text)
    await asyncio.sleep(pace)
    return f"mailed {text}"


async def yes(_: object) -> bool:
    return True


async def carry_out(folder: Path, *, resume: str | None, person: bool = False) -> RunResult[object]:
    """Run the task, or go on with it. `person` can be asked whether a mail was sent, and looks it up."""
    global world
    world = folder / "world.db"

    async def ask(question: str) -> str:
        sent = [value for kind, _, value in World(world).effects() if kind == "mail"]
        assert question.startswith("mail("), question
        return "yes" if any(value[:40] in question for value in sent) else "no"

    agent = Agent(
        ScriptedEngine(PLAN, chunk=CHARACTERS, delay=pace / 8),
        tools=[fetch, keep, join, pay, mail],
        builtins=False,
        max_rounds=1,
        approve=yes,
        ask=ask if person else None,
        journal=folder / "journal.db",
    )
    async with agent:
        return await (agent.run("go") if resume is None else agent.resume(resume))


def main(folder: Path, resume: str | None, person: bool, seconds: float, told: Connection) -> None:
    """In a process of its own: tells when it begins, and, if it lives, how it ended."""
    global pace
    pace = seconds
    told.send("begin")
    result = asyncio.run(carry_out(folder, resume=resume, person=person))
    states = [(id, result.graph.state(id)) for id in result.graph.nodes]
    told.send((result.answer if result.complete else None, states))
