"""The wire format, with the `openai` package as the reference, and the event stream in any chunking."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion as OpenAICompletion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from braid.engine import EngineResponseError, Message, SamplingParams
from braid.engine.openai_api.schema import read_error, read_reply
from braid.engine.openai_api.sse import SSEParser
from braid.engine.remote import RemoteEngine
from tests.support.fault_server import FaultServer, in_pieces, says

FULL = SamplingParams(n=2, max_tokens=9, temperature=0.8, top_p=0.9, stop=("a", "b"), seed=3, logprobs=None)
COMMON: dict[str, Any] = {
    "model": "m",
    "n": 2,
    "max_tokens": 9,
    "temperature": 0.8,
    "top_p": 0.9,
    "stop": ["a", "b"],
    "seed": 3,
    "stream": True,
    "stream_options": {"include_usage": True},
}
USAGE = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}


async def test_our_requests_are_those_of_the_openai_client(faults: FaultServer) -> None:
    """The same call through both clients arrives as the same JSON, and both read the same text."""
    faults.answer = says("he", "llo", usage=USAGE)
    messages: list[Message] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    async with openai.AsyncOpenAI(base_url=faults.url, api_key="none") as reference:
        text = ""
        async for chunk in await reference.completions.create(prompt="hi", **COMMON):
            text += "".join(choice.text for choice in chunk.choices if choice.index == 0)
        said = ""
        async for chunk in await reference.chat.completions.create(messages=messages, **COMMON):
            said += "".join(choice.delta.content or "" for choice in chunk.choices if choice.index == 0)
    async with await RemoteEngine.open(faults.address, api_key_env=None) as engine:
        for prompt, expected in (("hi", text), (messages, said)):
            async with await engine.prefill(prompt) as context:
                drawn = await engine.generate(context, FULL)
                for completion in drawn:
                    assert completion.text == expected == "hello"
                    completion.context.release()
    theirs, ours = faults.calls[:2], faults.calls[2:]
    assert [call.path for call in ours] == [call.path for call in theirs]
    assert [call.body for call in ours] == [call.body for call in theirs]


async def test_logprobs_and_schema_are_asked_for_as_the_openai_client_does(faults: FaultServer) -> None:
    faults.answer = says("{}")
    schema: dict[str, object] = {"type": "object"}
    form: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    settings: dict[str, Any] = {"model": "m", "max_tokens": 9, "temperature": 1.0, "top_p": 1.0}
    streams: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    async with openai.AsyncOpenAI(base_url=faults.url, api_key="none") as reference:
        await reference.chat.completions.create(
            messages=[{"role": "user", "content": "hi"}],
            logprobs=True,
            top_logprobs=2,
            response_format=form,
            **settings,
            **streams,
        )
        await reference.completions.create(prompt="hi", logprobs=2, **settings, **streams)
    params = SamplingParams(max_tokens=9, temperature=1.0, logprobs=2)
    known: Any = {"chat", "logprobs", "grammar"}
    async with await RemoteEngine.open(faults.address, api_key_env=None, capabilities=known) as engine:
        faults.answer = says()
        bound = SamplingParams(max_tokens=9, temperature=1.0, logprobs=2, grammar=schema)
        for prompt, wanted in (([{"role": "user", "content": "hi"}], bound), ("hi", params)):
            async with await engine.prefill(prompt) as context:  # type: ignore[arg-type]
                [completion] = await engine.generate(context, wanted)
                completion.context.release()
    assert [call.body for call in faults.calls[2:]] == [call.body for call in faults.calls[:2]]


def test_openai_objects_are_read() -> None:
    """What the reference types write, whole and in chunks, our types read."""
    entry: dict[str, Any] = {"token": "he", "bytes": [104, 101], "logprob": -0.5}
    content = [entry | {"top_logprobs": [entry]}]
    head: dict[str, Any] = {"id": "x", "created": 1, "model": "m"}
    usage: dict[str, Any] = USAGE | {"prompt_tokens_details": {"cached_tokens": 3}}
    choice: dict[str, Any] = {
        "index": 1,
        "finish_reason": "length",
        "logprobs": {"content": content, "refusal": None},
    }
    whole = ChatCompletion.model_validate(
        head
        | {"object": "chat.completion", "usage": usage}
        | {"choices": [choice | {"message": {"role": "assistant", "content": "he", "refusal": None}}]}
    )
    chunk = ChatCompletionChunk.model_validate(
        head
        | {"object": "chat.completion.chunk", "usage": usage}
        | {"choices": [choice | {"delta": {"content": "he"}}]}
    )
    legacy_logprobs = {
        "tokens": ["he"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"he": -0.5}],
        "text_offset": [0],
    }
    legacy = OpenAICompletion.model_validate(
        head
        | {"object": "text_completion", "usage": usage}
        | {"choices": [{"index": 1, "finish_reason": "length", "text": "he", "logprobs": legacy_logprobs}]}
    )
    replies = [
        read_reply("chat", json.loads(whole.model_dump_json())),
        read_reply("chat", json.loads(chunk.model_dump_json())),
        read_reply("completions", json.loads(legacy.model_dump_json())),
    ]
    assert [piece.whole for reply in replies for piece in reply.pieces] == [True, False, False]
    [piece] = replies[1].pieces
    assert replies[0] == replace(replies[1], pieces=(replace(piece, whole=True),))
    assert replies[1] == replies[2]
    assert (piece.index, piece.text, piece.finish) == (1, "he", "length")
    assert [(part.text, part.logprob, part.top) for part in piece.parts] == [("he", -0.5, (("he", -0.5),))]
    assert replies[0].usage is not None and replies[0].usage.cached_tokens == 3


@pytest.mark.parametrize(
    ("payload", "message", "code"),
    [
        ({"error": {"message": "no", "code": 503}}, "no 503", 503),
        ({"error": {"message": "no", "type": "t", "code": "model_not_found"}}, "no t model_not_found", None),
        ({"error": "no"}, "no", None),
        ({"object": "error", "message": "no", "code": 400}, "no 400", 400),
        ({"detail": "Not Found"}, "Not Found", None),
        ({"detail": [{"loc": ["body"], "msg": "bad"}]}, "[{'loc': ['body'], 'msg': 'bad'}]", None),
    ],
)
def test_errors_in_all_their_shapes(payload: object, message: str, code: int | None) -> None:
    error = read_error(payload)
    assert error is not None and (error.message, error.code) == (message, code)


def test_answers_are_no_errors() -> None:
    for payload in ({"choices": []}, {"choices": [], "error": None}, [], "text", None):
        assert read_error(payload) is None


LINE = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=12)


@given(
    events=st.lists(st.lists(LINE, min_size=1, max_size=3), max_size=5),
    size=st.integers(1, 9),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    ended=st.booleans(),
)
def test_events_do_not_depend_on_the_chunking(
    events: list[list[str]], size: int, newline: str, ended: bool
) -> None:
    text = f": comment{newline}event: x{newline}"
    for lines in events:
        text += "".join(f"data: {line}{newline}" for line in lines) + f"id: 7{newline}{newline}"
    if events and not ended:
        text = text.removesuffix(newline)
    parser = SSEParser()
    found: list[str] = []
    for chunk in in_pieces(text.encode(), size):
        found += parser.feed(chunk)
    found += parser.close()
    assert found == ["\n".join(lines) for lines in events]


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("braid.engine.openai_api.sse.MAX_EVENT_CHARS", 100)
    parser = SSEParser()
    with pytest.raises(EngineResponseError, match="without end"):
        for _ in range(30):
            parser.feed(b"data: xxxx\n")
