"""LoRA (arXiv 2106.09685) on the linear layers of a frozen model, and its file in the PEFT format.

The frozen weight and the product of the two small matrices are added once a step. So the forward pass is that
of the plain model, and the backward pass makes the gradients of the small matrices alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers that are adapted, in every block."""
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."


class LowRankLinear(torch.nn.Module):
    """A frozen linear layer without a bias, plus `scale * up @ down`.

    Args:
        linear: The layer. Its weight is (outputs, inputs).
        rank: Rows of `down`, columns of `up`.
        alpha: `scale` is alpha / rank.
    """

    frozen: torch.Tensor
    merged: torch.Tensor

    def __init__(self, linear: torch.nn.Linear, *, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = linear.weight.shape
        self.scale = alpha / rank
        self.down = torch.nn.Parameter(torch.randn(rank, inputs) / math.sqrt(inputs))
        self.up = torch.nn.Parameter(torch.zeros(outputs, rank))
        self.register_buffer("frozen", linear.weight.detach(), persistent=False)
        self.register_buffer("merged", linear.weight.detach().clone(), persistent=False)

    @torch.no_grad()
    def merge(self) -> None:
        """Bring the sum up to date. To be called after each change of `up` or `down`."""
        torch.addmm(self.frozen, self.up, self.down, alpha=self.scale, out=self.merged)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., inputs) to (..., outputs)."""
        return _Product.apply(x, self.merged, self.down, self.up, self.scale)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        merged: torch.Tensor,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, merged, down, up)
        ctx.scale = scale
        return x @ merged.T

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, merged, down, up = ctx.saved_tensors
        (gradient,) = grad_outputs
        rows, above = x.flatten(0, -2), gradient.flatten(0, -2)
        of_x = (above @ merged).view(x.shape) if ctx.needs_input_grad[0] else None
        of_up = (above.T @ (rows @ down.T)) * ctx.scale
        of_down = ((above @ up).T @ rows) * ctx.scale
        return of_x, None, of_down, of_up, None


def adapt(model: Any, *, rank: int, alpha: float) -> None:
    """Freeze `model` and put a `LowRankLinear` in place of each layer of `TARGETS`."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for block in model.model.layers:
        for part in (block.self_attn, block.mlp):
            for name in TARGETS:
                if hasattr(part, name):
                    setattr(part, name, LowRankLinear(getattr(part, name), rank=rank, alpha=alpha))


def adapted_layers(model: torch.nn.Module) -> Iterator[tuple[str, LowRankLinear]]:
    """The adapted layers of `model`, by name."""
    for name, module in model.named_modules():
        if isinstance(module, LowRankLinear):
            yield name, module


def merge(model: torch.nn.Module) -> None:
    """Bring the sums of all adapted layers up to date."""
    for _, layer in adapted_layers(model):
        layer.merge()


def save_adapter(model: torch.nn.Module, folder: Path, *, base: str, rank: int, alpha: float) -> None:
    """Write the two small matrices of each layer in bfloat16, and a configuration that PEFT reads.

    Args:
        model: An adapted model.
        folder: Made where it is missing.
        base: Name of the model that the adapter belongs to.
        rank: Of the adapter.
        alpha: Of the adapter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, layer in adapted_layers(model):
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = layer.down.detach().bfloat16().contiguous()
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = layer.up.detach().bfloat16().contiguous()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(TARGETS),
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def load_adapter(model: torch.nn.Module, folder: Path) -> None:
    """Fill an adapted model with the matrices that `save_adapter` wrote.

    Raises:
        KeyError: A layer's matrices are missing in the file.
    """
    tensors = load_file(folder / WEIGHTS)
    with torch.no_grad():
        for name, layer in adapted_layers(model):
            layer.down.copy_(tensors[f"{_PREFIX}{name}.lora_A.weight"])
            layer.up.copy_(tensors[f"{_PREFIX}{name}.lora_B.weight"])
    merge(model)
