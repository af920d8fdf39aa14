"""Thoughts in the text of a chat, between tags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fault_server import FaultServer, piece
from tests.support.remote_engine import DRAW, NO_REPLY, chat, drawn, one, opened, sends


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("written", "text", "thoughts"),
    [
        ("<think>\nHm < 7.\n</think>\n\nYes", "Yes", "\nHm < 7.\n"),
        ("\n <think>so</think>Yes", "Yes", "so"),
        ("<think>\n\n</think>\n\nYes <think>no</think>", "Yes <think>no</think>", "\n\n"),
        ("Yes. <think>no</think>", "Yes. <think>no</think>", ""),
        ("no tag </think> at first", "no tag </think> at first", ""),
        ("<thinking>is text</thinking>", "<thinking>is text</thinking>", ""),
        ("  <b>", "  <b>", ""),
        ("<thi", "<thi", ""),
        ("<think>without an end </th", "", "without an end </th"),
        ("<think>END</think>Yes END no", "Yes ", "END"),
    ],
)
async def test_only_thoughts_at_the_beginning_are_none_of_the_text(
    faults: FaultServer, written: str, text: str, thoughts: str, size: int
) -> None:
    pieces = [chat(written[at : at + size]) for at in range(0, len(written), size)]
    completion = await drawn(faults, *pieces, chat(finish="stop"), stop=("END",))
    assert (completion.text, completion.reasoning) == (text, thoughts)


async def test_a_whole_message_behind_its_parts_is_not_thought_twice(faults: FaultServer) -> None:
    whole = {"message": {"content": "<think>so</think>Yes."}, "finish_reason": "stop"}
    completion = await drawn(faults, chat("<think>so</th"), chat("ink>Yes"), {"choices": [whole]})
    assert (completion.text, completion.reasoning) == ("Yes.", "so")


async def test_tags_behind_a_bare_prompt_or_a_begun_answer_are_text(faults: FaultServer) -> None:
    text = "<think>so</think>Yes"
    faults.answer = sends(piece(text, chat=False, finish="stop"))
    async with await opened(faults) as engine:
        assert (await one(engine)).text == text
        faults.answer = sends(chat(text, "stop"))
        async with (
            await engine.prefill([{"role": "user", "content": "hi"}]) as context,
            await engine.extend(context, "It says: ") as begun,
        ):
            assert (await one_of(engine, begun)) == text
            assert (await one_of(engine, context)) == "Yes"


async def one_of(engine: Any, context: Any) -> str:
    [completion] = await engine.generate(context, DRAW)
    completion.context.release()
    return completion.text


async def test_logprobs_of_tagged_thoughts_are_none_of_the_text(faults: FaultServer) -> None:
    def token(text: str, logprob: float) -> dict[str, Any]:
        entry = {"token": text, "logprob": logprob, "top_logprobs": []}
        return {"choices": [NO_REPLY | {"delta": {"content": text}, "logprobs": {"content": [entry]}}]}

    tokens = [("<think>", -0.1), ("hm", -0.2), ("</think>", -0.3), ("\n\n", -0.4), ("Y", -0.5), ("es", -0.6)]
    completion = await drawn(faults, *(token(*each) for each in tokens), chat(finish="stop"), logprobs=0)
    assert (completion.text, completion.reasoning, completion.logprobs) == ("Yes", "hm", (-0.5, -0.6))
