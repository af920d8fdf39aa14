"""Addresses that cannot be read."""

from __future__ import annotations

import pytest

from braid.engine import (
    EngineURIError,
)
from braid.engine.remote import RemoteEngine


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:8000/v1#m", "ftp://host/v1#m", "http:///v1#m", "http://[::1/v1#m"]
)
async def test_unreadable_addresses(address: str) -> None:
    with pytest.raises(EngineURIError, match="expected http"):
        await RemoteEngine.open(address)
