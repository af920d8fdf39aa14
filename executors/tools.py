"""Tools: typed functions that a plan may call.

`@tool` reads a function's signature once (`executors.arguments`) and gives a `Tool`: a schema for planners, and `call` for the
scheduler, with checked arguments, a time limit, retries, and a cap on how many calls run at once.
"""

from __future__ import annotations

import asyncio
import inspect
import keyword
import random
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial, update_wrapper
from typing import Any, Final, Generic, Literal, NoReturn, overload

from typing_extensions import ParamSpec, TypeVar

from engine.errors import BraidError
from executors.arguments import signature_of
from executors.threads import Outcome, call_in_thread
from executors.tool_errors import (
    ToolArgumentError,
    ToolDefinitionError,
    ToolError,
    ToolTimeoutError,
    UnknownToolError,
)

__all__ = [
    "Effect",
    "OnAbandoned",
    "OnRetry",
    "Tool",
    "ToolArgumentError",
    "ToolContext",
    "ToolDefinitionError",
    "ToolError",
    "ToolSpec",
    "ToolTimeoutError",
    "UnknownToolError",
    "tool",
]

Effect = Literal["pure", "idempotent", "mutating"]
"""What calling a tool does to the world: nothing, the same thing however often, or something new each time."""

GRACE: Final = 0.25
"""Seconds that a blocking function gets to notice `ToolContext.stopping` before its thread is given up."""

MAX_BACKOFF: Final = 10.0
"""Longest wait between two attempts, in seconds."""

RESERVED: Final = frozenset({"answer", "ask", "think"})
"""Names that mean something else in the plan language."""

OnRetry = Callable[[int, BraidError, float], None]
"""Told before each wait: the number of the attempt that failed (from 1), its error, and the wait in seconds."""

OnAbandoned = Callable[[str, float], None]
"""Told when a thread would not stop: the tool's name and how long the call has run, in seconds. The thread goes on by itself."""

D = TypeVar("D", default=Any)
P = ParamSpec("P", default=...)
R = TypeVar("R", default=Any)


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """What a planner sees of a tool: JSON schemas of the argument object and of the result."""

    name: str
    description: str
    parameters: dict[str, Any]
    returns: dict[str, Any] | None = None
    effect: Effect = "pure"
    examples: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class ToolContext(Generic[D]):
    """What a call knows of its run. A tool whose first parameter is annotated with this gets it; planners never see it.

    `deps` is what the caller of the run handed in. `idempotency_key` is the same for every attempt at one node of one run, and
    differs from all others: a mutating tool passes it on to the service it calls. `attempt` counts from 1.
    """

    deps: D
    run_id: str = ""
    node_id: str = ""
    idempotency_key: str = ""
    attempt: int = 1
    stop: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def stopping(self) -> bool:
        """True once the call was cancelled or timed out: a blocking function that loops looks at this and returns."""
        return self.stop.is_set()


