"""`connect` in a light installation, without the packages of the local engine."""

from __future__ import annotations

import subprocess
import sys

import pytest

HIDE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
"""

LOCAL = """
import asyncio
from braid.engine import EngineError, connect

try:
    asyncio.run(connect("local:braid-mini"))
except EngineError as error:
    print(type(error).__name__, error)
"""

REMOTE = """
import asyncio
from braid.engine import SamplingParams, ScriptedEngine, connect
from braid.engine.server import ServerOptions, serving

async def main():
    async with ScriptedEngine("four") as engine, serving(engine, ServerOptions(port=0)) as url:
        async with await connect(f"openai:{url}") as remote, await remote.prefill("two and two") as context:
            [completion] = await remote.generate(context, SamplingParams())
            completion.context.release()
            print(completion.text)

asyncio.run(main())
assert not {"torch", "transformers"} & sys.modules.keys()
"""

OTHER = """
import asyncio, shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from braid.engine import EngineError, connect
from braid.engine.local.model.locate import own_models

with TemporaryDirectory() as folder:
    copy = Path(folder, "copy")
    shutil.copytree(own_models()["braid-mini"], copy)
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    try:
        asyncio.run(connect(f"local:{copy}"))
    except EngineError as error:
        print(type(error).__name__, error)
"""

PLAN = """
import asyncio
from braid import Agent

async def main():
    async with Agent("local:braid-mini", shortcuts=False) as agent:
        result = await agent.run("How tall is Mount Everest?")
        print(result.answer, result.usage.generated_tokens > 0)

asyncio.run(main())
loaded = {name for name in sys.modules if name.partition(".")[0] == "transformers"}
assert not loaded | {"torch._dynamo", "torch._inductor"} & sys.modules.keys()
"""

GRAMMAR = """
import asyncio
from braid.engine import CapabilityError, SamplingParams, connect

async def main():
    async with await connect("local:braid-mini", threads=1) as engine, await engine.prefill("a") as context:
        try:
            await engine.generate(context, SamplingParams(grammar="yes|no"))
        except CapabilityError as error:
            print(error)

asyncio.run(main())
"""


def run_without(hidden: set[str], program: str) -> str:
    """What `program` prints in a process where the packages in `hidden` cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=hidden) + program],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("hidden", "program"),
    [("torch", LOCAL), ("safetensors", LOCAL), ("tokenizers", LOCAL), ("transformers", OTHER)],
)
def test_a_local_engine_without_its_packages_says_what_to_install(hidden: str, program: str):
    said = run_without({hidden}, program)
    assert said.startswith("MissingPackageError")
    assert f"{hidden} is not installed" in said and "pip install 'braid-agents[local]'" in said


@pytest.mark.parametrize("hidden", [(), ("transformers",)], ids=["installed", "not-installed"])
def test_the_embedded_model_plans_without_transformers_and_torchs_compiler(hidden: tuple[str, ...]):
    assert run_without(set(hidden), PLAN) == "8849 m True\n"


def test_a_remote_engine_needs_neither_torch_nor_transformers():
    assert run_without({"torch", "transformers"}, REMOTE) == "four\n"


def test_a_grammar_without_llguidance_says_what_to_install():
    said = run_without({"llguidance"}, GRAMMAR)
    assert "llguidance is not installed" in said and "pip install 'braid-agents[local]'" in said
