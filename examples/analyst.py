"""An analyst over a SQLite or CSV file. It queries the data, and computes statistics in a sandbox.

Install: pip install 'braid-agents[local]' (or plain braid-agents, to drive a server).

    python examples/analyst.py examples/data/sales.csv --column revenue     # needs no model: its statistics
    BRAID_ENGINE=openai:http://HOST:8000/v1#MODEL python examples/analyst.py shop.db "Which item sold best?"

A question needs a chat model, which BRAID_ENGINE names, because it takes SQL. The embedded model plans
look-ups only. Where the kernel refuses the sandbox, `braid doctor` says why, and BRAID_SANDBOX=best-effort
does without.

Change first: `connect` and `select`, for another database, and the limits.
"""

from __future__ import annotations

import asyncio
import csv
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from braid import Agent, BraidError, Budget, Plan, RunStream, ToolContext, tool
from braid.engine import Engine
from braid.executors import NodeFailed, NodeFinished
from braid.executors.builtin import builtin_tools
from braid.executors.tools import ToolError
from braid.planner import PlannerStatement

MOST_ROWS, MOST_NUMBERS, MOST_BYTES = 200, 50_000, 1_000_000
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
INSTRUCTIONS = """\
Look at `schema` first, and write the query in a later plan. For statistics get the values with `numbers`, \
and compute with python(f"import statistics\\nx = [{values}]\\nstatistics.stdev(x)")."""


def only_reading(action: int, *_: str | None) -> int:
    """Allow what a SELECT does."""
    return sqlite3.SQLITE_OK if action in READING else sqlite3.SQLITE_DENY


def select(context: ToolContext[Path], sql: str, most: int) -> list[dict[str, Any]]:
    """The rows of a query. It can only read, and ends when its call is stopped."""
    with closing(sqlite3.connect(f"{context.deps.resolve().as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        db.set_authorizer(only_reading)
        db.set_progress_handler(lambda: context.stopping, 10_000)
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        try:
            rows = db.execute(sql).fetchmany(most + 1)
        except sqlite3.Error as error:
            raise ToolError(f"the query failed: {error}") from error
    if len(rows) > most:
        raise ToolError(f"there are more than {most} rows; aggregate them, or add a LIMIT")
    return [dict(row) for row in rows]


@tool(timeout=5.0)
def schema(context: ToolContext[Path]) -> list[str]:
    """The tables of the data, each as the statement that made it."""
    return [
        row["sql"] for row in select(context, "select sql from sqlite_master where sql not null", MOST_ROWS)
    ]


@tool(timeout=5.0)
def query(context: ToolContext[Path], sql: str) -> list[dict[str, Any]]:
    """Run one SELECT of SQLite, for at most 200 rows. A row is a dict."""
    return select(context, sql, MOST_ROWS)


@tool(timeout=5.0)
def numbers(context: ToolContext[Path], sql: str) -> list[float]:
    """Run one SELECT of SQLite, and return the numbers of its first column."""
    firsts = [next(iter(row.values())) for row in select(context, sql, MOST_NUMBERS)]
    return [float(value) for value in firsts if isinstance(value, int | float)]


def make_agent(engine: str | Engine | None = None) -> Agent:
    """The agent. The database file is the `deps` of a run."""
    return Agent(
        engine,
        tools=[schema, query, numbers, *builtin_tools("python")],
        instructions=INSTRUCTIONS,
        max_rounds=4,
    )


def make_plan(column: str) -> Plan:
    """The statistics of a column of the table `data`, without a model."""
    plan = Plan()
    x = plan.call(numbers, f"select [{column}] from data")
    names = ("min", "max", "statistics.mean", "statistics.median", "statistics.stdev")
    calls = [plan.call("python", code=f"import statistics\nx = [{x}]\nround({name}(x), 2)") for name in names]
    plan.answer({name: call.value for name, call in zip(names, calls, strict=True)})
    return plan


def connect(file: Path, folder: str) -> Path:
    """A database file. That of a CSV file is made in `folder`, and has one table, `data`."""
    if file.suffix != ".csv":
        return file
    made = Path(folder, "data.db")
    with file.open(newline="", encoding="utf-8") as lines, closing(sqlite3.connect(made)) as db, db:
        header, *rows = csv.reader(lines)
        columns = ", ".join('"{}" numeric'.format(name.replace('"', '""')) for name in header)
        db.execute(f"create table data ({columns})")  # numeric keeps text that is no number as it is
        db.executemany(f"insert into data values ({', '.join('?' * len(header))})", rows)
    return made


async def show(events: RunStream) -> None:
    """Print statements as they are planned and results as they come, then the answer and what it cost."""
    async with events:
        async for envelope in events:
            match envelope.event:
                case PlannerStatement(source=source):
                    print(f"  plan  {source}")
                case NodeFinished(node=node, result=text, seconds=seconds):
                    print(f"  done  {node} in {seconds:.2f} s: {text[:80]}")
                case NodeFailed(node=node, error=error):
                    print(f"  fail  {node}: {error}")
                case _:
                    pass
        result = events.result
    print(result.answer if result.complete else f"{result.status}: {result.reason}\n{result.hint}")
    for name, spending in result.budget.items():
        if spending.limit is not None:
            print(f"{name}: {spending.spent:g} of {spending.limit:g}")


async def main(file: Path, *, question: str = "", column: str = "") -> None:
    """Answer a question about a file, or describe a column of it."""
    with TemporaryDirectory() as folder:
        given: dict[str, Any] = {
            "deps": connect(file, folder),
            "budget": Budget(calls=25, tokens=50_000, seconds=120),
        }
        async with make_agent() as agent:
            if column:
                await show(agent.stream_plan(make_plan(column), **given))
            else:
                await show(agent.stream(question, **given))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    asked = {"column": sys.argv[3]} if sys.argv[2] == "--column" else {"question": sys.argv[2]}
    try:
        asyncio.run(main(Path(sys.argv[1]), **asked))
    except BraidError as error:
        sys.exit(f"error: {error}")
