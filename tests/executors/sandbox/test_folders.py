"""Folders of runs: what a killed process left goes at the next start, and what a live one uses stays."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from braid.executors.sandbox import run_sandboxed
from braid.executors.sandbox.folders import run_folder
from tests.support.waiting import until

RUN = """
import asyncio, sys
from braid.executors.sandbox import run_sandboxed
from braid.executors.sandbox.folders import run_folder
async def main():
    for _ in range(int(sys.argv[2])):
        command = [sys.executable, "-I", "-c", sys.argv[1]]
        result = await run_sandboxed(command, files={"a/code.py": "x"}, isolation="best-effort")
        assert result.ok and result.stdout == "x", result
asyncio.run(main())
"""
READ = "import sys; sys.stdout.write(open('a/code.py').read())"
WAIT = "import time; time.sleep(60)"


def processes(folder: Path, code: str, times: int = 1, number: int = 1) -> list[subprocess.Popen[bytes]]:
    """Processes that run `code` in sandboxes, with `folder` as their folder for temporary files."""
    command = [sys.executable, "-c", RUN, code, str(times)]
    return [subprocess.Popen(command, env={**os.environ, "TMPDIR": str(folder)}) for _ in range(number)]


@contextmanager
def killed_at_last(running: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def run_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert (await run_sandboxed([sys.executable, "-I", "-c", "pass"], isolation="best-effort")).ok


@pytest.mark.parametrize("number", [1, 4])
async def test_a_killed_process_leaves_nothing_at_the_next_start(tmp_path: Path, number: int) -> None:
    running = processes(tmp_path, WAIT, number=number)
    with killed_at_last(running):
        await until(lambda: len(list(tmp_path.glob("braid-run-*/a/code.py"))) == number)
        for process in running:
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
    assert len(folders(tmp_path)) == number
    (after,) = processes(tmp_path, READ)
    assert await asyncio.to_thread(after.wait) == 0 and folders(tmp_path) == []


async def test_what_a_live_process_uses_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = processes(tmp_path, WAIT)
    with killed_at_last(running):
        await until(lambda: len(list(tmp_path.glob("braid-run-*/a/code.py"))) == 1)
        before = folders(tmp_path)
        for _ in range(2):
            await run_here(tmp_path, monkeypatch)
        assert folders(tmp_path) == before
    await run_here(tmp_path, monkeypatch)
    assert folders(tmp_path) == []


async def test_what_is_not_ours_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "inside").mkdir(parents=True)
    (tmp_path / "braid-run-link").symlink_to(elsewhere)
    (tmp_path / "braid-run-file").touch()
    (tmp_path / "braid-else").mkdir()
    stale = tmp_path / "braid-run-stale"
    (stale / "closed").mkdir(parents=True)
    (stale / "closed" / "x").touch()
    (stale / "closed").chmod(0)
    await run_here(tmp_path, monkeypatch)
    assert folders(tmp_path) == ["braid-else", "braid-run-file", "braid-run-link", "elsewhere"]
    assert folders(elsewhere) == ["inside"]


def test_many_processes_start_and_clean_up_at_once(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"braid-run-{number}").mkdir()
    running = processes(tmp_path, READ, times=4, number=4)
    with killed_at_last(running):
        assert [process.wait(timeout=120) for process in running] == [0] * 4
    assert folders(tmp_path) == []


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("fcntl.flock", refuse)
    with run_folder() as folder:
        assert folder.is_dir()
    assert folders(tmp_path) == []
