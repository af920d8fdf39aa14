"""Budgets: a tree of limits on tokens, calls, money and seconds, reserved and settled atomically.

A scope's spending counts against every scope above it. Work reserves its upper bound before it starts and
settles what it used, so concurrent branches never cross a hard limit. What a remote server overshoots is
booked and reported. A soft limit stops nothing: code that can do with less asks `pressure` and `tight`, and
reports what it left out. The ambient budget is a context variable. Tasks inherit it, and engines capture it
before work enters their thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, cast, overload

from braid.engine.checks import is_number
from braid.engine.errors import BudgetExceededError, InvalidParamsError

_ambient: ContextVar[Budget | None] = ContextVar("braid_budget", default=None)

_lock: Final = threading.Lock()
"""One lock for all scopes. A reservation is atomic over every tree that it counts in. The lock is held for a
microsecond.
"""

Counted = Literal["tokens", "calls", "cost"]
_LIMITS: Final[tuple[Counted, ...]] = ("tokens", "calls", "cost")
_MILLION: Final = 1_000_000
_DIGITS: Final = 9
"""Money is rounded to billionths after each addition, so that sums come out the same in any order."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model costs, in any currency."""

    prompt: float = 0.0
    """Price of a million tokens that are read."""
    generated: float = 0.0
    """Price of a million generated tokens."""
    cached: float | None = None
    """Price of a million prompt tokens that come from the cache. None: the price of `prompt`."""
    call: float = 0.0
    """Price of one call."""

    def __post_init__(self) -> None:
        for name in ("prompt", "generated", "cached", "call"):
            price: object = getattr(self, name)
            if not (is_number(price) and price >= 0) and (name != "cached" or price is not None):
                raise InvalidParamsError(f"price {name} must be a number >= 0, got {price!r}")

    def of(self, *, prompt: int = 0, cached: int = 0, generated: int = 0, calls: int = 0) -> float:
        """The cost of this many tokens and calls. `cached` of the `prompt` tokens came from the cache."""
        again = self.prompt if self.cached is None else self.cached
        tokens = (prompt - cached) * self.prompt + cached * again + generated * self.generated
        return round(tokens / _MILLION + calls * self.call, _DIGITS)


_FREE: Final = Price()


class NoPriceError(InvalidParamsError):
    """Money is limited, and the engine has no price. The limit could not hold."""

    wrong_usage = True

    def __init__(self, engine: str, model: str, known: Sequence[str]) -> None:
        given = f"there are prices for {', '.join(known)} only" if known else "there are no prices"
        super().__init__(
            f"cost is limited, and {engine} has no price: {given}; give one with "
            f"--price '{model}=IN/OUT' or Budget(prices={{{model!r}: Price(prompt=IN, generated=OUT)}}), "
            "in money for a million tokens (0 is a price, too)"
        )


@dataclass(frozen=True, slots=True)
class Spending:
    """Spending against one limit."""

    spent: float
    """Amount that was spent."""
    limit: float | None
    """The tightest limit. None: no limit."""
    overshoot: float
    """How far a server went beyond the limit."""


@dataclass(slots=True)
class Reservation:
    """A held amount.

    `settle` books what was used and returns the rest. Leaving `with` unsettled refunds it all.

    Threads and loops may share it.
    """

    budget: Budget
    held: dict[Counted, float]
    open: bool = True
    owner: asyncio.Task[Any] | None = None
    """The task that holds it."""

    def settle(self, *, tokens: int = 0, calls: int = 0, cost: float = 0.0) -> None:
        """Book what was used in place of what was held. What exceeds the held amount is booked too."""
        if self.open:
            self.open = False
            used: dict[Counted, float] = {"tokens": tokens, "calls": calls, "cost": cost}
            self.budget._close(self.held, used)  # pyright: ignore[reportPrivateUsage]
            if _held.pop(id(self), None):
                _wake()

    def refund(self) -> None:
        """Return everything that was held."""
        self.settle()

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.refund()


