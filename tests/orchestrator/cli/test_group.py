"""Commands and tools of other packages are found by their entry points, and loaded when they are used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scripted_server import serving

BRAID = Path(sys.executable).with_name("braid")
ENTRY_POINTS = """\
[braid.commands]
greet = greetings.command:greet
shout = greetings.app:app
crooked = greetings.crooked:app
missing = no_such_package.cli:app

[braid.tools]
letters = greetings.tools:tools
bad = greetings.crooked:tools
"""
COMMAND = '''\
"""Say hello to somebody.

More text."""


def greet(name: str) -> None:
    print("hello", name)
'''
APP = '''\
"""Say it loud."""
import typer

app = typer.Typer()


@app.command()
def word(w: str):
    print(w.upper())


@app.command()
def twice(w: str):
    print(w * 2)
'''
TOOLS = '''\
from braid import tool


@tool(effect="mutating")
def send_letter(to: str) -> str:
    """Send a letter."""
    return f"sent to {to}"


tools = [send_letter]
'''
FILES = {
    "plugin-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n",
    "plugin-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
    "greetings/__init__.py": "import os\n\nif os.environ.get('NO_IMPORT'):\n"
    "    raise RuntimeError('imported too early')\n",
    "greetings/command.py": COMMAND,
    "greetings/app.py": APP,
    "greetings/crooked.py": '"""Does not load."""\n\nraise ValueError("bent")\n',
    "greetings/tools.py": TOOLS,
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "COLUMNS": "100"}


def braid(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BRAID, *args], capture_output=True, text=True, timeout=60, env=env, check=False)


def test_help_reads_summaries_without_importing(env: dict[str, str]) -> None:
    done = braid({**env, "NO_IMPORT": "1"}, "--help")
    assert done.returncode == 0, done.stderr
    for text in (
        "Say hello to somebody.",
        "Say it loud.",
        "Does not load.",
        "no module 'no_such_package.cli'",
    ):
        assert text in done.stdout
    assert "More text" not in done.stdout


def test_plugin_commands_run(env: dict[str, str]) -> None:
    assert braid(env, "greet", "Ada").stdout == "hello Ada\n"
    assert braid(env, "shout", "word", "hey").stdout == "HEY\n"
    assert "twice" in braid(env, "shout", "--help").stdout


@pytest.mark.parametrize(("name", "why"), [("crooked", "ValueError: bent"), ("missing", "no_such_package")])
def test_a_broken_plugin_is_one_line_and_not_fatal(env: dict[str, str], name: str, why: str) -> None:
    done = braid(env, name)
    assert done.returncode == 1 and done.stdout == ""
    assert why in done.stderr and len(done.stderr.splitlines()) == 1
    assert braid(env, "--version").returncode == 0


def test_doctor_names_broken_plugins(env: dict[str, str]) -> None:
    findings = json.loads(braid(env, "doctor", "--json").stdout)["findings"]
    states = {finding["name"]: finding["status"] for finding in findings if "plugin" in finding["area"]}
    assert (
        states | {"greet": "ok", "crooked": "broken", "missing": "broken", "letters": "ok", "bad": "broken"}
        == states
    )


def test_plugin_tools_are_offered_and_mutating_ones_need_yes(env: dict[str, str]) -> None:
    listed = braid(env, "tools")
    assert "send_letter(to: str) -> str  mutating" in listed.stdout
    assert "braid: warning: tool plugin 'bad'" in listed.stderr
    with serving('a = send_letter("Ada")\nanswer(a)') as server:
        refused = braid(env, "run", "?", "--engine", server.uri, "--max-rounds", "1")
        allowed = braid(env, "run", "?", "--engine", server.uri, "--yes", "--compare")
    assert refused.returncode == 1 and "approve" in refused.stderr
    assert (allowed.returncode, allowed.stdout) == (0, "sent to Ada\n")
    assert "not compared" in allowed.stderr and "send_letter" in allowed.stderr
