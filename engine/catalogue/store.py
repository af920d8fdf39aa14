"""Models in the user's cache: where they lie, whether they are whole, and how they are removed."""

from __future__ import annotations

import shutil
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path

from pydantic import BaseModel, ValidationError

from braid.engine.catalogue.entries import CatalogueModel, UnknownModelError, catalogue
from braid.engine.errors import EngineError
from braid.engine.system import cache_folder

MANIFEST = "pulled.json"


class NotPulledError(EngineError):
    """The model is not in the cache, or Braid did not pull it."""

    wrong_usage = True


class PulledFile(BaseModel):
    """One file of a pulled model."""

    path: str
    """Name inside the model's folder."""
    size: int
    sha256: str


class PulledModel(BaseModel):
    """What Braid wrote down when it pulled a model.

    It is written last, so a model without it is not whole.
    """

    name: str
    source: str
    revision: str
    """Commit of the hub, or version of the package."""
    licence: str
    pulled: str
    """Time in UTC, in ISO format."""
    files: list[PulledFile]


def models_folder() -> Path:
    """Folder of the pulled models."""
    return cache_folder() / "models"


def model_folder(name: str) -> Path:
    """Folder of one pulled model."""
    return models_folder() / name


def pulled_model(name: str) -> PulledModel | None:
    """What was written down about a pulled model. None where it is not there or not whole."""
    folder = model_folder(name)
    try:
        pulled = PulledModel.model_validate_json((folder / MANIFEST).read_bytes())
        whole = all((folder / file.path).stat().st_size == file.size for file in pulled.files)
    except (OSError, ValidationError):
        return None
    return pulled if whole and pulled.name == name else None


def cached_model(name: str) -> Path | None:
    """What `local:` opens for a model of the catalogue: its folder or file. None where it is not pulled.

    It is quick, and never asks the network.

    Raises:
        UnknownModelError: no model of the catalogue has this name.
    """
    model = catalogue().get(name)
    if model is None:
        raise UnknownModelError(name)
    return _opened(model)


def _opened(model: CatalogueModel) -> Path | None:
    return model_folder(model.name) / model.opens if pulled_model(model.name) else None


def remove_model(name: str) -> int:
    """Delete a pulled model, and what was made of it. Other files in its folder stay.

    Returns:
        The number of bytes freed.

    Raises:
        NotPulledError: Braid did not pull this model.
    """
    folder = model_folder(name)
    known = catalogue().keys() | {path.parent.name for path in models_folder().glob(f"*/{MANIFEST}")}
    if name not in known:
        raise UnknownModelError(name)
    try:
        pulled = PulledModel.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        pulled = None
    if pulled is None or folder.is_symlink():
        raise NotPulledError(f"Braid has not pulled {name!r}, so there is nothing of its own to remove")
    freed = 0
    (folder / MANIFEST).unlink()  # first, so that a half removed model does not look whole
    for file in pulled.files:
        path = folder / Path(file.path).name
        with suppress(FileNotFoundError):
            freed += path.lstat().st_size
            path.unlink()
        for made in converted_folders(file.sha256):
            freed += sum(one.stat().st_size for one in made.iterdir())
            shutil.rmtree(made)
    with suppress(OSError):
        folder.rmdir()
    return freed


def converted_folder(digest: str, version: str) -> Path:
    """Folder of what a version of the code made of a file with that SHA-256."""
    return cache_folder() / "converted" / f"{digest[:40]}-{version}"


def converted_folders(digest: str) -> list[Path]:
    """Folders of what any version of the code made of a file with that SHA-256."""
    return sorted(converted_folder(digest, "*").parent.glob(converted_folder(digest, "*").name))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as source:
        return file_digest(source, "sha256").hexdigest()
