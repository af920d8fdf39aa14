"""The split of text into words that a GGUF file names, where transformers does not know it.

A file names it in `tokenizer.ggml.pre`, and llama.cpp has the patterns. transformers leaves GPT-2's split in
place where it does not know the name, and then the token ids are others.
"""

from __future__ import annotations

from typing import Any, Final

from tokenizers import Regex, pre_tokenizers

from braid.engine.errors import ModelFileError
from braid.engine.local.model.formats.gguf_header import GgufHeader

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_DIGITS = (r"\p{N}", _GPT2)
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_WORDS_OR_MARKS = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS: Final[dict[str, tuple[str, ...]]] = {
    "default": (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"),
    "falcon": (r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, r"[0-9][0-9][0-9]"),
    "deepseek-coder": (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"),
    "deepseek-v3": (r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _WORDS_OR_MARKS),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), _DIGITS
    ),
    **dict.fromkeys(("stablelm2", "hunyuan", "solar-open"), (_QWEN2,)),
    **dict.fromkeys(("chatglm-bpe", "glm4"), (_LLAMA3,)),
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo", "jais", "granite-docling"), (_GPT2,)),
}
"""Patterns by their names, as llama.cpp applies them: each to what those before it left together."""


def mend_split(tokenizer: Any, header: GgufHeader) -> None:
    """Give a byte-level tokenizer of transformers the split that the file names.

    Raises:
        ModelFileError: neither transformers nor this module knows the name.
    """
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if header.metadata.get("tokenizer.ggml.model") != "gpt2":
        return
    name = str(header.metadata.get("tokenizer.ggml.pre", "default"))
    if name in _SPLITS:
        splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in _SPLITS[name]]
        last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, last])
    elif name not in GGUF_PRE_TOKENIZER_SPLITS:
        raise ModelFileError(
            f"the tokenizer of the GGUF file splits text as {name!r}, which is not known here; "
            f"known are {', '.join(sorted({*_SPLITS, *GGUF_PRE_TOKENIZER_SPLITS}))}"
        )
