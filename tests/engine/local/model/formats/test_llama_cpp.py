"""GGUF files here and in llama.cpp: the same token ids, and the same text."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from braid.engine import SamplingParams, connect
from tests.support.gguf_files import texts, write_gguf

llama_cpp: Any = pytest.importorskip("xllamacpp", reason="pip install --group llama-cpp brings llama.cpp")


@contextmanager
def served(file: Path) -> Iterator[Any]:
    """llama.cpp's server on a file. Gives a function that posts to it."""
    params = llama_cpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.warmup, params.cpuparams.n_threads = 256, False, 1
    # As here: the KV in the precision of the weights.
    params.cache_type_k = params.cache_type_v = llama_cpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = llama_cpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = llama_cpp.Server(params)

    def post(path: str, **body: Any) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            server.listening_address + path, data, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    yield post


@pytest.mark.parametrize(
    "split", ["smollm", "gpt-2", "llama-bpe", "qwen2", "falcon", "default", "deepseek-v3"]
)
async def test_token_ids_equal_those_of_llama_cpp(split: str, tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", split=split)
    async with await connect(f"local:{file}") as engine:
        with served(file) as post:
            different = [
                (text, ours, theirs)
                for text in texts()
                if (ours := engine._model.codec.encode(text))
                != (
                    theirs := tuple(
                        post("/tokenize", content=text, add_special=False, parse_special=True)["tokens"]
                    )
                )
            ]
    assert not different, (len(different), different[:3])


async def test_text_equals_that_of_llama_cpp(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    async with await connect(f"local:{file}") as engine:
        with served(file) as post:
            for prompt in (text[:40] for text in texts()[:10]):
                reply = post("/completion", prompt=prompt, n_predict=8, temperature=0, return_tokens=True)
                async with await engine.prefill(prompt) as context:
                    [done] = await engine.generate(context, SamplingParams(max_tokens=8, temperature=0))
                ours = [id for id in done.token_ids if id not in engine._model.end_ids]
                assert ours == [id for id in reply["tokens"] if id not in engine._model.end_ids]
