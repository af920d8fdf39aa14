"""The ASGI application: routes, the key check, and the path of one request from its body to its last byte."""

from __future__ import annotations

import hmac
import logging
import re
import socket
import time
from collections.abc import Mapping
from contextlib import aclosing
from ipaddress import ip_address
from typing import Any, Protocol, runtime_checkable

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from braid.engine.base import Engine
from braid.engine.openai_api import PATHS, Endpoint
from braid.engine.server.admission import Admission
from braid.engine.server.config import ServerOptions
from braid.engine.server.errors import ApiError, to_api_error
from braid.engine.server.generation import Generation
from braid.engine.server.http_exchange import STATUS_CLIENT_GONE, ClientGoneError, HTTPExchange
from braid.engine.server.metrics import CONTENT_TYPE, Metrics
from braid.engine.server.requests import GenerationRequest, read_request, unknown_model
from braid.engine.server.responses import ResponseWriter
from braid.engine.types import Token, Usage

_log = logging.getLogger(__name__)
# A name or an address, and a port.
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")
_WITHOUT_KEY = frozenset({"/health", "/metrics"})


@runtime_checkable
class _HasKV(Protocol):
    """An engine that keeps KV itself, as the local one does."""

    def kv_bytes(self) -> int: ...


class Service:
    """What the routes share: the engine, its name, admission and metrics."""

    def __init__(self, engine: Engine, options: ServerOptions) -> None:
        self.engine = engine
        self.model = options.served_model_name or engine.info.model
        self.engines = {self.model: engine, **_with_adapters(engine)}
        """The engine, without and with each of its adapters, by the names that clients call them by."""
        self.limits = options.limits
        self.created = int(time.time())
        self.admission = Admission(max_running=self.limits.max_concurrency, max_waiting=self.limits.max_queue)
        self.metrics = Metrics(
            running=lambda: self.admission.running,
            waiting=lambda: self.admission.waiting,
            open_contexts=engine.open_contexts,
            kv_bytes=engine.kv_bytes if isinstance(engine, _HasKV) else None,
        )

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model(name) for name in self.engines]})

    async def one_model(self, request: Request) -> Response:
        name: str = request.path_params["name"]
        if name not in self.engines:
            raise unknown_model(name, self.engines)
        return JSONResponse(self._model(name))

    def _model(self, name: str) -> dict[str, Any]:
        info = self.engines[name].info
        return {
            "id": name,
            "object": "model",
            "created": self.created,
            "owned_by": "braid",
            "max_model_len": info.max_context,
            "capabilities": sorted(info.capabilities),
        }

    async def health(self, request: Request) -> Response:
        if self.admission.draining:
            return JSONResponse({"status": "draining"}, status_code=503)
        return JSONResponse({"status": "ok", "model": self.model})

    async def show_metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type=None, headers={"content-type": CONTENT_TYPE})


def _with_adapters(engine: Engine) -> dict[str, Engine]:
    """The other adapters of an engine, and its base, by their names."""
    adapters = engine.info.adapters
    views = [engine.with_adapter(name) for name in (None, *adapters)] if adapters else []
    return {view.info.model: view for view in views if view.info.model != engine.info.model}


class GenerationRoute:
    """POST on one of the two endpoints."""

    def __init__(self, service: Service, kind: Endpoint) -> None:
        self._service = service
        self._kind: Endpoint = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics = self._service.metrics
        exchange = HTTPExchange(scope, receive, send, limits=self._service.limits)
        arrived = time.perf_counter()
        status = STATUS_CLIENT_GONE
        try:
            status = await self._answer(exchange, arrived)
        except ClientGoneError:
            pass
        finally:
            metrics.requests.add(endpoint=self._kind, status=str(status))
            metrics.request_seconds.observe(time.perf_counter() - arrived, endpoint=self._kind)

    async def _answer(self, exchange: HTTPExchange, arrived: float) -> int:
        """Answer the request, with an error if need be.

        Returns:
            The status that it counts as.
        """
        params = {"prompt": "messages" if self._kind == "chat" else "prompt"}
        try:
            body = await exchange.read_json_body()
            request = read_request(
                self._kind,
                body,
                model=self._service.model,
                limits=self._service.limits,
                defaults=self._service.engine.info.sampling_defaults,
                others=self._service.engines,
            )
            params = request.params
            await exchange.run_while_connected(
                self._generate(request, exchange, arrived), self._service.admission.stop_now
            )
        except ClientGoneError:
            raise
        except Exception as error:
            api_error = to_api_error(error, params=params)
            if api_error.status >= 500 and not isinstance(error, ApiError):
                _log.error("%s: %s", type(error).__name__, error, exc_info=api_error.code == "internal_error")
            await exchange.fail(api_error)
            return api_error.status
        return exchange.status

    async def _generate(self, request: GenerationRequest, exchange: HTTPExchange, arrived: float) -> None:
        service = self._service
        choices: list[list[Token]] = [[] for _ in range(request.choices)]
        async with (
            service.admission.slot(),
            Generation(service.engines[request.model], request, service.limits) as generation,
        ):
            writer = ResponseWriter(
                request, model=request.model, ignored=generation.ignored, call_form=generation.call_form
            )
            scored = [generation.scored(index) for index in range(request.choices)]
            echoes = [generation.echo(index) if request.echo else "" for index in range(request.choices)]
            try:
                async with aclosing(generation.tokens()) as tokens:
                    # An engine refuses before its first token, while the status can still say it.
                    token = await anext(tokens)
                    waited = time.perf_counter() - arrived
                    service.metrics.first_token_seconds.observe(waited, endpoint=self._kind)
                    if request.stream:
                        for chunk in writer.first_chunks(echoes, scored):
                            await exchange.send_event(chunk, writer.headers)
                    while token is not None:
                        if not request.stream:
                            choices[token.index].append(token)
                        elif chunk := writer.chunk(token):
                            await exchange.send_event(chunk, writer.headers)
                        token = await anext(tokens, None)
                usage = generation.usage()
            finally:
                self._count(generation.usage())
        # Everything is released before the client learns that it is done.
        if not request.stream:
            await exchange.send_json(
                200, writer.full_response(choices, echoes, scored, usage), writer.headers
            )
            return
        if request.include_usage:
            await exchange.send_event(writer.usage_chunk(usage), writer.headers)
        await exchange.end_events(done=True)

    def _count(self, usage: Usage) -> None:
        metrics = self._service.metrics
        metrics.prompt_tokens.add(usage.prompt_tokens)
        metrics.cached_tokens.add(usage.cached_tokens)
        metrics.generated_tokens.add(usage.generated_tokens)


