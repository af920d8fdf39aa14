"""The shipped models: what their files give is what transformers makes of them. Other files are checked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from braid.engine import Capability, SamplingParams
from braid.engine.conformance.base import released
from braid.engine.local import LocalEngine
from braid.engine.local.attention import Chunk, Step
from braid.engine.local.kv import Pool, PrefixEnd, TailArena
from braid.engine.local.model import Model, load_model
from braid.engine.local.model.locate import own_models
from braid.engine.local.model.shipped import FILES, load_shipped
from braid.engine.prompts import ChatPrompt, TextPrompt
from tests.support.snapshots import check_snapshot

NAMES = ("braid-countdown", "braid-mini")
PLAN = (
    '<|tools|>search(query: str) -> Quantity\n<|question|>How tall is K2?<|plan|>a = search("height of K2")\n'
)
SUM = "3 5 7 9 : 24"
TEXTS = {"braid-countdown": SUM, "braid-mini": PLAN}


@cache
def shipped(name: str) -> Model:
    model = load_shipped(own_models()[name])
    assert model is not None
    return model


@cache
def reference(name: str) -> Model:
    """The same on transformers' own modules, tokenizer and configuration."""
    model = load_model(own_models()[name], fast=False)
    assert model.decoder.path == "transformers"
    return model


def test_what_was_compared_is_what_is_shipped() -> None:
    hashes = {
        name: {file: sha256((folder / file).read_bytes()).hexdigest() for file in FILES}
        for name, folder in own_models().items()
    }
    text = json.dumps(hashes, indent=2) + "\n"
    check_snapshot(own_models()["braid-mini"].parent / "checked.json", text)


@pytest.mark.parametrize("name", NAMES)
def test_the_facts_are_those_of_transformers(name: str) -> None:
    ours, theirs = shipped(name), reference(name)
    for fact in (
        "name",
        "end_ids",
        "prompt_style",
        "vocabulary",
        "max_context",
        "parameters",
        "device",
        "dtype",
        "geometry",
        "sampling_defaults",
        "no_grammars",
    ):
        assert getattr(ours, fact) == getattr(theirs, fact), fact
    assert ours.codec.has_template == theirs.codec.has_template
    assert (ours.grammars is None) == (theirs.grammars is None)
    assert ours.rotate is not None and theirs.rotate is not None
    q = torch.randn(2, 3, ours.geometry.layers[0].key_dim)
    assert torch.equal(ours.rotate(q, 7), theirs.rotate(q, 7))


def logits(model: Model, ids: Sequence[int]) -> torch.Tensor:
    pool = Pool(model.geometry, limit_bytes=1 << 30, keep_bytes=0)
    segment = pool.extend(PrefixEnd(pool.root, 0), ids, object()).segment
    with torch.inference_mode():
        found = model.forward(Step([Chunk(ids, segment, 0)], [], TailArena(pool), None), range(len(ids)))
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_transformers(name: str) -> None:
    ours, theirs = shipped(name), reference(name)
    longest = ours.max_context
    assert longest is not None
    draw = torch.Generator().manual_seed(0)
    random = torch.randint(0, ours.vocabulary, (longest,), generator=draw).tolist()
    for ids in (ours.codec.encode(TEXTS[name]), random):
        expected = logits(theirs, ids)
        assert (logits(ours, ids) - expected).abs().max() <= 1e-3 * expected.std()
    with torch.inference_mode():
        assert torch.allclose(ours.probe(), theirs.probe(), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
async def test_greedy_completions_are_those_of_transformers(name: str) -> None:
    written: list[Any] = []
    for fast in (True, False):
        async with await LocalEngine.load(name, threads=1, fast=fast) as engine:
            assert engine.info.details["path"] == ("lean" if fast else "transformers")
            async with await engine.prefill(TEXTS[name]) as context:
                completions = await engine.generate(context, SamplingParams(temperature=0, max_tokens=60))
            written.append([(each.token_ids, each.text) for each in released(completions)])
    assert written[0] == written[1] and written[0][0][0]


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["<|end|>", "a <|plan|> b<|pad|>"])
)
@settings(max_examples=150, deadline=None)
def test_text_is_read_and_written_as_by_transformers(text: str) -> None:
    for name in NAMES:
        ours, theirs = shipped(name).codec, reference(name).codec
        ids = ours.encode(text)
        assert ids == theirs.encode(text)
        assert ours.decode(ids) == theirs.decode(ids)
        if ids:
            assert ours.read(TextPrompt(text)) == theirs.read(TextPrompt(text))
        message = ChatPrompt(({"role": "user", "content": text},))
        assert ours.read(message) == theirs.read(message)


@pytest.mark.parametrize("file", FILES)
def test_files_that_were_changed_are_not_taken_for_those_that_were_compared(
    file: str, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(own_models()["braid-mini"], folder)
    assert load_shipped(folder) is not None
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(
        content[:-2] + b" " + content[-2:-1] if file.endswith("json") else content[:-1]
    )
    assert load_shipped(folder) is None
    (folder / file).unlink()
    assert load_shipped(folder) is None


async def test_changed_weights_are_compared_at_load(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(own_models()["braid-mini"], folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["rms_norm_eps"] = 1e-5
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    needed: set[Capability] = {"grammar", "kv_join"}
    async with await LocalEngine.load(folder, threads=1) as engine:
        assert engine.info.details["path"] == "lean" and needed <= engine.capabilities
        assert logits(load_model(folder), (5, 6, 7)).shape == (3, 2048)
