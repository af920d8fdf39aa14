"""Training's attention against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from braid.training.attention import blocked_attention


@pytest.mark.parametrize("length", [1, 3, 7, 44, 130])
@pytest.mark.parametrize("masked", [False, True])
def test_output_and_gradients_are_those_of_torch(length: int, masked: bool) -> None:
    torch.manual_seed(length)
    mask = None
    if masked:
        # The second sequence may not look at the first token, which sees itself.
        mask = torch.ones(2, 1, length, length, dtype=torch.bool).tril()
        mask[1, :, 1:, 0] = False
    inputs = [torch.randn(2, heads, length, 16, requires_grad=True) for heads in (4, 2, 2)]
    weights = torch.randn(2, length, 4, 16)

    def run(output: torch.Tensor) -> list[torch.Tensor]:
        return [output, *torch.autograd.grad((output * weights).sum(), inputs)]

    ours = run(blocked_attention(torch.nn.Identity(), *inputs, mask)[0])
    query, key, value = inputs
    reference = scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=True
    )
    for mine, theirs in zip(ours, run(reference.transpose(1, 2)), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
