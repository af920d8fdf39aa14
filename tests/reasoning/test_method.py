"""The registry of methods, seeds, and the fan-out helper."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from braid.engine import Capability, InvalidParamsError
from braid.engine.remote import RemoteEngine
from braid.engine.scripted import ScriptedEngine
from braid.reasoning import MethodRun, UnknownMethodError, get_method, method_names
from tests.support.fault_server import Call, FaultServer, refuses, says


async def test_unknown_methods_and_options_are_refused() -> None:
    assert {"direct", "self_consistency"} <= set(method_names())
    with pytest.raises(UnknownMethodError, match="self_consistency"):
        get_method("magic")
    engine = ScriptedEngine("x")
    async with await engine.prefill("?") as problem:
        with pytest.raises(InvalidParamsError, match="'m'"):
            await get_method("self_consistency")(MethodRun(engine=engine), problem, m=3)
        with pytest.raises(InvalidParamsError):
            await get_method("self_consistency")(MethodRun(engine=engine), problem, n=0)


def test_seeds_depend_on_place_only() -> None:
    run = MethodRun(engine=ScriptedEngine(""), seed=5)
    assert run.seed_for(1) == run.seed_for(1) != run.seed_for(2)
    assert run.seed_for(1, 2) != run.seed_for(12)
    assert run.rng(3).random() == run.rng(3).random()


async def test_fan_out_keeps_places_and_cancels_losers() -> None:
    run = MethodRun(engine=ScriptedEngine(""))
    ended: list[int] = []

    async def work(index: int, seconds: float) -> int:
        try:
            await asyncio.sleep(seconds)
            return index * 10
        finally:
            ended.append(index)

    assert await run.fan_out([work(0, 0.02), work(1, 0.0)]) == {0: 0, 1: 10}
    ended.clear()
    found = await run.fan_out([work(0, 30), work(1, 0.0), work(2, 30)], enough=lambda got: len(got) == 1)
    assert found == {1: 10} and sorted(ended) == [0, 1, 2]
    assert await run.fan_out([]) == {}


async def test_a_failing_branch_ends_the_fan_out() -> None:
    run = MethodRun(engine=ScriptedEngine(""))

    async def fail() -> int:
        raise ValueError("no")

    async def wait() -> int:
        await asyncio.sleep(30)
        return 1

    with pytest.raises(ExceptionGroup) as caught:
        await run.fan_out([wait(), fail()])
    assert isinstance(caught.value.exceptions[0], ValueError)


@pytest.mark.parametrize("name", ["direct", "self_consistency", "best_of_n"])
@pytest.mark.parametrize("seeded", [True, False])
async def test_methods_need_no_seeds(name: str, seeded: bool) -> None:
    class Approving:
        async def score(self, question: str, candidates: Sequence[str]) -> list[float]:
            return [1.0] * len(candidates)

    known: list[Capability] = ["chat", "text_join"]
    if seeded:
        known.append("seed")
    async with (
        FaultServer(says("Answer: 7")) as server,
        await RemoteEngine.open(server.address, api_key_env=None, capabilities=known) as engine,
        await engine.prefill("What is 3 + 4?") as problem,
    ):
        run = MethodRun(engine=engine, seed=1, verifier=Approving())
        await get_method(name)(run, problem)
        assert engine.open_contexts() == 1
    assert server.calls and all(("seed" in call.body) is seeded for call in server.calls)


@pytest.mark.parametrize("name", ["direct", "self_consistency"])
async def test_methods_go_on_where_a_server_refuses_seeds(name: str) -> None:
    async def answer(call: Call) -> None:
        refusal = refuses(422, {"detail": "seed: Extra inputs are not permitted"})
        await (refusal if "seed" in call.body else says("Answer: 7"))(call)

    async with (
        FaultServer(answer) as server,
        await RemoteEngine.open(server.address, api_key_env=None) as engine,
        await engine.prefill("What is 3 + 4?") as problem,
    ):
        solution = await get_method(name)(MethodRun(engine=engine, seed=1), problem)
        assert engine.open_contexts() == 1
    assert "7" in solution.answer
