"""From the start of a process to a model's first token: Braid against `from_pretrained` and one forward.

    python benchmarks/load_time.py MODEL [MODEL ...]     folders or GGUF files
    python benchmarks/load_time.py --gemma               a random model in the shape of Gemma 3 270M

Both sides run in fresh processes, in turns, on the same prompt of 600 tokens, in the precision that Braid
chooses. The first run of each is not counted: it warms the file cache, and Braid unpacks a GGUF file then.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROMPT_TOKENS = 600

BRAID = """
import asyncio, sys
from braid.engine import SamplingParams, connect
async def main():
    async with await connect("local:" + sys.argv[1]) as engine:
        async with await engine.prefill([int(id) for id in sys.argv[2].split()]) as context:
            await engine.generate(context, SamplingParams(max_tokens=1, temperature=0))
        print(engine.info.details["dtype"])
asyncio.run(main())
"""
TRANSFORMERS = """
import sys, torch
from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer
path, ids, dtype = Path(sys.argv[1]), [int(id) for id in sys.argv[2].split()], getattr(torch, sys.argv[3])
options = {}
if path.is_file():
    from transformers import GgufConfig
    options["gguf_file"], path = path.name, path.parent
tokenizer = AutoTokenizer.from_pretrained(path, **options)
if options:
    options["quantization_config"] = GgufConfig(dequantize=True)
model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, **options)
with torch.inference_mode():
    print(int(model(torch.tensor([ids]), logits_to_keep=1).logits[0, -1].argmax()))
"""


def seconds(code: str, *arguments: str) -> tuple[float, str]:
    """Duration of a process, and what it printed last."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return time.perf_counter() - start, done.stdout.split()[-1]


def build_gemma(folder: Path) -> Path:
    """A random Gemma 3 of 268M weights with a vocabulary of 262,144, and a byte-level tokenizer for it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, PreTrainedTokenizerFast

    vocabulary, letters = 262_144, "etaoinshrdlucmfwypvbgkqjxz"
    tokens = ["<pad>", "<eos>", "<bos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges: list[tuple[str, str]] = []
    level = ["Ġ", *letters]
    while len(tokens) < vocabulary:
        pairs = [(left, right) for left in level for right in letters][: vocabulary - len(tokens)]
        merges += pairs
        level = [left + right for left, right in pairs]
        tokens += level
    raw = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    marks = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=raw, **marks)
    tokenizer.save_pretrained(folder)
    torch.random.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    config = Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=640,
        intermediate_size=2048,
        num_hidden_layers=18,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=512,
        max_position_embeddings=32768,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    network: Any = Gemma3ForCausalLM(config)
    network.to(torch.bfloat16).save_pretrained(folder)
    return folder


def measure(model: str, repeats: int) -> None:
    """Print both sides for one model."""
    ids = " ".join(str(1000 + 37 * place % 40_000) for place in range(PROMPT_TOKENS))
    first, dtype = seconds(BRAID, model, ids)
    seconds(TRANSFORMERS, model, ids, dtype)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        theirs.append(seconds(TRANSFORMERS, model, ids, dtype)[0])
        ours.append(seconds(BRAID, model, ids)[0])
    print(f"{model}  {dtype}, {PROMPT_TOKENS} tokens, {repeats} runs each in turns, median (range), seconds")
    for name, times in (("from_pretrained + forward", theirs), ("braid, first token", ours)):
        print(f"  {name:<26} {statistics.median(times):6.2f}  ({min(times):.2f} to {max(times):.2f})")
    print(f"  braid's first run          {first:6.2f}")
    print(
        f"  ratio                      {statistics.median(ours) / statistics.median(theirs):6.2f}", flush=True
    )


def main() -> None:
    """Measure the models that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*")
    parser.add_argument("--gemma", action="store_true", help="a random model in the shape of Gemma 3 270M")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    for model in given.models:
        measure(model, given.repeats)
    if given.gemma:
        with tempfile.TemporaryDirectory() as folder:
            measure(str(build_gemma(Path(folder))), given.repeats)


if __name__ == "__main__":
    main()
