"""The report of a run: work, critical path, speed-up, and where the time went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict

from braid.engine import Usage
from braid.executors.graph import NodeRecord, TaskGraph
from braid.executors.report.critical_path import Inputs, critical_path, inputs_of
from braid.executors.report.spans import Span, spans_of


class RunReport(BaseModel):
    """Where the time of a run went. All times are in seconds, over all runs of a graph.

    `running`, `planning` and `queueing` add up to `seconds`. They are found by going back from the node that
    ended last over what each node waited for last.
    """

    model_config = ConfigDict(frozen=True)

    work: float
    """W: sum of the nodes' durations."""
    critical_path: float
    """L: longest chain of dependent nodes. No schedule is faster."""
    parallelism: float
    """W / L: upper bound of the speed-up."""
    wall: float
    """From the first start of a node to the last end."""
    busy: float = 0.0
    """Time in which at least one node ran."""
    speedup: float
    """(planner_seconds + W) / run_seconds: first the plan and then one node at a time, over what it took.

    W / busy where the time of the whole run is not known.
    """
    efficiency: float = 1.0
    """W / busy, divided by `parallelism`: how much of what the graph allows was used while nodes ran."""
    run_seconds: float = 0.0
    """Wall time of the whole run. 0 where it is not known."""
    seconds: float = 0.0
    """From the beginning of the first run to the last end of a node."""
    running: float = 0.0
    """Durations of the nodes on the way back."""
    planning: float = 0.0
    """Time in which their inputs were there and their statements were not."""
    queueing: float = 0.0
    """Time in which they waited for a slot or a person."""
    straggling: float = 0.0
    """Part of `running` by which these nodes took longer than the median of their kind."""
    wasted: float = 0.0
    """Work of which nothing was used: of nodes that failed or were cancelled, and of hedged calls."""
    planner_seconds: float = 0.0
    """Time that writing the plan took, before or during the run."""
    nodes: int
    """Number of nodes."""
    states: dict[str, int]
    """Number of nodes in each state."""
    critical_nodes: tuple[str, ...] = ()
    """Ids of the nodes along the critical path."""
    usage: Usage = Usage()

    def text(self) -> str:
        """The report as lines for a terminal."""
        states = ", ".join(f"{count} {state}" for state, count in self.states.items())
        chain = _shortened(self.critical_nodes)
        lines = [
            f"{self.nodes} nodes ({states}); work {self.work:.3g} s, "
            f"critical path {self.critical_path:.3g} s ({chain})",
            f"{self.speedup:.2f}x over one node at a time; nodes side by side reached {self.efficiency:.0%} "
            f"of the {self.parallelism:.2f}x that this graph allows",
        ]
        if self.seconds > 0:
            shares = [
                f"{value / self.seconds:.0%} {what}"
                for what, value in (
                    ("running nodes", self.running),
                    ("waiting for the plan", self.planning),
                    ("queueing", self.queueing),
                )
            ]
            lines.append(f"{self.seconds:.3g} s in all: {', '.join(shares)}")
        if self.straggling > 0 or self.wasted > 0:
            lines.append(
                f"stragglers cost {self.straggling:.3g} s of that; {self.wasted:.3g} s of work were wasted"
            )
        if self.planner_seconds > 0:
            lines.append(f"planning took {self.planner_seconds:.3g} s")
        return "\n".join(lines)


def report_of(
    graph: TaskGraph,
    *,
    planner_seconds: float = 0.0,
    run_seconds: float = 0.0,
    usage: Usage | None = None,
) -> RunReport:
    """The report on everything that ran in `graph`.

    Args:
        graph: The graph.
        planner_seconds: Time that writing the plan took.
        run_seconds: Wall time of the whole run. 0 where it is not known.
        usage: What the whole task spent. What the nodes spent unless given.
    """
    if usage is None:
        usage = usage_of(graph, graph.entries.values())
    return report_of_spans(
        spans_of(graph), planner_seconds=planner_seconds, run_seconds=run_seconds, usage=usage
    )


