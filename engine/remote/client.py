"""The HTTP client: one server, its key, a cap on concurrent requests, retries, and streams.

Retried are 408, 425, 429, 5xx (but 501 and 505), refused or lost connections, and silence before the first
byte, as long as nothing of the response has been handed on. Waiting is exponential with full jitter (Brooker,
"Exponential Backoff And Jitter", 2015). `Retry-After` is honoured up to `RetryPolicy.longest_wait` and within
what the budget leaves. The key lives in a `SecretStr`. Every text that comes from the server or from httpx
passes `scrub` before it enters an error.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from pydantic import SecretStr

from braid.engine.errors import EngineConnectionError, EngineError, EngineResponseError
from braid.engine.openai_api import SSEParser, read_error, read_json
from braid.engine.remote.transport import open_transport, proxy_variable
from braid.engine.scope import Budget
from braid.engine.surrogates import mend_text
from braid.engine.system import OneLoop, retry_after
from braid.engine.types import Token

MAX_ERROR_CHARS = 500


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often to retry, and how long to wait.

    The wait before a retry is drawn uniformly below `base * 2**attempt` seconds, at most `cap`.
    """

    max_retries: int = 4
    base: float = 0.5
    cap: float = 20.0
    longest_wait: float = 90.0
    """A server that asks (Retry-After) for more seconds is not waited for."""

    def wait(self, attempt: int, asked: float | None) -> float:
        """Seconds before attempt number `attempt + 1` (the first is 0).

        Never less than the server asked for.
        """
        jitter = random.uniform(0.0, min(self.cap, self.base * 2**attempt))
        return jitter if asked is None else asked + min(jitter, 1.0)


class RejectedError(EngineResponseError):
    """The server refused the request. `reason` is its explanation in lower case."""

    def __init__(
        self, message: str, *, status: int | None, reason: str, retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status, retry_after=retry_after)
        self.reason = reason.lower()


class AttemptFailed(Exception):
    """One attempt failed.

    It stays inside this package: `Client` retries it or turns it into a typed error.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        lost: bool = False,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.lost = lost
        self.status = status
        self.retry_after = retry_after


class StreamReader(Protocol):
    """Reads one response, and starts over when the request is repeated."""

    committed: bool
    """Whether something was handed on that cannot be taken back. Nothing is retried from then on."""

    @property
    def satisfied(self) -> bool:
        """Whether the rest of the response need not be read."""
        ...

    def feed(self, payload: object) -> list[Token]: ...

    def end(self, *, done: bool) -> list[Token]:
        """The response is over. `done` says that the server said so.

        Raises:
            AttemptFailed: the response is not complete.
        """
        ...

    def reset(self) -> None: ...


def retryable_status(status: int) -> bool:
    """Whether a request that failed with this status may be repeated."""
    return status in (408, 425, 429) or (500 <= status < 600 and status not in (501, 505))


class _BearerAuth(httpx.Auth):
    """Adds the key to each request, so that no client or header object holds it in the clear."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        yield request


