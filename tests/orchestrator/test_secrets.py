"""Secrets never leave the process: not in the journal, a page, JSON or a log. Inside they stay usable."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from typer.testing import CliRunner

from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.journal import Journal, recorded_events
from braid.orchestrator import Agent, RunResult
from braid.orchestrator.cli.app import app
from braid.planner import PlannerText
from tests.support.interrupted_runs import interrupted
from tests.support.scripted_server import serving

KEY = "sk-ab\"c<&>'/ä-0123456789"
WORD = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def secret_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def forms(secret: str) -> list[str]:
    """The ways in which a secret may stand in what was written."""
    escaped = json.dumps(secret)[1:-1]
    return [secret, escaped, json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(escaped)[1:-1]]


def shown(result: RunResult[Any], file: Path) -> str:
    """Everything that others get to see of a run."""
    stored = b"".join(one.read_bytes() for one in file.parent.glob(file.name + "*")).decode(errors="replace")
    page = result.page().replace("&quot;", '"').replace("&#x27;", "'").replace("&lt;", "<")
    page = page.replace("&gt;", ">").replace("&amp;", "&")
    return stored + page + json.dumps(result.to_dict(), ensure_ascii=False, default=str)


@tool(cache="always")
def leak(form: str) -> Any:
    """A secret of the environment."""
    values = {
        "text": KEY,
        "inside": f"Authorization: Bearer {KEY}\n",
        "list": [1, [{"token": KEY}]],
        "key": {KEY: 1},
        "cut": "x" * 190 + KEY,
        "large": KEY * 1000,
    }
    return values[form]


@tool
def same(x: Any) -> Any:
    """The value itself."""
    return x


@tool
def fails(x: str) -> str:
    """Always fails."""
    raise ValueError(f"{KEY} is no good for {x}")


class Login(BaseModel):
    user: str
    password: SecretStr


@tool
async def login(password: SecretStr) -> str:
    """Log in."""
    return f"logged in with {len(password.get_secret_value())} characters"


@tool
def login_with(passwords: list[SecretStr]) -> str:
    """Log in with several."""
    return f"logged in with {[len(one.get_secret_value()) for one in passwords]} characters"


@tool
async def login_as(who: Login) -> str:
    """Log in as somebody."""
    return f"logged in with {len(who.password.get_secret_value())} characters"


TOOLS = [leak, same, fails, login, login_with, login_as]


async def run(file: Path, *plans: str, chunk: Any = "whole") -> RunResult[Any]:
    engine = ScriptedEngine(list(plans), chunk=chunk)
    async with Agent(engine, tools=TOOLS, builtins=False, journal=file) as agent:
        return await agent.run("go")


@pytest.mark.parametrize("form", ["text", "inside", "list", "key", "cut", "large"])
async def test_results_that_are_kept_hold_none(file: Path, form: str) -> None:
    result = await run(file, f'a = leak("{form}")\nanswer(a)')
    assert result.output == leak.function(form)
    found = shown(result, file)
    assert not [one for one in (*forms(KEY), KEY[:8], json.dumps(KEY[:8])[1:-1]) if one in found]
    with Journal(file) as journal, journal.reading() as db:
        assert db.execute("SELECT count(*) FROM results").fetchone() == (0,)


@pytest.mark.parametrize("chunk", ["whole", 1, 7])
@pytest.mark.parametrize(
    "plan",
    [
        f"a = same({json.dumps(KEY, ensure_ascii=False)})\nanswer(a)",
        f"a = same({KEY!r})\nanswer(a)",
        f"a = nothing({json.dumps(KEY, ensure_ascii=False)})\nanswer(a)",
        f"a = fails({json.dumps(KEY)})\nanswer(a)",
    ],
    ids=["json", "repr", "rejected", "failed"],
)
async def test_plans_hold_none(file: Path, plan: str, chunk: Any) -> None:
    result = await run(file, *[plan] * 4, *['answer("x")'] * 4, chunk=chunk)
    with Journal(file) as journal:
        events = [envelope.event for envelope in recorded_events(journal, journal.find("last"))]
    found = shown(result, file) + "".join(event.text for event in events if isinstance(event, PlannerText))
    assert not [one for one in (*forms(KEY), KEY[5:], repr(KEY)[1:-1], "0123456789") if one in found]


@pytest.mark.parametrize("journalled", [True, False])
@pytest.mark.parametrize(
    "plan",
    [
        f'p = same("{WORD}")\na = login(p)\nanswer(a)',
        f'p = same("{WORD}")\na = login_with([p])\nanswer(a)',
        f'p = same("{WORD}")\na = login_as({{"user": "me", "password": p}})\nanswer(a)',
        f'p = same("{WORD[:4]}")\na = login(f"{{p}}{WORD[4:]}")\nanswer(a)',
        f'p = same(["{WORD}"])\na = [login(x) for x in p]\nanswer(a)',
        f'p = same("{WORD}" )\nq = same({{"x": p}})\na = login(q["x"])\nanswer(a)',
    ],
    ids=["variable", "list", "model", "template", "map", "deeper"],
)
async def test_secret_arguments_that_came_through_variables(file: Path, plan: str, journalled: bool) -> None:
    async with Agent(
        ScriptedEngine([plan]), tools=TOOLS, builtins=False, journal=file if journalled else False
    ) as agent:
        result = await agent.run("go")
    assert "15" in result.answer, result.reason
    assert WORD not in shown(result, file)


async def test_a_short_secret_leaves_the_journal_readable(file: Path) -> None:
    result = await run(file, 'p = same("1")\na = login(p)\nb = same([1, 11])\nanswer(b)')
    assert result.output == [1, 11] and result.to_dict()["nodes"][2]["result"] == [1, 11]
    async with Agent(ScriptedEngine([]), tools=TOOLS, builtins=False, journal=file) as agent:
        assert (await agent.resume("last")).answer == result.answer


@pytest.mark.parametrize(
    "call",
    [
        f"send({json.dumps(KEY)})",
        f"send({json.dumps('Bearer ' + KEY)})",
        f'send("x", password="{WORD}")',
        f"send([{json.dumps(KEY)}])",
    ],
)
async def test_a_resumed_call_never_sends_the_mark_of_a_secret(file: Path, call: str) -> None:
    sent: list[Any] = []
    started = asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait."""
        if not started.is_set():
            started.set()
            await asyncio.sleep(60)
        return "over"

    @tool
    async def send(x: Any, then: Any = None, password: SecretStr | None = None) -> str:
        """Send it."""
        sent.append(x)
        return "sent"

    options: Any = {"tools": [wait, send], "builtins": False, "journal": file, "max_rounds": 1}
    plan = f"w = wait()\na = {call.removesuffix(')')}, then=w)\nanswer(a)"
    await interrupted(Agent(ScriptedEngine(plan, chunk="whole"), replan=None, **options), started)
    async with Agent(ScriptedEngine([]), replan=None, **options) as agent:
        result = await agent.resume("last")
    assert not sent and result.status != "answered"
    assert any("secret" in (node["error"] or "") for node in result.to_dict()["nodes"])


def test_the_command_line_shows_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    page = tmp_path / "page.html"
    told = json.dumps(f"using {KEY}")
    for plan in (
        f"a = calculate({told})\nanswer(a)",
        f'a = nothing({told})\nanswer("x")',
        f"decline({told})",
    ):
        with serving(plan) as server:
            for more in (["--json"], []):
                options = ["--engine", server.uri, "--html", str(page), *more]
                done = CliRunner().invoke(app, ["run", "How?", *options])
                output = done.stdout * bool(more) + done.stderr + page.read_text()
                assert not [one for one in (*forms(KEY), "0123456789") if one in output]
            done = CliRunner().invoke(app, ["plan", "How?", "--json", "--engine", server.uri])
            assert not [one for one in (*forms(KEY), "0123456789") if one in done.output]


def test_errors_of_commands_show_none(monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(app, ["run", "How?", "--engine", f"openai:http://127.0.0.1:9/v1#{KEY}"])
    assert done.exit_code == 1 and not [one for one in forms(KEY) if one in done.output]
