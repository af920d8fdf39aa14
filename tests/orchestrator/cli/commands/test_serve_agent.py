"""`braid serve --agent` with the openai client: answers, streams with the plan beside them, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

BRAID = Path(sys.executable).parent / "braid"
QUESTION = "How much taller is K2 than Mont Blanc?"
ANSWER = "3805 m (K2 8611 m, Mont Blanc 4806 m)"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    home = str(tmp_path_factory.mktemp("home"))
    env = {**os.environ, "BRAID_HOME": home, "XDG_CONFIG_HOME": home, "NO_PROXY": "*"}
    command = [BRAID, "serve", "--agent", "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        url = next(word for word in process.stdout.readline().split() if word.startswith("http"))
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            yield client
        process.terminate()
        assert process.wait(30) == 0


def ask(*texts: str) -> list[ChatCompletionMessageParam]:
    roles = ("user", "assistant") * len(texts)
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]  # pyright: ignore


def extra_of(model: Any) -> dict[str, Any]:
    return (model.model_extra or {}).get("braid") or {}


def test_a_question_is_planned_run_and_answered(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["braid-agent"]
    reply = client.chat.completions.create(model="braid-agent", messages=ask(QUESTION))
    assert reply.choices[0].message.content == ANSWER and reply.choices[0].finish_reason == "stop"
    run = extra_of(reply)["run"]
    assert run["status"] == "answered" and "search(" in run["plan"]
    assert {node["state"] for node in run["nodes"]} == {"done"}


def test_a_stream_carries_the_plan_and_the_nodes(client: openai.OpenAI) -> None:
    text, kinds = "", list[str]()
    for chunk in client.chat.completions.create(model="braid-agent", messages=ask(QUESTION), stream=True):
        text += chunk.choices[0].delta.content or ""
        if "event" in (extra := extra_of(chunk)):
            kinds.append(extra["event"]["kind"])
        elif extra:
            assert extra["run"]["status"] == "answered"
    assert text == ANSWER
    assert kinds[0] == "run.started" and "planner.statement" in kinds and "node.finished" in kinds


def test_a_follow_up_knows_the_conversation(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="braid-agent", messages=ask("How high is Mont Blanc?"))
    said = first.choices[0].message.content or ""
    again = ask("How high is Mont Blanc?", said, "And K2?")
    assert "8611" in (
        client.chat.completions.create(model="braid-agent", messages=again).choices[0].message.content or ""
    )


def test_what_an_agent_cannot_do_is_refused(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    for options in ({"tools": [tool]}, {"n": 2}, {"logprobs": True}):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="braid-agent", messages=ask(QUESTION), **options)  # pyright: ignore
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="braid-agent", prompt="Once upon a time")
    with pytest.raises(openai.NotFoundError, match="/v1/chat/completions"):
        client.embeddings.create(model="braid-agent", input="text")


def test_options_of_agents_need_an_agent() -> None:
    done = subprocess.run([BRAID, "serve", "--tools", "search"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--agent" in done.stderr