class Tool(Generic[P, R]):
    """A function as a tool. It can still be called as the plain function; runs use `call`.

    `spec` is what planners see. `timeout` is in seconds for one attempt, waiting for a free slot not included (None: no limit).
    `retries` counts further attempts after a failure that is not a `ToolError` of the tool's own, or a timeout.
    `max_concurrency` caps the calls that run at once on one event loop. `inline` runs a synchronous function on the event
    loop itself instead of in a thread: only for functions that are done in microseconds.
    """

    def __init__(
        self,
        function: Callable[P, Any],
        *,
        name: str | None = None,
        description: str | None = None,
        effect: Effect = "pure",
        timeout: float | None = None,
        retries: int = 0,
        backoff: float = 0.25,
        max_concurrency: int | None = None,
        inline: bool = False,
        examples: tuple[str, ...] = (),
        namespace: Mapping[str, Any] | None = None,
    ) -> None:
        given = name if name is not None else getattr(function, "__name__", type(function).__name__)
        _check_options(given, function, effect, timeout, retries, backoff, max_concurrency)
        signature = signature_of(function, tool=given, context_type=ToolContext, namespace=namespace)
        self.function: Callable[..., Any] = function
        self.signature = signature
        self.spec = ToolSpec(
            name=given,
            description=description if description is not None else signature.description,
            parameters=signature.parameters,
            returns=signature.returns,
            effect=effect,
            examples=examples,
        )
        self.timeout = timeout
        self.retries = retries
        self.backoff = backoff
        self.max_concurrency = max_concurrency
        self.inline = inline
        self._is_async = _is_async(function)
        self._slots: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )
        update_wrapper(self, function)

    @property
    def name(self) -> str:
        return self.spec.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name}({', '.join(self.spec.parameters['properties'])}) {self.spec.effect}>"

    async def call(
        self,
        args: Mapping[str, Any],
        *,
        deps: Any = None,
        context: ToolContext[Any] | None = None,
        on_retry: OnRetry | None = None,
        on_abandoned: OnAbandoned | None = None,
    ) -> R:
        """Check `args`, run the function, and return its value as it is.

        Cancelling the caller cancels an asynchronous function; a blocking one is asked to stop, and after `GRACE` seconds its
        thread is abandoned and `on_abandoned` told. An abandoned call gives its `max_concurrency` slot back: the cap must
        not turn one stuck thread into a stuck tool.

        Args:
            args: values by parameter name, coerced by the rule of `executors.arguments`.
            deps: shorthand for a `context` that has only this.

        Raises:
            ToolArgumentError: the arguments do not fit; never retried.
            ToolTimeoutError: the last attempt took longer than `timeout`.
            ToolError: the tool said so, or raised something else, which is then the `__cause__`.
            BraidError: a tool that uses an engine or a budget may raise theirs; they pass unchanged.
        """
        checked = self.signature.check(args)
        slot = nullcontext() if self.max_concurrency is None else self._slot(self.max_concurrency)
        if self.signature.context_parameter is not None and context is None:
            context = ToolContext(deps=deps)
        attempt = 1
        while True:
            try:
                async with slot:
                    return await self._attempt(checked, context, attempt, on_abandoned)
            except (ToolTimeoutError, _ToolCrash) as error:
                if attempt > self.retries:
                    raise
                delay = min(MAX_BACKOFF, self.backoff * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
                if on_retry is not None:
                    on_retry(attempt, error, delay)
            # Outside the slot: a tool that waits for its next attempt blocks nobody.
            await asyncio.sleep(delay)
            attempt += 1

    async def _attempt(
        self,
        checked: dict[str, Any],
        context: ToolContext[Any] | None,
        attempt: int,
        on_abandoned: OnAbandoned | None,
    ) -> R:
        parameter = self.signature.context_parameter
        stop: threading.Event | None = None
        if parameter is not None and context is not None:
            stop = threading.Event()
            checked = {parameter: replace(context, attempt=attempt, stop=stop), **checked}
        if not self._is_async and not self.inline:
            return await self._run_in_thread(checked, stop, on_abandoned)
        try:
            if not self._is_async:
                return self.function(**checked)
            if self.timeout is None:
                return await self.function(**checked)
            return await self._within_limit(checked, self.timeout)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise self._crash(error) from error  # nobody cancelled this call: the tool raised it by itself
        except (BraidError, KeyboardInterrupt):
            raise  # KeyboardInterrupt: on the loop's thread it may well be a person
        except BaseException as error:
            raise self._crash(error) from error

    async def _within_limit(self, checked: dict[str, Any], seconds: float) -> R:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self.function(**checked)
        except TimeoutError:
            if limit.expired():
                raise self._too_slow() from None
            raise  # the tool's own

    async def _run_in_thread(
        self, checked: dict[str, Any], stop: threading.Event | None, on_abandoned: OnAbandoned | None
    ) -> R:
        started = asyncio.get_running_loop().time()
        future = call_in_thread(partial(self.function, **checked))
        try:
            done, _ = await asyncio.wait((future,), timeout=self.timeout)
        except asyncio.CancelledError:
            await self._stop_thread(future, stop, started, on_abandoned)
            raise
        if not done:
            await self._stop_thread(future, stop, started, on_abandoned)
            raise self._too_slow()
        error = future.result().error
        if error is None:
            return future.result().value
        if isinstance(error, BraidError):
            raise error
        raise self._crash(error) from error

    async def _stop_thread(
        self,
        future: asyncio.Future[Outcome],
        stop: threading.Event | None,
        started: float,
        on_abandoned: OnAbandoned | None,
    ) -> None:
        if stop is not None:
            stop.set()
        try:
            await asyncio.wait((future,), timeout=GRACE)
        finally:
            if not future.done() and on_abandoned is not None:
                on_abandoned(self.name, asyncio.get_running_loop().time() - started)

    def _slot(self, size: int) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        slot = self._slots.get(loop)
        if slot is None:
            slot = self._slots[loop] = asyncio.Semaphore(size)
        return slot

    def _too_slow(self) -> ToolTimeoutError:
        seconds = self.timeout or 0.0
        return ToolTimeoutError(
            f"{self.name}: no result after {seconds:g} s", seconds=seconds, tool=self.name
        )

    def _crash(self, error: BaseException) -> _ToolCrash:
        said = str(error)
        kind = type(error).__name__
        return _ToolCrash(f"{self.name}: {kind}: {said}" if said else f"{self.name}: {kind}", tool=self.name)


class _ToolCrash(ToolError):
    """A tool raised something that is not a `BraidError`: the kind of failure that another attempt may mend."""


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    effect: Effect = "pure",
    timeout: float | None = None,
    retries: int = 0,
    backoff: float = 0.25,
    max_concurrency: int | None = None,
    inline: bool = False,
    examples: tuple[str, ...] = (),
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a typed function, synchronous or asynchronous: `@tool`, or `@tool(effect="mutating", timeout=30.0)`.

    The argument schema comes from the type hints, the description from the first paragraph of the docstring, and what the
    parameters mean from its `Args:` section or from `Annotated[..., Field(description=...)]`. A first parameter
    annotated `ToolContext` is injected. Synchronous functions run in a thread.

    Args:
        name: what plans call it; the function's own name unless given.
        effect: what a call does to the world; decides whether it may be retried, cached and run ahead of time. The
            default is `pure`; say `idempotent` or `mutating` when it is not so.
        timeout, retries, max_concurrency, inline: see `Tool`.
        backoff: seconds before the first retry; doubles each time, with jitter.
        examples: calls as they would stand in a plan, shown to planners.

    Raises:
        ToolDefinitionError: the function cannot be a tool; the message says what to change.
    """
    # Hints that are strings may name classes local to the function in which the tool is defined.
    frame = inspect.currentframe()
    namespace = frame.f_back.f_locals if frame is not None and frame.f_back is not None else None

    def make(target: Callable[..., Any]) -> Tool[..., Any]:
        return Tool(target, namespace=namespace, **options)

    return make if function is None else make(function)


def _is_async(function: Callable[..., Any]) -> bool:
    # An object with an asynchronous `__call__` counts too.
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _check_options(
    name: str,
    function: Callable[..., Any],
    effect: Effect,
    timeout: float | None,
    retries: int,
    backoff: float,
    max_concurrency: int | None,
) -> None:
    def refuse(why: str) -> NoReturn:
        raise ToolDefinitionError(f"tool {name!r}: {why}", tool=name)

    if not callable(function):
        refuse(f"a tool is made of a function, got {function!r}")
    if isinstance(function, Tool):
        refuse("it is a tool already")
    if not (name.isidentifier() and name.isascii()) or keyword.iskeyword(name):
        refuse("plans cannot call that; give it a Python identifier with name=...")
    if name in RESERVED:
        refuse(f"{', '.join(sorted(RESERVED))} are words of the plan language; choose another with name=...")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        refuse("a tool returns one value; return a list instead of yielding")
    if effect not in ("pure", "idempotent", "mutating"):
        refuse(f"effect must be 'pure', 'idempotent' or 'mutating', got {effect!r}")
    if timeout is not None and not timeout > 0:
        refuse(f"timeout must be a positive number of seconds or None, got {timeout!r}")
    if retries < 0 or backoff < 0:
        refuse(f"retries and backoff must not be negative, got {retries!r} and {backoff!r}")
    if retries and effect == "mutating":
        refuse(
            "a mutating tool is never retried; drop retries, or make it idempotent (see ToolContext.idempotency_key)"
        )
    if max_concurrency is not None and max_concurrency < 1:
        refuse(f"max_concurrency must be at least 1 or None, got {max_concurrency!r}")