def report_of_spans(
    spans: Sequence[Span],
    *,
    planner_seconds: float = 0.0,
    run_seconds: float = 0.0,
    usage: Usage | None = None,
) -> RunReport:
    """The report on nodes of which only the spans are known."""
    ran = [span for span in spans if span.ran and span.op != "map"]
    work = sum(span.seconds for span in ran)
    inputs = inputs_of(spans)
    length, chain = critical_path(spans, inputs, {span.id: span.seconds for span in spans})
    begin = min((span.started or 0.0 for span in ran), default=0.0)
    end = max((span.finished or 0.0 for span in ran), default=0.0)
    busy = _union_length([(span.started or 0.0, span.finished or 0.0) for span in ran])
    parallelism = work / length if length > 0 else 1.0
    side_by_side = work / busy if busy > 0 else 1.0
    states: dict[str, int] = {}
    for span in spans:
        states[span.state] = states.get(span.state, 0) + 1
    running, planning, queueing, straggling = _breakdown(spans, inputs)
    unused = ("failed", "cancelled", "uncertain")
    return RunReport(
        work=work,
        critical_path=length,
        parallelism=parallelism,
        wall=end - begin,
        busy=busy,
        speedup=(planner_seconds + work) / run_seconds if work > 0 and run_seconds > 0 else side_by_side,
        efficiency=side_by_side / parallelism,
        run_seconds=run_seconds,
        seconds=end,
        running=running,
        planning=planning,
        queueing=queueing,
        straggling=straggling,
        wasted=sum(span.wasted + (span.seconds if span.state in unused else 0.0) for span in spans),
        planner_seconds=planner_seconds,
        nodes=len(spans),
        states=states,
        critical_nodes=tuple(span.id for span in chain if span.seconds > 0),
        usage=usage if usage is not None else Usage(),
    )


def usage_of(graph: TaskGraph, entries: Iterable[NodeRecord]) -> Usage:
    """What `entries` spent.

    Critical-path tokens are the most along one chain of dependencies, the rest are sums.
    """
    spent = {entry.node.id: entry.usage for entry in entries if entry.usage is not None}
    total = Usage.parallel(spent.values())
    if not spent:
        return total
    spans = spans_of(graph)
    tokens = {id: float(usage.critical_path_tokens) for id, usage in spent.items()}
    longest, _ = critical_path(spans, inputs_of(spans), tokens)
    values: Mapping[str, Any] = vars(total) | {"critical_path_tokens": int(longest)}
    return Usage(**values)


def _breakdown(spans: Sequence[Span], inputs: Inputs) -> tuple[float, float, float, float]:
    """Running, planning, queueing and straggling time, going back from the last end."""
    kinds: dict[tuple[str, str | None], list[float]] = {}
    for span in spans:
        if span.ran and span.op != "map":
            kinds.setdefault((span.op, span.tool), []).append(span.seconds)
    running = planning = queueing = straggling = 0.0
    span = max((s for s in spans if s.ran), key=lambda s: (s.finished or 0.0, s.op == "map"), default=None)
    seen: set[str] = set()
    while span is not None and span.id not in seen:
        seen.add(span.id)
        started = span.started or 0.0
        # A map's own time is that of its children, which are among its inputs.
        limit = (span.finished or 0.0) if span.op == "map" else started
        read = [source for source in inputs(span) if source.ran and (source.finished or 0.0) <= limit]
        latest = max(read, key=lambda source: source.finished or 0.0, default=None)
        before = (latest.finished or 0.0) if latest is not None else 0.0
        if span.op != "map":
            ready = min(started, max(span.added, before))
            planning += ready - before
            queueing += started - ready
            running += span.seconds
            alike = kinds[span.op, span.tool]
            if len(alike) > 2:
                straggling += max(0.0, span.seconds - median(alike))
        else:
            running += limit - before  # expanding and closing the map
        span = latest
    return running, planning, queueing, straggling


def _union_length(intervals: list[tuple[float, float]]) -> float:
    """The length of the union of `intervals`."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def _shortened(ids: Sequence[str]) -> str:
    if len(ids) > 12:
        ids = [*ids[:6], "...", *ids[-5:]]
    return " -> ".join(ids) or "empty"
