"""The command line shows plans here, whatever the question is."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def plans_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions such as `?` stand for any. `--shortcuts` turns the way before the plan on again."""
    monkeypatch.setenv("BRAID_SHORTCUTS", "0")
