"""Budgets: a tree of limits on tokens, calls and seconds, reserved and settled atomically.

A scope's spending counts against every scope above it. Work reserves its upper bound before it starts and settles what it
really used, so a hard limit is never crossed by concurrent branches; what a remote server overshoots is booked and reported.
The ambient budget is a context variable: tasks inherit it, and engines capture it before work enters their thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from engine.errors import BudgetExceededError, InvalidParamsError

_ambient: ContextVar[Budget | None] = ContextVar("braid_budget", default=None)
_COUNTED = ("tokens", "calls")


@dataclass
class Reservation:
    """A held amount. `settle` books what was used and returns the rest; leaving `with` unsettled refunds it all."""

    budget: Budget
    held: dict[str, int]
    open: bool = True

    def settle(self, **used: int) -> None:
        """Book `used` (tokens=, calls=) in place of what was held. More than was held is booked too, as overshoot."""
        if self.open:
            self.open = False
            self.budget._close(self.held, used)  # pyright: ignore[reportPrivateUsage]

    def refund(self) -> None:
        """Return everything that was held."""
        self.settle()

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.refund()


@dataclass(eq=False)
class Budget:
    """One scope. None is no limit. `seconds` runs from the moment the scope is made."""

    tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None
    name: str = "run"
    parent: Budget | None = None
    started: float = field(default_factory=time.monotonic)
    spent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    reserved: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    overshoot: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        for key in ("tokens", "calls", "seconds"):
            limit = getattr(self, key)
            if limit is not None and limit < 0:
                raise InvalidParamsError(f"budget {key} must be >= 0, got {limit!r}")
        if self.parent is not None:
            self._lock = self.parent._lock  # one lock per tree: a reservation is atomic over all its scopes

    def child(
        self, name: str, *, tokens: int | None = None, calls: int | None = None, seconds: float | None = None
    ) -> Budget:
        """A scope below this one; it can only be tighter in effect, whatever limits it is given."""
        return Budget(tokens=tokens, calls=calls, seconds=seconds, name=name, parent=self)

    def scopes(self) -> Iterator[Budget]:
        """This scope and every one above it."""
        scope: Budget | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def reserve(self, *, tokens: int = 0, calls: int = 0) -> Reservation:
        """Hold an upper bound in this scope and all above it, or raise `BudgetExceededError` and hold nothing."""
        asked = {"tokens": tokens, "calls": calls}
        with self._lock:
            self.check_time()
            for scope in self.scopes():
                for key, amount in asked.items():
                    limit: int | None = getattr(scope, key)
                    used = scope.spent[key] + scope.reserved[key]
                    if limit is not None and amount > 0 and used + amount > limit:
                        raise BudgetExceededError(
                            limit=key, scope=scope.name, allowed=limit, spent=used, asked=amount
                        )
            for scope in self.scopes():
                for key, amount in asked.items():
                    scope.reserved[key] += amount
        return Reservation(self, asked)

    def remaining(self, key: str) -> int | None:
        """What this scope and those above it still allow of `tokens` or `calls`; None is no limit."""
        with self._lock:
            rest = [
                max(0, limit - scope.spent[key] - scope.reserved[key])
                for scope in self.scopes()
                if (limit := getattr(scope, key)) is not None
            ]
        return min(rest) if rest else None

    def remaining_seconds(self) -> float | None:
        """Seconds until the first deadline of this scope and those above it; None is no deadline."""
        now = time.monotonic()
        rest = [s.seconds - (now - s.started) for s in self.scopes() if s.seconds is not None]
        return min(rest) if rest else None

    def check_time(self) -> None:
        """Raise `BudgetExceededError` when a deadline has passed."""
        now = time.monotonic()
        for scope in self.scopes():
            if scope.seconds is not None and now - scope.started > scope.seconds:
                raise BudgetExceededError(
                    limit="seconds",
                    scope=scope.name,
                    allowed=scope.seconds,
                    spent=now - scope.started,
                    asked=0,
                )

    def _close(self, held: dict[str, int], used: dict[str, int]) -> None:
        with self._lock:
            for scope in self.scopes():
                for key in _COUNTED:
                    amount = used.get(key, 0)
                    scope.reserved[key] -= held[key]
                    scope.spent[key] += amount
                    limit: int | None = getattr(scope, key)
                    if limit is not None and amount > held[key]:
                        scope.overshoot[key] = max(scope.overshoot[key], scope.spent[key] - limit, 0)


def ambient_budget() -> Budget:
    """The budget of the running task, or a fresh unlimited one."""
    return _ambient.get() or Budget(name="unlimited")


@contextmanager
def use_budget(scope: Budget) -> Iterator[Budget]:
    """Make `scope` the ambient budget of this task and those it starts."""
    token = _ambient.set(scope)
    try:
        yield scope
    finally:
        _ambient.reset(token)


@contextmanager
def budget(
    *, tokens: int | None = None, calls: int | None = None, seconds: float | None = None, name: str = "scope"
) -> Iterator[Budget]:
    """Limit everything inside the block: `with budget(tokens=5_000): ...`. Nests."""
    outer = _ambient.get()
    with use_budget(Budget(tokens=tokens, calls=calls, seconds=seconds, name=name, parent=outer)) as scope:
        yield scope
