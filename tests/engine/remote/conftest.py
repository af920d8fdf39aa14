"""The servers that the remote engine is tested on: `transformers serve` on a tiny random model, and a faulty
one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.fault_server import FaultServer
from tests.support.real_server import RealServer, prepare, serve


@pytest.fixture(scope="session")
def real_server(
    tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    """`transformers serve`. It ignores `n` and `logprobs`, refuses unknown fields, and sends no [DONE]."""
    home = tmp_path_factory.mktemp("serve")
    with serve(prepare(tiny_model("llama"), home / "tiny"), home) as server:
        yield server


@pytest.fixture
async def faults() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server
