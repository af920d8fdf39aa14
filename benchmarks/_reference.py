"""transformers on the same weights, in a process of its own.

Sides that share a process share GNU OpenMP's count of threads. With more of them than processors, OpenMP lets
waiting threads sleep instead of spin. Every operator of both sides then gets slower.
"""

# transformers' types are loose.
# pyright: basic

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM

_network: Any = None


class Reference:
    """`await reference(function, ...)` runs a function of this module in the process that has the model."""

    def __init__(self, folder: Path, dtype: str, threads: int) -> None:
        self._process = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_load,
            initargs=(folder, dtype, threads),
        )

    async def __call__(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._process, work, *args)

    def close(self) -> None:
        self._process.shutdown()


def _load(folder: Path, dtype: str, threads: int) -> None:
    global _network
    torch.set_num_threads(threads)
    _network = LlamaForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()


@torch.inference_mode()
def generate(ids: list[list[int]], copies: int, tokens: int) -> list[list[int]]:
    """`copies` samples of `tokens` tokens behind each prompt.

    Returns:
        Each prompt with a sample behind it.
    """
    given = torch.tensor(ids)
    return _network.generate(
        given,
        attention_mask=torch.ones_like(given),
        do_sample=True,
        num_return_sequences=copies,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        pad_token_id=0,
    ).tolist()


def generate_levels(prompts: list[list[int]], copies: tuple[int, ...], tokens: int) -> int:
    """Sample levels, each behind the samples of the one before. Returns the number of tokens sampled."""
    total = 0
    for each in copies:
        prompts = generate(prompts, each, tokens)
        total += tokens * len(prompts)
    return total


def continuous_batching(ids: list[int], copies: int, tokens: int) -> int:
    """Run transformers' continuous batching over one prompt, once per copy.

    Returns:
        The number of tokens sampled.
    """
    from transformers import GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    outputs = _network.generate_batch(
        inputs=[ids] * copies,
        generation_config=GenerationConfig(
            max_new_tokens=tokens, do_sample=True, eos_token_id=-1, pad_token_id=0
        ),
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=256, num_blocks=160, max_batch_tokens=2048
        ),
        progress_bar=False,
    )
    return sum(len(output.generated_tokens) for output in outputs.values())


def machine_rates(dtype: str) -> tuple[float, float]:
    """Bandwidth and arithmetic rate of this machine, each the best of five.

    Returns:
        Bytes per second of reading a large tensor, and operations per second of a large matrix product.
    """
    big = torch.ones(64 * 2**20, dtype=torch.float32)
    a, b = (torch.randn(2048, 2048).to(getattr(torch, dtype)) for _ in range(2))
    best = [float("inf")] * 2
    for _ in range(5):
        for place, work in enumerate((lambda: big.sum(), lambda: a @ b)):
            start = time.perf_counter()
            work()
            best[place] = min(best[place], time.perf_counter() - start)
    return big.nbytes / best[0], 2 * 2048**3 / best[1]
