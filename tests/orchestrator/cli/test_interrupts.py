"""Ctrl-C: once stops the task, twice the program. Real processes, a real terminal, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripted_server import ScriptedServer, serving
from tests.support.terminal import Terminal

BRAID = Path(sys.executable).with_name("braid")
CTRL_C = "\x03"
SLOW = 'a = search("height of K2")\nb = python("import time\\ntime.sleep(60)")\nanswer(a, b)\n'

PLUGIN = '''
import asyncio
from braid.executors import tool

@tool
async def deaf() -> str:
    """Never ends, whatever it is told."""
    print("deaf began", flush=True)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
'''


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    def reply(messages: list[dict[str, str]]) -> str:
        task = next(m["content"] for m in reversed(messages) if m["content"].startswith("The task:"))
        return "a = deaf()\nanswer(a)\n" if "deaf" in task else SLOW if "slow" in task else "answer(1)\n"

    with serving(reply) as server:
        yield server


@pytest.fixture
def env(server: ScriptedServer, tmp_path: Path) -> dict[str, str]:
    """With an installed plugin whose tool does not listen to cancellation."""
    site = tmp_path / "site"
    info = site / "deaf-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "deaf_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deaf\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[braid.tools]\ndeaf = deaf_plugin:deaf\n")
    return {
        "BRAID_ENGINE": server.uri,
        "PYTHONPATH": str(site),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "BRAID_SEARCH_LATENCY": "0.05",
    }


def started(args: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BRAID, *args],
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_first_interrupt_stops_a_run_and_its_subprocesses(env: dict[str, str]) -> None:
    with started(["run", "something slow"], env) as process:
        assert process.stderr is not None
        assert any("8611 m" in line for line in process.stderr)
        children = wait_for_children(process.pid)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(20) == 130
    assert "interrupted" in rest and "Traceback" not in rest
    assert children and not any(is_alive(child) for child in children)


def test_a_run_that_will_not_stop_says_so_and_ends_at_the_second_interrupt(env: dict[str, str]) -> None:
    with started(["run", "be deaf"], env) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "deaf began\n"
        process.send_signal(signal.SIGINT)
        assert any("Ctrl-C leaves at once" in line for line in process.stderr)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert "left at once" in process.stderr.read()


def test_two_interrupts_end_a_session_whose_task_will_not_stop(env: dict[str, str]) -> None:
    with Terminal([BRAID, "repl"], env=env) as terminal:
        terminal.wait_for("braid>")
        terminal.type("be deaf\r")
        terminal.wait_for("deaf began")
        terminal.type(CTRL_C)
        terminal.wait_for("Ctrl-C leaves at once")
        terminal.type(CTRL_C)
        assert terminal.wait_for_end() == 130


def test_one_interrupt_stops_the_task_and_keeps_the_session(env: dict[str, str]) -> None:
    with Terminal([BRAID, "repl"], env=env) as terminal:
        terminal.wait_for("braid>")
        for _ in range(2):
            terminal.type("something slow\r")
            terminal.wait_for("8611 m")
            terminal.type(CTRL_C)
            terminal.wait_for("stopped")
            terminal.wait_for("braid>")
        terminal.type("quick\r")
        terminal.wait_for("planning")
        terminal.wait_for("braid>")
        terminal.type("/quit\r")
        assert terminal.wait_for_end() == 0


def wait_for_children(pid: int) -> list[int]:
    """The processes below `pid`, as soon as there are any (Linux)."""
    for _ in range(500):
        found = descendants(pid)
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("no subprocess came")


def descendants(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(word) for word in listed.read_text().split()] if listed.exists() else []
    return [*children, *(below for child in children for below in descendants(child))]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
