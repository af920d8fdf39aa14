"""From a step's logits to a token for each branch: grammars, sampling, and log-probabilities."""

from __future__ import annotations

from collections.abc import Container
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
) -> tuple[list[int], dict[int, EngineError]]:
    """Sample a token for each row of `logits` [rows, vocabulary].

    Log-probabilities are added to the branches. Their text is not changed.

    Returns:
        The tokens, and the rows whose grammar became too complex. The tokens of those are meaningless.
    """
    constrained: dict[GenerateRequest, list[int]] = {}
    for row, (request, _) in enumerate(targets):
        if request.masks is not None:
            constrained.setdefault(request, []).append(row)
    allowed = logits.clone() if constrained else logits
    faults: dict[int, EngineError] = {}
    for request, rows in constrained.items():
        assert request.masks is not None
        at = {targets[row][1].index: row for row in rows}
        allowed[rows], failed = request.masks.apply(allowed[rows], list(at))
        faults.update({at[index]: error for index, error in failed.items()})
    tokens = sample_tokens(allowed, [request.samplers[branch.index] for request, branch in targets])
    for request, rows in constrained.items():
        assert request.masks is not None
        for row in rows:
            try:
                if row not in faults:
                    request.masks.advance(tokens[row], targets[row][1].index)
            except EngineError as error:
                faults[row] = error
    _note_logprobs(model, targets, tokens, logits, faults)
    return tokens, faults


def force_token(request: GenerateRequest, branch: Branch) -> int | None:
    """The next token of `branch`, where its grammar allows one only. It needs no logits then.

    The sampler and the grammar go on as if it had been sampled. With log-probabilities no token is forced,
    since these are the model's.

    Raises:
        EngineError: the grammar became too complex with it.
    """
    if request.masks is None or branch.finish_reason is not None or branch.params.logprobs is not None:
        return None
    token = request.masks.forced(branch.index)
    if token is not None:
        request.samplers[branch.index].force(token)
        request.masks.advance(token, branch.index)
    return token


def _note_logprobs(
    model: Model,
    targets: Listing[SampledRow],
    tokens: list[int],
    logits: torch.Tensor,
    faults: Container[int],
) -> None:
    """Add log-probabilities of the model itself, before temperature and truncation, as `score` gives them."""
    rows = [
        row
        for row, (_, branch) in enumerate(targets)
        if branch.params.logprobs is not None and row not in faults
    ]
    if not rows:
        return
    logprobs = torch.log_softmax(logits[rows], dim=-1)
    for row, values in zip(rows, logprobs, strict=True):
        branch = targets[row][1]
        branch.logprobs.append(float(values[tokens[row]]))
        if branch.params.logprobs:
            best = top_logprobs(values, branch.params.logprobs)
            branch.top_logprobs.append(tuple((model.codec.decode([token]), value) for token, value in best))
