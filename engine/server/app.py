"""The ASGI application: routes, the key, and the path of one request from its body to its last byte."""

from __future__ import annotations

import hmac
import logging
import time
from contextlib import aclosing, suppress
from typing import Any

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.base import Engine
from engine.remote.wire import PATHS, Endpoint
from engine.server.admission import Gate
from engine.server.errors import ApiError, from_engine_error
from engine.server.exchange import STATUS_GONE, ClientGoneError, Exchange
from engine.server.generation import Generation
from engine.server.metrics import CONTENT_TYPE, Metrics
from engine.server.options import ServerOptions
from engine.server.replies import Replies
from engine.server.requests import Job, read_job, unknown_model
from engine.types import Token

_log = logging.getLogger(__name__)
_API = "/v1"


class Service:
    """What the routes share: the engine, its name, the gate and the metrics."""

    def __init__(self, engine: Engine, options: ServerOptions) -> None:
        self.engine = engine
        self.model = options.served_model_name or engine.info.model
        self.limits = options.limits
        self.created = int(time.time())
        self.gate = Gate(max_running=self.limits.max_concurrency, max_waiting=self.limits.max_queue)
        self.metrics = Metrics(
            running=lambda: self.gate.running,
            waiting=lambda: self.gate.waiting,
            open_contexts=engine.open_contexts,
        )

    def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model()]})

    def one_model(self, request: Request) -> Response:
        name: str = request.path_params["name"]
        if name != self.model:
            raise unknown_model(name, self.model)
        return JSONResponse(self._model())

    def _model(self) -> dict[str, Any]:
        info = self.engine.info
        return {
            "id": self.model,
            "object": "model",
            "created": self.created,
            "owned_by": "braid",
            "max_model_len": info.max_context,
            "capabilities": sorted(info.capabilities),
        }

    async def health(self, request: Request) -> Response:
        if self.gate.draining:
            return JSONResponse({"status": "draining"}, status_code=503)
        return JSONResponse({"status": "ok", "model": self.model})

    async def show_metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type=None, headers={"content-type": CONTENT_TYPE})


class GenerationRoute:
    """POST on one of the two endpoints."""

    def __init__(self, service: Service, kind: Endpoint) -> None:
        self._service = service
        self._kind: Endpoint = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics = self._service.metrics
        exchange = Exchange(scope, receive, send, limits=self._service.limits)
        arrived = time.perf_counter()
        status = STATUS_GONE
        try:
            status = await self._answer(exchange, arrived)
        except ClientGoneError:
            pass
        finally:
            metrics.requests.add(endpoint=self._kind, status=str(status))
            metrics.request_seconds.observe(time.perf_counter() - arrived, endpoint=self._kind)

    async def _answer(self, exchange: Exchange, arrived: float) -> int:
        """Answer the request, with an error if need be; returns the status that it counts as."""
        params = {"prompt": "messages" if self._kind == "chat" else "prompt"}
        try:
            body = await exchange.read_json_body()
            job = read_job(self._kind, body, model=self._service.model, limits=self._service.limits)
            params = job.params
            await exchange.attend(self._generate(job, exchange, arrived), self._service.gate.cut)
        except ClientGoneError:
            raise
        except Exception as error:
            refusal = from_engine_error(error, params=params)
            if refusal.status >= 500 and not isinstance(error, ApiError):
                _log.error("%s: %s", type(error).__name__, error, exc_info=refusal.code == "internal_error")
            await exchange.fail(refusal)
            return refusal.status
        return exchange.status

    async def _generate(self, job: Job, exchange: Exchange, arrived: float) -> None:
        service = self._service
        replies = Replies(job, model=service.model)
        async with service.gate.turn(), Generation(service.engine, job, service.limits) as generation:
            try:
                async with aclosing(generation.tokens()) as tokens:
                    # An engine that refuses does so before its first token, while the status can still say it.
                    first = await anext(tokens)
                    service.metrics.first_token_seconds.observe(
                        time.perf_counter() - arrived, endpoint=self._kind
                    )
                    if job.stream:
                        await self._stream(exchange, replies, generation, first, tokens)
                        return
                    choices: list[list[Token]] = [[] for _ in range(job.choices)]
                    choices[first.index].append(first)
                    async for token in tokens:
                        choices[token.index].append(token)
                whole = replies.whole(choices, _echoes(generation), generation.usage())
            finally:
                self._count(generation)
        await exchange.send_json(200, whole, replies.headers)
