"""The open contexts of an engine: what they pin, and whose KV goes first when memory runs out."""

from __future__ import annotations

from collections import OrderedDict

from braid.engine.local.context import LocalContext
from braid.engine.local.kv import Pins, Pool, PrefixEnd


class OpenContexts:
    """In the order of their last use. Called from the caller's thread and the model's; the pool's lock guards it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._open: OrderedDict[LocalContext, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, context: LocalContext) -> None:
        with self._pool.lock:
            self._open[context] = None

    def remove(self, context: LocalContext) -> None:
        with self._pool.lock:
            self._open.pop(context, None)
            self._pool.unpin(context.pins)
            context.pins = ()

    def use(self, context: LocalContext) -> tuple[PrefixEnd, int, Pins]:
        """Where the KV of a context ends, how many tokens that covers, and pins on it for whoever goes on from there."""
        with self._pool.lock:
            if context in self._open:
                self._open.move_to_end(context)
            pins = context.tip.pins()
            self._pool.pin(pins)
            return context.tip, context.covered, pins

    def spill(self) -> bool:
        """Give up the KV of the context that was used the longest ago and can be read again; False when there is none."""
        with self._pool.lock:
            for context in self._open:
                if context.covered and self._pool.rebuildable(context.tip):
                    self._pool.unpin(context.pins)
                    context.tip, context.covered = PrefixEnd(self._pool.root, 0), 0
                    context.pins = context.tip.pins()
                    self._pool.pin(context.pins)
                    return True
        return False
