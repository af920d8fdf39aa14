"""From a model's name to its folder or file, without the network."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from braid.engine.catalogue import cached_model, catalogue
from braid.engine.errors import EngineURIError

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def own_models() -> dict[str, Path]:
    """Folders of Braid's own models in this installation, by name."""
    home = Path(str(resources.files("braid.engine.local"))) / "models"
    if not home.is_dir():
        return {}
    return {path.name: path for path in sorted(home.iterdir()) if (path / "config.json").is_file()}


def own_adapters() -> dict[str, Path]:
    """Folders of Braid's own adapters in this installation, by name."""
    home = Path(str(resources.files("braid.engine.local"))) / "models"
    return {path.parent.name: path.parent for path in sorted(home.glob("*/adapter_config.json"))}


def locate_model(name_or_path: str | Path) -> Path:
    """The folder or GGUF file of a model.

    It is a folder, a GGUF file, one of Braid's own models, one of the catalogue that was pulled, or one in
    the hub's cache.

    Raises:
        EngineURIError: there is none. The network is never asked.
    """
    folder = Path(name_or_path).expanduser()
    if folder.is_file():
        with folder.open("rb") as file:
            if file.read(4) == b"GGUF":
                return folder
        raise EngineURIError(
            f"{str(folder)!r} is a file, and no GGUF file; give a GGUF file, or a folder with a config.json"
        )
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return folder
        raise EngineURIError(f"the folder {str(folder)!r} holds no model: it has no config.json")
    name = str(name_or_path)
    own = own_models()
    if name in own:
        return own[name]
    if name in catalogue():
        pulled = cached_model(name)
        if pulled is not None:
            return pulled
        raise EngineURIError(f"the model {name!r} is not here yet; fetch it: braid models pull {name}")
    cached = _hub_cache(name)
    if cached is not None:
        return cached
    listed = ", ".join(f"local:{known}" for known in own) or "none in this installation"
    fetch = f", or fetch it first: hf download {name}" if _HUB_ID.fullmatch(name) else ""
    raise EngineURIError(
        f"no model {name!r}: it is no folder or file, none of Braid's own models ({listed}), "
        f"none of the catalogue ({', '.join(catalogue())}), and not in the Hugging Face cache; "
        f"give a GGUF file, or a folder with a config.json{fetch}"
    )


def locate_folder(name_or_path: str | Path) -> Path:
    """The folder of a model, for transformers. A GGUF file is unpacked into the user's cache first.

    Raises:
        EngineURIError: there is no such model.
        ModelFileError: the file is damaged.
    """
    from braid.engine.local.model.formats import converted_gguf

    located = locate_model(name_or_path)
    return converted_gguf(located) if located.is_file() else located


def _hub_cache(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None
    return folder if (folder / "config.json").is_file() else None
