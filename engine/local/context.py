"""Contexts of the local engine, and the set of those that are open."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from braid.engine.base import Context
from braid.engine.local.kv import Locks, Pool, PrefixEnd
from braid.engine.types import Usage

if TYPE_CHECKING:
    from braid.engine.local.engine import LocalEngine


class LocalContext(Context):
    """Token ids, and a locked end in the prefix tree that has the KV of the first of them.

    The KV of an idle context may be evicted when memory runs out. It is computed again from the ids when it
    is needed. The KV of a join cannot be computed again, and stays.

    Threads and loops may share it.
    """

    def __init__(
        self,
        engine: LocalEngine,
        token_ids: tuple[int, ...],
        prefix: PrefixEnd,
        num_computed_tokens: int,
        locks: Locks,
        critical_path_tokens: int,
        usage: Usage,
    ) -> None:
        self.engine = engine
        self.token_ids = token_ids
        self.prefix = prefix
        self.num_computed_tokens = num_computed_tokens
        self.locks = locks
        self._critical_path_tokens = critical_path_tokens
        self._usage = usage
        self._released = False
        self._text: str | None = None
        engine._contexts.add(self)

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self.engine.decode(self.token_ids)
        return self._text

    @property
    def adapter(self) -> str | None:
        """The adapter that reads and continues it. None: the model alone does."""
        return self.prefix.segment.adapter

    @property
    def token_count(self) -> int:
        return len(self.token_ids)

    @property
    def critical_path_tokens(self) -> int:
        return self._critical_path_tokens

    @property
    def usage(self) -> Usage:
        return self._usage

    @property
    def released(self) -> bool:
        return self._released

    def release(self) -> None:
        if not self._released:
            self._released = True
            self.engine._contexts.remove(self)

    def __repr__(self) -> str:
        state = "released" if self._released else f"{len(self.token_ids)} tokens"
        return f"<LocalContext of {self.engine.info.uri}: {state}>"


class OpenContexts:
    """The open contexts of an engine, in the order of their last use.

    It is called from the caller's thread and from the model's. The pool's mutex guards it.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._open: OrderedDict[LocalContext, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, context: LocalContext) -> None:
        with self._pool.mutex:
            self._open[context] = None

    def remove(self, context: LocalContext) -> None:
        with self._pool.mutex:
            self._open.pop(context, None)
            self._pool.release(context.locks)
            context.locks = ()

    def use(self, context: LocalContext) -> tuple[PrefixEnd, int, Locks]:
        """The end of a context's KV, the number of tokens up to it, and new locks on it for the caller."""
        with self._pool.mutex:
            if context in self._open:
                self._open.move_to_end(context)
            locks = context.prefix.locks()
            self._pool.acquire(locks)
            return context.prefix, context.num_computed_tokens, locks

    def evict_idle(self) -> bool:
        """Evict the KV of the least recently used context whose KV can be computed again.

        Returns:
            False when there is none.
        """
        with self._pool.mutex:
            for context in self._open:
                if context.num_computed_tokens and self._pool.recomputable(context.prefix):
                    self._pool.release(context.locks)
                    context.prefix, context.num_computed_tokens = self._pool.start(context.adapter), 0
                    context.locks = context.prefix.locks()
                    self._pool.acquire(context.locks)
                    return True
        return False
