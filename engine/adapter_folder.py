"""A folder with a LoRA adapter in the format of PEFT: what its two notes say, without its weights.

`adapter_config.json` is PEFT's. `braid.json` is ours and optional: which base it needs, and facts about it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from braid.engine.errors import AdapterError

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
_NOTE: Final = "braid.json"
_MODEL_WEIGHTS: Final = ("model*.safetensors", "pytorch_model*.bin", "*.gguf")
_LARGEST_NOTE: Final = 2**20
_WITHOUT_EFFECT: Final = frozenset(
    {
        *("auto_mapping", "corda_config", "eva_config", "exclude_modules", "inference_mode"),
        *("layers_pattern", "layers_to_transform", "loftq_config", "lora_dropout", "megatron_core"),
        *("lora_ga_config", "peft_type", "peft_version", "qalora_group_size", "revision", "runtime_config"),
        "task_type",
    }
)
"""Keys of PEFT's configuration that change training, or the choice of layers, which the weights show."""
_PLAIN_STARTS: Final = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of `init_lora_weights` that leave the base as it is."""


def _texts(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given or ()


class LoraConfig(BaseModel):
    """What `adapter_config.json` says that matters when the adapter is used."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    peft_type: Literal["LORA"]
    r: Annotated[int, Field(ge=1, le=2**16)]
    lora_alpha: Annotated[float, Field(allow_inf_nan=False)]
    target_modules: list[str] | str | None = None
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, Annotated[float, Field(allow_inf_nan=False)]] | None = None
    use_rslora: bool | None = False
    fan_in_fan_out: bool | None = False
    base_model_name_or_path: str | None = None
    bias: str | None = "none"
    init_lora_weights: Any = True

    def scale(self, module: str, rank: int) -> float:
        """The factor of the product at a module of this rank."""
        alpha = _matching(self.alpha_pattern, module, self.lora_alpha)
        return alpha / (rank**0.5 if self.use_rslora else rank)

    def rank(self, module: str) -> int:
        """The rank at a module."""
        return _matching(self.rank_pattern, module, self.r)


class _Base(BaseModel):
    """Which base an adapter was trained on."""

    name: str | None = None
    sha256: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    """SHA-256 of the base's weights, as `weights_hash` gives it, for each form in which they may come."""


class _Note(BaseModel):
    """What Braid reads in an adapter's `braid.json`."""

    base: _Base = _Base()
    roles: tuple[Literal["plan", "think"], ...] = ("plan", "think")
    details: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class AdapterFolder:
    """A folder that holds an adapter."""

    path: Path
    config: LoraConfig
    bases: tuple[str, ...]
    """Paths and names of its base, the likeliest first."""
    base_hashes: frozenset[str]
    """SHA-256 of weights that it may be used with. Empty: none is recorded."""
    roles: tuple[str, ...]
    """What it is for: `plan`, `think`, or both."""
    details: dict[str, str]
    """Facts for `EngineInfo.details`."""


def is_adapter(path: Path) -> bool:
    """Whether a folder holds an adapter, and no weights of a model.

    Raises:
        AdapterError: it holds both.
    """
    if not (path / CONFIG).is_file():
        return False
    if any(next(path.glob(weights), None) for weights in _MODEL_WEIGHTS):
        raise AdapterError(
            f"the folder {str(path)!r} holds a model and an adapter; "
            "move the adapter into a folder of its own"
        )
    return True


def split_adapter(name: str) -> tuple[str, Path] | None:
    """Base and adapter in `BASE+FOLDER`. None where it is something else."""
    base, plus, folder = name.rpartition("+")
    path = Path(folder).expanduser()
    if not plus or not base or not folder or Path(name).expanduser().exists() or not is_adapter(path):
        return None
    return base, path


def read_adapter(folder: str | Path) -> AdapterFolder:
    """Read the notes in an adapter's folder.

    Raises:
        AdapterError: it is no adapter, or one that changes more than linear layers by low-rank products.
    """
    path = Path(folder).expanduser()
    if not (path / CONFIG).is_file():
        raise AdapterError(f"the folder {str(path)!r} holds no adapter: it has no {CONFIG}")
    found = _read(path / CONFIG)
    kind = found.get("peft_type")
    if kind != "LORA":
        raise AdapterError(f"the adapter {str(path)!r} is of the kind {kind!r}; LORA can be used")
    try:
        config = LoraConfig.model_validate(found)
        for pattern in (*(config.rank_pattern or ()), *(config.alpha_pattern or ())):
            re.compile(pattern)
    except (ValidationError, re.error) as error:
        raise AdapterError(f"cannot read {str(path / CONFIG)!r}: {error}") from error
    _refuse_unknown(path, config)
    note: dict[str, Any] = _read(path / _NOTE) if (path / _NOTE).is_file() else {}
    try:
        ours = _Note.model_validate(note)
    except ValidationError as error:
        raise AdapterError(f"cannot read {str(path / _NOTE)!r}: {error}") from error
    facts = {key: str(value) for key, value in note.items() if isinstance(value, str | int | float)}
    named = (ours.base.name, config.base_model_name_or_path)
    return AdapterFolder(
        path=path,
        config=config,
        bases=tuple(base for base in named if base),
        base_hashes=frozenset(ours.base.sha256),
        roles=ours.roles,
        details={**facts, **ours.details, "adapter": path.resolve().name, "roles": " ".join(ours.roles)},
    )


def _refuse_unknown(path: Path, config: LoraConfig) -> None:
    """Refuse what would change what the adapter computes, and is not known here."""
    if config.bias not in (None, "none"):
        raise AdapterError(f"the adapter {str(path)!r} changes biases (bias={config.bias!r})")
    start = config.init_lora_weights
    if start not in _PLAIN_STARTS:
        raise AdapterError(
            f"the adapter {str(path)!r} was trained on a changed base (init_lora_weights={start!r}); "
            "save it with PEFT's path_initial_model_for_weight_conversion"
        )
    others = {key: value for key, value in (config.model_extra or {}).items() if key not in _WITHOUT_EFFECT}
    unknown = sorted(key for key, value in others.items() if value not in (None, False, "", [], {}))
    if unknown:
        raise AdapterError(
            f"the adapter {str(path)!r} uses what is not known here: "
            + ", ".join(f"{key}={others[key]!r:.60}" for key in unknown)
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_NOTE:
            raise AdapterError(f"{str(path)!r} is larger than {_LARGEST_NOTE} bytes")
        found: object = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(f"cannot read {str(path)!r}: {error}") from error
    if not isinstance(found, dict):
        raise AdapterError(f"cannot read {str(path)!r}: it is no JSON object")
    return cast("dict[str, Any]", found)


def _matching(patterns: dict[str, Any] | None, module: str, default: Any) -> Any:
    """The value of the first pattern that ends the module's name, as PEFT chooses it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
