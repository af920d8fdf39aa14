"""A check of a GGUF file's header, before anything else reads the file.

Readers of GGUF believe the counts, lengths and offsets that a file states. Here each is held against the size
of the file and against the others. What the check keeps in memory does not depend on what the file says.
The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Final

from braid.engine.errors import MissingPackageError, ModelFileError

_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST_NAME: Final = 2**16
_MOST_ITEMS: Final = 2**21
"""Most items of all arrays together. The largest vocabularies have a quarter of a million tokens."""
_LONGEST_TEXT: Final = 2**24
"""Longest string, in bytes. Chat templates are the longest ones, some ten thousand bytes."""
_MOST_TENSORS: Final = 2**16
_MOST_KEYS: Final = 2**16
_DIMENSIONS: Final = (
    "embedding_length",
    "feed_forward_length",
    "expert_feed_forward_length",
    "expert_count",
    "expert_used_count",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "rope.dimension_count",
)
"""Sizes of a network that the metadata state. None is larger than the largest dimension of a tensor."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor of the file."""

    name: str
    shape: tuple[int, ...]
    """Fastest-moving dimension first."""
    kind: int
    """Number of the type in ggml."""
    offset: int
    """Bytes from the start of the tensors' data."""
    size: int
    """Bytes."""

    @property
    def elements(self) -> int:
        """Number of weights."""
        return prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class GgufHeader:
    """What a file says of itself, after the check."""

    architecture: str
    metadata: dict[str, int | float | bool | str]
    """All metadata but arrays."""
    lengths: dict[str, int]
    """Number of items of the arrays among the metadata."""
    tensors: tuple[Tensor, ...]

    @property
    def elements(self) -> int:
        """Number of weights."""
        return sum(tensor.elements for tensor in self.tensors)


