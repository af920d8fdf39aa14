from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from braid.executors.mcp import read_mcp_config
from braid.testing import ScriptedEngine
from examples.assistant import make_agent, said, session
from tests.support.example_process import ROOT, run_example


@pytest.fixture
def servers(tmp_path: Path) -> Path:
    """The servers of the example, on a repository with a new file."""
    (tmp_path / "note.txt").write_text("a note")
    for command in ("init -q", "config user.email a@example.org", "config user.name A", "add note.txt"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    config = json.loads((ROOT / "examples/mcp.json").read_text())
    for server in config["mcpServers"].values():
        program, *args = (str(tmp_path) if arg == "." else arg for arg in server["args"])
        # The servers of this environment, and not those that uvx would download.
        server |= {"command": sys.executable, "args": ["-m", program.replace("-", "_"), *args]}
        server["start_timeout"] = 150.0
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps(config))
    return file


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    given = iter(lines)
    monkeypatch.setattr("builtins.input", lambda prompt="": next(given))


def test_the_configuration_launches_two_servers() -> None:
    assert [server.name for server in read_mcp_config(ROOT / "examples/mcp.json")] == ["time", "git"]


def test_the_embedded_model_holds_a_session_with_servers(servers: Path) -> None:
    lines = "How high is K2?\nAnd Mont Blanc?\nand in feet?\n"
    lines += "What is the current time in the timezone Asia/Tokyo?\n"
    ran = run_example("assistant", servers, lines=lines)
    assert "time_convert_time" in ran.stdout and "git_git_log" in ran.stdout, ran.stderr
    replies = ran.stdout.split("> ")[1:]
    assert [reply.strip() for reply in replies[:3]] == ["8611 m", "4806 m", "about 15,767.7 feet"]
    assert json.loads(replies[3])["timezone"] == "Asia/Tokyo"
    assert ran.returncode == 0


def test_a_configuration_that_is_missing_is_told_at_once() -> None:
    ran = run_example("assistant", "missing.json")
    assert ran.returncode == 1 and "cannot read the MCP configuration missing.json" in ran.stderr


async def test_a_question_asks_back_and_the_next_one_knows_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(['a = ask("Which Paris?")\nanswer(f"Paris in {a}")\n', "answer(earlier1)\n"])
    typed(monkeypatch, "Tell me about Paris.", "Texas", "Say that again, please, my friend.", "")
    await session(make_agent(engine))
    assert capsys.readouterr().out.splitlines() == ["Paris in Texas"] * 2
    assert "Paris in Texas" in engine.calls[1].prompt


async def test_the_geographer_is_sent_and_shares_the_engine() -> None:
    def plan(prompt: str) -> str:
        if "geographer(" in prompt:
            return 'g = geographer("How high is K2?")\nanswer(g)\n'
        return 'a = search("height of K2")\nanswer(a.value)\n'

    engine = ScriptedEngine(plan)
    result = await make_agent(engine).run("Send the geographer to K2.")
    assert result.answer == "8611", result.reason
    assert len(engine.calls) == 2 and engine.open_contexts() == 0


async def test_calls_that_change_something_are_approved(
    servers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = f'a = git_git_commit({str(tmp_path)!r}, "A note")\nanswer(a)\n'
    asked: list[str] = []
    replies = iter(["n", "y"])

    def answers(prompt: str = "") -> str:
        asked.append(prompt)
        return next(replies)

    monkeypatch.setattr("builtins.input", answers)
    async with make_agent(ScriptedEngine([plan, 'decline("It was not allowed.")\n', plan]), servers) as agent:
        refused = await agent.run("Commit the note to the repository.")
        assert said(refused).startswith("(declined) It was not allowed."), refused
        assert "committed" in (await agent.run("Commit the note to the repository.")).answer
    assert len(asked) == 2 and all(prompt.startswith("Allow git_git_commit") for prompt in asked)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "greeting.py").write_text(
        'def greet(name: str) -> str:\n    """Greet."""\n    return "Hi " + name\n'
    )
    info = tmp_path / "greeting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[braid.tools]\ngreet = greeting:greet\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("greeting", None)


@pytest.mark.usefixtures("plugin")
async def test_tools_of_plugins_are_there() -> None:
    agent = make_agent(ScriptedEngine('answer(greet("Ada"))\n'))
    assert (await agent.run("Please greet my friend Ada.")).answer == "Hi Ada"
