"""The options of a run, and the defaults that a user sets for them.

`RunSpec` is the one declaration of a run's options. `Settings` reads a user's defaults from `BRAID_*`
environment variables and from `config.toml` in the user's configuration folder. A variable wins over the
file. An option on the command line and an argument in code win over both.
"""

from __future__ import annotations

import os
import tomllib
import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from braid.engine import Budget, Price
from braid.engine.automatic import AUTO
from braid.executors import Limits
from braid.orchestrator.errors import ConfigurationError
from braid.orchestrator.history import read_history
from braid.orchestrator.options import MOST_SAMPLES, ModelSettings, Sampling
from braid.planner.follow_up import Turn

DEFAULT_ENGINE = AUTO


def config_file() -> Path:
    """Path of the optional configuration file: `$XDG_CONFIG_HOME/braid/config.toml`."""
    return _folder("XDG_CONFIG_HOME", ".config") / "config.toml"


def state_folder() -> Path:
    """Folder of what the user leaves behind, such as the history of the REPL: `$XDG_STATE_HOME/braid`."""
    return _folder("XDG_STATE_HOME", ".local/state")


def data_folder() -> Path:
    """Folder of what must last, such as the journal: `$BRAID_HOME`, else `$XDG_DATA_HOME/braid`."""
    home = os.environ.get("BRAID_HOME", "")
    return Path(home) if home else _folder("XDG_DATA_HOME", ".local/share")


def journal_file() -> Path:
    """The journal of all runs of this user."""
    return data_folder() / "journal.db"


def _folder(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    base = Path(given) if given else Path.home() / default
    return base / "braid"


def _named(given: Any) -> Any:
    """Names that a variable holds, with commas between them."""
    if not isinstance(given, str):
        return given
    return tuple(name for part in given.split(",") if (name := part.strip()))


class RunDefaults(BaseModel):
    """The options of a run for which a user may set a default."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    engine: str = Field(default=DEFAULT_ENGINE, min_length=1)
    """Address of the engine. `auto` takes braid-planner where it is at hand and quick, else braid-mini."""
    think_engine: str | None = Field(
        default=None, examples=["openai:http://127.0.0.1:8000/v1#my-model"], min_length=1
    )
    """Address of an engine of its own for thoughts, direct answers and typed outputs."""
    threads: int | None = Field(default=None, examples=[2], ge=1)
    """CPU threads of a local engine."""
    device: str | None = Field(default=None, examples=["cuda"], min_length=1)
    """Where a local engine runs, as torch names it."""
    memory_mib: int | None = Field(default=None, examples=[2048], ge=1)
    """Limit of a local engine's KV. None takes half of the free memory."""
    cache_mib: int | None = Field(default=None, examples=[512], ge=0)
    """KV that a local engine keeps for reuse."""
    chunk_tokens: int | None = Field(default=None, examples=[512], ge=1)
    """Most prompt tokens that one step of a local engine reads."""
    probe: bool = False
    """Whether a remote engine finds out with small requests what its server can do."""
    mcp: Path | None = None
    """Configuration file of MCP servers."""
    tools_from: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_named)] = ()
    """Modules with further tools for the command line, such as `desk:tools`."""
    max_rounds: int = Field(default=3, ge=1)
    """How many plans a run may write before it gives up."""
    max_repairs: int = Field(default=2, ge=0)
    """How often one plan may be sent back for statements that are not valid."""
    seed: int = 0
    """Seed of everything that is drawn at random."""
    samples: int | None = Field(default=None, examples=[4], ge=1, le=MOST_SAMPLES)
    """How many plans are written for a question and voted on. None takes what the engine says, else 1."""
    sample_temperature: float = Field(default=0.7, gt=0, allow_inf_nan=False)
    """Temperature of all these plans but the first."""
    answer_agreement: float = Field(default=0.65, ge=0, le=1)
    """Share of the plans that must agree for an answer without a word of doubt."""
    doubt_agreement: float = Field(default=0.3, ge=0, le=1)
    """Share of the plans that must agree for an answer at all."""
    shortcuts: bool = True
    """Whether questions that need no plan are answered without one."""

    def engine_options(self, address: str) -> dict[str, Any]:
        """The options that `connect` takes for the engine at `address`."""
        mib = 2**20
        options = {
            "threads": self.threads,
            "device": self.device,
            "memory_bytes": None if self.memory_mib is None else self.memory_mib * mib,
            "cache_bytes": None if self.cache_mib is None else self.cache_mib * mib,
            "chunk_tokens": self.chunk_tokens,
        }
        if not address.startswith("local:"):
            return {"probe": True} if self.probe else {}
        return {name: value for name, value in options.items() if value is not None}