class Client:
    """Requests to one server. It is not bound to a model. `RemoteEngine` owns it."""

    def __init__(
        self,
        url: httpx.URL,
        *,
        shown: str,
        key: SecretStr | None,
        headers: Mapping[str, str],
        timeout: float,
        concurrency: int,
        retries: RetryPolicy,
    ) -> None:
        self.shown = shown
        self.retries = retries
        self._timeout = timeout
        self._params = url.params
        self._base = str(url.copy_with(query=None)).rstrip("/")
        private = [*headers.values(), *self._params.values()]
        self._secrets = [SecretStr(value) for value in private if len(value) >= 8]
        if key is not None:
            self._secrets.insert(0, key)
        self._slots = asyncio.Semaphore(concurrency)
        self._loop = OneLoop(f"the engine {shown}")
        self._busy: set[asyncio.Task[Any]] = set()
        self._hung_up: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._http = open_transport(
            url,
            shown=shown,
            headers=headers,
            auth=_BearerAuth(key) if key is not None else None,
            timeout=httpx.Timeout(timeout, connect=min(10.0, timeout), pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=concurrency),
        )
        self.proxy = proxy_variable(url)

    def check_open(self) -> None:
        """Raise `EngineError` after `close`, and `WrongLoopError` in another loop than the first."""
        if self._closed:
            raise EngineError(f"{self.shown}: the engine is closed")
        self._loop.check()

    def scrub(self, text: str) -> str:
        """`text` without the key and the values of the caller's own headers, mended and cut for errors."""
        text = mend_text(text)
        for secret in self._secrets:
            if secret.get_secret_value():
                text = text.replace(secret.get_secret_value(), "[redacted]")
        return text if len(text) <= MAX_ERROR_CHARS else text[:MAX_ERROR_CHARS] + "..."

    async def get(self, path: str, *, budget: Budget, max_retries: int | None = None) -> object:
        """The parsed JSON behind `path`."""
        return await self._request_json("GET", path, None, budget, max_retries)

    async def post(self, path: str, body: dict[str, Any], *, budget: Budget) -> object:
        """The parsed JSON that the server answers to `body`."""
        return await self._request_json("POST", path, body, budget, None)

    async def stream(
        self, path: str, body: dict[str, Any], reader: StreamReader, *, budget: Budget
    ) -> AsyncGenerator[list[Token]]:
        """What `reader` makes of the response, piece by piece. Closing this generator closes the connection.

        Raises:
            EngineConnectionError: the server cannot be reached, after all retries.
            EngineResponseError: the response cannot be read. `RejectedError` for a refusal.
            BudgetExceededError: a deadline has passed.
        """
        attempt = 0
        while True:
            try:
                async with self._slot(budget), aclosing(self._events(path, body, reader, budget)) as events:
                    async for tokens in events:
                        yield tokens
                return
            except AttemptFailed as failure:
                if reader.committed:
                    failure.retryable = False
                await self._retry_or_raise(failure, f"POST {path}", attempt, None, budget)
            reader.reset()
            attempt += 1

    async def close(self) -> None:
        """Hang up on everything. Running calls end with an `EngineError`."""
        self._closed = True
        for task in self._busy:
            self._hung_up.add(task)
            task.cancel()
        await self._http.aclose()

    async def _request_json(
        self, method: str, path: str, body: dict[str, Any] | None, budget: Budget, max_retries: int | None
    ) -> object:
        attempt = 0
        while True:
            try:
                async with self._slot(budget), self._send(method, path, body, budget) as response:
                    return self._payload(await self._read_body(response, budget))
            except AttemptFailed as failure:
                await self._retry_or_raise(failure, f"{method} {path}", attempt, max_retries, budget)
            attempt += 1

    async def _events(
        self, path: str, body: dict[str, Any], reader: StreamReader, budget: Budget
    ) -> AsyncGenerator[list[Token]]:
        async with self._send("POST", path, body, budget) as response:
            if "event-stream" not in response.headers.get("content-type", ""):
                body_text = await self._read_body(response, budget)
                # A server that does not stream answers in one piece. Others forget to name their events.
                if not body_text.lstrip().startswith(("data:", "event:", "error:", ":")):
                    yield [*reader.feed(self._payload(body_text)), *reader.end(done=True)]
                    return
            parser = SSEParser()
            source = response.aiter_bytes()
            over = False
            while not over:
                chunk = await self._next_chunk(source, budget)
                for data in parser.close() if chunk is None else parser.feed(chunk):
                    if not data.strip():
                        continue  # some servers keep a connection alive so
                    if data.strip() == "[DONE]":
                        yield reader.end(done=True)
                        await _drain(source)
                        return
                    try:
                        payload = self._payload(data)
                    except EngineResponseError:
                        if chunk is None:
                            break  # the connection ended inside an event: `end` says that it was lost
                        raise
                    if tokens := reader.feed(payload):
                        yield tokens
                over = chunk is None or reader.satisfied
            yield reader.end(done=False)

    def _json(self, text: str) -> object:
        try:
            return read_json(text)
        except EngineResponseError as error:
            raise EngineResponseError(f"{self.shown}: {error}: {self.scrub(text)!r}") from None

    def _payload(self, text: str) -> object:
        """Parsed JSON that is no error.

        An error with status 200 has only its own `code` to say whether to retry.
        """
        payload = self._json(text)
        if error := read_error(payload):
            reason = self.scrub(error.message)
            raise AttemptFailed(
                f"error in the response: {reason}",
                retryable=error.code is not None and retryable_status(error.code),
                status=error.code,
            )
        return payload

    async def _next_chunk(self, source: AsyncIterator[bytes], budget: Budget) -> bytes | None:
        with self._translate_errors("reading the response"):
            async with self._interruptible(budget):
                return await anext(source, None)

    async def _read_body(self, response: httpx.Response, budget: Budget) -> str:
        with self._translate_errors("reading the response"):
            async with self._interruptible(budget):
                await response.aread()
        return response.text

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, body: dict[str, Any] | None, budget: Budget
    ) -> AsyncIterator[httpx.Response]:
        with self._translate_errors("sending the request"):
            # Schemas and stop strings of the caller may hold halves of characters.
            written = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            request = self._http.build_request(
                method,
                f"{self._base}/{path}",
                params=self._params,
                content=None if body is None else mend_text(written).encode(),
                headers=None if body is None else {"Content-Type": "application/json"},
            )
            async with self._interruptible(budget):
                response = await self._http.send(request, stream=True)
        try:
            if not response.is_success:
                await self._raise_refusal(response, budget)
            yield response
        finally:
            await response.aclose()

    async def _raise_refusal(self, response: httpx.Response, budget: Budget) -> None:
        """Raise what a status other than 2xx means."""
        text = await self._read_body(response, budget)
        try:
            error = read_error(read_json(text))
        except EngineResponseError:
            error = None
        reason = self.scrub(error.message if error else text.strip() or response.reason_phrase)
        raise AttemptFailed(
            f"HTTP {response.status_code}: {reason}",
            retryable=retryable_status(response.status_code),
            status=response.status_code,
            retry_after=retry_after(response.headers),
        )

    @asynccontextmanager
    async def _slot(self, budget: Budget) -> AsyncIterator[None]:
        async with self._interruptible(budget):
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    @asynccontextmanager
    async def _interruptible(self, budget: Budget) -> AsyncIterator[None]:
        """Surrounds every wait. The budget's deadline holds inside, and `close` ends it."""
        self.check_open()
        budget.check_time()
        task = asyncio.current_task()
        assert task is not None, "the engine's coroutines run in asyncio tasks"
        remaining = budget.remaining_seconds()
        # A little more than what remains, so that the deadline has passed for `check_time` as well.
        limit = asyncio.timeout(None if remaining is None else remaining + 0.005)
        self._busy.add(task)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                budget.check_time()
            raise
        except asyncio.CancelledError:
            if task in self._hung_up and task.uncancel() == 0:
                raise EngineError(f"{self.shown}: the engine was closed while it worked") from None
            raise
        finally:
            self._busy.discard(task)
            self._hung_up.discard(task)

    def _translate_errors(self, doing: str) -> _ErrorTranslation:
        return _ErrorTranslation(self, doing, self._timeout)

    async def _retry_or_raise(
        self, failure: AttemptFailed, what: str, attempt: int, max_retries: int | None, budget: Budget
    ) -> None:
        """Wait before the next attempt, or raise the typed error when there is none."""
        allowed = self.retries.max_retries if max_retries is None else max_retries
        asked = failure.retry_after
        left = budget.remaining_seconds()
        longest = min(self.retries.longest_wait, math.inf if left is None else max(left, 0.0))
        too_long = asked is not None and asked > longest
        if not failure.retryable or attempt >= allowed or too_long:
            tries = "" if attempt == 0 else f" (after {attempt + 1} attempts)"
            message = f"{self.shown}: {what}: {failure}{tries}"
            if self.proxy is not None:
                message += (
                    f"; asked through the proxy of ${self.proxy} (NO_PROXY names hosts to reach without)"
                )
            if too_long:
                message += f"; the server asks to wait {asked:.5g} s, more than the {longest:.5g} s allowed"
            if failure.lost:
                raise EngineConnectionError(message) from None
            raise RejectedError(
                message, status=failure.status, reason=str(failure), retry_after=asked
            ) from None
        async with self._interruptible(budget):
            await asyncio.sleep(self.retries.wait(attempt, asked))


async def _drain(source: AsyncIterator[bytes]) -> None:
    """Read the end of a response behind its last event, so that the connection can be used again.

    It waits a tenth of a second at most.
    """
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(0.1):
            async for _ in source:
                pass


class _ErrorTranslation:
    """Turns httpx's exceptions into `AttemptFailed`, without the request and headers that they carry."""

    def __init__(self, client: Client, doing: str, timeout: float) -> None:
        self._client = client
        self._doing = doing
        self._timeout = timeout

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case httpx.ConnectTimeout():
                message = "no connection within the time allowed"
            case httpx.TimeoutException():
                message = f"the server was silent for {self._timeout:g} s while {self._doing}"
            case httpx.TransportError() if not isinstance(error, httpx.UnsupportedProtocol):
                detail = self._client.scrub(str(error)) or type(error).__name__
                message = f"the connection failed while {self._doing}: {detail}"
            case httpx.HTTPError() | httpx.InvalidURL():
                raise AttemptFailed(
                    self._client.scrub(f"{type(error).__name__}: {error}"), retryable=False
                ) from None
            case _:
                return
        raise AttemptFailed(message, retryable=True, lost=True) from None
