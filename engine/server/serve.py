"""Running the server: binding, signals, and draining when it is told to stop."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import FrameType
from typing import cast

import uvicorn

from braid.engine.base import Engine
from braid.engine.server.app import Service, build_app
from braid.engine.server.config import ServerOptions
from braid.engine.server.connections import ACCEPTED_AT_ONCE, Connection, Connections

# After the grace time, requests that were ended tell their clients so. Then uvicorn stops waiting.
_FINAL_SECONDS = 5.0
# Connections that the system holds until they are accepted.
_BACKLOG = 2048


async def serve(
    engine: Engine,
    options: ServerOptions | None = None,
    *,
    listener: socket.socket | None = None,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve `engine` until SIGTERM or SIGINT. Call it in the main thread.

    On a signal the server accepts nothing more, finishes running requests within `options.grace` seconds, and
    returns. Requests that are not done by then, or when a second signal comes, end with an error in the API's
    shape. The engine stays open.

    Args:
        engine: the engine to serve.
        options: where to listen, and the limits.
        listener: a socket that was bound beforehand (see `bind`), in place of host and port.
        on_ready: called with the base URL for clients once the server listens.

    Raises:
        OSError: the address cannot be bound.
    """
    server = _Server(engine, options or ServerOptions(), listener, on_ready)
    with _signals(server.stop):
        await server.serve(sockets=[server.socket])


@asynccontextmanager
async def serving(engine: Engine, options: ServerOptions | None = None) -> AsyncIterator[str]:
    """Serve `engine` in the background while the block runs. Signals are left alone.

    Yields:
        The base URL for clients.
    """
    ready = asyncio.Event()
    server = _Server(engine, options or ServerOptions(), None, lambda _: ready.set())
    work = asyncio.create_task(server.serve(sockets=[server.socket]), name="braid: server")
    started = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait([work, started], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        yield server.url
    finally:
        started.cancel()
        server.stop()
        await work


class _Server(uvicorn.Server):
    """uvicorn with a drain of our own: it ends requests in the API's words, and exits 0."""

    def __init__(
        self,
        engine: Engine,
        options: ServerOptions,
        listener: socket.socket | None,
        on_ready: Callable[[str], None],
    ) -> None:
        self._service = Service(engine, options)
        self._options = options
        self._on_ready = on_ready
        self.socket = listener or bind(options.host, options.port)
        super().__init__(
            uvicorn.Config(
                build_app(self._service, options),
                http=cast("type[asyncio.Protocol]", partial(Connection, shared=Connections(options.limits))),
                backlog=ACCEPTED_AT_ONCE,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=math.ceil(options.grace + _FINAL_SECONDS),
            )
        )

    @property
    def url(self) -> str:
        """The base URL for clients."""
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"

    def stop(self) -> None:
        """Drain. Called once more, stop at once. To be called in the event loop."""
        admission = self._service.admission
        if admission.draining:
            admission.stop_now.set()
            return
        admission.draining = True
        self.should_exit = True
        asyncio.get_running_loop().call_later(self._options.grace, admission.stop_now.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        # asyncio accepts as many at once as the backlog holds, which may be more than there are files.
        self.socket.listen(_BACKLOG)
        self._on_ready(self.url)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own handlers end the process by the signal once more, after the drain.
        yield


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Nobody can connect before the server listens.

    Raises:
        OSError: the address cannot be bound. The error names it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen at {host}:{port}: {error.strerror or error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"cannot listen at {host}:{port}: {error.strerror}") from error
    return bound


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def wake(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)

    # signal.signal works on every platform, unlike the loop's own way. The handler only wakes the loop.
    before = {number: signal.signal(number, wake) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
