"""The local engine against transformers on the same random weights: what sharing KV and batching are worth.

    python benchmarks/local_engine.py [CASE ...] [--size 31M|298M] [--repeats 3] [--threads N]
                                      [--dtype bfloat16] [--json]

Cases (default: all):
    fanout    one prompt of 1,024 tokens, 16 continuations of 128, against generate(num_return_sequences=16)
              and against transformers' continuous batching
    chain     the same prompt, one continuation, against generate
    forest    4 prompts of 1,024 tokens, 16 branches each of 64 tokens, which fork in two twice more, against
              generate, by level
    join      8 branches of 256 tokens: time to the next token after a KV join, against reading the joined
              text again
    mix       16 sequences decode while prompts of 4,096 tokens arrive: gaps between tokens, with and without
              arrivals
    overhead  share of a step outside of the model's forward at batch 1, 16 and 64
    operators torch operators of one decoding step at batch 1 and 16: calls and time of each class (the
              profiler slows them down)
    bound     memory bandwidth and GEMM rate of this machine, what they allow in FANOUT and CHAIN, and how
              near those came

Both sides have the same threads and precision. They run in turns, on a fresh prompt each time. Tokens/s are
output tokens over the whole time, reading the prompt included. Median and best of the repeats are printed.
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
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import torch
from _random_llama import SHAPES, VOCABULARY, build, sampled
from _reference import Reference, continuous_batching, generate, generate_levels, machine_rates
from torch._C._profiler import _ExperimentalConfig
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig

from braid.engine import Context
from braid.engine.local.engine import LocalEngine
from braid.engine.system.hardware import processors

OPERATORS = {
    "linear": ("linear", "mm"),
    "attention": ("flash_attention",),
    "norm": ("vector_norm", "hypot", "rms_norm"),
    "softmax": ("softmax", "sigmoid", "logsumexp", "logaddexp", "cumsum"),
    "copy": ("copy", "cat", "index", "clone", "contiguous", "gather", "roll"),
    "view": (
        "view",
        "slice",
        "select",
        "reshape",
        "transpose",
        "permute",
        "as_strided",
        "narrow",
        "expand",
        "chunk",
        "split",
        "flatten",
        "squeeze",
    ),
    "allocate": ("empty", "resize"),
    "arithmetic": ("add", "mul", "div", "sub", "silu", "lerp", "sum"),
}
"""Classes of operators by parts of their names, the first that fits."""
CASES = ("fanout", "chain", "forest", "join", "mix", "overhead", "operators", "bound")


class Bench:
    """Both sides, loaded from one folder.

    The reference and its continuous batching have a process of their own each.
    """

    def __init__(
        self,
        engine: LocalEngine,
        config: Any,
        reference: Reference,
        batching: Reference,
        options: argparse.Namespace,
    ) -> None:
        self.engine = engine
        self.config = config
        self.reference = reference
        self.batching = batching
        self.options = options
        self._random = random.Random(1)
        self.results: dict[str, dict[str, Any]] = {}

    def prompt(self, length: int = 1024) -> list[int]:
        return [self._random.randrange(VOCABULARY) for _ in range(length)]

    async def compare(
        self, case: str, sides: dict[str, Callable[[], Awaitable[int]]], *, repeats: int | None = None
    ) -> None:
        """Run the sides in turns, and print their rates and the ratio of the first to the others.

        Args:
            case: What is printed above the rates.
            sides: By name, what generates and returns its number of output tokens.
            repeats: Rounds without one to warm up. Default: the option `--repeats`, behind a round that warms
                up.
        """
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


async def fan_out(bench: Bench, copies: int, tokens: int = 128) -> int:
    """Continue a fresh prompt `copies` times. Returns the number of tokens generated."""
    async with await bench.engine.prefill(bench.prompt()) as context:
        completions = await bench.engine.generate(context, sampled(tokens, copies))
        for completion in completions:
            completion.context.release()
        return sum(completion.usage.generated_tokens for completion in completions)


async def run_fanout(bench: Bench) -> None:
    """Case FANOUT."""

    async def reference() -> int:
        await bench.reference(generate, [bench.prompt()], 16, 128)
        return 16 * 128

    sides: dict[str, Callable[[], Awaitable[int]]] = {
        "braid": lambda: fan_out(bench, 16),
        "transformers generate": reference,
    }
    if not bench.options.no_batching:
        sides["transformers continuous batching"] = lambda: bench.batching(
            continuous_batching, bench.prompt(), 16, 128
        )
    await bench.compare("FANOUT", sides)


async def run_chain(bench: Bench) -> None:
    """Case CHAIN."""

    async def reference() -> int:
        await bench.reference(generate, [bench.prompt()], 1, 128)
        return 128

    await bench.compare("CHAIN", {"braid": lambda: fan_out(bench, 1), "transformers generate": reference})


async def run_forest(bench: Bench) -> None:
    """Case FOREST."""
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
        return await bench.reference(generate_levels, [bench.prompt() for _ in range(4)], (16, 2, 2), 64)

    # The reference takes minutes; a warm-up would change nothing.
    await bench.compare("FOREST", {"braid": ours, "transformers generate": reference}, repeats=1)
    config = bench.config
    token = config.num_hidden_layers * config.num_key_value_heads * 64 * 2 * 2
    dense = 256 * (1024 + 3 * 64) * token
    print(f"  KV at its peak {peak / 2**20:.0f} MiB, dense cache {dense / 2**20:.0f} MiB: {peak / dense:.1%}")
    bench.results["FOREST"]["kv_share"] = peak / dense


async def run_join(bench: Bench) -> None:
    """Case JOIN."""
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
        f"JOIN\n  next token after the KV join {kv * 1e3:.1f} ms, "
        f"after reading the text {text * 1e3:.1f} ms, ratio {text / kv:.1f}"
    )
    bench.results["JOIN"] = {"kv": kv, "text": text}


async def run_mix(bench: Bench) -> None:
    """Case MIX."""
    print("MIX")
    for arrivals in (False, True):
        gaps: list[float] = []
        reading: list[float] = []

        async def watch(context: Context, gaps: list[float] = gaps) -> None:
            last = None
            async for _ in bench.engine.stream(context, sampled(200)):
                now = time.perf_counter()
                if last is not None:
                    gaps.append(now - last)
                last = now

        async def arrive(reading: list[float] = reading) -> None:
            for _ in range(3):
                await asyncio.sleep(0.1)
                start = time.perf_counter()
                (await bench.engine.prefill(bench.prompt(4096))).release()
                reading.append(time.perf_counter() - start)

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
            f"  {name:<15}gap between tokens: median {middle * 1e3:.1f} ms, "
            f"99th percentile {late * 1e3:.1f} ms, ratio {late / middle:.2f}"
            + (f"; prompts read at {4096 / statistics.median(reading):.0f} tokens/s" if reading else "")
        )
        bench.results.setdefault("MIX", {})[name] = {"median": middle, "p99": late, "reading": reading}


async def run_overhead(bench: Bench) -> None:
    """Case OVERHEAD."""
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


async def run_operators(bench: Bench) -> None:
    """Case OPERATORS."""
    print("OPERATORS of a decoding step behind 1,024 tokens")
    for rows in (1, 16):
        await fan_out(bench, rows, 8)
        async with await bench.engine.prefill(bench.prompt()) as context:
            before = bench.engine.stats().steps
            with profile(
                activities=[ProfilerActivity.CPU],
                experimental_config=_ExperimentalConfig(profile_all_threads=True),
            ) as profiler:
                for completion in await bench.engine.generate(context, sampled(64, rows)):
                    completion.context.release()
            steps = bench.engine.stats().steps - before
        calls, spent = Counter[str](), Counter[str]()
        for event in profiler.key_averages():
            name = next(
                (kind for kind, parts in OPERATORS.items() if any(p in event.key for p in parts)), "other"
            )
            calls[name] += event.count
            spent[name] += event.self_cpu_time_total
        print(f"  batch {rows}: {calls.total() / steps:.0f} calls, {spent.total() / steps / 1e3:.2f} ms")
        for name, time_spent in spent.most_common():
            share = time_spent / spent.total()
            print(
                f"    {name:<12}{calls[name] / steps:>7.1f} calls{time_spent / steps:>9.0f} µs{share:>8.1%}"
            )
        bench.results.setdefault("OPERATORS", {})[str(rows)] = {
            name: {"calls": calls[name] / steps, "microseconds": spent[name] / steps} for name in spent
        }


async def run_bound(bench: Bench) -> None:
    """Print what bandwidth and GEMM rate of the machine allow in CHAIN and FANOUT."""
    bandwidth, rate = await bench.reference(machine_rates, bench.options.dtype)
    config = bench.config
    size = getattr(torch, bench.options.dtype).itemsize
    weights = int(bench.engine.info.details["parameters"]) - VOCABULARY * config.hidden_size
    layers, heads, kv_heads = config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads
    print(f"BOUND\n  {bandwidth / 1e9:.0f} GB/s, {rate / 1e9:.0f} GFLOP/s")
    bench.results["BOUND"] = {"bandwidth": bandwidth, "flops": rate}
    for case, rows in (("CHAIN", 1), ("FANOUT", 16)):
        tokens, prompt = 128, 1024
        # A step reads the shared prompt's KV once. It reads a tail for each row, on average half as long as
        # at its end.
        read = size * (weights + 2 * layers * kv_heads * 64 * (prompt + rows * tokens / 2))
        attended = 4 * layers * heads * 64
        computed = rows * (2 * weights + attended * (prompt + tokens / 2))
        reading = prompt * (2 * (weights - VOCABULARY * config.hidden_size) + attended * prompt / 2) / rate
        seconds = reading + tokens * max(read / bandwidth, computed / rate)
        allowed = rows * tokens / seconds
        given = bench.results.get(case, {}).get("braid", {}).get("median")
        near = f"; measured {given:.0f}: {given / allowed:.0%}" if given else ""
        print(f"  {case}: the bound is {allowed:.0f} tokens/s{near}")
        bench.results["BOUND"][case] = {"bound": allowed, "share": given and given / allowed}


async def main() -> None:
    """Read the options, measure, and print the figures."""
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
    torch.set_num_threads(1)  # of this thread, which has nothing to compute
    with tempfile.TemporaryDirectory() as name:
        folder = build(options.size, Path(name))
        config = LlamaConfig.from_pretrained(folder)
        reference, batching = (Reference(folder, options.dtype, options.threads) for _ in range(2))
        engine = await LocalEngine.load(folder, dtype=options.dtype, threads=options.threads)
        details = engine.info.details
        print(
            f"random Llama of {int(details['parameters']) / 1e6:.0f}M parameters, {options.dtype}, "
            f"{options.threads} threads, path {details['path']}, torch {torch.__version__}"
        )
        async with engine:
            bench = Bench(engine, config, reference, batching, options)
            for case in options.cases or CASES:
                await globals()[f"run_{case}"](bench)
            engine.check_integrity()
            if options.json:
                print(json.dumps(bench.results, indent=2))
        reference.close()
        batching.close()


if __name__ == "__main__":
    asyncio.run(main())
