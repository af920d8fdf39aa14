"""From an engine address to an engine. A backend is imported when it is first asked for."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable
from typing import Any

from braid.engine.automatic import resolve
from braid.engine.base import Engine
from braid.engine.errors import EngineURIError, MissingPackageError

_FORMS = (
    "auto, local:braid-mini, local:<folder or hub id>, openai:<url>#<model> "
    "(such as openai:http://127.0.0.1:8000/v1#my-model)"
)


async def connect(uri: str, **options: Any) -> Engine:
    """Open an engine by its address.

    `auto` is the best planner that this machine has at hand (`braid.engine.automatic`).
    `local:` loads a Hugging Face causal LM from a folder, the hub's cache, or Braid's own models by name. The
    folder of a LoRA adapter opens its base with the adapter on, `local:BASE+FOLDER` another base.
    `openai:` connects to any OpenAI-compatible server.

    Args:
        uri: the address.
        **options: options of the backend, see `LocalEngine.load` and `RemoteEngine.open`. `beside` are open
            engines. Where one of them has the same base, the result shares it, has its options, and does not
            close it.

    Raises:
        EngineURIError: the address cannot be read.
        MissingPackageError: `local:` in an installation without the packages of the local engine.
    """
    beside: Iterable[Engine] = options.pop("beside", ())
    uri = resolve(uri)
    scheme, colon, rest = uri.partition(":")
    if not colon or not rest:
        raise EngineURIError(f"cannot read the engine address {uri!r}; expected one of: {_FORMS}")
    if scheme == "local":
        # In a thread, because importing torch takes seconds in which a live display would stand still.
        backend = await asyncio.to_thread(_import_local)
        known: list[Any] = [engine for engine in beside if isinstance(engine, backend.LocalEngine)]
        for engine in known:
            view = await engine.view_of(rest, any_base=options.get("any_base", False))
            if view is not None:
                return view
        return await backend.LocalEngine.load(rest, **options)
    if scheme == "openai":
        from braid.engine.remote import RemoteEngine

        return await RemoteEngine.open(rest, **options)
    raise EngineURIError(f"unknown engine kind {scheme!r} in {uri!r}; expected one of: {_FORMS}")


def _import_local() -> Any:
    try:
        return importlib.import_module("braid.engine.local")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "braid"):
            raise
        raise MissingPackageError(package, needed_by="local engines", extra="local") from error
