"""One call for equal calls: within a run by `CallMemo`, in flight too, and across runs by a `ResultCache`."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, cast

from pydantic_core import PydanticSerializationError, to_jsonable_python

from braid.executors.tools.errors import ToolError
from braid.executors.tools.spec import UsageResult
from braid.executors.values import tag_of

if TYPE_CHECKING:
    from braid.executors.tools.tool import Tool

LARGEST_KEY: Final = 100_000
"""Letters and values that the arguments of a call may have; comparing larger ones would hold up everything else."""

_SIMPLE: Final = frozenset({int, str, bool, type(None)})

OnReused: TypeAlias = Callable[[Literal["run", "earlier run"]], None]
"""Told when no call was made because its result was known, and from where."""


@dataclass(frozen=True, slots=True)
class Cached:
    """A remembered result; a box, since None is a result too."""

    value: Any


class ResultCache(Protocol):
    """Results of pure tools across runs. The key says tool, version and arguments (`braid.executors.tools.memo.result_key`)."""

    def get(self, key: str) -> Cached | None: ...

    def put(self, key: str, value: Any) -> None: ...


class MemoryResults:
    """A `ResultCache` in memory: the `size` results that were used last."""

    def __init__(self, size: int = 1024) -> None:
        self.size = size
        self._known: OrderedDict[str, Cached] = OrderedDict()

    def get(self, key: str) -> Cached | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, key: str, value: Any) -> None:
        self._known[key] = Cached(value)
        self._known.move_to_end(key)
        while len(self._known) > self.size:
            self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)


class CallMemo:
    """What the pure tools of one run were called with, and what came out.

    `results` keeps results across runs: those of tools with `cache="always"`, and with `for_all` those of every pure tool that
    takes no `ToolContext` (what a call may depend on besides its arguments is not in the key). Equal calls share one result,
    which nobody changes: what a run hands out are copies (`braid.executors.values.copies`).
    """

    def __init__(self, results: ResultCache | None = None, *, for_all: bool = False) -> None:
        self.results = results
        self.for_all = for_all
        self._known: dict[Hashable, Cached | asyncio.Future[Cached | ToolError | None]] = {}

    def remembers(self, tool: Tool) -> bool:
        """Whether equal calls of `tool` are made once. Inline tools are not: a call of theirs costs less than looking it up."""
        return tool.spec.effect == "pure" and tool.options.cache != "never" and not tool.options.inline

    async def call(
        self,
        tool: Tool,
        args: Mapping[str, Any],
        make: Callable[[], Awaitable[Any]],
        *,
        on_reused: OnReused | None = None,
    ) -> Any:
        """The result of `tool` for `args`: known, awaited from a call that is under way, or made now.

        A call that fails is not remembered, but those who waited for it fail with it; when it was cancelled, one of those
        makes it again.
        """
        key = _key_in_run(tool, args) if self.remembers(tool) else None
        if key is None:
            return await make()
        while (known := self._known.get(key)) is not None:
            if isinstance(known, Cached):
                return _reused(known, "run", on_reused)
            await asyncio.wait([known])
            outcome = known.result()
            if isinstance(outcome, ToolError):
                raise outcome
            if outcome is not None:
                return _reused(outcome, "run", on_reused)
        promise: asyncio.Future[Cached | ToolError | None]
        promise = self._known[key] = asyncio.get_running_loop().create_future()
        outcome = None
        try:
            kept = self._kept(tool, args)
            if kept is not None and (earlier := kept[0].get(kept[1])) is not None:
                outcome = earlier
                return _reused(earlier, "earlier run", on_reused)
            value = await make()
            outcome = Cached(value)
        except ToolError as error:
            outcome = error
            raise
        finally:
            if isinstance(outcome, Cached):
                self._known[key] = outcome
            else:
                del self._known[key]
            promise.set_result(outcome)
        if kept is not None:
            kept[0].put(kept[1], value)
        return value

    def _kept(self, tool: Tool, args: Mapping[str, Any]) -> tuple[ResultCache, str] | None:
        """Where the result is kept for later runs, and the key; None if it is not."""
        key = result_key(tool, args) if self.results is not None and self._is_kept(tool) else None
        return (self.results, key) if self.results is not None and key is not None else None

    def _is_kept(self, tool: Tool) -> bool:
        return tool.options.cache == "always" or (self.for_all and tool.signature.context_parameter is None)


def _reused(known: Cached, source: Literal["run", "earlier run"], on_reused: OnReused | None) -> Any:
    if on_reused is not None:
        on_reused(source)
    value = known.value
    return (
        value.value if isinstance(value, UsageResult) else value
    )  # its tokens were counted where it was made


def _key_in_run(tool: Tool, args: Mapping[str, Any]) -> Hashable:
    """A key for as long as the tool is the same; quick for what most calls have: numbers and short texts."""
    for value in args.values():
        if type(value) not in _SIMPLE:
            return result_key(tool, args)
    return tool.name, frozenset([(name, type(cast("object", value)), value) for name, value in args.items()])


def result_key(tool: Tool, args: Mapping[str, Any]) -> str | None:
    """Name, version and arguments of a call as one text; None for arguments that cannot be written down, or are too large."""
    try:
        written = _dump(_Canonical(LARGEST_KEY).of(dict(args)))
    except (PydanticSerializationError, TypeError, ValueError, RecursionError):
        return None
    digest = hashlib.blake2b(f"{tool.version}\0{written}".encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{tool.name}:{digest.hexdigest()}"


class _Canonical:
    """Values for JSON, so that what a tool can tell apart is written differently: 1, 1.0, "1", True, a tuple and a model."""

    def __init__(self, room: int) -> None:
        self.room = room

    def of(self, value: Any) -> Any:
        """Raises `ValueError` for what is larger than there is room for."""
        kind = type(cast("object", value))
        self.room -= len(value) if kind in (str, bytes) else 1
        if self.room < 0:
            raise ValueError("too large to be a key")
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        if kind in (list, tuple):
            return [kind.__name__, [self.of(item) for item in value]]
        if kind in (set, frozenset):
            return [kind.__name__, sorted(_dump(self.of(item)) for item in value)]
        if kind is dict:
            known = cast("dict[Any, Any]", value)
            if all(type(key) is str for key in known):
                return {key: self.of(item) for key, item in known.items()}
            return ["dict", sorted(_dump([self.of(key), self.of(item)]) for key, item in known.items())]
        name = tag_of(kind) or f"{kind.__module__}.{kind.__qualname__}"
        return [name, to_jsonable_python(value)]


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def version_of(function: Callable[..., Any]) -> str:
    """A version that changes with the source of `function`, but not with what that calls; its name where there is no source."""
    target = inspect.unwrap(function)
    target = getattr(target, "func", target)  # functools.partial
    try:
        text = inspect.getsource(target)
    except (OSError, TypeError):
        code = getattr(target, "__code__", None)
        text = (
            repr((code.co_code, code.co_names))
            if code is not None
            else repr(getattr(target, "__qualname__", target))
        )
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
