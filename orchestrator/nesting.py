"""What a run lends to the runs of agents inside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from braid.executors.journal import Journal
    from braid.executors.scheduler import Approve, AskPerson


@dataclass(frozen=True, kw_only=True)
class OuterRun:
    """The journal of the run around this one, and who answers for its person; None where it has none."""

    journal: Journal | None = None
    approve: Approve | None = None
    ask: AskPerson | None = None


NO_RUN: Final = OuterRun()

_outer: ContextVar[OuterRun] = ContextVar("braid_outer_run", default=NO_RUN)


def outer_run() -> OuterRun:
    """The run around this one, where an agent runs within another; `NO_RUN` where there is none."""
    return _outer.get()


@contextmanager
def use_outer_run(run: OuterRun) -> Iterator[None]:
    """Let agents that run within this run have what it lends."""
    token = _outer.set(run)
    try:
        yield
    finally:
        _outer.reset(token)
