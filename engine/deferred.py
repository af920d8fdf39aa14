"""An engine that is opened when it is first asked something. Code answers many questions in its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from braid.engine.base import Context, Engine
from braid.engine.scope import Budget
from braid.engine.types import EngineInfo, Prompt
from braid.engine.wrapper import EngineWrapper


def shipped_info(uri: str) -> EngineInfo | None:
    """What is known of a planner that Braid ships before it is loaded: address, name, context, prompt style.

    Returns:
        None for other addresses, and where the packages that would load it are not installed.
    """
    scheme, _, name = uri.partition(":")
    models = resources.files("braid.engine") / "local" / "models"
    if (
        scheme != "local"
        or Path(name).is_dir()
        or name not in json.loads((models / "checked.json").read_bytes())
    ):
        return None
    if any(find_spec(package) is None for package in ("torch", "safetensors", "tokenizers")):
        return None
    config = json.loads((models / name / "config.json").read_bytes())
    if "prompt_style" not in config:
        return None
    return EngineInfo(
        uri=uri,
        model=name,
        max_context=config["max_position_embeddings"],
        details={"prompt_style": config["prompt_style"]},
    )


class DeferredEngine(EngineWrapper):
    """Opens `inner` at the first prompt, or with `open`. It closes what it opened.

    Belongs to the event loop in which it is opened.

    Args:
        info: What is said about the engine until it is open.
        opening: Opens it.
    """

    inner: Engine  # there is none before `open`, and nothing but `prefill` can be called before it

    def __init__(self, info: EngineInfo, opening: Callable[[], Awaitable[Engine]]) -> None:
        self._info = info
        self._opening = opening
        self._lock = asyncio.Lock()
        self._open = False

    @property
    def info(self) -> EngineInfo:
        return self.inner.info if self._open else self._info

    async def open(self) -> Engine:
        """The engine itself.

        Raises:
            EngineError: It cannot be opened. Another call tries again.
        """
        async with self._lock:
            if not self._open:
                self.inner = await self._opening()
                self._open = True
        return self.inner

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> Context:
        return await (await self.open()).prefill(prompt, budget=budget)

    async def count_tokens(self, prompt: Prompt) -> int | None:
        return await (await self.open()).count_tokens(prompt)

    def open_contexts(self) -> int:
        return self.inner.open_contexts() if self._open else 0

    async def close(self) -> None:
        """Close the engine, if it was opened."""
        if self._open:
            await self.inner.close()
