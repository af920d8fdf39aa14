from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from braid import Budget
from braid.executors import ToolAbandoned
from braid.testing import ScriptedEngine
from examples.analyst import connect, make_agent, show
from tests.support.example_process import run_example

FOREVER = "with recursive n(i) as (select 1 union all select i + 1 from n) select sum(i) from n"
PLANS = [
    "s = schema()\n",
    """\
rows = query("select region, sum(revenue) as total from data group by region order by total desc")
x = numbers("select revenue from data")
p = python(f"import statistics\\nstatistics.mean([{x}])")
answer(f"{rows[0].region} with {rows[0].total}, mean {p.value}")
""",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "sales.csv"
    file.write_text('region,revenue,"a ""b"""\nnorth,10,x\nsouth,30.5,y\nnorth,25.5,\n')
    return connect(file, str(tmp_path))


def test_a_csv_file_becomes_a_table(data: Path) -> None:
    with closing(sqlite3.connect(data)) as db:
        assert db.execute('select region, revenue, "a ""b""" from data').fetchall() == [
            ("north", 10, "x"),
            ("south", 30.5, "y"),
            ("north", 25.5, ""),
        ]


async def test_a_model_looks_at_the_schema_queries_and_computes(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(PLANS)
    agent = make_agent(engine)
    await show(agent.stream("Which region sold most?", deps=data, budget=Budget(calls=25)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["north with 35.5, mean 22", "calls: 6 of 25"]
    assert "  plan  s = schema()" in lines and sum(line.startswith("  done  ") for line in lines) == 5
    assert "create table data" in engine.calls[1].prompt.lower()


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("delete from data", "not authorized"),
        ("create table other (x)", "not authorized"),
        ("attach 'other.db' as other", "not authorized"),
        ("pragma writable_schema = 1", "not authorized"),
        ("select 1; select 2", "one statement"),
        ("select nope from data", "no such column"),
        ("select zeroblob(2000000)", "too big"),
        (f"{FOREVER.partition(' select sum')[0]} select i from n", "more than 200 rows"),
    ],
)
async def test_queries_only_read_and_are_bounded(data: Path, sql: str, why: str) -> None:
    result = await make_agent().run_plan(f"answer(query({sql!r}))\n", deps=data)
    assert result.status == "failed" and why in result.reason
    with closing(sqlite3.connect(data)) as db:
        assert db.execute("select name from sqlite_master").fetchall() == [("data",)]
        assert db.execute("select count(*) from data").fetchone() == (3,)


async def test_a_query_without_end_is_stopped_and_its_thread_ends(data: Path) -> None:
    result = await make_agent().run_plan(f"answer(query({FOREVER!r}))\n", deps=data)
    assert "no result after 5 s" in result.reason
    assert not any(isinstance(envelope.event, ToolAbandoned) for envelope in result.events)


def test_the_program_describes_a_column_without_a_model() -> None:
    ran = run_example("analyst", "examples/data/sales.csv", "--column", "revenue")
    answer, *spent = ran.stdout.splitlines()[-4:]
    assert json.loads(answer) == {
        "min": 34265,
        "max": 46282,
        "statistics.mean": 40056.88,
        "statistics.median": 40018.0,
        "statistics.stdev": 3401.39,
    }, ran.stderr
    assert spent[:2] == ["tokens: 0 of 50000", "calls: 6 of 25"]
    missing = run_example("analyst", "examples/data/sales.csv", "--column", "nope")
    assert "no such column: nope" in missing.stdout
