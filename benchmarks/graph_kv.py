"""One plan on one engine, reached in three ways: what it is worth that graph and KV cache are one thing.

    python benchmarks/graph_kv.py [--size 31M|298M] [--context 2048] [--repeats 3] [--threads N] [--json]

The plan has eight `think` nodes over one long shared context. The last two read what others said. Each node
samples four completions of 64 tokens. The executor runs the plan

    shared     on the engine in this process. Nodes fork the run's root context, and siblings attach to what
               is being read.
    server     on the same engine behind its own HTTP server, as any OpenAI-compatible client would. The
               server shares prefixes, too.
    separate   behind the same server, but every request's prompt is made unique. This stands for a server
               without a prefix cache. It still reads a prompt once for the completions of one request.

with an empty cache (cold) and again (warm), in turns. Printed are the prompt tokens computed, the tokens
reused, the peak of the KV cache and the wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import cast

from _random_llama import VOCABULARY, build

from braid.engine import Budget, Engine, Message, Prompt, connect
from braid.engine.local.context import LocalContext
from braid.engine.local.engine import LocalEngine
from braid.engine.server.config import ServerOptions
from braid.engine.server.serve import serving
from braid.engine.system.hardware import processors
from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph
from braid.executors.nodes.nodes import Answer, Const, Node, Ref, Think


def words(rng: random.Random, count: int) -> str:
    """`count` random words of the model's vocabulary."""
    return " ".join(str(rng.randrange(VOCABULARY)) for _ in range(count))


def plan(rng: random.Random) -> GraphPatch:
    """Six thoughts side by side, then one on each half of them, and the answer."""
    options = (("n", 4), ("max_tokens", 64))
    nodes = [
        Node(id=f"t{i}", name=f"t{i}", op=Think(Const(words(rng, 24)), (), "self_consistency", options))
        for i in range(6)
    ]
    for i, given in ((6, ("t0", "t1", "t2")), (7, ("t3", "t4", "t5"))):
        op = Think(Const(words(rng, 24)), tuple(Ref(name) for name in given), "self_consistency", options)
        nodes.append(Node(id=f"t{i}", name=f"t{i}", op=op))
    nodes.append(Node(id="end", op=Answer((Ref("t6"), Ref("t7")))))
    return GraphPatch(base_version=0, add=tuple(nodes))


class Separate(LocalEngine):
    """Puts a number of its own before every prompt, so that no two have a beginning in common."""

    _number = 0

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> LocalContext:
        first, *rest = cast("list[Message]", list(prompt))
        Separate._number += 1
        unique = Message(role=first["role"], content=f"{self._number} {first['content']}")
        return await super().prefill([unique, *rest], budget=budget)


async def run_plan(engine: Engine, root: list[Message], patch: GraphPatch) -> float:
    """Seconds from the start of the plan to its answer."""
    graph = TaskGraph()
    graph.apply(patch)
    start = time.perf_counter()
    outcome = await run_graph(graph, None, RunContext(tools=ToolRegistry(), engine=engine, root=root))
    seconds = time.perf_counter() - start
    if outcome.failures:
        raise SystemExit(f"the plan did not run: {outcome.failures}")
    return seconds


async def main() -> None:
    """Read the options, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", choices=["31M", "298M"], default="31M")
    parser.add_argument("--context", type=int, default=2048, help="tokens of the shared context")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=processors().usable)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = build(options.size, Path(name))
        engine = await LocalEngine.load(folder, dtype="bfloat16", threads=options.threads)
        alone = await Separate.load(folder, dtype="bfloat16", threads=options.threads, cache_bytes=0)
        serve = ServerOptions(port=0, served_model_name="model")
        found: dict[str, dict[str, list[float]]] = {}
        async with (
            engine,
            alone,
            serving(engine, serve) as url,
            serving(alone, serve) as other,
            await connect(f"openai:{url}#model") as remote,
            await connect(f"openai:{other}#model") as opaque,
        ):
            ways = (("shared", engine, engine), ("server", engine, remote), ("separate", alone, opaque))
            for repeat in range(options.repeats + 1):
                for way, local, through in ways:
                    root: list[Message] = [{"role": "system", "content": words(rng, options.context)}]
                    patch = plan(rng)
                    local.forget()
                    for state in ("cold", "warm"):
                        stats = local.stats()
                        before, reused = stats.prefilled, stats.reused
                        local.kv_peak_bytes(reset=True)
                        seconds = await run_plan(through, root, patch)
                        if repeat:
                            values = found.setdefault(f"{way} {state}", {})
                            values.setdefault("prefilled", []).append(local.stats().prefilled - before)
                            values.setdefault("reused", []).append(local.stats().reused - reused)
                            values.setdefault("peak_mib", []).append(local.kv_peak_bytes() / 2**20)
                            values.setdefault("seconds", []).append(seconds)
            engine.check_integrity()
            alone.check_integrity()
        middle = {
            way: {key: statistics.median(v) for key, v in values.items()} for way, values in found.items()
        }
        print(
            f"random Llama {options.size}, bfloat16, {options.threads} threads, "
            f"{options.context} tokens of shared context, 8 thoughts of 4 x 64 tokens; "
            f"medians of {options.repeats}"
        )
        print(
            f"{'':<16}{'prefilled':>10}{'reused':>9}{'peak KV MiB':>13}{'seconds':>9}"
            "  against shared: prefilled, KV, time"
        )
        for state in ("cold", "warm"):
            base = middle[f"shared {state}"]
            for way, _, _ in ways:
                row = middle[f"{way} {state}"]
                ratios = [row[key] / max(base[key], 1e-9) for key in ("prefilled", "peak_mib", "seconds")]
                print(
                    f"{way + ' ' + state:<16}{row['prefilled']:>10.0f}{row['reused']:>9.0f}"
                    f"{row['peak_mib']:>13.1f}{row['seconds']:>9.2f}  "
                    + ", ".join(f"{ratio:.2f}" for ratio in ratios)
                )
        if options.json:
            print(json.dumps(middle, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
