"""`transformers serve` on a tiny model: a real server that this project did not write."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

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


def prepare(model: Path, folder: Path) -> Path:
    """A copy of `model` that chats, samples, and writes ASCII only.

    The server's two ways of answering show half a character differently.
    """
    from transformers import AutoTokenizer

    shutil.copytree(model, folder)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    tokenizer = AutoTokenizer.from_pretrained(model)
    odd = [id for id in range(len(tokenizer)) if not tokenizer.decode([id]).isascii()]
    config = json.loads((folder / "generation_config.json").read_text())
    config |= {"do_sample": True, "suppress_tokens": odd}
    (folder / "generation_config.json").write_text(json.dumps(config))
    return folder


@contextmanager
def serve(folder: Path, home: Path) -> Iterator[RealServer]:
    """Run the server in a process group of its own until the block ends.

    `home` takes its log and its empty hub cache.
    """
    port = _free_port()
    (home / "hub" / "hub").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(home / "hub"),
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
    }
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--port", str(port)]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--device", "cpu", "--dtype", "float32"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await_health(process, f"http://127.0.0.1:{port}/health", home / "log")
            yield RealServer(f"http://127.0.0.1:{port}/v1", str(folder))
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for name in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, name)
        try:
            process.wait(10)
            return
        except subprocess.TimeoutExpired:
            continue


def _await_health(process: subprocess.Popen[bytes], url: str, log: Path, *, within: float = 150.0) -> None:
    deadline = time.monotonic() + within
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(url, timeout=2.0).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
    raise AssertionError(f"transformers serve did not start:\n{log.read_text(errors='replace')[-3000:]}")
