"""Folders of models: weights in several files, in pickles, damaged, or not whole."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from braid.engine import EngineError
from braid.engine.errors import ModelFileError
from braid.engine.local.model import Model, load_model
from tests.support.tiny_models import Family

Tiny = Callable[[Family], Path]
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tiny_model: Tiny, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model("llama"), tmp_path / "model"))


def logits(model: Model) -> torch.Tensor:
    with torch.inference_mode():
        return model.probe()


def test_weights_in_several_files_and_in_pickles_are_the_same(tiny_model: Tiny, folder: Path) -> None:
    expected = logits(load_model(tiny_model("llama")))
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert torch.allclose(logits(load_model(folder)), expected, atol=1e-5)
    (folder / "pytorch_model.bin").unlink()
    names = sorted(weights)
    parts = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for part, of_it in parts.items():
        save_file({name: weights[name] for name in of_it}, folder / part, metadata={"format": "pt"})
    where = {name: part for part, of_it in parts.items() for name in of_it}
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    assert torch.allclose(logits(load_model(folder)), expected, atol=1e-5)
    (folder / "two.safetensors").unlink()
    with pytest.raises(EngineError):
        load_model(folder)


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran-code"),))


def test_code_in_a_pickle_does_not_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / WEIGHTS).unlink()
    torch.save({"model.norm.weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(EngineError):
        load_model(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(EngineError):
        load_model(folder)
    assert not Path("ran-code").exists()


def test_a_missing_tensor_is_named(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelFileError, match=r"lack 1 tensors: model\.layers\.0\.mlp\.up_proj\.weight"):
        load_model(folder)


def test_a_shape_that_does_not_fit_is_named(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["model.norm.weight"] = torch.ones(5)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelFileError, match=r"model\.norm\.weight has the shape \(5,\)"):
        load_model(folder)


@pytest.mark.parametrize("length", [0, 4, 100, -50])
def test_cut_weights_are_a_typed_error(folder: Path, length: int) -> None:
    file = folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(EngineError):
        load_model(folder)


@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.json"])
def test_files_of_noise_are_a_typed_error(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x10\0\0\0\0\0\0\0 this is no file of a model, it is noise \xff\xfe")
    with pytest.raises(EngineError):
        load_model(folder)
