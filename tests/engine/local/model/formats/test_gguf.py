"""GGUF files: opened, kept unpacked, and refused in bounded memory where their header lies."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path

import pytest

from braid.engine import EngineError, EngineURIError, SamplingParams, connect
from braid.engine.catalogue import converted_folder, file_sha256
from braid.engine.errors import ModelFileError
from braid.engine.local.model import load_model
from braid.engine.local.model.formats import converted_gguf, read_gguf_header
from tests.support.gguf_files import write_gguf

pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def key(name: str, kind: int, value: bytes) -> bytes:
    return string(name) + struct.pack("<I", kind) + value


def head(tensors: int, *keys: bytes, count: int | None = None, version: int = 3) -> bytes:
    return (
        b"GGUF"
        + struct.pack("<IQQ", version, tensors, len(keys) if count is None else count)
        + b"".join(keys)
    )


def tensor(name: str, *shape: int, kind: int = 0, offset: int = 0) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + sizes + struct.pack("<IQ", kind, offset)


ARCHITECTURE = key("general.architecture", 8, string("llama"))
ROOM = bytes(4096)
LIES = {
    "no magic": b"FUGG" + bytes(100),
    "other version": head(0, ARCHITECTURE, version=1) + ROOM,
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + ROOM,
    "tensors without end": head(2**63, ARCHITECTURE) + ROOM,
    "keys without end": head(1, count=2**62) + ROOM,
    "long key": head(1, struct.pack("<Q", 2**60), count=1) + ROOM,
    "long string": head(1, string("general.name") + struct.pack("<IQ", 8, 2**40)) + ROOM,
    "long array": head(1, key("a", 9, struct.pack("<IQ", 4, 2**61))) + ROOM,
    "long array of strings": head(1, key("a", 9, struct.pack("<IQ", 8, 2**58))) + ROOM,
    "array in an array": head(1, key("a", 9, struct.pack("<IQ", 9, 1))) + ROOM,
    "unknown type": head(1, key("a", 77, b"")) + ROOM,
    "no UTF-8": head(1, key("general.name", 8, struct.pack("<Q", 2) + b"\xff\xfe")) + ROOM,
    "no architecture": head(1, key("general.name", 8, string("x"))) + tensor("a", 8) + ROOM,
    "the same key twice": head(1, ARCHITECTURE, ARCHITECTURE) + tensor("a", 8) + ROOM,
    "no tensors": head(0, ARCHITECTURE) + ROOM,
    "too many dimensions": head(1, ARCHITECTURE) + tensor("a", 1, 1, 1, 1, 1) + ROOM,
    "a dimension of nothing": head(1, ARCHITECTURE) + tensor("a", 0) + ROOM,
    "huge shape": head(1, ARCHITECTURE) + tensor("a", 2**40, 2**40) + ROOM,
    "unknown tensor type": head(1, ARCHITECTURE) + tensor("a", 8, kind=999) + ROOM,
    "no whole blocks": head(1, ARCHITECTURE) + tensor("a", 33, kind=2) + ROOM,
    "behind the end": head(1, ARCHITECTURE) + tensor("a", 8, offset=2**50) + ROOM,
    "not aligned": head(1, ARCHITECTURE) + tensor("a", 8, offset=4) + ROOM,
    "the same tensor twice": head(2, ARCHITECTURE) + tensor("a", 8) + tensor("a", 8, offset=32) + ROOM,
    "one inside another": head(2, ARCHITECTURE) + tensor("a", 64) + tensor("b", 8, offset=32) + ROOM,
    "alignment of nothing": head(1, ARCHITECTURE, key("general.alignment", 4, struct.pack("<I", 0)))
    + tensor("a", 8)
    + ROOM,
    "more layers than tensors": head(1, ARCHITECTURE, key("llama.block_count", 4, struct.pack("<I", 10**9)))
    + tensor("a", 8)
    + ROOM,
    "wider than its tensors": head(
        1, ARCHITECTURE, key("llama.embedding_length", 4, struct.pack("<I", 10**9))
    )
    + tensor("a", 8)
    + ROOM,
    "one part of several": head(1, ARCHITECTURE, key("split.count", 2, struct.pack("<H", 3)))
    + tensor("a", 8)
    + ROOM,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused_in_bounded_memory(lie: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(LIES[lie])
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        read_gguf_header(bad)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def test_a_true_header_is_read(file: Path) -> None:
    header = read_gguf_header(file)
    assert header.architecture == "llama" and header.metadata["llama.block_count"] == 1
    assert header.lengths["tokenizer.ggml.tokens"] == 900 and len(header.tensors) == 11


def test_any_damage_is_a_typed_error_or_a_header_within_the_file(file: Path, tmp_path: Path) -> None:
    whole, source, bad = file.read_bytes(), random.Random(3), tmp_path / "bad.gguf"
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        if source.random() < 0.3:
            del content[source.randrange(len(content)) :]
        for _ in range(source.randint(1, 4)):
            if not content:
                break
            at = source.randrange(min(len(content), 1200) if source.random() < 0.7 else len(content))
            wide = source.choice((1, 4, 8))
            content[at : at + wide] = source.choice((b"\xff", b"\0", source.randbytes(1))) * wide
        bad.write_bytes(content)
        try:
            header = read_gguf_header(bad)
        except ModelFileError:
            refused += 1
        else:
            assert sum(one.size for one in header.tensors) <= len(content)
    assert refused > 100


def test_every_cut_of_the_file_is_refused(file: Path, tmp_path: Path) -> None:
    whole, bad = file.read_bytes(), tmp_path / "bad.gguf"
    for length in [*range(0, 200, 7), *range(200, len(whole), 4999), len(whole) - 64]:
        bad.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            read_gguf_header(bad)


async def test_it_is_unpacked_once_and_again_where_the_cache_is_damaged(file: Path) -> None:
    folder = converted_gguf(file)
    assert folder.parent == converted_folder(file_sha256(file), "x").parent
    weights = folder / "model.safetensors"
    made = weights.stat().st_mtime_ns
    assert converted_gguf(file) == folder and weights.stat().st_mtime_ns == made
    weights.write_bytes(weights.read_bytes()[:1000])
    async with await connect(f"local:{file}") as engine:
        assert engine.info.details["parameters"] == str(900 * 32 + 4 * 32 * 32 + 3 * 32 * 64 + 3 * 32)
        async with await engine.prefill("quick fox") as context:
            [done] = await engine.generate(context, SamplingParams(max_tokens=4, temperature=0))
    assert done.token_ids and weights.stat().st_mtime_ns != made


def test_what_transformers_cannot_read_is_a_typed_error(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(file.read_bytes().replace(b"llama", b"llamx"))
    with pytest.raises(ModelFileError, match="llamx"):
        load_model(other)
    split = tmp_path / "split.gguf"
    split.write_bytes(file.read_bytes().replace(b"smollm", b"smollx"))
    with pytest.raises(ModelFileError, match="smollx"):
        load_model(split)


async def test_a_file_that_is_no_gguf_is_said_to_be_none(tmp_path: Path) -> None:
    other = tmp_path / "weights.safetensors"
    other.write_bytes(b"no model")
    with pytest.raises(EngineURIError, match="no GGUF file"):
        await connect(f"local:{other}")


def test_a_damaged_file_is_a_typed_error_of_loading(tmp_path: Path, file: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(EngineError, match="may have been cut"):
        load_model(cut)
