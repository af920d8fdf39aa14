"""Options of a tool. What makes no tool is refused where the tool is defined."""

from __future__ import annotations

import inspect
import keyword
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeAlias, TypedDict, cast, get_origin

from braid.executors.tools.effects import Effect
from braid.executors.tools.errors import ToolDefinitionError
from braid.executors.tools.hedge import HedgeAfter, read_quantile
from braid.executors.tools.retry import RetryOn

RESERVED: Final = frozenset({"answer", "ask", "decline", "join", "think"})
"""Names that mean something else in the plan language."""

CachePolicy: TypeAlias = Literal["never", "run", "always"]
"""Whether a pure tool's results are used again: never, within the run, or in later runs too."""

Reconcile: TypeAlias = Callable[..., Any]
"""`reconcile(key)` or `reconcile(context, key)`.

It returns `Done(value)` or `NotDone()` and may be asynchronous.
"""


class ToolOptionsDict(TypedDict, total=False):
    """The options that `tool` takes as keywords: the fields of `ToolOptions`."""

    name: str | None
    description: str | None
    effect: Effect
    timeout: float | None
    retries: int
    backoff: float
    retry_on: RetryOn | None
    max_concurrency: int | None
    inline: bool
    hedge: HedgeAfter | None
    cache: CachePolicy
    version: str | None
    reconcile: Reconcile | None
    examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ToolOptions:
    """How a tool may be called, and how planners see it.

    Raises:
        ToolDefinitionError: An option is out of range or contradicts the effect. The message says what to
            change.
    """

    name: str | None = None
    """What plans call the tool. The function's own name unless given."""
    description: str | None = None
    """What planners read. The first paragraph of the function's docstring unless given."""
    effect: Effect = "pure"
    """What a call does to the world.

    It decides whether calls may be retried, hedged, cached and run ahead of time.
    """
    timeout: float | None = None
    """Seconds for one attempt. Waiting for a free slot is not included. None is no limit."""
    retries: int = 0
    """Further attempts after failures that `retry_on` accepts."""
    backoff: float = 0.25
    """Longest wait before the first retry, in seconds. It doubles with each further one."""
    retry_on: RetryOn | None = None
    """Types of errors after which the call is tried again, or a function that decides.

    None is `may_retry`'s default.
    """
    max_concurrency: int | None = None
    """Most calls that run at once on one event loop. None is no limit."""
    inline: bool = False
    """Run a synchronous function on the event loop and not in a thread.

    Only for functions that take microseconds.
    """
    hedge: HedgeAfter | None = None
    """When a slow call is made once more: after so many seconds, or a quantile ("p95") of its latencies."""
    cache: CachePolicy = "run"
    """Whether results of a pure tool are used again.

    Use "never" where equal calls may come out differently, and "always" to use results in later runs too.
    """
    version: str | None = None
    """Change it when results change. A hash of the function's source unless given."""
    reconcile: Reconcile | None = None
    """Says of a mutating call whether it happened."""
    examples: tuple[str, ...] = ()
    """Calls as they would stand in a plan, shown to planners."""

    def __post_init__(self) -> None:
        if self.name is not None:
            # As Python reads the names in a plan.
            object.__setattr__(self, "name", unicodedata.normalize("NFKC", self.name))
        self._check_name()
        if self.effect not in ("pure", "idempotent", "mutating"):
            self._refuse(f"effect must be 'pure', 'idempotent' or 'mutating', got {self.effect!r}")
        if self.timeout is not None and not self.timeout > 0:
            self._refuse(f"timeout must be a positive number of seconds or None, got {self.timeout!r}")
        if self.max_concurrency is not None and self.max_concurrency < 1:
            self._refuse(f"max_concurrency must be at least 1 or None, got {self.max_concurrency!r}")
        self._check_retries()
        self._check_hedge()
        if self.cache not in ("never", "run", "always"):
            self._refuse(f"cache must be 'never', 'run' or 'always', got {self.cache!r}")
        if self.cache == "always" and self.effect != "pure":
            self._refuse(f"only results of pure tools are kept, and this one is {self.effect}")
        self._check_reconcile()

    def _check_name(self) -> None:
        name = self.name
        if name is None:
            return
        if not name.isidentifier() or keyword.iskeyword(name):
            self._refuse("plans cannot call that; give it a Python identifier with name=...")
        if name in RESERVED:
            words = ", ".join(sorted(RESERVED))
            self._refuse(f"{words} are words of the plan language; choose another with name=...")

    def _check_retries(self) -> None:
        if self.retries < 0 or self.backoff < 0:
            self._refuse(
                f"retries and backoff must not be negative, got {self.retries!r} and {self.backoff!r}"
            )
        if self.retries and self.effect == "mutating" and self.reconcile is None:
            self._refuse(
                "a mutating tool is never retried; drop retries, "
                "make it idempotent (see ToolContext.idempotency_key), "
                "or give it a `reconcile` that can say whether a call happened"
            )
        retry_on = self.retry_on
        if retry_on is not None and not callable(retry_on) and not _is_errors(retry_on):
            self._refuse(f"retry_on takes types of errors or a function of an error, got {retry_on!r}")

    def _check_hedge(self) -> None:
        hedge = self.hedge
        if hedge is None:
            return
        good = read_quantile(hedge) is not None if isinstance(hedge, str) else hedge >= 0
        if not good:
            self._refuse(f'hedge takes seconds or a quantile such as "p95", got {hedge!r}')
        if self.effect == "mutating":
            self._refuse("a mutating tool is never hedged: both calls would happen")

    def _check_reconcile(self) -> None:
        reconcile = self.reconcile
        if reconcile is None:
            return
        if self.effect != "mutating":
            self._refuse(f"reconcile is for mutating tools, and this one is {self.effect}")
        if not callable(reconcile) or _num_required(reconcile) not in (1, 2):
            self._refuse("reconcile must be a function `reconcile(key)` or `reconcile(context, key)`")
        if not takes_context(reconcile) and _names_context(reconcile):
            self._refuse("reconcile is given the key first: write `reconcile(context, key)`")

    def _refuse(self, reason: str) -> NoReturn:
        subject = "tool options" if self.name is None else f"tool {self.name!r}"
        raise ToolDefinitionError(f"{subject}: {reason}", tool=self.name)


