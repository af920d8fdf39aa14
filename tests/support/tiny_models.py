"""Tiny models with random weights and a tokenizer trained on the spot: real architectures, no download."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Family = Literal["llama", "qwen3", "gpt2"]

_CORPUS = [
    "The height of K2 is 8611 metres, and Mont Blanc is 4806 metres high.",
    'a = search("height of K2")\nanswer(f"{a.value} metres")\n',
    "Zürich, São Paulo, Kraków and 東京 are cities; naïve café, 😀.",
    "one two three four five six seven eight nine ten",
] * 4


def build_tokenizer(vocabulary: int = 384):
    """A byte-level BPE tokenizer with two special tokens. Every text survives a round trip."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|end|>", "<|plan|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|end|>", additional_special_tokens=["<|plan|>"]
    )


def build_model(
    folder: Path,
    family: Family,
    *,
    seed: int = 0,
    context: int = 256,
    vocabulary: int | None = None,
    favoured: int | None = None,
) -> Path:
    """Save a random model of `family` with its tokenizer to `folder`.

    `vocabulary` is the number of logits, by default that of the tokenizer. The logits of the id `favoured`
    are often the largest ones.
    """
    import torch
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    tokenizer = build_tokenizer()
    torch.manual_seed(seed)
    size = vocabulary or len(tokenizer)
    end = tokenizer.eos_token_id
    if family == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=size,
                n_positions=context,
                n_embd=32,
                n_layer=2,
                n_head=4,
                eos_token_id=end,
                bos_token_id=end,
            )
        )
    else:
        make_config, make = (
            (LlamaConfig, LlamaForCausalLM) if family == "llama" else (Qwen3Config, Qwen3ForCausalLM)
        )
        config = make_config(
            vocab_size=size,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=context,
            eos_token_id=end,
            bos_token_id=None,
            pad_token_id=None,
        )
        model = make(config)
    with (
        torch.no_grad()
    ):  # random weights of the usual size give near-uniform logits; spread them so that choices are clear
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6.0)
        if favoured is not None:
            model.lm_head.weight[favoured] *= 100.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
