"""Joins: what each part adds behind the context that they descend from, as ids and as KV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from braid.engine.errors import InvalidParamsError
from braid.engine.local.context import LocalContext
from braid.engine.local.kv import Locks, Pool, PrefixEnd, View
from braid.engine.local.scheduler import PrefillRequest, RequestHandle, Worker

Positions = Literal["longest", "sequence"]
JoinPart = tuple[LocalContext, tuple[int, ...]]
"""A part that adds something, and all of its ids, the separator behind it included."""


@dataclass(frozen=True)
class JoinLayout:
    """How parts with `shared` tokens in common stand to one another, as `LocalEngine.join` describes it."""

    shared: int
    positions: Positions
    temperature: float
    scale: float


def joined_ids(
    ours: LocalContext, parts: Sequence[LocalContext], separator: tuple[int, ...]
) -> tuple[tuple[int, ...], list[JoinPart]]:
    """The ids of a join, and its pieces. Raises `InvalidParamsError` for a part that does not descend from `ours`."""
    ids = ours.token_ids
    pieces: list[JoinPart] = []
    for place, part in enumerate(parts):
        if part.token_ids[: len(ours.token_ids)] != ours.token_ids:
            raise InvalidParamsError(f"part {place} does not descend from the context that is joined")
        ids += (separator if place else ()) + part.token_ids[len(ours.token_ids) :]
        all_ids = part.token_ids + (separator if place < len(parts) - 1 else ())
        if len(all_ids) > len(ours.token_ids):
            pieces.append((part, all_ids))
    return ids, pieces


async def join_kv(
    worker: Worker, pool: Pool, reads: Iterable[PrefillRequest], layout: JoinLayout
) -> tuple[PrefixEnd, Locks, int]:
    """Complete the KV of the parts, then put their views one behind the other.

    `reads` are made one by one as they are submitted, since each holds pins. Returns where the join ends, pinned, and how many
    tokens had to be computed.
    """
    done: list[tuple[PrefixEnd, Locks, int]] = []
    handles: list[RequestHandle] = []
    total = 0
    try:
        try:
            for read in reads:
                handles.append(worker.submit(read))
                total += len(read.token_ids)
            for handle in handles:
                done.append(await handle.result())
        except BaseException:
            for handle in handles[len(done) :]:
                handle.cancel()  # all at once: a second cancellation may come while the first one waits
            for handle in handles[len(done) :]:
                await handle.drop()
            raise
        with pool.mutex:
            views, position = _joined_views([prefix.views() for prefix, _, _ in done], layout)
            prefix = pool.join(views, position)
            locks = prefix.locks()
            pool.acquire(locks)
    finally:
        for _, held, _ in done:
            pool.release(held)
    return prefix, locks, total - sum(reused for _, _, reused in done)


def _joined_views(parts: Sequence[tuple[View, ...]], layout: JoinLayout) -> tuple[tuple[View, ...], int]:
    """The views of a join, and the position where it goes on."""
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
    """The views of the first `tokens` tokens, and the rest."""
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
