"""From a step's logits to a token for each branch: grammars, sampling, and log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence as Listing

import torch

from braid.engine.errors import EngineError
from braid.engine.local.model import Model, sample_tokens, top_logprobs
from braid.engine.local.scheduler.branch import Branch
from braid.engine.local.scheduler.request import GenerateRequest

SampledRow = tuple[GenerateRequest, Branch]
"""Request and branch whose token is sampled from a row of logits."""


def sample_step(
    model: Model, targets: Listing[SampledRow], logits: torch.Tensor
) -> tuple[list[int], dict[GenerateRequest, EngineError]]:
    """Sample a token for each row of `logits` [rows, vocabulary].

    Log-probabilities are added to the branches. Their text is not changed.

    Returns:
        The tokens, and the requests whose grammar became too complex. The tokens of those are meaningless.
    """
    constrained: dict[GenerateRequest, list[int]] = {}
    for row, (request, _) in enumerate(targets):
        if request.masks is not None:
            constrained.setdefault(request, []).append(row)
    allowed = logits.clone() if constrained else logits
    faults: dict[GenerateRequest, EngineError] = {}
    for request, rows in constrained.items():
        assert request.masks is not None
        try:
            allowed[rows] = request.masks.apply(allowed[rows], [targets[row][1].index for row in rows])
        except EngineError as error:
            faults[request] = error
    tokens = sample_tokens(allowed, [request.samplers[branch.index] for request, branch in targets])
    for request, rows in constrained.items():
        assert request.masks is not None
        if request in faults:
            continue
        try:
            request.masks.advance([tokens[row] for row in rows], [targets[row][1].index for row in rows])
        except EngineError as error:
            faults[request] = error
    _note_logprobs(model, targets, tokens, logits)
    return tokens, faults


def _note_logprobs(
    model: Model, targets: Listing[SampledRow], tokens: list[int], logits: torch.Tensor
) -> None:
    """Add log-probabilities of the model itself, before temperature and truncation, as `score` gives them."""
    rows = [row for row, (_, branch) in enumerate(targets) if branch.params.logprobs is not None]
    if not rows:
        return
    logprobs = torch.log_softmax(logits[rows], dim=-1)
    for row, values in zip(rows, logprobs, strict=True):
        branch = targets[row][1]
        branch.logprobs.append(float(values[tokens[row]]))
        if branch.params.logprobs:
            best = top_logprobs(values, branch.params.logprobs)
            branch.top_logprobs.append(tuple((model.codec.decode([token]), value) for token, value in best))
