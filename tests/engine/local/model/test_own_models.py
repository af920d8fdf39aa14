"""The models in the package: found by name, small, in bfloat16, and documented."""

from __future__ import annotations

import json

import pytest
from safetensors import safe_open

from braid.engine.local.model.locate import locate_model, own_models

MEGABYTE = 1 << 20
NAMES = ("braid-countdown", "braid-mini")


def test_they_are_all_there_and_small() -> None:
    sizes = {
        name: sum(path.stat().st_size for path in folder.iterdir()) for name, folder in own_models().items()
    }
    assert sorted(sizes) == sorted(NAMES)
    assert max(sizes.values()) < 40 * MEGABYTE
    assert sum(sizes.values()) < 80 * MEGABYTE


@pytest.mark.parametrize("name", NAMES)
def test_each_has_bfloat16_weights_and_a_card_of_what_was_measured(name: str) -> None:
    folder = locate_model(name)
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        kinds = {file.get_slice(tensor).get_dtype() for tensor in file.keys()}  # noqa: SIM118
    assert kinds == {"BF16"}
    facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{facts['training']['parameters']:,}" in card
    assert "braid train" in card