@dataclass(eq=False, slots=True)
class Budget:
    """One scope. A limit of None is no limit.

    Threads and loops may share it.
    """

    tokens: int | None = None
    """Limit of tokens."""
    calls: int | None = None
    """Limit of calls."""
    seconds: float | None = None
    """Limit of time, which runs from the moment the scope is made."""
    name: str = "run"
    """Name of the scope in errors."""
    parent: Budget | None = None
    """The scope above."""
    cost: float | None = None
    """Limit of money, in the currency of `prices`."""
    soft: float | None = None
    """Share of each limit (0 to 1) from which on the scope is `tight`. None: never."""
    prices: Mapping[str, Price] | None = None
    """Prices by engine address or model name, with `*` as in file names. Scopes below use them too. What has
    no price is free, unless `cost` is limited (`NoPriceError`).
    """
    within: Budget | None = None
    """One more scope that this one's spending counts in, for a budget given to work that already has an
    ambient one.
    """
    started: float = field(default_factory=time.monotonic)
    spent: dict[str, float] = field(default_factory=lambda: {"tokens": 0, "calls": 0})
    reserved: dict[str, float] = field(default_factory=lambda: {"tokens": 0, "calls": 0})
    overshoot: dict[str, float] = field(default_factory=lambda: {"tokens": 0, "calls": 0})
    _chain: tuple[Budget, ...] = field(default=(), init=False, repr=False)
    _timed: tuple[Budget, ...] = field(default=(), init=False, repr=False)
    _limited: dict[Counted, tuple[Budget, ...]] = field(default_factory=lambda: {}, init=False, repr=False)

    def __post_init__(self) -> None:
        for key in (*_LIMITS, "seconds"):
            limit = getattr(self, key)
            if limit is not None and not (is_number(limit) and limit >= 0):
                raise InvalidParamsError(f"budget {key} must be a number >= 0, got {limit!r}")
        if self.soft is not None and not (is_number(self.soft) and 0 <= self.soft <= 1):
            raise InvalidParamsError(f"budget soft is a share of the limits, 0 to 1, got {self.soft!r}")
        above: dict[Budget, None] = {self: None}
        for outer in (self.parent, self.within):
            if outer is not None:
                above.update(dict.fromkeys(outer._chain))
        self._chain = tuple(above)
        self._timed = tuple([scope for scope in self._chain if scope.seconds is not None])
        for key in _LIMITS:
            limited = tuple([scope for scope in self._chain if getattr(scope, key) is not None])
            if limited:
                self._limited[key] = limited

    def child(
        self,
        name: str,
        *,
        tokens: int | None = None,
        calls: int | None = None,
        seconds: float | None = None,
        cost: float | None = None,
        soft: float | None = None,
    ) -> Budget:
        """A scope below this one. Whatever its own limits, those above hold too."""
        return Budget(
            tokens=tokens, calls=calls, seconds=seconds, cost=cost, soft=soft, name=name, parent=self
        )

    def scopes(self) -> Iterator[Budget]:
        """This scope and every one above it."""
        return iter(self._chain)

    def reserve(self, *, tokens: int = 0, calls: int = 0, cost: float = 0.0) -> Reservation:
        """Hold an upper bound in this scope and all above it.

        Raises:
            BudgetExceededError: a limit does not allow it. Nothing is held then.
        """
        asked: dict[Counted, float] = {"tokens": tokens, "calls": calls}
        if cost:
            asked["cost"] = cost
        if self._timed:
            self.check_time()
        with _lock:
            if self._limited:
                self._check(asked)
            for scope in self._chain:
                for key, amount in asked.items():
                    scope.reserved[key] = _sum(scope.reserved.get(key, 0), amount)
        return Reservation(self, asked)

    async def hold(self, *, tokens: int = 0, calls: int = 0, cost: float = 0.0) -> Reservation:
        """`reserve`, which waits where a limit is reached only because others hold more than they may need.

        Raises:
            BudgetExceededError: a limit does not allow it, or only tasks that wait themselves hold anything.
        """
        task = asyncio.current_task()
        while True:
            freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            _waiting[freed] = task
            try:
                made = self.reserve(tokens=tokens, calls=calls, cost=cost)
                made.owner = task
                _held[id(made)] = made
                return made
            except BudgetExceededError as error:
                if not _may_be_freed(error):
                    _wake()  # nor do others wait for this task
                    return self.reserve(tokens=tokens, calls=calls, cost=cost)  # given back just now
                await freed
            finally:
                _waiting.pop(freed, None)

    def spend(self, *, tokens: int = 0, calls: int = 0, cost: float = 0.0) -> None:
        """Reserve and settle in one, for work whose cost is known exactly beforehand.

        Raises:
            BudgetExceededError: a limit does not allow it. Nothing is booked then.
        """
        if self._timed:
            self.check_time()
        with _lock:
            if self._limited:
                self._check({"tokens": tokens, "calls": calls, "cost": cost})
            for scope in self._chain:
                spent = scope.spent
                spent["calls"] += calls
                if tokens:
                    spent["tokens"] += tokens
                if cost:
                    spent["cost"] = _sum(spent.get("cost", 0), cost)

    def book(self, *, tokens: int = 0, calls: int = 0, cost: float = 0.0) -> None:
        """Book what was used without a reservation, for work that no scope limits."""
        self._close({}, {"tokens": tokens, "calls": calls, "cost": cost})

    @overload
    def remaining(self, key: Literal["tokens", "calls"]) -> int | None: ...

    @overload
    def remaining(self, key: Literal["cost"]) -> float | None: ...

    def remaining(self, key: Counted) -> float | None:
        """What this scope and those above it still allow of `tokens`, `calls` or `cost`. None is no limit."""
        with _lock:
            rest = [
                max(0, _sum(getattr(scope, key), -scope._used(key))) for scope in self._limited.get(key, ())
            ]
        return min(rest) if rest else None

    def remaining_seconds(self) -> float | None:
        """Seconds until the first deadline of this scope and those above it. None is no deadline."""
        now = time.monotonic()
        rest = [s.seconds - (now - s.started) for s in self._timed if s.seconds is not None]
        return min(rest) if rest else None

    def check_time(self) -> None:
        """Raise `BudgetExceededError` when a deadline has passed."""
        now = time.monotonic()
        for scope in self._timed:
            if scope.seconds is not None and now - scope.started > scope.seconds:
                raise BudgetExceededError(
                    limit="seconds",
                    scope=scope.name,
                    allowed=scope.seconds,
                    spent=now - scope.started,
                    asked=0,
                    budget=scope,
                )

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Interrupt what is in the block when the time of this scope, or of one above it, is over.

        Raises:
            BudgetExceededError: The time was over.
        """
        rest = self.remaining_seconds()
        # A little more than what remains, so that the deadline has passed for `check_time` as well.
        limit = asyncio.timeout(None if rest is None else rest + 0.005)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                self.check_time()
            raise

    def statement(self) -> dict[str, Spending]:
        """What was spent here against each limit here or above, and what was spent without a limit."""
        found: dict[str, Spending] = {}
        with _lock:
            for key in _LIMITS:
                limits: list[float] = [getattr(scope, key) for scope in self._limited.get(key, ())]
                over = max((scope.overshoot.get(key, 0) for scope in self._chain), default=0)
                if limits or self.spent.get(key, 0):
                    found[key] = Spending(self.spent.get(key, 0), min(limits, default=None), over)
        now = time.monotonic()
        allowed = [scope.seconds for scope in self._timed if scope.seconds is not None]
        found["seconds"] = Spending(now - self.started, min(allowed, default=None), 0)
        return found

    @property
    def pressure(self) -> float:
        """The largest share of any limit that is spent or reserved, here or above.

        It exceeds 1 after an overshoot.
        """
        return max((scope._share() for scope in self._chain), default=0.0)

    @property
    def tight(self) -> bool:
        """Whether a soft limit, here or above, is reached."""
        return any(scope.soft is not None and scope._share() >= scope.soft for scope in self._chain)

    @property
    def slack(self) -> float:
        """What is left between soft and hard limit. 1 until a soft limit is reached, 0 at the hard limit."""
        rest = [
            max(0.0, 1 - share) / (1 - scope.soft) if scope.soft < 1 else 0.0
            for scope in self._chain
            if scope.soft is not None and (share := scope._share()) >= scope.soft
        ]
        return min(rest, default=1.0)

    def price_of(self, *names: str) -> Price:
        """The price of an engine with these names (address, model). What has no price is free.

        Raises:
            NoPriceError: It has no price, and money is limited here or above.
        """
        for scope in self._chain:
            for pattern, price in (scope.prices or {}).items():
                if any(fnmatchcase(name, pattern) for name in names):
                    return price
        if "cost" in self._limited:
            known = dict.fromkeys(pattern for scope in self._chain for pattern in scope.prices or ())
            raise NoPriceError(names[0], names[-1], list(known))
        return _FREE

    def _share(self) -> float:
        shares = [0.0]
        for key in _LIMITS:
            limit: float | None = getattr(self, key)
            if limit is not None:
                shares.append(self._used(key) / limit if limit else 1.0)
        if self.seconds is not None:
            shares.append((time.monotonic() - self.started) / self.seconds if self.seconds else 1.0)
        return max(shares)

    def _used(self, key: Counted) -> float:
        return self.spent.get(key, 0) + self.reserved.get(key, 0)

    def _check(self, asked: Mapping[Counted, float]) -> None:
        for key, scopes in self._limited.items():
            amount = asked.get(key, 0)
            if amount <= 0:
                continue
            for scope in scopes:
                limit, used = getattr(scope, key), scope._used(key)
                if _sum(used, amount) > limit:
                    raise BudgetExceededError(
                        limit=key, scope=scope.name, allowed=limit, spent=used, asked=amount, budget=scope
                    )

    def _close(self, held: Mapping[Counted, float], used: Mapping[Counted, float]) -> None:
        with _lock:
            for scope in self._chain:
                for key in _LIMITS:
                    amount, was_held = used.get(key, 0), held.get(key, 0)
                    if was_held:
                        scope.reserved[key] = _sum(scope.reserved[key], -was_held)
                    if amount:
                        scope.spent[key] = _sum(scope.spent.get(key, 0), amount)
                    limit: float | None = getattr(scope, key)
                    if limit is not None and amount > was_held:
                        over = max(_sum(scope.spent.get(key, 0), -limit), 0)
                        scope.overshoot[key] = max(scope.overshoot.get(key, 0), over)


_held: Final[dict[int, Reservation]] = {}
"""The open reservations that `Budget.hold` has made."""
_waiting: Final[dict[asyncio.Future[None], asyncio.Task[Any] | None]] = {}
"""Who waits in `Budget.hold`. Each is woken when something is given back."""


def _may_be_freed(error: BudgetExceededError) -> bool:
    """Whether the limit would allow what was asked once all others have given back what they hold."""
    scope = error.budget
    if scope is None or error.limit == "seconds":
        return False
    limit = cast("Counted", error.limit)
    waiting = set(_waiting.values())
    with _lock:
        if _sum(scope.spent.get(limit, 0), error.asked) > error.allowed:
            return False
    return any(
        held.owner not in waiting and scope in held.budget.scopes() and held.held.get(limit)
        for held in list(_held.values())
    )


def _wake() -> None:
    for freed in list(_waiting):
        with suppress(RuntimeError):  # its loop is closed
            freed.get_loop().call_soon_threadsafe(_set, freed)


def _set(freed: asyncio.Future[None]) -> None:
    if not freed.done():
        freed.set_result(None)


def _sum(a: float, b: float) -> float:
    total = a + b
    return round(total, _DIGITS) if type(total) is float else total


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
    *,
    tokens: int | None = None,
    calls: int | None = None,
    seconds: float | None = None,
    cost: float | None = None,
    soft: float | None = None,
    prices: Mapping[str, Price] | None = None,
    name: str = "scope",
) -> Iterator[Budget]:
    """Limit everything inside the block. Budgets nest."""
    scope = Budget(
        tokens=tokens,
        calls=calls,
        seconds=seconds,
        cost=cost,
        soft=soft,
        prices=prices,
        name=name,
        parent=_ambient.get(),
    )
    with use_budget(scope):
        yield scope
