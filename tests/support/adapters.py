"""Random LoRA adapters in the format of PEFT, and the same merged into a model: an independent reference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def build_adapter(
    folder: Path,
    base: Path,
    *,
    targets: Sequence[str] = ALL,
    rank: int = 4,
    alpha: float = 8,
    seed: int = 5,
    note: dict[str, Any] | None = None,
    **config: Any,
) -> Path:
    """Save a random adapter of the base, as PEFT 0.21 saves one. `config` are further keys of its notes."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in targets:
            shape = module.weight.shape
            width_in, width_out = shape if isinstance(module, Conv1D) else shape[::-1]
            r = config.get("rank_pattern", {}).get(name.rpartition(".")[2], rank)
            prefix = f"base_model.model.{name}"
            tensors[f"{prefix}.lora_A.weight"] = torch.randn(r, width_in, generator=generator) * 0.3
            tensors[f"{prefix}.lora_B.weight"] = torch.randn(width_out, r, generator=generator) * 0.3
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {
        **{"alpha_pattern": {}, "auto_mapping": None, "base_model_name_or_path": str(base), "bias": "none"},
        **{"exclude_modules": None, "fan_in_fan_out": False, "inference_mode": True, "lora_bias": False},
        **{"init_lora_weights": True, "loftq_config": {}, "lora_alpha": alpha, "lora_dropout": 0.05},
        **{"megatron_core": "megatron.core", "modules_to_save": None, "peft_type": "LORA", "r": rank},
        **{"peft_version": "0.21.2", "qalora_group_size": 16, "rank_pattern": {}, "revision": None},
        **{"target_modules": list(targets), "task_type": "CAUSAL_LM", "use_dora": False, "use_rslora": False},
    }
    (folder / "adapter_config.json").write_text(json.dumps({**settings, **config}))
    if note is not None:
        (folder / "braid.json").write_text(json.dumps(note))
    return folder


def merged_model(folder: Path, base: Path, adapter: Path) -> Path:
    """Save the base with the adapter added to its weights."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.pytorch_utils import Conv1D

    config = json.loads((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / "adapter_model.safetensors")
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    modules = dict(model.named_modules())
    if "base_model.model.lm_head.lora_A.weight" in tensors:  # a tied head would change the embedding
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
    with torch.no_grad():
        for name in [name for name in tensors if name.endswith("lora_A.weight")]:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            down, up = tensors[name], tensors[name.replace("lora_A", "lora_B")]
            kind = module.rpartition(".")[2]
            alpha = config["alpha_pattern"].get(kind, config["lora_alpha"])
            scale = alpha / (len(down) ** 0.5 if config["use_rslora"] else len(down))
            added = up @ down * scale
            modules[module].weight += added.T if isinstance(modules[module], Conv1D) else added
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder
