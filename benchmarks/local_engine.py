"""The local engine against transformers on the same random weights: what sharing KV and batching are worth.

    python benchmarks/local_engine.py [CASE ...] [--size 31M|298M] [--repeats 3] [--threads N] [--dtype bfloat16] [--json]

Cases (default: all):
    fanout    one prompt of 1,024 tokens, 16 continuations of 128; against generate(num_return_sequences=16) and transformers'
              continuous batching
    chain     the same prompt, one continuation; against generate
    forest    4 prompts of 1,024 tokens, 16 branches each of 64 tokens, which fork in two twice more; against generate, by level
    join      8 branches of 256 tokens: time to the next token after a KV join, against reading the joined text again
    mix       16 sequences decode while prompts of 4,096 tokens arrive: gaps between tokens, with and without arrivals
    overhead  share of a step outside of the model's forward at batch 1, 16 and 64
    bound     memory bandwidth and GEMM rate of this machine, and what they would allow

Both sides run in this process, with the same threads and precision, in turns, on a fresh prompt each time; tokens/s are output
tokens over the whole time, reading the prompt included. Median and best of the repeats are printed.
"""

# torch's and transformers' types are loose.
# pyright: basic

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine import Context, SamplingParams
from engine.local import LocalEngine
from engine.machine import processors

SHAPES: dict[str, dict[str, Any]] = {
    "31M": {
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "intermediate_size": 1024,
    },
    "298M": {
        "hidden_size": 1024,
        "num_hidden_layers": 21,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "intermediate_size": 3072,
    },
}
VOCABULARY = 16_384
CASES = ("fanout", "chain", "forest", "join", "mix", "overhead", "bound")


def build(size: str, folder: Path) -> Path:
    """A random Llama of that size, with a tokenizer of one token per number."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        head_dim=64,
        max_position_embeddings=16_384,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        **SHAPES[size],
    )
    network: Any = LlamaForCausalLM(config)
    network.to(torch.bfloat16).save_pretrained(folder)
    raw = Tokenizer(models.WordLevel({str(i): i for i in range(VOCABULARY)}, unk_token="0"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="0").save_pretrained(folder)
    return folder


class Bench:
    """Both sides, loaded from one folder."""

    def __init__(self, engine: LocalEngine, network: Any, options: argparse.Namespace) -> None:
        self.engine = engine
        self.network = network
        self.options = options
        self._random = random.Random(1)
        self.results: dict[str, dict[str, Any]] = {}

    def prompt(self, length: int = 1024) -> list[int]:
        return [self._random.randrange(VOCABULARY) for _ in range(length)]

    async def compare(
        self, case: str, sides: dict[str, Callable[[], Awaitable[int]]], *, repeats: int | None = None
    ) -> None:
        """Run the sides in turns; each returns its output tokens. Prints rates, and the ratio of the first to the others."""
        rates: dict[str, list[float]] = {name: [] for name in sides}
        rounds = self.options.repeats + 1 if repeats is None else repeats
        for repeat in range(rounds):
            for name, run in sides.items():
                self.engine.forget()
                start = time.perf_counter()
                tokens = await run()
                if repeat or repeats:  # the first round warms up
                    rates[name].append(tokens / (time.perf_counter() - start))
        ours = next(iter(sides))
        print(f"{case}")
        found: dict[str, Any] = {}
        for name, values in rates.items():
            middle, best = statistics.median(values), max(values)
            found[name] = {"median": middle, "best": best}
            ratio = statistics.median(rates[ours]) / middle
            print(
                f"  {name:<34}{middle:>9.1f} tokens/s (best {best:.1f})"
                + (f"  ratio {ratio:.2f}" if name != ours else "")
            )
        self.results[case] = found

    def generate(self, ids: list[list[int]], copies: int, tokens: int) -> list[list[int]]:
        with torch.inference_mode():
            given = torch.tensor(ids)
            return self.network.generate(  # pyright: ignore
                given,
                attention_mask=torch.ones_like(given),
                do_sample=True,
                num_return_sequences=copies,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                pad_token_id=0,
            ).tolist()


def sampled(tokens: int, n: int = 1) -> SamplingParams:
    return SamplingParams(n=n, max_tokens=tokens, temperature=1.0, ignore_eos=True, seed=1)


async def fan_out(bench: Bench, copies: int, tokens: int = 128) -> int:
    async with await bench.engine.prefill(bench.prompt()) as context:
        completions = await bench.engine.generate(context, sampled(tokens, copies))
        for completion in completions:
            completion.context.release()
        return sum(completion.usage.generated_tokens for completion in completions)


async def run_fanout(bench: Bench) -> None:
    async def reference() -> int:
        await asyncio.to_thread(in_threads(bench, lambda: bench.generate([bench.prompt()], 16, 128)))
        return 16 * 128

    sides: dict[str, Callable[[], Awaitable[int]]] = {
        "braid": lambda: fan_out(bench, 16),
        "transformers generate": reference,
    }
    if not bench.options.no_batching:
        sides["transformers continuous batching"] = lambda: continuous(bench, 16, 128)
    await bench.compare("FANOUT", sides)


async def run_chain(bench: Bench) -> None:
    async def reference() -> int:
        await asyncio.to_thread(in_threads(bench, lambda: bench.generate([bench.prompt()], 1, 128)))
        return 128

    await bench.compare("CHAIN", {"braid": lambda: fan_out(bench, 1), "transformers generate": reference})


def in_threads(bench: Bench, work: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        torch.set_num_threads(bench.options.threads)
        return work()

    return run


async def continuous(bench: Bench, copies: int, tokens: int) -> int:
    """transformers' own continuous batching over the same prompt, once per copy."""
    from transformers import GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    def run() -> int:
        ids = bench.prompt()
        settings = GenerationConfig(max_new_tokens=tokens, do_sample=True, eos_token_id=-1, pad_token_id=0)
        batching = ContinuousBatchingConfig(page_size=256, num_blocks=160, max_batch_tokens=2048)
        outputs = bench.network.generate_batch(  # pyright: ignore
            inputs=[ids] * copies,
            generation_config=settings,
            continuous_batching_config=batching,
            progress_bar=False,
        )
        return sum(len(output.generated_tokens) for output in outputs.values())

    return await asyncio.to_thread(in_threads(bench, run))


