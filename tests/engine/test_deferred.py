"""An engine that is opened when it is first asked something."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from braid.engine import Engine, EngineError, SamplingParams, ScriptedEngine, connect
from braid.engine.deferred import DeferredEngine, shipped_info


class Opening:
    """Opens a scripted engine, and counts how often. The first `failing` times it fails."""

    def __init__(self, failing: int = 0) -> None:
        self.engine = ScriptedEngine(["four", "five"])
        self.count = 0
        self._failing = failing

    async def __call__(self) -> Engine:
        self.count += 1
        await asyncio.sleep(0)
        if self.count <= self._failing:
            raise EngineError("not now")
        return self.engine


def deferred(opening: Opening) -> DeferredEngine:
    info = shipped_info("local:braid-mini")
    assert info is not None
    return DeferredEngine(info, opening)


async def test_it_is_opened_once_by_the_first_prompts() -> None:
    opening = Opening()
    async with deferred(opening) as engine:
        assert (engine.info.model, engine.open_contexts(), opening.count) == ("braid-mini", 0, 0)
        async with asyncio.TaskGroup() as group:
            prompts = ("two and two", "two and three")
            reading = [group.create_task(engine.prefill(prompt)) for prompt in prompts]
        contexts = [task.result() for task in reading]
        assert opening.count == 1 and engine.open_contexts() == 2
        assert engine.info == opening.engine.info and await engine.open() is opening.engine
        [completion] = await engine.generate(contexts[0], SamplingParams())
        assert completion.text in ("four", "five")
        for context in (*contexts, completion.context):
            context.release()
        assert engine.open_contexts() == 0
    with pytest.raises(EngineError, match="closed"):
        await opening.engine.prefill("more")


async def test_closed_before_it_was_opened_it_opens_nothing() -> None:
    opening = Opening()
    await deferred(opening).close()
    assert opening.count == 0


async def test_what_could_not_be_opened_is_tried_again() -> None:
    opening = Opening(failing=1)
    async with deferred(opening) as engine:
        with pytest.raises(EngineError, match="not now"):
            await engine.prefill("two and two")
        (await engine.prefill("two and two")).release()
        assert opening.count == 2


async def test_what_is_known_before_is_what_the_loaded_engine_says() -> None:
    known = shipped_info("local:braid-mini")
    assert known is not None
    async with await connect("local:braid-mini") as engine:
        told = engine.info
    assert (known.uri, known.model, known.max_context) == (told.uri, told.model, told.max_context)
    assert known.details == {"prompt_style": told.details["prompt_style"]}


def test_other_addresses_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    others = (
        "local:gpt2",
        "local:braid-countdown",
        "local:",
        "local:checked.json",
        "openai:http://[::1]/v1#braid-mini",
        "braid-mini",
    )
    for uri in others:
        assert shipped_info(uri) is None
    (tmp_path / "braid-mini").mkdir()
    assert shipped_info("local:braid-mini") is None, "a folder of that name is meant"
