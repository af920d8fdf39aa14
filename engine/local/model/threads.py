"""Number of CPU threads to run a model on, measured."""

from __future__ import annotations

import statistics
import time

import torch

from braid.engine.local.attention import Chunk, Row, Step
from braid.engine.local.kv import Pool, PrefixEnd, TailArena, View
from braid.engine.local.model.model import Model

_LARGE = 500_000_000
_ROUNDS = 5
_ENOUGH = 0.5
"""Seconds of measured steps after which the measurement ends. Long steps vary less."""
_PROMPT = 8


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
        steps = _Steps(model)
        for _ in range(_ROUNDS):
            for threads, times in taken.items():
                torch.set_num_threads(threads)
                steps.decode()  # after a change, the helpers have to be woken first
                start = time.perf_counter()
                steps.read()
                steps.decode()
                times.append(time.perf_counter() - start)
            if taken[most][-1] > 2 * taken[1][-1]:
                return 1  # the machine is busy, and to go on measuring would take long
            if sum(map(sum, taken.values())) > _ENOUGH:
                break
    return min(taken, key=lambda threads: statistics.median(taken[threads]))


class _Steps:
    """A short prompt and one token behind it, to be read again and again."""

    def __init__(self, model: Model) -> None:
        ids = model.probe_ids.tolist()[: _PROMPT + 1]
        pool = Pool(model.geometry, limit_bytes=1 << 40, keep_bytes=0)
        segment = pool.extend(PrefixEnd(pool.root, 0), ids, self).segment
        tails, last = TailArena(pool), len(ids) - 1
        self._model = model
        self._prompt = Step([Chunk(ids[:-1], segment, 0)], [], tails, None)
        row = Row(ids[-1], last, (View(segment, 0, last + 1),), segment, last)
        self._token = Step([], [row], tails, None)
        self.read()

    def read(self) -> None:
        """Read the prompt, with the logits of its last token."""
        self._model.forward(self._prompt, [len(self._prompt.token_ids) - 1])

    def decode(self) -> None:
        """Read the token behind it."""
        self._model.forward(self._token, [0])
