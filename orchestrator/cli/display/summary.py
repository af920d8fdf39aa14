"""The lines that follow an answer: time, tokens and cost of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from braid.executors.graph import NodeRecord
from braid.executors.nodes import ToolCall
from braid.executors.values import caution
from braid.orchestrator.baseline import Comparison
from braid.orchestrator.result import RunResult

_MEASURABLE: Final = 0.05
"""Least work in seconds of which a speed-up is told. Below it is the time of Braid itself."""


def report_lines(result: RunResult[object]) -> Iterator[str]:
    """Work, critical path, parallelism, speed-up and tokens, in lines of less than 80 columns.

    This speed-up is computed from the run's own times. `--compare` measures it. What was answered or declined
    at once has no report.
    """
    report, usage = result.report(), result.usage
    if report.nodes and result.status != "declined":
        states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
        yield f"{report.nodes} nodes: {states}"
        if doubtful := sum(map(_is_doubtful, result.graph.entries.values())):
            values = "looked-up value is" if doubtful == 1 else "looked-up values are"
            yield f"{doubtful} {values} unverified (from memory alone) or disputed: check"
        yield (
            f"work {report.work:.2f} s, critical path {report.critical_path:.2f} s, "
            f"parallelism {report.parallelism:.2f}"
        )
    if report.nodes or usage.calls:
        rounds = f", {result.rounds} rounds" if result.rounds > 1 else ""
        yield f"{result.seconds:.2f} s in all, {result.planning_seconds:.2f} s of it planning{rounds}"
    if report.work >= _MEASURABLE and result.seconds and result.complete:
        in_turn = result.planning_seconds + report.work
        yield (
            f"speed-up about {report.speedup:.2f}: planning, then one node at a time, "
            f"adds up to {in_turn:.2f} s"
        )
    drawn = [call for call in result.calls if call.kind == "plan"]
    if result.confidence is not None:
        yield f"{len(drawn)} plans drawn, agreement {result.confidence:.2f}"
    if usage.calls:
        yield (
            f"{usage.prompt_tokens} prompt tokens ({usage.cached_tokens} cached), "
            f"{usage.generated_tokens} generated, {usage.calls} call{'s' * (usage.calls != 1)} of the model"
        )
    cost = result.budget.get("cost")
    if cost is not None:
        yield f"cost {cost.spent:.4g}" + (f" of {cost.limit:.4g}" if cost.limit is not None else "")
    for limit, spending in result.budget.items():
        if spending.overshoot:
            yield (
                f"over budget: {spending.overshoot:g} {limit} more than allowed, "
                "for a server used more than it said"
            )


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Both sides and the ratio."""
    yield (
        f"the same plan, one node at a time: {comparison.sequential:.2f} s "
        f"({comparison.planning:.2f} planning, {comparison.one_by_one:.2f} nodes)"
    )
    yield (
        f"side by side, while planning: {comparison.side_by_side:.2f} s: "
        f"{comparison.speedup:.2f} times as fast"
    )


def _is_doubtful(entry: NodeRecord) -> bool:
    """Whether a call of this run gave a value that a reader should check."""
    return entry.node.round >= 0 and isinstance(entry.node.op, ToolCall) and bool(caution(entry.value))