def function_name(function: Callable[..., Any]) -> str:
    """The name of a tool whose options have none."""
    return getattr(function, "__name__", type(function).__name__)


def check_function(name: str, function: Callable[..., Any]) -> None:
    """Raise `ToolDefinitionError` for what is no function that returns one value."""
    if not callable(function):
        raise ToolDefinitionError(f"tool {name!r}: a tool is made of a function, got {function!r}", tool=name)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(
            f"tool {name!r}: a tool returns one value; return a list instead of yielding", tool=name
        )


def takes_context(reconcile: Reconcile) -> bool:
    """Whether it is `reconcile(context, key)`."""
    return _num_required(reconcile) == 2


def _num_required(function: Callable[..., Any]) -> int:
    """Number of arguments without a default. 0 where that cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    return len([p for p in parameters if p.default is p.empty and p.kind <= p.POSITIONAL_OR_KEYWORD])


def _names_context(function: Callable[..., Any]) -> bool:
    """Whether the first parameter is annotated as a `ToolContext`."""
    first = next(iter(inspect.signature(function).parameters.values()))
    kind = first.annotation
    name = kind if isinstance(kind, str) else getattr(get_origin(kind) or kind, "__name__", "")
    return name.partition("[")[0].rpartition(".")[2] == "ToolContext"


def _is_errors(given: object) -> bool:
    types = cast("tuple[object, ...]", given) if isinstance(given, tuple) else ()
    return bool(types) and all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in types)
