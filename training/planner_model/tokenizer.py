"""The tokenizer of braid-mini: a small byte-level BPE in which a name has the same tokens wherever it stands.

Copying is most of a planner's work, so the tokenizer is designed for it. Words, single digits and runs of
punctuation are split from each other before any merge. A space never sticks to the word behind it. "Mont
Blanc" in a question and `Mont Blanc` inside a quoted string are then the same token ids. Decoding is
lossless.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from braid.planner.prompts import PLAN, QUESTION, STOP, TOOLS
from braid.training.planner_model.examples import draw_example
from braid.training.questions import load_atlas
from braid.training.tokens import PAD

SPECIAL = (PAD, STOP, TOOLS, QUESTION, PLAN)

# Words, single digits, a run of other characters up to a line end, and a run without one.
_PIECES = r"[\p{L}\p{M}]+|\p{N}|[^\p{L}\p{M}\p{N}\n]*\n|[^\p{L}\p{M}\p{N}\n]+"


def train_tokenizer(
    *, vocab_size: int = 2048, examples: int = 12_000, seed: int = 0
) -> PreTrainedTokenizerFast:
    """A tokenizer trained on the text of `examples` training examples, the same for the same seed."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(examples, seed), trainer=trainer)
    return wrap(without_merges(tokenizer, unwritten_names(tokenizer)))


def unwritten_names(tokenizer: Tokenizer) -> list[str]:
    """Held-out names that are one token.

    Such a name came from descriptions of tools ("France" as an example), which plans never write. As an
    output, its embedding is only ever pushed away. The model could not copy the name from a question.
    """
    names = [thing.name for thing in load_atlas("heldout").things]
    return [name for name in names if len(tokenizer.encode(name, add_special_tokens=False).ids) == 1]


def without_merges(tokenizer: Tokenizer, tokens: Sequence[str]) -> Tokenizer:
    """The tokenizer without the merges that make `tokens`. It spells them with smaller ones. All ids stay.

    A token that other merges build on is kept.
    """
    state = json.loads(tokenizer.to_str())
    merges: list[list[str]] = state["model"]["merges"]
    parts = {part for merge in merges for part in merge}
    state["model"]["merges"] = [m for m in merges if "".join(m) not in tokens or "".join(m) in parts]
    return Tokenizer.from_str(json.dumps(state))


def wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer for transformers. It adds no token to its input, and `STOP` ends a sequence."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=STOP,
        pad_token=PAD,
        additional_special_tokens=[TOOLS, QUESTION, PLAN],
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        padding_side="left",
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer saved in `folder`."""
    return wrap(Tokenizer.from_file(str(folder / "tokenizer.json")))


def _texts(examples: int, seed: int) -> Iterator[str]:
    for index in range(examples):
        example = draw_example(random.Random(f"tokenizer/{seed}/{index}"))
        # Without the control tokens, which are no part of the text to be merged.
        text = example.prompt + example.plan
        for token in SPECIAL:
            text = text.replace(token, "")
        yield text
