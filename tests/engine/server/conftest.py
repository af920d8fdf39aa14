"""Servers on a loopback port over a scripted engine and over the local engine with a tiny random model."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from braid.engine.local import LocalEngine
from braid.engine.server import ServerOptions, serving

CHAT_TEMPLATE = (
    "{% for message in messages %}<|plan|>{{ message['role'] }}: {{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|plan|>assistant: {% endif %}"
)


@pytest.fixture(scope="session")
def chat_model(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama with a chat template."""
    folder = tmp_path_factory.mktemp("chat") / "tiny-llama"
    shutil.copytree(tiny_model("llama"), folder)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder


@pytest.fixture
async def local(chat_model: Path) -> AsyncIterator[LocalEngine]:
    async with await LocalEngine.load(chat_model, threads=1) as engine:
        yield engine
        assert engine.open_contexts() == 0


@pytest.fixture
async def url(local: LocalEngine) -> AsyncIterator[str]:
    """The base URL of a server over `local`, which calls its model `tiny`."""
    async with serving(local, ServerOptions(port=0, served_model_name="tiny")) as address:
        yield address


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers are on this machine, whatever the environment says about proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
