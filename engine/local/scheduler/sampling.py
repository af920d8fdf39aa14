"""From a step's logits to a token for each branch: grammars, draws, and the log-probabilities that were asked for."""

from __future__ import annotations

from collections.abc import Sequence as Listing

import torch

from braid.engine.errors import EngineError
from braid.engine.local.model import Model, sample_tokens, top_logprobs
from braid.engine.local.scheduler.branch import Branch
from braid.engine.local.scheduler.request import GenerateRequest

Drawing = tuple[GenerateRequest, Branch]


def sample_step(
    model: Model, drawings: Listing[Drawing], logits: torch.Tensor
) -> tuple[list[int], dict[GenerateRequest, EngineError]]:
    """A token for each row of `logits` [rows, vocabulary], noted in its branch's log-probabilities, not yet in its text; and the
    requests whose grammar became too complex, whose tokens mean nothing."""
    constrained: dict[GenerateRequest, list[int]] = {}
    for row, (request, _) in enumerate(drawings):
        if request.masks is not None:
            constrained.setdefault(request, []).append(row)
    allowed = logits.clone() if constrained else logits
    faults: dict[GenerateRequest, EngineError] = {}
    for request, rows in constrained.items():
        assert request.masks is not None
        try:
            allowed[rows] = request.masks.apply(allowed[rows], [drawings[row][1].index for row in rows])
        except EngineError as error:
            faults[request] = error
    tokens = sample_tokens(allowed, [request.samplers[branch.index] for request, branch in drawings])
    for request, rows in constrained.items():
        assert request.masks is not None
        if request in faults:
            continue
        try:
            request.masks.advance([tokens[row] for row in rows], [drawings[row][1].index for row in rows])
        except EngineError as error:
            faults[request] = error
    _note_logprobs(model, drawings, tokens, logits)
    return tokens, faults


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
            branch.top_logprobs.append(tuple((model.codec.decode([token]), value) for token, value in best))