class KeyCheck:
    """Refuses requests without the key. /health and /metrics need none."""

    def __init__(self, app: ASGIApp, *, key: SecretStr) -> None:
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _WITHOUT_KEY or self._has_key(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        message = "the API key is missing or wrong; send it as 'Authorization: Bearer <key>'"
        error = ApiError(401, message, type="authentication_error", code="invalid_api_key")
        await _respond(error, {"www-authenticate": "Bearer"})(scope, receive, send)

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        known = self._key.get_secret_value().encode()
        return hmac.compare_digest(given.strip().encode("latin-1"), known) and scheme.lower() == "bearer"


class HeadCheck:
    """Refuses requests whose head is a trick.

    A foreign name in `Host` is that of a web page whose name was pointed at this server (DNS rebinding), so
    that a browser takes the page and the server for one origin. Two lengths of a body let proxies and servers
    disagree on where the next request begins (RFC 9112, section 6.3).
    """

    def __init__(self, app: ASGIApp, *, options: ServerOptions) -> None:
        self._app = app
        own = {"localhost", options.host, socket.gethostname(), *options.allow_hosts}
        self._hosts = {name.lower().removesuffix(".") for name in own}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._fault(Headers(scope=scope)) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await _respond(error, {"connection": "close"})(scope, receive, send)

    def _fault(self, headers: Headers) -> ApiError | None:
        if "content-length" in headers and "transfer-encoding" in headers:
            return ApiError(400, "a request has Content-Length or Transfer-Encoding, never both")
        host = headers.get("host", "")
        if not host or "*" in self._hosts or self._is_known(host):
            return None
        return ApiError(
            403,
            f"the host {host!r} is not allowed; allow it with --allow-host (ServerOptions.allow_hosts)",
            type="permission_error",
            code="host_not_allowed",
        )

    def _is_known(self, host: str) -> bool:
        parts = _HOST.fullmatch(host)
        name = parts[1].strip("[]").lower().removesuffix(".") if parts else ""
        if name in self._hosts or name.endswith(".localhost"):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def build_app(service: Service, options: ServerOptions) -> Starlette:
    """The application of `service`."""
    routes = [
        Route("/health", service.health),
        Route("/metrics", service.show_metrics),
        Route("/v1/models", service.models),
        Route("/v1/models/{name:path}", service.one_model),
    ]
    for kind, path in PATHS.items():
        routes.append(Route(f"/v1/{path}", GenerationRoute(service, kind), methods=["POST"]))
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(HeadCheck, options=options),
            *([] if options.api_key is None else [Middleware(KeyCheck, key=options.api_key)]),
        ],
        exception_handlers={ApiError: _on_api_error, HTTPException: _on_http_error, Exception: _on_any_error},
    )


def create_app(engine: Engine, options: ServerOptions | None = None) -> Starlette:
    """The ASGI application that serves `engine`, for an ASGI server of your choice.

    The caller keeps the engine and closes it. Address and grace time of `options` have no effect here.
    `serve` runs the application on the server that comes with Braid.
    """
    chosen = options or ServerOptions()
    return build_app(Service(engine, chosen), chosen)


async def _on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _respond(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path}"
    if error.status_code != 404:
        return _respond(ApiError(error.status_code, message), error.headers)
    there = ", ".join(route.path for route in request.app.routes)
    return _respond(ApiError(404, f"{message}; this server has {there}", code="unknown_url"))


async def _on_any_error(request: Request, error: Exception) -> Response:
    return _respond(to_api_error(error, params={}))


def _respond(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(error.body, error.status, {**error.headers, **(headers or {})})
