"""A support desk over a SQLite database. It looks orders up, and makes refunds that a person approves.

Install: pip install 'braid-agents[local]' (or plain braid-agents, to drive a server).

    python examples/support_desk.py shop.db 1042       # needs no model: refunds order 1042 if it came back
    python examples/support_desk.py shop.db resume     # goes on with the last run, if its process was killed
    BRAID_ENGINE=openai:http://HOST:8000/v1#MODEL python examples/support_desk.py shop.db "Where is 1043?"

shop.db is made with four orders if it is not there. shop.journal records the runs. A refund is stored under
its idempotency key: one that was cut off happens once, however often its run is resumed. A question needs a
chat model, which BRAID_ENGINE names. The embedded model plans look-ups only, and cannot write a reply. It
may propose a refund that nobody asked for, and you are asked before it is made.

Change first: the tables, and `refund`, which would hand its key on to your payment provider.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from pydantic import BaseModel

from braid import Agent, BraidError, Plan, ToolContext, tool
from braid.engine import Engine
from braid.executors.scheduler import Approve, ToolCallRequest
from braid.executors.tools import Done, NotDone, ToolError

TABLES = """
create table orders (number integer primary key, item text, cents integer, status text);
create table refunds (key text primary key, number integer references orders, cents integer, reason text);
create view orders_now as select *, o.cents - (select coalesce(sum(cents), 0) from refunds r
    where r.number = o.number) as owed from orders o;
insert into orders values (1041, 'kettle', 3490, 'delivered'), (1042, 'lamp', 5900, 'returned'),
    (1043, 'chair', 12900, 'shipped'), (1044, 'desk', 24900, 'returned');
"""
INSTRUCTIONS = 'Refund an order only if its status is "returned". Answer in one or two friendly sentences.'


class Order(BaseModel):
    """An order as it stands. `owed` is what can still be refunded. Money is in cents."""

    number: int
    item: str
    cents: int
    status: str
    owed: int


class Reply(BaseModel):
    """What the customer is told, and the cents that were refunded."""

    text: str
    refunded: int = 0


@tool(effect="idempotent")
def find_order(context: ToolContext[Path], number: int) -> Order:
    """Look up an order: its item, price, status, and what can still be refunded."""
    with closing(sqlite3.connect(context.deps)) as db:  # one for each call: tools run in threads
        db.row_factory = sqlite3.Row
        row = db.execute("select * from orders_now where number = ?", (number,)).fetchone()
    if row is None:
        raise ToolError(f"there is no order {number}")
    return Order.model_validate(dict(row))


def was_refunded(context: ToolContext[Path], key: str) -> Done | NotDone:
    """Whether the refund of that key was made. Asked where a run was cut off in the middle of it."""
    with closing(sqlite3.connect(context.deps)) as db:
        row = db.execute("select cents from refunds where key = ?", (key,)).fetchone()
    return NotDone() if row is None else Done(row[0])


@tool(effect="mutating", reconcile=was_refunded)
def refund(context: ToolContext[Path], number: int, cents: int, reason: str) -> int:
    """Refund so many cents of an order. Returns the cents."""
    values = {"key": context.idempotency_key, "number": number, "cents": cents, "reason": reason}
    with closing(sqlite3.connect(context.deps)) as db, db:
        made = db.execute(
            "insert into refunds select :key, number, :cents, :reason from orders_now "
            "where number = :number and :cents between 1 and owed",
            values,
        )
    if made.rowcount == 0:
        raise ToolError(f"order {number} has no {cents} cents to refund; `find_order` says how many it has")
    return cents


def at_terminal(request: ToolCallRequest) -> bool:
    """Ask the person at the terminal."""
    return input(f"Allow {request.tool} {dict(request.args)}? [y/N] ").strip().lower() in ("y", "yes")


def make_agent(engine: str | Engine | None = None, *, file: Path, approve: Approve = at_terminal) -> Agent:
    """The agent, with its journal beside the database. The database is the `deps` of a run."""
    tools, journal = [find_order, refund], file.with_suffix(".journal")
    return Agent(
        engine, tools=tools, output_type=Reply, instructions=INSTRUCTIONS, approve=approve, journal=journal
    )


def make_plan(number: int) -> Plan:
    """The refund of an order that came back, without a model."""
    plan = Plan()
    order = plan.call(find_order, number)
    with plan.when((order.status == "returned") & (order.owed > 0)):
        cents = plan.call(refund, number, order.owed, "returned")
        plan.answer({"text": f"The {order.item} is refunded.", "refunded": cents})
    with plan.otherwise():
        plan.answer(
            {"text": f"Nothing is refunded: the {order.item} is {order.status}, {order.owed} cents are left."}
        )
    return plan


def main(file: Path, request: str) -> None:
    """Answer one request, or go on with the last one."""
    if not file.exists():
        with closing(sqlite3.connect(file)) as db:
            db.executescript(TABLES)
    agent = make_agent(file=file)
    if request == "resume":
        result = asyncio.run(agent.resume("last", deps=file))
    elif request.isdecimal():
        result = agent.run_plan_sync(make_plan(int(request)), deps=file)
    else:
        result = agent.run_sync(request, deps=file)
    print(result.output.model_dump_json() if result.complete else f"{result.status}: {result.reason}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except BraidError as error:
        sys.exit(f"error: {error}")
