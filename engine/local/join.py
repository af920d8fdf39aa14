"""Joins: what each part adds behind the context that they descend from, as ids and as KV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from braid.engine.errors import InvalidParamsError
from braid.engine.local.context import LocalContext
from braid.engine.local.kv import Locks, Pool, PrefixEnd, View
from braid.engine.local.scheduler import PrefillRequest, PrefillResult, RequestHandle, Worker

Positions = Literal["longest", "sequence"]
JoinPart = tuple[LocalContext, tuple[int, ...]]
"""A part that adds something, and all of its ids, the separator behind it included."""


@dataclass(frozen=True)
class JoinLayout:
    """Position and weight of the parts in a join. `LocalEngine.join` describes the options."""

    shared: int
    """Number of tokens that the parts have in common."""
    positions: Positions
    temperature: float
    scale: float


def joined_ids(
    ours: LocalContext, parts: Sequence[LocalContext], separator: tuple[int, ...]
) -> tuple[tuple[int, ...], list[JoinPart]]:
    """The ids of a join, and its parts.

    Raises:
        InvalidParamsError: a part does not descend from `ours`.
    """
    ids = ours.token_ids
    join_parts: list[JoinPart] = []
    for index, part in enumerate(parts):
        descends = part.token_ids[: len(ours.token_ids)] == ours.token_ids
        if not descends or part.adapter != ours.adapter:
            raise InvalidParamsError(f"part {index} does not descend from the context that is joined")
        ids += (separator if index else ()) + part.token_ids[len(ours.token_ids) :]
        all_ids = part.token_ids + (separator if index < len(parts) - 1 else ())
        if len(all_ids) > len(ours.token_ids):
            join_parts.append((part, all_ids))
    return ids, join_parts


async def join_kv(
    worker: Worker, pool: Pool, requests: Iterable[PrefillRequest], layout: JoinLayout
) -> tuple[PrefixEnd, Locks, int]:
    """Complete the KV of the parts, then concatenate their views.

    `requests` are made one by one as they are submitted, since each holds locks.

    Returns:
        The end of the join, locks on it, and the number of tokens that had to be computed.
    """
    results: list[PrefillResult] = []
    handles: list[RequestHandle] = []
    total = 0
    try:
        try:
            for request in requests:
                handles.append(worker.submit(request))
                total += len(request.token_ids)
            for handle in handles:
                results.append(await handle.result())
        except BaseException:
            for handle in handles[len(results) :]:
                handle.cancel()  # all at once: a second cancellation may come while the first one waits
            for handle in handles[len(results) :]:
                await handle.drop()
            raise
        with pool.mutex:
            views, position = _joined_views([result.prefix.views() for result in results], layout)
            prefix = pool.join(views, position, results[0].prefix.segment.adapter)
            locks = prefix.locks()
            pool.acquire(locks)
    finally:
        for result in results:
            pool.release(result.locks)
    return prefix, locks, total - sum(result.num_reused_tokens for result in results)


def _joined_views(parts: Sequence[tuple[View, ...]], layout: JoinLayout) -> tuple[tuple[View, ...], int]:
    """The views of a join, and the position where it continues."""
    base, _ = _split(parts[0], layout.shared)
    start = max((view.position + view.length for view in base), default=0)
    joined = list(base)
    end, shift = start, 0
    for views in parts:
        _, added = _split(views, layout.shared)
        for view in added:
            joined.append(
                replace(view, shift=view.shift + shift, temperature=layout.temperature, scale=layout.scale)
            )
            end = max(end, view.position + view.length + shift)
        if layout.positions == "sequence":
            shift = end - start
    return tuple(joined), end


def _split(views: tuple[View, ...], tokens: int) -> tuple[list[View], list[View]]:
    """The views of the first `tokens` tokens, and the other views."""
    first: list[View] = []
    rest: list[View] = []
    for view in views:
        here = min(max(tokens, 0), view.length)
        tokens -= here
        if here:
            first.append(replace(view, stop=view.start + here))
        if here < view.length:
            rest.append(replace(view, start=view.start + here))
    return first, rest
