"""The servers that the remote engine is held against: `transformers serve` on a tiny random model, and one that misbehaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.engine.remote.fault_server import FaultServer
from tests.engine.tiny_models import build_model, build_tokenizer

CHAT_TEMPLATE = (
    "{% for message in messages %}<|plan|>{{ message['role'] }}: {{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|plan|>assistant: {% endif %}"
)


@dataclass(frozen=True)
class RealServer:
    url: str
    model: str

    @property
    def address(self) -> str:
        return f"{self.url}#{self.model}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """`transformers serve`, a server that we did not write: it ignores `n` and `logprobs`, and sends no [DONE]."""
    home = tmp_path_factory.mktemp("serve")
    folder = build_model(home / "tiny", "llama", context=512)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    # Half a character is shown differently by the server's two ways of answering: the model writes ASCII only.
    tokenizer = build_tokenizer()
    odd = [id for id in range(len(tokenizer)) if not tokenizer.decode([id]).isascii()]
    config = json.loads((folder / "generation_config.json").read_text())
    config |= {"do_sample": True, "suppress_tokens": odd}
    (folder / "generation_config.json").write_text(json.dumps(config))
    port = _free_port()
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "hub"), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder)]
    log = (home / "log").open("wb")
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        _await_health(process, f"http://127.0.0.1:{port}/health", home / "log")
        yield RealServer(f"http://127.0.0.1:{port}/v1", str(folder))
    finally:
        log.close()
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _await_health(process: subprocess.Popen[bytes], url: str, log: Path, *, within: float = 150.0) -> None:
    deadline = time.monotonic() + within
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                if client.get(url, timeout=2.0).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
    pytest.fail(f"transformers serve did not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture
async def faults() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server
