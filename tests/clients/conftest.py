"""A `braid serve` process for clients that this project did not write.

The clients run in a Python of their own, some of them without Braid. Nothing here imports it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


BRAID = Path(os.environ.get("BRAID", ROOT / ".venv/bin/braid"))


@contextmanager
def _serve(engine: str, folder: Path) -> Iterator[str]:
    log = folder / "stderr"
    command = [str(BRAID), "serve", "--port", "0", "--threads", "1", "--served-model-name", "m"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, "--engine", engine], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().split()
        assert address, log.read_text()
        yield next(word for word in address if word.startswith("http"))
        process.terminate()
        assert process.wait(30) == 0, log.read_text()


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server of braid-mini, called `m`, which never calls of its own accord."""
    with _serve("local:braid-mini", tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="session")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server of a random model, called `m`, which calls wherever it may."""
    folder = tmp_path_factory.mktemp("caller")
    make = [str(BRAID.parent / "python"), "-m", "tests.support.calling_model", str(folder)]
    subprocess.run(make, cwd=ROOT, check=True)
    with _serve(f"local:{folder}", folder) as address:
        yield address


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is on this machine, whatever the environment says about proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
