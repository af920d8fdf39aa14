"""Scores by echo."""

from __future__ import annotations

import pytest

from braid.engine import (
    CapabilityError,
)
from tests.support.fault_server import Call, FaultServer, refuses
from tests.support.remote_engine import USAGE, opened


async def test_score_reads_the_echo(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        assert call.body["echo"] is True and call.body["prompt"] == "one two three"
        found = {
            "tokens": ["<s>", "one", " tw", "o th", "ree", " four"],
            "token_logprobs": [None, -1.0, -2.0, -3.0, -4.0, -9.0],
        }
        await call.json({"choices": [{"index": 0, "text": "", "logprobs": found}], "usage": USAGE})

    faults.answer = handler
    async with (
        await opened(faults, capabilities={"prompt_logprobs"}) as engine,
        await engine.prefill("one two") as context,
    ):
        assert await engine.score(context, " three") == [-3.0, -4.0]
        assert await engine.score(context, "") == []
        faults.answer = refuses(200, {"choices": [{"index": 0, "text": "x", "logprobs": None}]})
        with pytest.raises(CapabilityError):
            await engine.score(context, " three")
        assert "prompt_logprobs" not in engine.capabilities
