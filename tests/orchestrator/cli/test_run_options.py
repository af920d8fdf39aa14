"""Options of `braid run`, `plan` and `resume`: settings of the model, two engines, typed output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from braid.orchestrator.cli import app
from tests.support.scripted_server import Reply, serving

THINKS = 'a = think("x")\nanswer(f"{a}")\n'


class Height(BaseModel):
    """Named by its module on the command line."""

    metres: int


def writes(plan: str, *others: str) -> Reply:
    """A model that writes `plan`, and `others` one after the other where it is asked for something else."""
    rest = list(others)
    return lambda messages: plan if "Write the plan" in messages[-1]["content"] else rest.pop(0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, folder in (("BRAID_HOME", "home"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def braid(*args: str) -> Any:
    return CliRunner().invoke(app, list(args))


@pytest.mark.parametrize("command", ["run", "plan"])
def test_settings_of_the_model(home: Path, command: str) -> None:
    with serving(writes(THINKS, "yes")) as server:
        options = ["--top-p", "0.5", "--temperature", "0.3", "--max-tokens", "90", "--engine", server.uri]
        stops = ["--stop", "#", "--stop", "§"] if command == "run" else []
        done = braid(command, "?", *options, *stops)
    assert done.exit_code == 0, done.output
    sent = server.requests
    assert [(body["top_p"], body["temperature"]) for body in sent] == [(0.5, 0.3)] * len(sent)
    assert "#" not in sent[0].get("stop", [])
    if command == "run":
        assert len(sent) == 2 and sent[1]["stop"] == ["#", "§"]
    assert braid("run", "?", "--top-p", "0", "--engine", server.uri).exit_code == 2


def test_an_engine_to_think_with(home: Path) -> None:
    with serving(writes(THINKS)) as planner, serving(lambda messages: "yes") as thinker:
        done = braid("run", "?", "--engine", planner.uri, "--think-engine", thinker.uri, "--json")
        assert json.loads(done.stdout)["answer"] == "yes", done.output
        assert (len(planner.requests), len(thinker.requests)) == (1, 1)
        assert [call["engine"] for call in json.loads(done.stdout)["calls"]] == [planner.uri, thinker.uri]
        stopped = braid(
            "run", "?", "-e", planner.uri, "--think-engine", thinker.uri, "--budget-tokens", "600"
        )
        assert stopped.exit_code in (1, 3), stopped.output
        asked = len(thinker.requests)
        assert braid("resume", "last", "--budget-tokens", "90000").exit_code == 0
        assert len(thinker.requests) == asked + 1


SCHEMA = {
    "type": "object",
    "properties": {"metres": {"type": "integer", "minimum": 1}},
    "required": ["metres"],
}


@pytest.mark.parametrize("form", ["file", "type"])
def test_a_typed_answer_is_printed_as_json(home: Path, form: str) -> None:
    (home / "height.json").write_text(json.dumps(SCHEMA))
    output = "height.json" if form == "file" else f"{__name__}:Height"
    with serving(writes('answer("8611 m")\n', '{"metres": 0.5}', '{"metres": 8611}')) as server:
        options = ["--engine", server.uri, "--output", output]
        wrong = braid("run", "How tall is K2?", *options)
        assert wrong.exit_code == 1 and "does not fit" in wrong.stderr and not wrong.stdout
        done = braid("run", "How tall is K2?", *options)
    assert done.exit_code == 0 and json.loads(done.stdout) == {"metres": 8611}, done.output
    assert '"metres"' in str(server.requests[0]), "the planner is told"


def test_values_of_a_plan_fit_a_schema_too(home: Path) -> None:
    (home / "heights.json").write_text('{"type": "array", "items": {"type": "number"}, "minItems": 2}')
    with serving(writes("answer(1, 2.5)\n")) as server:
        options = ["--engine", server.uri, "--output", "heights.json"]
        done = braid("run", "?", *options)
        document = json.loads(braid("run", "?", *options, "--json").stdout)
        again = braid("resume", "last", "--output", "heights.json")
    assert json.loads(done.stdout) == document["output"] == json.loads(again.stdout) == [1, 2.5]


@pytest.mark.parametrize(
    "wrong", ["nothing.json", "broken.json", "no_schema.json", "Height", "no_such_module:X", f"{__name__}:X"]
)
def test_what_names_no_type_is_wrong_usage(home: Path, wrong: str) -> None:
    (home / "broken.json").write_text("{")
    (home / "no_schema.json").write_text('{"type": "heap"}')
    done = braid("run", "?", "--engine", "openai:http://127.0.0.1:9/v1#m", "--output", wrong)
    assert done.exit_code == 2 and wrong.split(":", maxsplit=1)[0] in done.stderr
