"""What a run was worth: work, critical path, parallelism, and the speed-up over running the same nodes one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from engine import Usage
from executors.entries import Entry
from executors.graph import TaskGraph


class RunReport(BaseModel):
    """Times in seconds, measured on the nodes of a graph over all its runs.

    `work` (W) is the sum of the nodes' own times; `critical_path` (L) the longest chain of them along real dependencies: no
    schedule is faster. `parallelism` is W / L, the most that parallel running can gain. `wall` runs from the first start to
    the last end of a node and `speedup` is W / wall: above 1 is what was gained over one node at a time.
    `critical_nodes` are the ids along L. `planner_seconds` is what writing the plan took, beside or before all this.
    """

    model_config = ConfigDict(frozen=True)

    work: float
    critical_path: float
    parallelism: float
    wall: float
    speedup: float
    planner_seconds: float = 0.0
    nodes: int
    states: dict[str, int]
    critical_nodes: tuple[str, ...] = ()
    usage: Usage = Usage()

    def text(self) -> str:
        """Two lines for a terminal."""
        states = ", ".join(f"{count} {state}" for state, count in self.states.items())
        return (
            f"{self.nodes} nodes ({states}); work {self.work:.3g} s, critical path {self.critical_path:.3g} s "
            f"({' -> '.join(self.critical_nodes) or 'empty'})\n"
            f"ran in {self.wall:.3g} s: {self.speedup:.2f}x over one node at a time, "
            f"{self.parallelism:.2f}x is the most this graph allows; planning {self.planner_seconds:.3g} s"
        )


def report_of(graph: TaskGraph, *, planner_seconds: float = 0.0, usage: Usage | None = None) -> RunReport:
    """The report on everything that ran in `graph`; `usage` is the whole task's where the caller knows it."""
    entries = list(graph.entries.values())
    # A map's own time is its children's: it does no work.
    ran = [e for e in entries if e.started is not None and e.finished is not None and e.children is None]
    work = sum(e.seconds for e in ran)
    length, chain = _longest(graph, entries, lambda e: 0.0 if e.children is not None else e.seconds)
    wall = max((e.finished or 0.0 for e in ran), default=0.0) - min(
        (e.started or 0.0 for e in ran), default=0.0
    )
    states: dict[str, int] = {}
    for entry in entries:
        states[entry.state] = states.get(entry.state, 0) + 1
    return RunReport(
        work=work,
        critical_path=length,
        parallelism=work / length if length > 0 else 1.0,
        wall=wall,
        speedup=work / wall if wall > 0 else 1.0,
        planner_seconds=planner_seconds,
        nodes=len(entries),
        states=states,
        critical_nodes=tuple(e.node.id for e in chain if e.seconds > 0 and e.children is None),
        usage=usage if usage is not None else usage_of(graph, entries),
    )


def usage_of(graph: TaskGraph, entries: Iterable[Entry]) -> Usage:
    """What `entries` spent: sums, but for critical-path tokens, which are the most along one chain of dependencies."""
    spent = [entry for entry in entries if entry.usage is not None]
    total = Usage.parallel(entry.usage for entry in spent if entry.usage is not None)
    if not spent:
        return total
    counted = set(spent)

    def tokens(entry: Entry) -> float:
        return entry.usage.critical_path_tokens if entry in counted and entry.usage is not None else 0

    longest, _ = _longest(graph, graph.entries.values(), tokens)
    values: Mapping[str, Any] = vars(total) | {"critical_path_tokens": int(longest)}
    return Usage(**values)


def _longest(
    graph: TaskGraph, entries: Iterable[Entry], weight: Callable[[Entry], float]
) -> tuple[float, list[Entry]]:
    """The heaviest chain of entries along what each one read, in the order in which they ended."""
    ended = [entry for entry in entries if entry.started is not None and entry.finished is not None]
    ended.sort(key=lambda e: (e.finished or 0.0, e.children is not None))  # a map ends with its last child
    best: dict[Entry, float] = {}
    before: dict[Entry, Entry | None] = {}
    for entry in ended:
        # What did not end earlier was not read: a name may have been bound anew since.
        read = [producer for producer in _producers(graph, entry) if producer in best]
        heaviest = max(read, key=best.__getitem__, default=None)
        before[entry] = heaviest
        best[entry] = weight(entry) + (best[heaviest] if heaviest is not None else 0.0)
    if not best:
        return 0.0, []
    last: Entry | None = max(best, key=best.__getitem__)
    length = best[last]
    chain: list[Entry] = []
    while last is not None:
        chain.append(last)
        last = before[last]
    return length, chain[::-1]


def _producers(graph: TaskGraph, entry: Entry) -> list[Entry]:
    """What `entry` waited for. A map's children do its work, so whoever reads the map reads them."""
    found = graph.producers(entry)
    if entry.children is not None:
        found = [*found, *entry.children]
    return found
