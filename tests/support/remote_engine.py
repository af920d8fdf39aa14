"""Remote engines on the fault server, as the tests open and use them."""

from __future__ import annotations

from braid.engine import (
    Completion,
    SamplingParams,
    Token,
)
from braid.engine.remote import RemoteEngine
from braid.engine.remote.client import RetryPolicy
from tests.support.fault_server import FaultServer

FAST = RetryPolicy(max_retries=3, base=0.01, cap=0.02)
KEY = "sk-very-secret-0123456789"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
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
