import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from braid.executors import ToolRegistry, tool
from braid.executors.tools import ToolDefinitionError, UnknownToolError, load_installed


@tool
def population(country: str) -> int:
    """How many people live there."""
    return len(country)


def area(country: str) -> float:
    return float(len(country))


def test_keeps_the_order_and_takes_plain_functions() -> None:
    registry = ToolRegistry([population, area])
    added = registry.add(tool(name="surface")(area))
    assert [one.name for one in registry] == ["population", "area", "surface"]
    assert [spec.name for spec in registry.specs()] == ["population", "area", "surface"]
    assert registry.get("surface") is added
    assert len(registry) == 3
    assert "area" in registry and "volume" not in registry


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ToolDefinitionError, match="'population' is there already"):
        ToolRegistry([population, population])


def test_unknown_names_show_near_ones() -> None:
    registry = ToolRegistry([population, area])
    with pytest.raises(UnknownToolError, match="did you mean 'population'"):
        registry.get("populaton")
    with pytest.raises(UnknownToolError, match="there are: population, area"):
        registry.get("zzz")
    with pytest.raises(UnknownToolError, match="there are: none"):
        ToolRegistry().get("x")


PLUGIN = """
from braid.executors.tools.tool import Tool, tool
@tool
def greet(name: str) -> str:
    return f"hello {name}"
def shout(text: str) -> str:
    return text.upper()
def whisper(text: str) -> str:
    return text.lower()
several = [whisper]
def factory() -> "list[Tool]":
    return [tool(name="made")(shout)]
def untyped(a):
    return a
number = 3
def explode() -> list[Tool]:
    raise SystemError("boom")
"""

ENTRIES = """
[braid.tools]
a_tool = a_plugin:greet
b_function = a_plugin:shout
c_list = a_plugin:several
d_factory = a_plugin:factory
e_untyped = a_plugin:untyped
f_missing = a_plugin:nothing
g_module = no_such_module:x
h_number = a_plugin:number
i_explode = a_plugin:explode
j_again = a_plugin:greet
"""


def test_installed_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_plugin.py").write_text(PLUGIN)
    info = tmp_path / "a_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load_installed()
    assert [one.name for one in loaded if one.function.__module__ == "a_plugin"] == [
        "greet",
        "shout",
        "whisper",
        "made",
    ]
    told = [str(one.message) for one in caught if one.category is RuntimeWarning]
    for name in ("e_untyped", "f_missing", "g_module", "h_number", "i_explode", "j_again"):
        assert sum(f"{name!r} of a-plugin" in text for text in told) == 1, told


def test_importing_tools_is_light() -> None:
    code = (
        "import braid.executors.tools.registry, braid.executors.tools.tool, sys;"
        "names = ('torch', 'transformers', 'httpx', 'prompt_toolkit')\n"
        "print([name for name in names if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
