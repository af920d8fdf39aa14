"""The scripted engine passes the conformance suite, whatever it is scripted to do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from braid.engine import Engine
from braid.engine.conformance import EngineConformance
from braid.engine.scripted import ScriptedEngine

TEXT = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


async def pieces(prompt: str) -> AsyncIterator[str]:
    for start in range(0, len(TEXT), 5):
        yield TEXT[start : start + 5]


class TestScriptedEngine(EngineConformance):
    @pytest.fixture(
        params=[
            {"responses": TEXT},
            {"responses": TEXT, "chunk": "char", "delay": 0.001},
            {"responses": TEXT, "chunk": "whole"},
            {"responses": pieces, "chunk": 3, "max_context": 1000},
            {"responses": lambda prompt: TEXT, "capabilities": ()},
            {"responses": TEXT, "scorer": lambda context, text: [0.0]},
        ],
        ids=["words", "characters", "whole", "generator", "bare", "scorer"],
    )
    async def engine(self, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
        async with ScriptedEngine(**request.param) as engine:
            yield engine
            assert engine.open_contexts() == 0
