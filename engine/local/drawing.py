"""From a step's logits to a token for each branch: grammars, draws, and the log-probabilities that were asked for."""

from __future__ import annotations

from collections.abc import Sequence as Listing

import torch

from engine.local.branch import Branch
from engine.local.model import Model
from engine.local.sampler import draw, top_logprobs
from engine.local.sequence import Generate

Drawing = tuple[Generate, Branch]


def draw_tokens(model: Model, drawings: Listing[Drawing], logits: torch.Tensor) -> list[int]:
    """A token for each row of `logits` [rows, vocabulary], noted in its branch's log-probabilities, not yet in its text.

    Raises `EngineError` when a grammar became too complex.
    """
    bound: dict[Generate, list[int]] = {}
    for row, (request, _) in enumerate(drawings):
        if request.masks is not None:
            bound.setdefault(request, []).append(row)
    allowed = logits.clone() if bound else logits
    for request, rows in bound.items():
        assert request.masks is not None
        allowed[rows] = request.masks.apply(allowed[rows], [drawings[row][1].index for row in rows])
    tokens = draw(allowed, [request.draws[branch.index] for request, branch in drawings])
    for request, rows in bound.items():
        assert request.masks is not None
        request.masks.advance([tokens[row] for row in rows], [drawings[row][1].index for row in rows])
    _note_logprobs(model, drawings, tokens, logits)
    return tokens


def _note_logprobs(model: Model, drawings: Listing[Drawing], tokens: list[int], logits: torch.Tensor) -> None:
    """Log-probabilities of the model itself, before temperature and truncation: those that `score` gives, too."""
    rows = [row for row, (_, branch) in enumerate(drawings) if branch.params.logprobs is not None]
    if not rows:
        return
    logprobs = torch.log_softmax(logits[rows], dim=-1)
    for row, values in zip(rows, logprobs, strict=True):
        branch = drawings[row][1]
        branch.logprobs.append(float(values[tokens[row]]))
        if branch.params.logprobs:
            best = top_logprobs(values, branch.params.logprobs)
            branch.tops.append(tuple((model.codec.decode([token]), value) for token, value in best))
