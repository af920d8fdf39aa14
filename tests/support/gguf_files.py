"""Small GGUF files with random weights, made on the spot, and texts in ten scripts."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

_SCRIPTS = {
    "latin": "the quick brown fox jumps naïve café Zürich I'll we've DON'T",
    "cyrillic": "быстрая лиса прыгает через ленивую собаку Ёлка",
    "greek": "η γρήγορη αλεπού πηδάει πάνω από το σκυλί",
    "arabic": "الثعلب السريع يقفز فوق الكلب ١٢٣",
    "hebrew": "השועל המהיר קופץ מעל הכלב",
    "devanagari": "तेज़ लोमड़ी आलसी कुत्ते के ऊपर कूदती है १२३",
    "thai": "สุนัขจิ้งจอกกระโดดข้ามสุนัขขี้เกียจ",
    "han": "敏捷的 狐狸 跳过 懒狗 东京",
    "hangul": "빠른 갈색 여우가 게으른 개를 뛰어넘는다",
    "kana": "すばやい きつねは のろまな いぬを とびこえる カタカナ",
}
_BETWEEN = [
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    ", ",
    ". ",
    "",
    " 42 ",
    " 1234567 ",
    "3.14",
    "!?",
    " 😀 ",
    "'s ",
]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@cache
def texts(count: int = 1000) -> list[str]:
    """Texts in ten scripts in turn, with numbers, marks and white space between their words."""
    source = random.Random(7)
    scripts = [words.split() for words in _SCRIPTS.values()]
    return [
        "".join(
            source.choice(scripts[number % 10]) + source.choice(_BETWEEN)
            for _ in range(source.randint(1, 12))
        )
        for number in range(count)
    ]


@cache
def vocabulary(size: int = 900) -> tuple[list[str], list[str]]:
    """Tokens and merges of byte-level BPE, learned without a split, so that a wrong split shows."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=CONTROL, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(
        [text[at : at + 12] for text in texts() for at in range(0, len(text), 12)], trainer
    )
    model = json.loads(raw.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return tokens, [" ".join(pair) for pair in model["merges"]]


def write_gguf(file: Path, *, split: str = "smollm", seed: int = 0) -> Path:
    """A Llama of one layer as GGUF, in float32."""
    import numpy as np
    from gguf import GGUFWriter

    tokens, merges = vocabulary()
    hidden, heads, wide = 32, 2, 64
    writer = GGUFWriter(file, "llama")
    writer.add_name("tiny")
    writer.add_context_length(256)
    writer.add_embedding_length(hidden)
    writer.add_block_count(1)
    writer.add_feed_forward_length(wide)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(CONTROL) + [1] * (len(tokens) - len(CONTROL)))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    source = np.random.default_rng(seed)

    def add(name: str, *shape: int) -> None:
        values = source.normal(scale=0.3, size=shape) if len(shape) > 1 else np.ones(shape)
        writer.add_tensor(name, values.astype(np.float32))

    add("token_embd.weight", len(tokens), hidden)
    add("output_norm.weight", hidden)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        add(f"blk.0.{name}.weight", hidden, hidden)
    for name in ("ffn_gate", "ffn_up"):
        add(f"blk.0.{name}.weight", wide, hidden)
    add("blk.0.ffn_down.weight", hidden, wide)
    for name in ("attn_norm", "ffn_norm"):
        add(f"blk.0.{name}.weight", hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