class BudgetLimits(BaseModel):
    """The limits of a budget. None is no limit."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None
    cost: float | None = None
    """Money, in the currency of `prices`."""
    soft: float | None = None
    """Share of each limit from which on the budget is tight."""
    prices: dict[str, Price] | None = None
    """By engine address or model name."""

    @classmethod
    def of(cls, budget: Budget) -> Self:
        """The limits of `budget`, without what was spent of it."""
        return cls.model_construct(**{name: getattr(budget, name) for name in cls.model_fields})

    def budget(self) -> Budget:
        """A budget with these limits, whose clock starts now."""
        return Budget(**{name: getattr(self, name) for name in type(self).model_fields})


class RunSpec(RunDefaults, Sampling):
    """The options of one run, as agent and command line set them and the journal stores them.

    The JSON keys are part of the journal's format. Keys of newer versions are ignored. Keys that an earlier
    version did not write have their defaults.
    """

    engine_reason: str = ""
    """Why this engine was chosen, where it was not named."""
    plan: str = ""
    """A plan that was written by hand. It is run in place of what a model would write."""
    review: bool = False
    """Whether a person decides about each plan before anything of it runs."""
    instructions: str = ""
    """Told to the planner in every round."""
    output_retries: int = Field(default=1, ge=0)
    """How often a chat model is asked to restate an answer that does not fit the output type."""
    limits: Limits = Field(default_factory=Limits)
    budget: BudgetLimits | None = None
    """Limits of this run alone."""
    sequential: bool = False
    """Run one node at a time, in plan order."""
    history: Annotated[tuple[Any, ...], AfterValidator(lambda given: tuple(read_history(given)))] = ()
    """Messages of earlier runs."""
    turns: tuple[Turn, ...] = ()
    """The same conversation as typed data."""
    tools: dict[str, str] = {}
    """Fingerprints of the tools by name. Set where the run is recorded in a journal."""

    def for_run(
        self,
        *,
        settings: ModelSettings | None,
        instructions: str | None,
        output_retries: int | None,
        **given: Any,
    ) -> Self:
        """These options as one run has them. What is None, and settings that are None, stay.

        Raises:
            ConfigurationError: An option cannot be used.
        """
        try:
            chosen = ModelSettings.model_validate(settings or {}).model_dump(exclude_none=True)
        except ValidationError as error:
            raise ConfigurationError(f"settings: {first_reason(error)}") from error
        if output_retries is not None:
            chosen["output_retries"] = self.of(self, output_retries=output_retries).output_retries
        if instructions:
            chosen["instructions"] = f"{self.instructions}\n\n{instructions}".strip()
        return self.model_copy(update={**given, **chosen})

    @classmethod
    def of(cls, defaults: RunDefaults, **given: Any) -> Self:
        """The options in `given`, and `defaults` for those that are None.

        An engine that is given is for all roles, unless an engine to think with is given too.

        Raises:
            ConfigurationError: An option cannot be used.
            TypeError: There is no such option.
        """
        if unknown := given.keys() - cls.model_fields.keys():
            raise TypeError(f"a run has no option {', '.join(sorted(unknown))}")
        options = {name: value for name, value in given.items() if value is not None}
        if "engine" in options:
            options.setdefault("think_engine", None)
        try:
            return cls(**{**dict(defaults), **options})
        except ValidationError as error:
            raise ConfigurationError(first_reason(error)) from error


def first_reason(error: ValidationError) -> str:
    """The first thing that is wrong: the option, what it must be and what was given."""
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "greater_than_equal":
        return f"{name} must be at least {first.get('ctx', {})['ge']}, got {first['input']!r}"
    return f"{name}: {first['msg']}, got {first['input']!r}"


class Settings(RunDefaults, BaseSettings):
    """A user's defaults: `BRAID_ENGINE=openai:http://127.0.0.1:8000/v1#my-model braid run "..."`."""

    model_config = SettingsConfigDict(env_prefix="BRAID_", extra="ignore", use_attribute_docstrings=True)

    journal: bool = True
    """Whether `braid` writes runs into the user's journal."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())


def unknown_keys() -> dict[str, str]:
    """The keys of the configuration file that no setting has, each with the setting that it resembles."""
    try:
        keys = tomllib.loads(config_file().read_text(encoding="utf-8")).keys()
    except (OSError, ValueError):
        return {}  # a missing file is no mistake, and `Settings` tells of one that cannot be read
    known = list(Settings.model_fields)
    return {
        key: next(iter(get_close_matches(key, known, n=1)), "") for key in keys if key.lower() not in known
    }


def load_settings() -> Settings:
    """The settings in force.

    Raises:
        ConfigurationError: A variable or a key of the file cannot be used. The error names it.
    """
    for key, meant in unknown_keys().items():
        hint = f"; did you mean {meant!r}?" if meant else ""
        warnings.warn(f"unknown key {key!r} in {config_file()}{hint}", UserWarning, stacklevel=2)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "?"
        raise ConfigurationError(
            f"setting {key!r} (BRAID_{key.upper()}, or {key} in {config_file()}): "
            f"{first['msg']}, got {first['input']!r}"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"cannot read {config_file()}: {error}") from error
