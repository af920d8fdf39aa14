"""What options a tool may have: refused where the tool is defined, with what to change."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast

from braid.executors.tools.effects import Effect
from braid.executors.tools.errors import ToolDefinitionError
from braid.executors.tools.hedge import HedgeAfter, read_quantile
from braid.executors.tools.retry import RetryOn

RESERVED: Final = frozenset({"answer", "ask", "think"})
"""Names that mean something else in the plan language."""

CacheUse: TypeAlias = Literal["never", "run", "always"]
"""Whether a pure tool's results are used again: never, within the run, or in later runs too."""


def check_options(
    name: str,
    function: Callable[..., Any],
    *,
    effect: Effect,
    timeout: float | None,
    retries: int,
    backoff: float,
    retry_on: RetryOn | None,
    max_concurrency: int | None,
    hedge: HedgeAfter | None,
    cache: CacheUse,
    reconcile: Callable[..., Any] | None,
) -> None:
    """Raise `ToolDefinitionError` for a function or options that make no tool."""
    refuse = partial(_refuse, name)
    _check_function(name, function)
    if effect not in ("pure", "idempotent", "mutating"):
        refuse(f"effect must be 'pure', 'idempotent' or 'mutating', got {effect!r}")
    if timeout is not None and not timeout > 0:
        refuse(f"timeout must be a positive number of seconds or None, got {timeout!r}")
    if retries < 0 or backoff < 0:
        refuse(f"retries and backoff must not be negative, got {retries!r} and {backoff!r}")
    if retries and effect == "mutating" and reconcile is None:
        refuse(
            "a mutating tool is never retried; drop retries, make it idempotent (see ToolContext.idempotency_key), "
            "or give it a `reconcile` that can say whether a call happened"
        )
    if retry_on is not None and not callable(retry_on) and not _is_errors(retry_on):
        refuse(f"retry_on takes types of errors or a function of an error, got {retry_on!r}")
    if max_concurrency is not None and max_concurrency < 1:
        refuse(f"max_concurrency must be at least 1 or None, got {max_concurrency!r}")
    _check_hedge(name, hedge, effect)
    if cache not in ("never", "run", "always"):
        refuse(f"cache must be 'never', 'run' or 'always', got {cache!r}")
    if cache == "always" and effect != "pure":
        refuse(f"only results of pure tools are kept, and this one is {effect}")
    if reconcile is not None and effect != "mutating":
        refuse(f"reconcile is for mutating tools, and this one is {effect}")
    if reconcile is not None and (not callable(reconcile) or _parameters(reconcile) not in (1, 2)):
        refuse("reconcile must be a function `reconcile(key)` or `reconcile(context, key)`")


def _check_function(name: str, function: Callable[..., Any]) -> None:
    if not callable(function):
        _refuse(name, f"a tool is made of a function, got {function!r}")
    if not (name.isidentifier() and name.isascii()) or keyword.iskeyword(name):
        _refuse(name, "plans cannot call that; give it a Python identifier with name=...")
    if name in RESERVED:
        words = ", ".join(sorted(RESERVED))
        _refuse(name, f"{words} are words of the plan language; choose another with name=...")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        _refuse(name, "a tool returns one value; return a list instead of yielding")


def _check_hedge(name: str, hedge: HedgeAfter | None, effect: Effect) -> None:
    if hedge is not None:
        good = read_quantile(hedge) is not None if isinstance(hedge, str) else hedge >= 0
        if not good:
            _refuse(name, f'hedge takes seconds or a quantile such as "p95", got {hedge!r}')
        if effect == "mutating":
            _refuse(name, "a mutating tool is never hedged: both calls would happen")


def _refuse(name: str, why: str) -> NoReturn:
    raise ToolDefinitionError(f"tool {name!r}: {why}", tool=name)


def takes_context(reconcile: Callable[..., Any]) -> bool:
    """Whether it is `reconcile(context, key)`."""
    return _parameters(reconcile) == 2


def _parameters(function: Callable[..., Any]) -> int:
    """How many arguments it must be given; 0 where that cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    return len(
        [one for one in parameters if one.default is one.empty and one.kind <= one.POSITIONAL_OR_KEYWORD]
    )


def _is_errors(given: object) -> bool:
    kinds = cast("tuple[object, ...]", given) if isinstance(given, tuple) else ()
    return bool(kinds) and all(isinstance(one, type) and issubclass(one, BaseException) for one in kinds)
