"""A model that calls a tool wherever it may: random weights that always want `<tool_call>` next.

    python -m tests.support.calling_model FOLDER

makes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.tiny_models import build_tokenizer
from tests.support.tool_templates import QWEN


def build_calling_model(folder: Path) -> Path:
    """Save the model with its tokenizer and a chat template to `folder`."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = build_tokenizer()
    tokenizer.add_tokens(["<tool_call>"])
    tokenizer.chat_template = QWEN
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=4096,
            n_embd=32,
            n_layer=2,
            n_head=4,
            bos_token_id=end,
            eos_token_id=end,
            tie_word_embeddings=False,
        )
    )
    wanted = tokenizer.convert_tokens_to_ids("<tool_call>")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6.0)
        # One coordinate before the logits is constant, and speaks for one token alone.
        model.transformer.ln_f.weight[0] = 0.0
        model.transformer.ln_f.bias[0] = 1.0
        model.lm_head.weight[:, 0] = 0.0
        model.lm_head.weight[wanted, 0] = 100.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    build_calling_model(Path(sys.argv[1]))
