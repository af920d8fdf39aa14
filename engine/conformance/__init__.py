"""The conformance suite of engines: what every backend must do, and what each declared capability promises.

The author of an engine subclasses `EngineConformance` in a test file and gives it a fixture:

    import pytest
    from braid.engine.conformance import EngineConformance

    class TestMyEngine(EngineConformance):
        prompt = "Once upon a time"      # any prompt that the model continues

        @pytest.fixture
        async def engine(self):
            async with await MyEngine.open(...) as engine:
                yield engine

pytest then runs the core on it, and one suite for each capability that the engine declares. The other suites
are skipped. The core checks that what is not declared raises `CapabilityError`. `ConformanceBase` has further
settings. The tests are coroutines. pytest-asyncio in auto mode runs them, or the plugin of anyio. A single
suite can be subclassed by itself: `CoreConformance`, `LogprobsConformance`, ...
"""

from braid.engine.conformance.base import ConformanceBase
from braid.engine.conformance.capabilities import (
    AdaptersConformance,
    ChatConformance,
    CutConformance,
    GrammarConformance,
    KVJoinConformance,
    LogprobsConformance,
    NativeNConformance,
    PromptLogprobsConformance,
    SeedConformance,
    TextJoinConformance,
    TokenIdsConformance,
    ToolCallsConformance,
)
from braid.engine.conformance.core import CoreConformance


class EngineConformance(
    CoreConformance,
    ChatConformance,
    TokenIdsConformance,
    LogprobsConformance,
    PromptLogprobsConformance,
    CutConformance,
    TextJoinConformance,
    KVJoinConformance,
    NativeNConformance,
    SeedConformance,
    GrammarConformance,
    ToolCallsConformance,
    AdaptersConformance,
):
    """Everything: the core, and the suite of each capability that the engine declares."""


__all__ = [
    "AdaptersConformance",
    "ChatConformance",
    "ConformanceBase",
    "CoreConformance",
    "CutConformance",
    "EngineConformance",
    "GrammarConformance",
    "KVJoinConformance",
    "LogprobsConformance",
    "NativeNConformance",
    "PromptLogprobsConformance",
    "SeedConformance",
    "TextJoinConformance",
    "TokenIdsConformance",
    "ToolCallsConformance",
]