async def run_forest(bench: Bench) -> None:
    peak = 0

    async def ours() -> int:
        nonlocal peak
        engine, total = bench.engine, 0
        engine.kv_peak_bytes(reset=True)
        async with asyncio.TaskGroup() as group:
            prompts = [group.create_task(engine.prefill(bench.prompt())) for _ in range(4)]
        level: list[Context] = [task.result() for task in prompts]
        opened = list(level)
        for copies in (16, 2, 2):
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(engine.generate(context, sampled(64, copies))) for context in level
                ]
            completions = [completion for task in tasks for completion in task.result()]
            total += sum(completion.usage.generated_tokens for completion in completions)
            level = [completion.context for completion in completions]
            opened += level
        peak = engine.kv_peak_bytes()
        for context in opened:
            context.release()
        return total

    async def reference() -> int:
        def run() -> int:
            sequences, total = [bench.prompt() for _ in range(4)], 0
            for copies in (16, 2, 2):
                sequences = bench.generate(sequences, copies, 64)
                total += 64 * len(sequences)
            return total

        return await asyncio.to_thread(in_threads(bench, run))

    # The reference takes minutes; a warm-up would change nothing.
    await bench.compare("FOREST", {"braid": ours, "transformers generate": reference}, repeats=1)
    config = bench.network.config
    token = config.num_hidden_layers * config.num_key_value_heads * 64 * 2 * 2
    dense = 256 * (1024 + 3 * 64) * token
    print(f"  KV at its peak {peak / 2**20:.0f} MiB, dense cache {dense / 2**20:.0f} MiB: {peak / dense:.1%}")
    bench.results["FOREST"]["kv_share"] = peak / dense


async def run_join(bench: Bench) -> None:
    engine = bench.engine
    times: dict[str, list[float]] = {"kv": [], "text": []}
    for repeat in range(bench.options.repeats + 1):
        async with await engine.prefill(bench.prompt()) as context:
            branches = [c.context for c in await engine.generate(context, sampled(256, 8))]
            for how in ("kv", "text"):
                start = time.perf_counter()
                async with await engine.join(context, branches, how=how) as joined:
                    [one] = await engine.generate(joined, sampled(1))
                    one.context.release()
                if repeat:
                    times[how].append(time.perf_counter() - start)
            for branch in branches:
                branch.release()
        engine.forget()
    kv, text = statistics.median(times["kv"]), statistics.median(times["text"])
    print(
        f"JOIN\n  next token after the KV join {kv * 1e3:.1f} ms, after reading the text {text * 1e3:.1f} ms, "
        f"ratio {text / kv:.1f}"
    )
    bench.results["JOIN"] = {"kv": kv, "text": text}


