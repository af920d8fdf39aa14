from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from braid.executors.scheduler import ToolCallRequest
from braid.testing import ScriptedEngine
from examples.support_desk import TABLES, Reply, make_agent
from tests.support.example_process import ROOT, run_example

PLAN = """\
o = find_order(1042)
if o.status == "returned":
    r = refund(1042, o.owed, "returned")
    answer({"text": "It is done.", "refunded": r})
"""
KILLED = """\
import os, runpy, sqlite3, sys

class Dies(sqlite3.Connection):
    def close(self):
        if self.total_changes:
            os._exit(9)  # the refund is made, and nobody has heard of it
        super().close()

connect = sqlite3.connect
sqlite3.connect = lambda file, **options: connect(
    file, **options, **({"factory": Dies} if str(file) == sys.argv[1] else {})
)
runpy.run_path("examples/support_desk.py", run_name="__main__")
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(TABLES)
    return file


def refunds(shop: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(shop)) as db:
        return db.execute("select number, cents from refunds").fetchall()


def test_a_person_approves_the_refund_of_an_order_that_came_back(tmp_path: Path) -> None:
    shop = tmp_path / "shop.db"
    refused = run_example("support_desk", shop, "1042", lines="n\n")
    assert "Allow refund {'number': 1042, 'cents': 5900, 'reason': 'returned'}? [y/N]" in refused.stdout
    assert "not approved" in refused.stdout and refunds(shop) == []
    made = run_example("support_desk", shop, "1042", lines="y\n")
    assert json.loads(made.stdout.partition("[y/N] ")[2]) == {
        "text": "The lamp is refunded.",
        "refunded": 5900,
    }
    again = run_example("support_desk", shop, "1042")
    assert json.loads(again.stdout)["refunded"] == 0
    assert "the chair is shipped" in run_example("support_desk", shop, "1043").stdout
    assert refunds(shop) == [(1042, 5900)]


def test_a_refund_whose_process_was_killed_is_made_once(shop: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(shop), "1042"]
    killed = subprocess.run(command, cwd=ROOT, input="y\n", capture_output=True, text=True, check=False)
    assert killed.returncode == 9, killed.stderr
    assert refunds(shop) == [(1042, 5900)]
    for _ in range(2):
        resumed = run_example("support_desk", shop, "resume")
        assert json.loads(resumed.stdout) == {"text": "The lamp is refunded.", "refunded": 5900}, resumed
    assert refunds(shop) == [(1042, 5900)]


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_model_asks_for_a_refund_as_well(shop: Path, allowed: bool) -> None:
    asked: list[ToolCallRequest] = []

    def approve(request: ToolCallRequest) -> bool:
        asked.append(request)
        return allowed

    engine = ScriptedEngine([PLAN, 'decline("A colleague has to decide.")\n'])
    async with make_agent(engine, file=shop, approve=approve) as agent:
        result = await agent.run("My lamp came back to you, order 1042.", deps=shop)
    assert [dict(request.args) for request in asked] == [
        {"number": 1042, "cents": 5900, "reason": "returned"}
    ]
    assert result.output == (Reply(text="It is done.", refunded=5900) if allowed else None)
    assert refunds(shop) == ([(1042, 5900)] if allowed else [])


@pytest.mark.parametrize("cents", [0, -1, 5901])
async def test_no_more_than_was_paid_is_refunded(shop: Path, cents: int) -> None:
    async with make_agent(file=shop, approve=lambda _: True) as agent:
        result = await agent.run_plan(f"r = refund(1042, {cents}, 'x')\nanswer(r)\n", deps=shop)
    assert result.status == "failed" and f"has no {cents} cents" in result.reason
    assert refunds(shop) == []


async def test_refunds_at_once_do_not_pay_twice(shop: Path) -> None:
    plan = "rs = [refund(1042, c, 'x', on_error='collect') for c in [5900, 5899, 5898, 5897]]\nanswer(rs)\n"
    async with make_agent(file=shop, approve=lambda _: True) as agent:
        await agent.run_plan(plan, deps=shop, output_type=object)
    assert len(refunds(shop)) == 1
