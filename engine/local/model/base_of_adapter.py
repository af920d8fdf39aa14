"""Which base an adapter goes on, and whether a base is the one that it records."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from braid.engine.adapter_folder import AdapterFolder, is_adapter, read_adapter, split_adapter
from braid.engine.catalogue import catalogue, file_sha256
from braid.engine.errors import AdapterError, EngineURIError
from braid.engine.local.model.locate import locate_model, own_adapters


def locate_base(name_or_path: str | Path, *, any_base: bool) -> tuple[Path, Path | None]:
    """The folder of a model, and that of the adapter that goes on it, if an adapter was asked for.

    Raises:
        EngineURIError: there is no such model, or none of the bases that the adapter records.
        AdapterError: the adapter cannot be read, or records other weights than those of its bases here.
    """
    named = split_adapter(str(name_or_path))
    if named is not None:
        return locate_model(named[0]), named[1]
    path = own_adapters().get(str(name_or_path)) or Path(name_or_path).expanduser()
    if not is_adapter(path):
        return locate_model(name_or_path), None
    return _find_base(read_adapter(path), any_base=any_base), path


def check_base(adapter: AdapterFolder, folder: Path) -> None:
    """Compare a base with the hashes that an adapter records.

    Raises:
        AdapterError: it is another one.
    """
    if not adapter.base_hashes:
        return
    found = weights_hash(folder)
    if found not in adapter.base_hashes:
        raise AdapterError(
            f"the adapter {str(adapter.path)!r} was made for weights with the SHA-256 "
            f"{' or '.join(sorted(adapter.base_hashes))}, and those in {str(folder)!r} have {found}; "
            "give it its own base, or allow any with any_base=True"
        )


def weights_hash(path: Path) -> str:
    """SHA-256 of a model's weights: of their file, or of a list of the hashes and names of several files."""
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
    hashes = [file_sha256(file) for file in files]
    if len(files) == 1:
        return hashes[0]
    listed = "".join(f"{digest}  {file.name}\n" for digest, file in zip(hashes, files, strict=True))
    return sha256(listed.encode()).hexdigest()


def _find_base(adapter: AdapterFolder, *, any_base: bool) -> Path:
    refused: AdapterError | None = None
    advice = f"give one as local:BASE+{adapter.path}"
    for base in adapter.bases:
        beside = adapter.path / base
        try:
            folder = locate_model(beside if beside.is_dir() else base)
        except EngineURIError:
            if base in catalogue():
                advice = f"fetch it: braid models pull {base}"
            continue
        try:
            if not any_base:
                check_base(adapter, folder)
        except AdapterError as error:
            refused = error
        else:
            return folder
    if refused is not None:
        raise refused
    raise EngineURIError(
        f"the base of the adapter {str(adapter.path)!r} is not here: it records "
        f"{' and '.join(map(repr, adapter.bases)) or 'none'}; {advice}"
    )
