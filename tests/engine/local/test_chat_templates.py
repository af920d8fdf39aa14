"""Chat templates that refuse something: the system role, a role in the wrong place, any message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from braid.engine import InvalidParamsError
from braid.engine.local import LocalEngine
from braid.engine.server import ServerOptions, serving
from tests.support.tiny_models import build_model

GEMMA = """{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}\
{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate') }}{% endif %}\
<{{ m['role'] }}>{{ m['content'] | trim }}</>
{% endfor %}{% if add_generation_prompt %}<model>{% endif %}"""
MISTRAL = """{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]\
{% elif m['role'] == 'assistant' %}{{ m['content'] }}{% else %}\
{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"""
BROKEN_BY_SYSTEM = (
    """{% for m in messages %}{{ {'user': 'U', 'assistant': 'A'}[m['role']] + m['content'] }}{% endfor %}"""
)
NEVER = """{{ raise_exception('no chat\\n with this model') }}"""
SILENT = """{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}
{% endfor %}"""


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


SYSTEM, HELLO = said("system", "Be brief."), said("user", "Hello")


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], Path]:
    def make(template: str) -> Path:
        folder = build_model(tmp_path, "llama")
        (folder / "chat_template.jinja").write_text(template)
        return folder

    return make


async def text_of(folder: Path, messages) -> str:
    async with (
        await LocalEngine.load(folder, threads=1) as engine,
        await engine.prefill(messages) as context,
    ):
        return context.text


@pytest.mark.parametrize("template", [GEMMA, MISTRAL, BROKEN_BY_SYSTEM], ids=["gemma", "mistral", "crash"])
@pytest.mark.parametrize(
    ("messages", "same_as"),
    [
        ([SYSTEM, HELLO], [said("user", "Be brief.\n\nHello")]),
        ([SYSTEM, said("system", "In French."), HELLO], [said("user", "Be brief.\n\nIn French.\n\nHello")]),
        (
            [SYSTEM, HELLO, said("assistant", "Hi"), said("user", "More")],
            [said("user", "Be brief.\n\nHello"), said("assistant", "Hi"), said("user", "More")],
        ),
    ],
    ids=["one", "two", "turns"],
)
async def test_a_refused_system_text_goes_into_the_first_user_message(model, template, messages, same_as):
    folder = model(template)
    text = await text_of(folder, messages)
    assert "Be brief." in text and text == await text_of(folder, same_as)


async def test_a_template_that_takes_the_system_role_is_used_as_it_is(model):
    assert await text_of(model(SILENT), [SYSTEM, HELLO]) == "system: Be brief.\nuser: Hello\n"


@pytest.mark.parametrize(
    ("template", "messages"),
    [
        (NEVER, [HELLO]),
        (GEMMA, [SYSTEM]),
        (GEMMA, [HELLO, HELLO]),
        (GEMMA, [SYSTEM, said("assistant", "Hi"), HELLO]),
        (BROKEN_BY_SYSTEM, [SYSTEM, said("assistant", "Hi")]),
    ],
    ids=["never", "alone", "alternate", "assistant-first", "no-user"],
)
async def test_what_a_template_refuses_all_the_same_is_a_typed_error(model, template, messages):
    async with await LocalEngine.load(model(template), threads=1) as engine:
        with pytest.raises(InvalidParamsError, match="chat template refuses"):
            await engine.prefill(messages)
        assert engine.open_contexts() == 0


@pytest.mark.parametrize(
    ("template", "messages", "status"),
    [
        (GEMMA, [SYSTEM, HELLO], 200),
        (GEMMA, [HELLO, HELLO], 400),
        (NEVER, [HELLO], 400),
        (GEMMA, [SYSTEM], 400),
    ],
)
async def test_the_server_answers_400_where_nothing_can_be_done(model, template, messages, status):
    async with (
        await LocalEngine.load(model(template), threads=1) as engine,
        serving(engine, ServerOptions(port=0)) as url,
        httpx.AsyncClient(trust_env=False, timeout=20) as client,
    ):
        body = {"model": engine.info.model, "messages": messages, "max_tokens": 1}
        reply = await client.post(f"{url}/chat/completions", json=body)
        assert reply.status_code == status
        if status == 400:
            assert reply.json()["error"]["param"] == "messages"
