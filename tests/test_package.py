"""The import package.

One name for each module, whatever lies beside a user's script, and types that a user's checker sees.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("engine", "reasoning", "executors", "planner", "orchestrator", "evals", "training")

SCRIPT = """\
from typing import Any, assert_type

from braid import Agent, Budget, RunResult, tool


@tool(effect="pure")
def population(country: str) -> int:
    \"\"\"How many people live in a country.\"\"\"
    return len(country)


def main() -> None:
    agent = Agent(tools=[population])
    assert_type(agent.run_sync("How many?", budget=Budget(calls=3)), RunResult[Any])
"""


def run(*command: str | Path, cwd: Path | None = None, path: Path | None = None) -> str:
    environment = {"PATH": "/usr/bin:/bin", **({} if path is None else {"PYTHONPATH": str(path)})}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A user's folder with modules and packages that are named like Braid's rooms."""
    for room in ROOMS[:4]:
        (tmp_path / f"{room}.py").write_text("raise ImportError('this is the user\\'s own module')\n")
    for room in ROOMS[4:]:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text(
            "raise ImportError('this is the user\\'s own package')\n"
        )
    (tmp_path / "script.py").write_text(SCRIPT + "\n\nprint(population.name, Agent.__module__)\n")
    return tmp_path


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools leaves a build folder behind, which would get into later wheels
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info"))
    build = (
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        source,
    )
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_a_users_modules_named_like_rooms_break_nothing(crowded: Path) -> None:
    assert run(sys.executable, "script.py", cwd=crowded) == "population braid.orchestrator.agent\n"
    assert "Usage" in run(sys.executable, "-m", "braid", "--help", cwd=crowded)


def test_no_module_is_loaded_under_two_names() -> None:
    script = (
        "import collections, importlib, json, os, pkgutil, sys, braid\n"
        "for found in pkgutil.walk_packages(braid.__path__, 'braid.'):\n"
        "    if not found.name.endswith('__main__'):\n        importlib.import_module(found.name)\n"
        "files = collections.defaultdict(list)\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name != '__main__' and getattr(module, '__file__', None):\n"
        "        files[os.path.realpath(module.__file__)].append(name)\n"
        f"root = {str(ROOT)!r}\n"
        "ours = {f: n for f, n in files.items() if f.startswith(root) and '.venv' not in f}\n"
        "print(json.dumps(ours))\n"
    )
    files: dict[str, list[str]] = json.loads(run(sys.executable, "-c", script))
    assert len(files) > 200
    assert {file: names for file, names in files.items() if len(names) > 1} == {}
    assert not [name for names in files.values() for name in names if name.partition(".")[0] in ROOMS]


def test_this_test_run_loads_no_room_under_its_folders_name() -> None:
    assert not [name for name in sys.modules if name.partition(".")[0] in ROOMS]


def check_types(folder: Path, path: Path | None) -> None:
    (folder / "script.py").write_text(SCRIPT)
    config = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "include": ["script.py"]}
    if path is None:
        config |= {"venvPath": str(ROOT), "venv": ".venv"}
    else:
        config |= {"extraPaths": [str(path)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    said = run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", folder, cwd=folder)
    assert "0 errors" in said


def test_a_users_script_type_checks_from_the_editable_install(tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    check_types(tmp_path, None)


@pytest.mark.long
def test_the_wheel_is_whole(
    unpacked_wheel: Path, crowded: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert run(sys.executable, "script.py", cwd=crowded, path=unpacked_wheel).startswith("population")
    where = run(sys.executable, "-c", "import braid; print(braid.__file__)", path=unpacked_wheel)
    assert where.startswith(str(unpacked_wheel))
    answer = run(
        sys.executable, "-m", "braid", "run", "How deep is Lake Baikal?", cwd=crowded, path=unpacked_wheel
    )
    assert "1642" in answer
    check_types(tmp_path_factory.mktemp("typed"), unpacked_wheel)


@pytest.mark.long
def test_the_core_installs_and_runs_without_torch(unpacked_wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    wheel = next(unpacked_wheel.parent.glob("*.whl"))
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
    assert "torch" not in run(python, "-m", "pip", "list")
    assert "Usage" in run(tmp_path / "venv/bin/braid", "--help")
    done = subprocess.run(
        [tmp_path / "venv/bin/braid", "run", "-e", "local:braid-mini", "How deep is Lake Baikal?"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "braid-agents[local]" in done.stderr
