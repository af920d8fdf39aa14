"""The local engine's handle on what a model has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braid.engine.base import Context
from braid.engine.types import Usage

if TYPE_CHECKING:
    from braid.engine.local.engine import LocalEngine
    from braid.engine.local.kv import Pins, PrefixEnd


class LocalContext(Context):
    """Token ids, and a pinned end in the prefix tree that has the KV of the first `covered` of them.

    The KV of an idle context may be given up when memory runs out, and is computed again from the ids when it is needed; that of
    a KV join cannot be, and stays.
    """

    def __init__(
        self,
        engine: LocalEngine,
        ids: tuple[int, ...],
        tip: PrefixEnd,
        covered: int,
        pins: Pins,
        critical: int,
        usage: Usage,
    ) -> None:
        self.engine = engine
        self.ids = ids
        self.tip = tip
        self.covered = covered
        self.pins = pins
        self._critical = critical
        self._usage = usage
        self._released = False
        self._text: str | None = None
        engine._contexts.add(self)

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self.engine.decode(self.ids)
        return self._text

    @property
    def token_ids(self) -> tuple[int, ...]:
        return self.ids

    @property
    def token_count(self) -> int:
        return len(self.ids)

    @property
    def critical_path_tokens(self) -> int:
        return self._critical

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
        state = "released" if self._released else f"{len(self.ids)} tokens"
        return f"<LocalContext of {self.engine.info.uri}: {state}>"
