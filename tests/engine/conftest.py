from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tiny_models import Family, build_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Family], Path]:
    """Builds a random tiny model of a family once per session and gives its folder."""
    built: dict[str, Path] = {}

    def get(family: Family) -> Path:
        if family not in built:
            built[family] = build_model(tmp_path_factory.mktemp(family), family)
        return built[family]

    return get
