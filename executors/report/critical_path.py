"""The critical path of a run: the heaviest chain of dependent nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from braid.executors.report.spans import Span

Inputs: TypeAlias = Callable[[Span], list[Span]]
"""The spans that a node waited for."""


def inputs_of(spans: Sequence[Span]) -> Inputs:
    """A function that gives what a node waited for.

    The items of a map do its work, so a map waited for its items.
    """
    known = {span.id: span for span in spans}
    children: dict[str, list[Span]] = {}
    for span in spans:
        if span.parent is not None:
            children.setdefault(span.parent, []).append(span)

    def inputs(span: Span) -> list[Span]:
        return [*(known[id] for id in span.depends_on if id in known), *children.get(span.id, ())]

    return inputs


def critical_path(
    spans: Sequence[Span], inputs: Inputs, weights: Mapping[str, float]
) -> tuple[float, list[Span]]:
    """The heaviest chain of nodes along what each one read.

    Args:
        spans: The nodes.
        inputs: What each of them waited for.
        weights: Weight of each node by id. 0 where it is missing.

    Returns:
        The weight of the chain, and its nodes in the order in which they ended.
    """
    ended = [span for span in spans if span.ran]
    ended.sort(key=lambda span: (span.finished or 0.0, span.op == "map"))  # a map ends with its last child
    best: dict[str, float] = {}
    before: dict[str, Span | None] = {}
    for span in ended:
        # A node that did not end earlier was not read: its name was bound again since. Nor was one that was
        # cancelled, such as a part that a join did not take.
        read = [source for source in inputs(span) if source.id in best and source.state != "cancelled"]
        heaviest = max(read, key=lambda source: best[source.id], default=None)
        before[span.id] = heaviest
        best[span.id] = weights.get(span.id, 0.0) + (best[heaviest.id] if heaviest is not None else 0.0)
    last = max(ended, key=lambda span: (span.state != "cancelled", best[span.id]), default=None)
    length = best[last.id] if last is not None else 0.0
    chain: list[Span] = []
    while last is not None:
        chain.append(last)
        last = before[last.id]
    return length, chain[::-1]
