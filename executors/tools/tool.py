"""Tools: typed functions that a plan may call.

`tool` makes a `Tool` of a function. Its signature is read once (`braid.executors.tools.signature`) and gives
the schema for planners. The scheduler uses `Tool.call`, which checks arguments and applies the options: time
limit, retries, hedging and a cap on concurrent calls.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial, update_wrapper
from typing import Any, Final, Generic, NoReturn, Unpack, cast, overload

from typing_extensions import ParamSpec, TypeVar

from braid.engine import BraidError, BudgetExceededError
from braid.executors.tools.effects import Done, NotDone
from braid.executors.tools.errors import (
    ToolCrashError,
    ToolDefinitionError,
    ToolTimeoutError,
    UncertainError,
    errors_in,
)
from braid.executors.tools.hedge import CancelReason, Latencies, OnHedged, hedged
from braid.executors.tools.memo import version_of
from braid.executors.tools.options import (
    ToolOptions,
    ToolOptionsDict,
    check_function,
    function_name,
    takes_context,
)
from braid.executors.tools.retry import cause_of, may_retry, retry_delay
from braid.executors.tools.signature import signature_of
from braid.executors.tools.spec import OnAbandoned, OnRetry, ToolContext, ToolSpec
from braid.executors.tools.threads import CallResult, call_in_thread
from braid.executors.values import check_size, explain, own_copies, own_copy

__all__ = ["Tool", "tool"]

_SHOWN: Final = 5
"""How many errors of a group are told."""

GRACE: Final = 0.25
"""Seconds that a blocking function gets to notice `ToolContext.stopping` before its thread is abandoned."""

P = ParamSpec("P", default=...)
R = TypeVar("R", default=Any)


_DEFAULTS: Final = ToolOptions()


class Tool(Generic[P, R]):
    """A function as a tool. It can still be called as the plain function. Runs use `call`.

    Threads and loops may share it. The bound on calls at once holds for each loop.

    Args:
        function: A typed function, synchronous or asynchronous.
        options: How it may be called.
        spec: What planners see, in place of what the function's annotations say. Arguments are then checked
            against its JSON schema, and its name, description, effect and examples take the place of those in
            `options`.
        namespace: Names that annotations written as strings may use besides the function's globals.

    Raises:
        ToolDefinitionError: The function cannot be a tool. The message says what to change.
    """

    def __init__(
        self,
        function: Callable[P, Any],
        options: ToolOptions = _DEFAULTS,
        *,
        spec: ToolSpec | None = None,
        namespace: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(function, Tool):
            name = options.name or cast("Tool", function).name
            raise ToolDefinitionError(f"tool {name!r}: it is a tool already", tool=name)
        if spec is not None:
            name = spec.name
            options = replace(
                options, name=name, description=spec.description, effect=spec.effect, examples=spec.examples
            )
        else:
            name = options.name if options.name is not None else function_name(function)
            options = replace(options, name=name)
        check_function(name, function)
        update_wrapper(self, function)
        self.function: Callable[..., Any] = function
        self.options = options
        if spec is None:
            self.signature = signature_of(function, tool=name, context_type=ToolContext, namespace=namespace)
        else:
            from braid.executors.tools.json_schema import schema_signature  # needs the extra `mcp`

            self.signature = schema_signature(spec)
        self.spec = ToolSpec(
            name=name,
            description=self.signature.description if options.description is None else options.description,
            parameters=self.signature.parameters,
            returns=self.signature.returns,
            effect=options.effect,
            examples=options.examples,
        )
        self._latencies = Latencies(options.hedge) if options.hedge is not None else None
        self._is_async = _is_async(function)
        self._slots: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )
        self.is_plain: Final = self._needs_only_its_function()
        """Whether a call needs its function and nothing else, so that the scheduler may use `call_plain`."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def is_hedged(self) -> bool:
        return self._latencies is not None

    @cached_property
    def version(self) -> str:
        """The version in the options, else a hash of the function's source.

        Kept results belong to one version.
        """
        return self.options.version if self.options.version is not None else version_of(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def _needs_only_its_function(self) -> bool:
        """Every option that makes a call more than its function must be asked about here."""
        options = self.options
        return (
            (self._is_async or options.inline)
            and options.effect != "mutating"
            and options.timeout is None
            and options.retries == 0
            and options.max_concurrency is None
            and options.hedge is None
            and self.signature.context_parameter is None
        )

    async def call_plain(self, args: Mapping[str, Any]) -> R:
        """`call` for a tool that `is_plain`, without the steps that it does not need."""
        checked = self.signature.check(args)
        if self.signature.scalars is None:
            checked = own_copies(checked)
        try:
            return self._taken(await self.function(**checked) if self._is_async else self.function(**checked))
        except (BraidError, KeyboardInterrupt, GeneratorExit):
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._crash(error)  # nobody cancelled this call: the tool raised it
        except BaseException as error:
            self._crash(error)

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
        on_hedged: OnHedged | None = None,
        charge: Callable[[], None] | None = None,
    ) -> R:
        """Check `args`, run the function on copies of them, and return a copy of its value.

        Cancelling the caller cancels an asynchronous function. A blocking one is asked to stop, and after
        `GRACE` seconds its thread is abandoned. An abandoned call gives its `max_concurrency` slot back: the
        cap must not turn one stuck thread into a stuck tool.

        Args:
            args: Values by parameter name, coerced by the rule of `braid.executors.tools.signature`.
            deps: Shorthand for a `context` that has only this.
            context: What the function is given if its first parameter is a `ToolContext`.
            on_retry: Called before each retry.
            on_abandoned: Called when a thread is abandoned.
            on_hedged: Called when a hedged call has its result.
            charge: Called before each further attempt. What it raises ends the call. A hedge that cannot be
                paid for is only left out.

        Raises:
            ToolArgumentError: The arguments do not fit. Never retried.
            ToolTimeoutError: The last attempt took longer than `timeout`.
            UncertainError: Nobody knows whether a mutating call happened.
            ToolError: The tool raised it, or something else, which is then the `__cause__`.
            ValueTooLargeError: Its result is too large. The call was made.
            BraidError: Errors of an engine or a budget that the tool uses pass unchanged.
        """
        checked = self.signature.check(args)
        slot = (
            nullcontext()
            if self.options.max_concurrency is None
            else self._slot(self.options.max_concurrency)
        )
        if self.signature.context_parameter is not None and context is None:
            context = ToolContext(deps=deps)
        attempt = 1

        async def once() -> R:
            async with slot:
                return self._taken(await self._attempt(own_copies(checked), context, attempt, on_abandoned))

        while True:
            try:
                return await (once() if self._latencies is None else self._hedged(once, charge, on_hedged))
            except BraidError as error:
                failure = error
            if self.spec.effect == "mutating" and _may_have_happened(failure):
                outcome = await self._outcome_after(failure, context)
                if isinstance(outcome, Done):
                    return outcome.value
            delay = None
            if attempt <= self.options.retries and may_retry(failure, self.options.retry_on):
                delay = retry_delay(failure, attempt=attempt, backoff=self.options.backoff)
            if delay is None:
                raise failure
            if charge is not None:
                charge()
            if on_retry is not None:
                on_retry(attempt, failure, delay)
            # Outside the slot: a tool that waits for its next attempt blocks no other call.
            await asyncio.sleep(delay)
            attempt += 1

    async def reconcile(self, context: ToolContext[Any]) -> Done | NotDone:
        """Ask the option `reconcile` whether the call of this context's idempotency key happened.

        Raises:
            UncertainError: The tool has no such option, or the function cannot say.
        """
        ask = self.options.reconcile
        if ask is None:
            raise UncertainError(f"{self.name}: whether the call happened is not known", tool=self.name)
        args = (context, context.idempotency_key) if takes_context(ask) else (context.idempotency_key,)
        try:
            async with asyncio.timeout(self.options.timeout):
                if _is_async(ask):
                    outcome = await ask(*args)
                else:
                    result = await call_in_thread(partial(ask, *args))
                    if result.error is not None:
                        raise result.error
                    outcome = result.value
        except Exception as error:
            raise UncertainError(
                f"{self.name}: whether the call happened is not known, for reconcile failed: "
                f"{type(error).__name__}: {error}",
                tool=self.name,
            ) from error
        if not isinstance(outcome, (Done, NotDone)):
            raise UncertainError(
                f"{self.name}: reconcile must return Done(value) or NotDone(), got {outcome!r:.80}",
                tool=self.name,
            )
        return outcome

    async def _outcome_after(self, failure: BraidError, context: ToolContext[Any] | None) -> Done | NotDone:
        if self.options.reconcile is None and not _is_lost(failure):
            return NotDone()  # the tool raised, which says that it did not do its job
        if self.options.reconcile is None or context is None:
            raise UncertainError(f"{failure}; whether it happened is not known", tool=self.name) from failure
        return await self.reconcile(context)

    async def _hedged(
        self, once: Callable[[], Awaitable[R]], charge: Callable[[], None] | None, on_hedged: OnHedged | None
    ) -> R:
        latencies = self._latencies
        assert latencies is not None
        began = asyncio.get_running_loop().time()
        hedge_delay = latencies.delay
        if hedge_delay is None:
            value = await once()
        else:
            value = await hedged(
                once, delay=hedge_delay, allowed=partial(_affords, charge), on_hedged=on_hedged
            )
        latencies.add(asyncio.get_running_loop().time() - began)
        return value

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
        if not self._is_async and not self.options.inline:
            return await self._run_in_thread(checked, stop, on_abandoned)
        try:
            if not self._is_async:
                return self.function(**checked)
            if self.options.timeout is None:
                return await self.function(**checked)
            return await self._within_limit(checked, self.options.timeout)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._crash(error)  # nobody cancelled this call: the tool raised it
        except (BraidError, KeyboardInterrupt):
            raise  # a KeyboardInterrupt on the loop's thread may come from a person
        except BaseException as error:
            self._crash(error)

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
            done, _ = await asyncio.wait((future,), timeout=self.options.timeout)
        except asyncio.CancelledError as error:
            # The result is known already, so nobody waits for this call.
            grace = 0.0 if error.args == (CancelReason.SLOWER,) else GRACE
            await self._stop_thread(future, stop, started, on_abandoned, grace)
            raise
        if not done:
            await self._stop_thread(future, stop, started, on_abandoned, GRACE)
            raise self._too_slow()
        error = future.result().error
        if error is None:
            return future.result().value
        if isinstance(error, BraidError):
            raise error
        self._crash(error)

    async def _stop_thread(
        self,
        future: asyncio.Future[CallResult],
        stop: threading.Event | None,
        started: float,
        on_abandoned: OnAbandoned | None,
        grace: float,
    ) -> None:
        if stop is not None:
            stop.set()
        try:
            await asyncio.wait((future,), timeout=grace)
        finally:
            if not future.done() and on_abandoned is not None:
                on_abandoned(self.name, asyncio.get_running_loop().time() - started)

    def _slot(self, size: int) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        slot = self._slots.get(loop)
        if slot is None:
            slot = self._slots[loop] = asyncio.Semaphore(size)
        return slot

    def _taken(self, value: R) -> R:
        """The run's own copy of a result."""
        check_size(value, f"the result of {self.name}", result=True)
        return own_copy(value)

    def _too_slow(self) -> ToolTimeoutError:
        seconds = self.options.timeout or 0.0
        return ToolTimeoutError(
            f"{self.name}: no result after {seconds:g} s", seconds=seconds, tool=self.name
        )

    def _crash(self, error: BaseException) -> NoReturn:
        """Raise what a call that raised `error` fails with.

        A group of errors, as a TaskGroup raises it, stands for the errors in it. If all of them are Braid's
        own, the first is raised.
        """
        causes = errors_in(error)
        if all(isinstance(cause, BraidError) for cause in causes):
            raise causes[0] from error
        shown = "; ".join(explain(cause) for cause in causes[:_SHOWN])
        more = f"; and {len(causes) - _SHOWN} more" if len(causes) > _SHOWN else ""
        raise ToolCrashError(f"{self.name}: {shown}{more}", tool=self.name) from (
            causes[0] if len(causes) == 1 else error
        )


