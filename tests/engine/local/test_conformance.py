"""The local engine passes the conformance suite on three architectures."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from braid.engine import Engine
from braid.engine.conformance import EngineConformance
from braid.engine.local import LocalEngine


class TestLocalEngine(EngineConformance):
    @pytest.fixture(params=["llama", "qwen3", "gpt2"])
    async def engine(self, request: pytest.FixtureRequest, tiny_model) -> AsyncIterator[Engine]:
        async with await LocalEngine.load(tiny_model(request.param), threads=1) as engine:
            yield engine
            assert engine.open_contexts() == 0
