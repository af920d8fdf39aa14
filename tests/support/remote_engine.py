"""Remote engines on the fault server, as the tests open and use them."""

from __future__ import annotations

from typing import Any

from braid.engine import (
    Completion,
    SamplingParams,
    Token,
)
from braid.engine.remote import RemoteEngine
from braid.engine.remote.client import RetryPolicy
from tests.support.fault_server import Call, FaultServer, Handler, piece

FAST = RetryPolicy(max_retries=3, base=0.01, cap=0.02)
KEY = "sk-very-secret-0123456789"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
NO_REPLY = {"index": 0, "finish_reason": None}
DRAW = SamplingParams(max_tokens=16, temperature=1.0)


async def opened(faults: FaultServer, **options: object) -> RemoteEngine:
    settings: dict[str, object] = {"api_key_env": None, "retries": FAST, "timeout": 5.0} | options
    return await RemoteEngine.open(faults.address, **settings)  # type: ignore[arg-type]


async def one(engine: RemoteEngine, params: SamplingParams = DRAW, *, chat: bool = False) -> Completion:
    """One completion, with its contexts given back."""
    async with await engine.prefill([{"role": "user", "content": "hi"}] if chat else "hi") as context:
        [completion] = await engine.generate(context, params)
        completion.context.release()
        return completion


async def streamed(engine: RemoteEngine, params: SamplingParams = DRAW) -> list[Token]:
    async with await engine.prefill("hi") as context:
        return [token async for token in engine.stream(context, params)]


def sends(*payloads: object, done: bool = True) -> Handler:
    """A stream of exactly these events. Text and bytes are sent as they are."""

    async def handler(call: Call) -> None:
        await call.begin_events()
        for payload in payloads:
            if isinstance(payload, bytes):
                await call.send(payload)
            else:
                await call.event(payload)
        await call.finish(done=done)

    return handler


def chat(text: str = "", finish: str | None = None, **more: Any) -> dict[str, Any]:
    return piece(text, chat=True, finish=finish, **more)


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [NO_REPLY | {"delta": fields}]}


async def drawn(faults: FaultServer, *payloads: object, **params: Any) -> Completion:
    """The completion that is read from a stream of `payloads`, by `generate` and `stream` alike."""
    faults.answer = sends(*payloads)
    settings = SamplingParams(**({"max_tokens": 16, "temperature": 1.0} | params))
    async with await opened(faults) as engine:
        completion = await one(engine, settings, chat=True)
        async with await engine.prefill([{"role": "user", "content": "hi"}]) as context:
            tokens = [token async for token in engine.stream(context, settings)]
    assert "".join(token.text for token in tokens) == completion.text
    assert "".join(token.reasoning for token in tokens) == completion.reasoning
    assert tokens[-1].tool_calls == completion.tool_calls
    return completion
