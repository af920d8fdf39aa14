"""Joins: what each part adds behind the context that they descend from, as ids and as KV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from braid.engine.errors import InvalidParamsError
from braid.engine.local.context import LocalContext
from braid.engine.local.kv import Pins, Pool, PrefixEnd, View
from braid.engine.local.scheduler import Read, Work, Worker

Positions = Literal["longest", "sequence"]
Piece = tuple[LocalContext, tuple[int, ...]]
"""A part that adds something, and all of its ids, the separator behind it included."""


@dataclass(frozen=True)
class Layout:
    """How parts with `shared` tokens in common stand to one another, as `LocalEngine.join` describes it."""

    shared: int
    positions: Positions
    temperature: float
    scale: float


def joined_ids(
    own: LocalContext, parts: Sequence[LocalContext], between: tuple[int, ...]
) -> tuple[tuple[int, ...], list[Piece]]:
    """The ids of a join, and its pieces. Raises `InvalidParamsError` for a part that does not descend from `own`."""
    ids = own.ids
    pieces: list[Piece] = []
    for place, part in enumerate(parts):
        if part.ids[: len(own.ids)] != own.ids:
            raise InvalidParamsError(f"part {place} does not descend from the context that is joined")
        ids += (between if place else ()) + part.ids[len(own.ids) :]
        whole = part.ids + (between if place < len(parts) - 1 else ())
        if len(whole) > len(own.ids):
            pieces.append((part, whole))
    return ids, pieces


async def join_kv(
    worker: Worker, pool: Pool, reads: Iterable[Read], layout: Layout
) -> tuple[PrefixEnd, Pins, int]:
    """Complete the KV of the parts, then put their views one behind the other.

    `reads` are made one by one as they are submitted, since each holds pins. Returns where the join ends, pinned, and how many
    tokens had to be computed.
    """
    done: list[tuple[PrefixEnd, Pins, int]] = []
    works: list[Work] = []
    total = 0
    try:
        try:
            for read in reads:
                works.append(worker.submit(read))
                total += len(read.ids)
            for work in works:
                done.append(await work.result())
        except BaseException:
            for work in works[len(done) :]:
                work.cancel()  # all at once: a second cancellation may come while the first one waits
            for work in works[len(done) :]:
                await work.drop()
            raise
        with pool.lock:
            views, position = _joined_views([tip.views() for tip, _, _ in done], layout)
            tip = pool.join(views, position)
            pins = tip.pins()
            pool.pin(pins)
    finally:
        for _, held, _ in done:
            pool.unpin(held)
    return tip, pins, total - sum(reused for _, _, reused in done)


def _joined_views(parts: Sequence[tuple[View, ...]], layout: Layout) -> tuple[tuple[View, ...], int]:
    """The views of a join, and the position where it goes on."""
    base, _ = _split(parts[0], layout.shared)
    start = max((view.position + view.length for view in base), default=0)
    joined = list(base)
    end, moved = start, 0
    for views in parts:
        _, added = _split(views, layout.shared)
        for view in added:
            joined.append(
                replace(view, shift=view.shift + moved, temperature=layout.temperature, scale=layout.scale)
            )
            end = max(end, view.position + view.length + moved)
        if layout.positions == "sequence":
            moved = end - start
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
