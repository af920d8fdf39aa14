"""One call for equal calls: within a run by `CallMemo`, and across runs by a `ResultCache`."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import math
import threading
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
"""Most characters and values in the arguments of a call.

Comparing larger ones would hold up the event loop.
"""

_SIMPLE: Final = frozenset({int, str, bool, type(None)})

OnReused: TypeAlias = Callable[[Literal["run", "earlier run"]], None]
"""Called when no call was made because its result was known. The argument says from where."""


@dataclass(frozen=True, slots=True)
class Cached:
    """A remembered result. It is wrapped, because None is a result too."""

    value: Any


class ResultCache(Protocol):
    """Results of pure tools across runs, by `result_key`: tool, version and arguments."""

    def get(self, key: str) -> Cached | None: ...

    def put(self, key: str, value: Any) -> None: ...


class MemoryResults:
    """A `ResultCache` in memory. It keeps the `size` results that were used last.

    Threads and loops may share it.
    """

    def __init__(self, size: int = 1024) -> None:
        self.size = size
        self._known: OrderedDict[str, Cached] = OrderedDict()
        self._mutex = threading.Lock()

    def get(self, key: str) -> Cached | None:
        with self._mutex:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
        return found

    def put(self, key: str, value: Any) -> None:
        with self._mutex:
            self._known[key] = Cached(value)
            self._known.move_to_end(key)
            while len(self._known) > self.size:
                self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)


class CallMemo:
    """Calls of the pure tools of one run, with their results.

    Equal calls share one result. Nobody changes it: a run hands out copies (`braid.executors.values.copies`).

    It belongs to one run, and so to one event loop.

    Args:
        results: Keeps results across runs: those of tools with `cache="always"`.
        for_all: Keep results of every pure tool that takes no `ToolContext`, not only of those tools.
            Beware: a result is found by the call's arguments alone, whatever else the call depends on.
    """

    def __init__(self, results: ResultCache | None = None, *, for_all: bool = False) -> None:
        self.results = results
        self.for_all = for_all
        self._known: dict[Hashable, Cached | asyncio.Future[Cached | ToolError | None]] = {}

    def remembers(self, tool: Tool) -> bool:
        """Whether equal calls of `tool` are made once.

        Calls of inline tools cost less than looking them up.
        """
        return tool.spec.effect == "pure" and tool.options.cache != "never" and not tool.options.inline

    async def call(
        self,
        tool: Tool,
        args: Mapping[str, Any],
        make: Callable[[], Awaitable[Any]],
        *,
        on_reused: OnReused | None = None,
    ) -> Any:
        """The result of `tool` for `args`: a known one, that of a call under way, or that of a call made now.

        A failure is not remembered, but those who waited for the call fail with it. When the call was
        cancelled, one of them makes it again.

        Args:
            tool: Whose call it is.
            args: Its arguments, unchecked.
            make: Makes the call.
            on_reused: Called when no call was made.
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
        future: asyncio.Future[Cached | ToolError | None]
        future = self._known[key] = asyncio.get_running_loop().create_future()
        outcome = None
        try:
            stored = self._stored(tool, args)
            if stored is not None and (earlier := stored[0].get(stored[1])) is not None:
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
            future.set_result(outcome)
        if stored is not None:
            stored[0].put(stored[1], value)
        return value

    def _stored(self, tool: Tool, args: Mapping[str, Any]) -> tuple[ResultCache, str] | None:
        """The cache that keeps the result for later runs, and the key. None if it is not kept."""
        key = result_key(tool, args) if self.results is not None and self._is_stored(tool) else None
        return (self.results, key) if self.results is not None and key is not None else None

    def _is_stored(self, tool: Tool) -> bool:
        return tool.options.cache == "always" or (self.for_all and tool.signature.context_parameter is None)


def _reused(known: Cached, source: Literal["run", "earlier run"], on_reused: OnReused | None) -> Any:
    if on_reused is not None:
        on_reused(source)
    value = known.value
    # Its tokens were counted where it was made.
    return value.value if isinstance(value, UsageResult) else value


def _key_in_run(tool: Tool, args: Mapping[str, Any]) -> Hashable:
    """A key within one run. It is quick for what most calls have: numbers and short texts."""
    for value in args.values():
        if type(value) not in _SIMPLE:
            return result_key(tool, args)
    return tool.name, frozenset([(name, type(cast("object", value)), value) for name, value in args.items()])


def result_key(tool: Tool, args: Mapping[str, Any]) -> str | None:
    """Name, version and arguments of a call as one text.

    None for arguments that are too large or have no JSON form.
    """
    try:
        written = _dump(_CanonicalEncoder(LARGEST_KEY).encode(dict(args)))
    except (PydanticSerializationError, TypeError, ValueError, RecursionError):
        return None
    digest = hashlib.blake2b(f"{tool.version}\0{written}".encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{tool.name}:{digest.hexdigest()}"


class _CanonicalEncoder:
    """Encodes values as JSON. What a tool can tell apart differs: 1, 1.0, "1", True, a tuple and a model."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def encode(self, value: Any) -> Any:
        """The JSON form of `value`. Raises `ValueError` when the limit is exceeded."""
        kind = type(cast("object", value))
        self._left -= len(value) if kind in (str, bytes) else 1
        if self._left < 0:
            raise ValueError("too large to be a key")
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        if kind in (list, tuple):
            return [kind.__name__, [self.encode(item) for item in value]]
        if kind in (set, frozenset):
            return [kind.__name__, sorted(_dump(self.encode(item)) for item in value)]
        if kind is dict:
            known = cast("dict[Any, Any]", value)
            if all(type(key) is str for key in known):
                return {key: self.encode(item) for key, item in known.items()}
            return [
                "dict",
                sorted(_dump([self.encode(key), self.encode(item)]) for key, item in known.items()),
            ]
        name = tag_of(kind) or f"{kind.__module__}.{kind.__qualname__}"
        return [name, to_jsonable_python(value)]


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def version_of(function: Callable[..., Any]) -> str:
    """A hash of the source of `function`, or of its name where there is no source.

    What it calls is not included.
    """
    target = inspect.unwrap(function)
    target = getattr(target, "func", target)  # functools.partial
    try:
        text = inspect.getsource(target)
    except (OSError, TypeError):
        code = getattr(target, "__code__", None)
        name = getattr(target, "__qualname__", target)
        text = repr((code.co_code, code.co_names) if code is not None else name)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
