"""Number of CPU threads to run a model on, measured."""

from __future__ import annotations

import statistics
import time

import torch

from braid.engine.local.model.model import Model

_LARGE = 500_000_000
_ROUNDS = 5


def best_threads(model: Model, most: int) -> int:
    """1 or `most`, whichever runs `model` faster at this moment.

    The operators of a small model take microseconds, and on several threads each waits for the last of them.
    On a machine that others are using, a step may take a hundred times as long. Models of 500M parameters or
    more always get `most`.
    """
    if most == 1 or model.device.type != "cpu" or model.parameters >= _LARGE:
        return most
    taken: dict[int, list[float]] = {1: [], most: []}
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            for threads, times in taken.items():
                torch.set_num_threads(threads)
                model.probe()  # after a change, the helpers have to be woken first
                start = time.perf_counter()
                model.probe()
                times.append(time.perf_counter() - start)
            if taken[most][-1] > 2 * taken[1][-1]:
                return 1  # the machine is busy, and to go on measuring would take long
    return min(taken, key=lambda threads: statistics.median(taken[threads]))
