"""Attention of packed training sequences, held against torch's under the same mask."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from braid.training.packed_attention import packed_attention


def test_output_and_gradients_are_those_of_dense_attention() -> None:
    torch.manual_seed(0)
    length, shared = 300, 40
    owner = torch.cat([torch.zeros(shared), torch.arange(1, 6).repeat_interleave(52)])[None].repeat(2, 1)
    owner[1, 250:] = -1  # padding
    mask = ((owner[:, None, :] == 0) | (owner[:, None, :] == owner[:, :, None])).tril()[:, None]
    tensors = [torch.randn(2, heads, length, 8, requires_grad=True) for heads in (6, 2, 2)]
    above = torch.randn(2, length, 6, 8)
    output, _ = packed_attention(torch.nn.Module(), *tensors, mask)
    output.backward(above)
    ours = [output.detach(), *(tensor.grad for tensor in tensors)]
    others = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    expected = scaled_dot_product_attention(*others, attn_mask=mask, enable_gqa=True).transpose(1, 2)
    expected.backward(above)
    for found, wanted in zip(ours, [expected.detach(), *(other.grad for other in others)], strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_a_query_that_sees_nothing_gets_zeros() -> None:
    q, k, v = (torch.randn(1, 1, 4, 2, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[False] * 4, [True] * 4, [False] * 4, [True] * 4])[None, None]
    output, _ = packed_attention(torch.nn.Module(), q, k, v, mask)
    output.sum().backward()
    assert not output[0, 0].any()
    assert not q.grad[0, 0, 0].any()
    assert v.grad.isfinite().all()
