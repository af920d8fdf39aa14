"""Settings: `BRAID_*` environment variables over `config.toml` in the user's configuration folder.

A variable wins over the file, an option on the command line or an argument in code wins over both.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from braid.orchestrator.errors import ConfigurationError

DEFAULT_ENGINE = "local:braid-mini"


def config_file() -> Path:
    """Where the optional configuration file lies: `$XDG_CONFIG_HOME/braid/config.toml`."""
    return _folder("XDG_CONFIG_HOME", ".config") / "config.toml"


def state_folder() -> Path:
    """Where what the user leaves behind is kept, such as the history of the REPL: `$XDG_STATE_HOME/braid`."""
    return _folder("XDG_STATE_HOME", ".local/state")


def data_folder() -> Path:
    """Where what must last is kept, such as the journal: `$BRAID_HOME`, else `$XDG_DATA_HOME/braid`."""
    home = os.environ.get("BRAID_HOME", "")
    return Path(home) if home else _folder("XDG_DATA_HOME", ".local/share")


def journal_file() -> Path:
    """The journal of all runs of this user."""
    return data_folder() / "journal.db"


def _folder(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    base = Path(given) if given else Path.home() / default
    return base / "braid"


class Settings(BaseSettings):
    """What a user sets once: `BRAID_ENGINE=openai:http://127.0.0.1:8000/v1#my-model braid run "..."`."""

    model_config = SettingsConfigDict(env_prefix="BRAID_", extra="ignore", frozen=True)

    engine: str = Field(default=DEFAULT_ENGINE, min_length=1)
    threads: int | None = Field(default=None, ge=1)
    mcp: Path | None = None
    max_rounds: int = Field(default=3, ge=1)
    max_repairs: int = Field(default=2, ge=0)
    seed: int = 0
    journal: bool = True

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


def load_settings() -> Settings:
    """The settings in force; raises `ConfigurationError` naming the variable or key that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "?"
        raise ConfigurationError(
            f"setting {key!r} (BRAID_{key.upper()}, or {key} in {config_file()}): {first['msg']}, got {first['input']!r}"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"cannot read {config_file()}: {error}") from error