def _may_have_happened(failure: BraidError) -> bool:
    """Whether the failure of a mutating tool leaves open what it did.

    Its own `ToolError` says that it did nothing.
    """
    return isinstance(failure, (ToolTimeoutError, ToolCrashError))


def _is_lost(failure: BraidError) -> bool:
    """Whether no reply came: the time was up, or a connection broke."""
    return isinstance(failure, ToolTimeoutError) or isinstance(cause_of(failure), (OSError, EOFError))


def _affords(charge: Callable[[], None] | None) -> bool:
    try:
        if charge is not None:
            charge()
    except BudgetExceededError:
        return False
    return True


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(**options: Unpack[ToolOptionsDict]) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **options: Unpack[ToolOptionsDict]) -> Any:
    """Make a tool of a typed function: `@tool`, or `@tool(effect="mutating", timeout=30.0)`.

    The argument schema comes from the type hints, and the description from the first paragraph of the
    docstring. The descriptions of parameters come from its `Args:` section or from `Annotated[...,
    Field(description=...)]`. A first parameter with the annotation `ToolContext` is injected. Synchronous
    functions run in a thread.

    Args:
        function: The function.
        options: The fields of `ToolOptions`.

    Raises:
        ToolDefinitionError: The function or an option makes no tool. The message says what to change.
    """
    # Hints that are strings may name local classes of the function in which the tool is defined.
    frame = inspect.currentframe()
    namespace = frame.f_back.f_locals if frame is not None and frame.f_back is not None else None

    def make(target: Callable[..., Any]) -> Tool[..., Any]:
        # With a name, the refusal of an option says which tool has it.
        name = options.get("name")
        named: ToolOptionsDict = {**options, "name": function_name(target) if name is None else name}
        return Tool(target, ToolOptions(**named), namespace=namespace)

    return make if function is None else make(function)


def _is_async(function: Callable[..., Any]) -> bool:
    # An object with an asynchronous `__call__` is asynchronous too.
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