def read_gguf_header(path: Path) -> GgufHeader:
    """Read and check the header of a GGUF file. Tensors' data are not read.

    Raises:
        ModelFileError: the header is damaged, or states what cannot be.
        MissingPackageError: the package gguf is not installed.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size < 24:
                raise ModelFileError(f"{str(path)!r} is no GGUF file: it has {path.stat().st_size} bytes")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _read(_Reader(content))
    except _Damage as damage:
        raise ModelFileError(f"the GGUF file {str(path)!r} is damaged: {damage}") from None
    except OSError as error:
        raise ModelFileError(f"cannot read {str(path)!r}: {error}") from error


class _Damage(Exception):
    """What is wrong with the header."""


@dataclass
class _Reader:
    """A place in the file. What lies behind the end of the file is damage."""

    content: mmap.mmap
    at: int = 0
    items: int = field(default=0)
    """Items of arrays so far."""

    @property
    def left(self) -> int:
        return len(self.content) - self.at

    def take(self, layout: str) -> tuple[int, ...]:
        """Numbers of a layout of `struct`."""
        size = struct.calcsize("<" + layout)
        if size > self.left:
            raise _Damage(f"it ends inside its header, at byte {len(self.content)}")
        found = struct.unpack_from("<" + layout, self.content, self.at)
        self.at += size
        return found

    def number(self, layout: str) -> int:
        return self.take(layout)[0]

    def text(self, longest: int) -> str:
        """A string."""
        length = self.number("Q")
        if length > min(longest, self.left):
            raise _Damage(f"the string at byte {self.at} is said to be {length} bytes long")
        found = self.content[self.at : self.at + length]
        self.at += length
        try:
            return found.decode("utf-8")
        except UnicodeDecodeError:
            raise _Damage(f"the string at byte {self.at - length} is no UTF-8") from None

    def skip_array(self) -> int:
        """Go past an array. Returns the number of its items."""
        kind, count = self.take("IQ")
        least = 8 if kind == _STRING else struct.calcsize(_SCALARS.get(kind, "B"))
        self.items += count
        if count * least > self.left or self.items > _MOST_ITEMS:
            raise _Damage(f"the array at byte {self.at} is said to have {count} items")
        if kind in _SCALARS:
            self.at += count * least
        elif kind == _STRING:
            for _ in range(count):
                self.text(_LONGEST_NAME)
        else:
            raise _Damage(f"the array at byte {self.at} has items of the unknown type {kind}")
        return count


def _read(reader: _Reader) -> GgufHeader:
    magic = reader.content[:4]
    if magic != b"GGUF":
        raise _Damage(f"it does not begin with 'GGUF' but with {magic!r}")
    reader.at = 4
    version, num_tensors, num_keys = reader.take("IQQ")
    if version not in (2, 3):
        raise _Damage(f"it has version {version}; versions 2 and 3 (little-endian) can be read")
    if num_tensors > min(_MOST_TENSORS, reader.left // 24) or num_keys > min(_MOST_KEYS, reader.left // 13):
        raise _Damage(f"it is said to have {num_tensors} tensors and {num_keys} metadata")
    metadata, lengths = _read_metadata(reader, num_keys)
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise _Damage("its metadata name no architecture")
    if metadata.get("split.count", 0) not in (0, 1):
        raise _Damage("it is one part of a model in several files; join them with llama-gguf-split --merge")
    tensors = _read_tensors(reader, num_tensors)
    _check_places(reader, tensors, metadata.get("general.alignment", 32))
    header = GgufHeader(architecture=architecture, metadata=metadata, lengths=lengths, tensors=tuple(tensors))
    _check_sizes(header)
    return header


def _read_metadata(reader: _Reader, count: int) -> tuple[dict[str, int | float | bool | str], dict[str, int]]:
    metadata: dict[str, int | float | bool | str] = {}
    lengths: dict[str, int] = {}
    for _ in range(count):
        key = reader.text(_LONGEST_NAME)
        if key in metadata or key in lengths:
            raise _Damage(f"its metadata have {key[:80]!r} twice")
        kind = reader.number("I")
        if kind in _SCALARS:
            metadata[key] = reader.number(_SCALARS[kind])
        elif kind == _STRING:
            metadata[key] = reader.text(_LONGEST_TEXT)
        elif kind == _ARRAY:
            lengths[key] = reader.skip_array()
        else:
            raise _Damage(f"the metadata {key[:80]!r} has the unknown type {kind}")
    return metadata, lengths


def _read_tensors(reader: _Reader, count: int) -> list[Tensor]:
    try:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    except ModuleNotFoundError as error:
        raise MissingPackageError("gguf", needed_by="GGUF files", extra="local") from error
    tensors: list[Tensor] = []
    names: set[str] = set()
    for _ in range(count):
        name = reader.text(_LONGEST_NAME)
        if name in names:
            raise _Damage(f"it has the tensor {name[:80]!r} twice")
        names.add(name)
        rank = reader.number("I")
        if not 1 <= rank <= 4:
            raise _Damage(f"the tensor {name[:80]!r} has {rank} dimensions")
        shape = reader.take(f"{rank}Q")
        kind, offset = reader.take("IQ")
        try:
            per_block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        except (ValueError, KeyError):
            raise _Damage(f"the tensor {name[:80]!r} has the unknown type {kind}") from None
        if 0 in shape or shape[0] % per_block:
            raise _Damage(f"the tensor {name[:80]!r} has the shape {shape}, in blocks of {per_block}")
        size = prod(shape) // per_block * block_bytes
        tensors.append(Tensor(name=name, shape=shape, kind=kind, offset=offset, size=size))
    if not tensors:
        raise _Damage("it has no tensors")
    return tensors


def _check_places(reader: _Reader, tensors: list[Tensor], alignment: object) -> None:
    """Hold the tensors' places against the end of the file, and against one another."""
    if not isinstance(alignment, int) or alignment not in {2**power for power in range(17)}:
        raise _Damage(f"its alignment is said to be {alignment!r}")
    start = -(-reader.at // alignment) * alignment
    room = len(reader.content) - start
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: tensor.offset):
        if tensor.offset % alignment:
            raise _Damage(f"the tensor {tensor.name[:80]!r} begins at byte {tensor.offset}, not aligned")
        if tensor.offset < end:
            raise _Damage(f"the tensor {tensor.name[:80]!r} begins inside another one")
        end = tensor.offset + tensor.size
        if end > room:
            raise _Damage(
                f"the tensor {tensor.name[:80]!r} ends at byte {start + end}, "
                f"and the file has {len(reader.content)}; it may have been cut"
            )


def _check_sizes(header: GgufHeader) -> None:
    """Hold the sizes of the network against the tensors. From them transformers makes the network."""
    largest = max(max(tensor.shape) for tensor in header.tensors)
    limits = dict.fromkeys(_DIMENSIONS, largest) | {"block_count": len(header.tensors)}
    for name, limit in limits.items():
        given = header.metadata.get(f"{header.architecture}.{name}", 0)
        if not isinstance(given, int) or not 0 <= given <= limit:
            raise _Damage(f"{name} is said to be {given!r}, and its tensors allow at most {limit}")
    num_tokens = header.lengths.get("tokenizer.ggml.tokens", 0)
    if num_tokens > largest:
        raise _Damage(f"it has {num_tokens} tokens, and its tensors allow at most {largest}")
    for name in ("scores", "token_type"):
        if header.lengths.get(f"tokenizer.ggml.{name}", num_tokens) != num_tokens:
            raise _Damage(f"it has {num_tokens} tokens, and another number of their {name}")