async def run_mix(bench: Bench) -> None:
    print("MIX")
    for arrivals in (False, True):
        gaps: list[float] = []

        async def watch(context: Context, gaps: list[float] = gaps) -> None:
            last = None
            async for _ in bench.engine.stream(context, sampled(200)):
                now = time.perf_counter()
                if last is not None:
                    gaps.append(now - last)
                last = now

        async def arrive() -> None:
            for _ in range(3):
                await asyncio.sleep(0.1)
                (await bench.engine.prefill(bench.prompt(4096))).release()

        contexts = [await bench.engine.prefill(bench.prompt(256)) for _ in range(16)]
        async with asyncio.TaskGroup() as group:
            for context in contexts:
                group.create_task(watch(context))
            if arrivals:
                group.create_task(arrive())
        for context in contexts:
            context.release()
        gaps.sort()
        middle, late = statistics.median(gaps), gaps[int(len(gaps) * 0.99)]
        name = "with arrivals" if arrivals else "alone"
        print(
            f"  {name:<15}gap between tokens: median {middle * 1e3:.1f} ms, 99th percentile {late * 1e3:.1f} ms, "
            f"ratio {late / middle:.2f}"
        )
        bench.results.setdefault("MIX", {})[name] = {"median": middle, "p99": late}


async def run_overhead(bench: Bench) -> None:
    print("OVERHEAD")
    steps, whole, forward = 1, 1.0, 1.0
    for rows in (1, 16, 64):
        async with await bench.engine.prefill(bench.prompt(256)) as context:
            for _ in range(2):
                stats = bench.engine.stats()
                before = (stats.steps, stats.seconds, stats.forward_seconds)
                for completion in await bench.engine.generate(context, sampled(64, rows)):
                    completion.context.release()
                steps, whole, forward = (
                    after - old
                    for after, old in zip(
                        (stats.steps, stats.seconds, stats.forward_seconds), before, strict=True
                    )
                )
        share = 1 - forward / whole
        print(f"  batch {rows:<3} step {whole / steps * 1e3:.2f} ms, outside of the forward {share:.1%}")
        bench.results.setdefault("OVERHEAD", {})[str(rows)] = {"step": whole / steps, "share": share}


async def run_bound(bench: Bench) -> None:
    """Bandwidth from reading a large tensor, rate from a large GEMM; what one step must move and compute."""

    def measure() -> tuple[float, float]:
        big = torch.ones(64 * 2**20, dtype=torch.float32)
        dtype = getattr(torch, bench.options.dtype)
        a, b = torch.randn(2048, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
        best = [float("inf")] * 2
        for _ in range(5):
            for place, work in enumerate((lambda: big.sum(), lambda: a @ b)):
                start = time.perf_counter()
                work()
                best[place] = min(best[place], time.perf_counter() - start)
        return big.nbytes / best[0], 2 * 2048**3 / best[1]

    bandwidth, rate = await asyncio.to_thread(in_threads(bench, measure))
    weights = (
        sum(p.numel() for p in bench.network.parameters()) - VOCABULARY * bench.network.config.hidden_size
    )
    size = getattr(torch, bench.options.dtype).itemsize
    step1 = weights * size / bandwidth
    step16 = max(step1, 2 * weights * 16 / rate)
    print(
        f"BOUND\n  {bandwidth / 1e9:.0f} GB/s, {rate / 1e9:.0f} GFLOP/s; weights alone allow {1 / step1:.0f} tokens/s at "
        f"batch 1, {16 / step16:.0f} at batch 16"
    )
    bench.results["BOUND"] = {
        "bandwidth": bandwidth,
        "flops": rate,
        "batch1": 1 / step1,
        "batch16": 16 / step16,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--size", choices=list(SHAPES), default="31M")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=processors().usable)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument(
        "--no-batching", action="store_true", help="leave out transformers' continuous batching"
    )
    parser.add_argument("--json", action="store_true", help="print the results as one JSON document, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = build(options.size, Path(name))
        network = LlamaForCausalLM.from_pretrained(folder, dtype=getattr(torch, options.dtype)).eval()
        engine = await LocalEngine.load(folder, dtype=options.dtype, threads=options.threads)
        details = engine.info.details
        print(
            f"random Llama of {int(details['parameters']) / 1e6:.0f}M parameters, {options.dtype}, {options.threads} threads, "
            f"path {details['path']}, torch {torch.__version__}"
        )
        async with engine:
            bench = Bench(engine, network, options)
            for case in options.cases or CASES:
                await globals()[f"run_{case}"](bench)
            engine.check_integrity()
            if options.json:
                print(json.dumps(bench.results, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
