"""The output type of a run: answers that do not fit, and servers that lack what helps to write it."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from braid.engine import Capability
from braid.engine.remote import RemoteEngine
from braid.engine.scripted import ScriptedEngine
from braid.orchestrator import Agent, OutputTypeError
from tests.support.fault_server import Call, FaultServer, refuses, says

REFUSALS = [
    {
        "detail": [
            {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
        ]
    },
    {"error": {"message": "Unrecognized request argument supplied: seed", "param": "seed"}},
    {"message": "seed is not supported", "object": "error"},
    {"error": "unknown field 'seed'"},
]


class Height(BaseModel):
    metres: int


@pytest.mark.parametrize(
    ("known", "refused", "requests"),
    [
        (["chat"], [], 2),
        (["chat", "seed"], ["seed"], 3),
        (["chat", "grammar"], ["response_format"], 3),
        (["chat", "seed", "grammar"], ["seed", "response_format"], 4),
    ],
)
async def test_an_output_type_needs_neither_seeds_nor_schemas(
    known: list[Capability], refused: list[str], requests: int
) -> None:
    async def answer(call: Call) -> None:
        restating = len(server.calls) > 1
        unknown = [field for field in refused if field in call.body]
        if restating and unknown:
            await refuses(422, {"detail": f"{unknown[0]}: Extra inputs are not permitted"})(call)
        else:
            await says('{"metres": 8611}' if restating else 'answer("8611 m")')(call)

    async with (
        FaultServer(answer) as server,
        await RemoteEngine.open(server.address, api_key_env=None, capabilities=known) as engine,
    ):
        result = await Agent(engine, tools=[]).run("How tall is K2?", output_type=Height)
        assert engine.open_contexts() == 0
    assert result.output == Height(metres=8611)
    assert len(server.calls) == requests
    assert not {*refused} & {*server.calls[-1].body}


@pytest.mark.parametrize("kind", ["llamacpp", "vllm", "sglang", "someone"])
async def test_the_schema_is_used_where_a_server_is_known_to_keep_to_it(kind: str) -> None:
    async def answer(call: Call) -> None:
        restating = len(server.calls) > 1
        await says('{"metres": 8611}' if restating else 'answer("8611 m")')(call)

    models = [{"id": "m", "owned_by": kind}]
    async with (
        FaultServer(answer, models=models) as server,
        Agent(f"openai:{server.address}", tools=[]) as agent,
    ):
        result = await agent.run("How tall is K2?", output_type=Height)
    assert result.output == Height(metres=8611)
    sent = server.calls[-1].body.get("response_format")
    assert (sent is not None) is (kind != "someone")
    assert sent is None or sent["json_schema"]["schema"]["required"] == ["metres"]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_run_goes_on_where_a_server_refuses_seeds(refusal: object) -> None:
    async def answer(call: Call) -> None:
        await (refuses(422, refusal) if "seed" in call.body else says('answer("8611 m")'))(call)

    async with FaultServer(answer) as server, Agent(f"openai:{server.address}", tools=[]) as agent:
        assert (await agent.run("How tall is K2?")).answer == "8611 m"
    assert len(server.calls) == 2


@pytest.mark.parametrize("place", ["agent", "run"])
@pytest.mark.parametrize(("retries", "asked"), [(0, 0), (1, 1), (3, 3)])
async def test_an_answer_that_does_not_fit_is_asked_for_again(place: str, retries: int, asked: int) -> None:
    engine = ScriptedEngine(['answer("tall")', *["none", '{"metres": "tall"}', '{"feet": 3}'][:asked]])
    on_agent: dict[str, int] = {"output_retries": retries} if place == "agent" else {}
    agent = Agent(engine, tools=[], **on_agent)  # type: ignore[arg-type]
    with pytest.raises(OutputTypeError) as caught:
        await agent.run("?", output_type=Height, output_retries=None if on_agent else retries)
    assert len(engine.calls) == 1 + asked
    assert caught.value.result is not None and caught.value.result.answer == "tall"


async def test_each_retry_tells_what_was_wrong() -> None:
    engine = ScriptedEngine(['answer("tall")', "I cannot.", '{"metres": "tall"}', '{"metres": 8611}'])
    result = await Agent(engine, tools=[], output_retries=3).run("How tall?", output_type=Height)
    assert result.output == Height(metres=8611) and result.answer == "tall"
    first, second, third = (call.prompt for call in engine.calls[1:])
    assert "valid dictionary" in first
    assert "I cannot." in second and "there is no JSON in it" in second
    assert (
        third.startswith(second.removesuffix("Assistant:").rstrip())
        and "metres: " in third.rpartition("User")[2]
    )
    assert "valid integer" in third
