"""The tasks `bfcl-parallel` and `bfcl-parallel-multiple`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from braid.engine.scripted import ScriptedEngine
from braid.evals import DataMissingError, EvalError, Options, Sample, get_task, run_task
from braid.evals.tasks.bfcl import Function, function_tools, json_schema

pytest.importorskip("jsonschema")

PLAY = {
    "name": "music.play",
    "description": "Play an artist\n for some minutes.",
    "parameters": {
        "type": "dict",
        "properties": {
            "artist": {"type": "string", "description": "Who plays."},
            "minutes": {"type": "integer"},
            "from": {"type": "float", "default": None, "optional": True},
        },
        "required": ["artist", "minutes"],
    },
}
ROW = {
    "id": "parallel_0",
    "question": [[{"role": "user", "content": "Play Abba for 20 minutes and Queen for 15, from 0.5 on."}]],
    "function": [PLAY],
}
ANSWER = {
    "id": "parallel_0",
    "ground_truth": [
        {"music.play": {"artist": ["ABBA"], "minutes": [20], "from": [""]}},
        {"music.play": {"artist": ["Queen", "the Queen"], "minutes": [15], "from": [0.5, ""]}},
    ],
}


def write(
    folder: Path, *, name: str = "BFCL_v4_parallel.json", row: Any = ROW, answer: Any = ANSWER
) -> Options:
    """A data folder with one row."""
    (folder / "possible_answer").mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(row) + "\n")
    (folder / "possible_answer" / name).write_text(json.dumps(answer))
    return Options(data_dir=folder)


def test_the_newest_rows_are_read_from_a_folder_or_an_unzipped_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "bfcl_eval" / "data"
    write(wheel, name="BFCL_v4_parallel.json", row={**ROW, "id": "old"}, answer={**ANSWER, "id": "old"})
    write(wheel, name="BFCL_v10_parallel.json")
    system = {"role": "system", "content": "Be short."}
    live = {**ROW, "id": "live", "question": [[system, *ROW["question"][0]]]}
    write(wheel, name="BFCL_v4_live_parallel.json", row=live, answer={**ANSWER, "id": "live"})
    task = get_task("bfcl-parallel")
    for folder in (tmp_path, wheel):
        assert [one.id for one in task.samples(Options(data_dir=folder))] == ["parallel_0"]
    (one,) = task.samples(Options(data_dir=tmp_path, arguments={"split": "live"}))
    assert one.id == "live" and one.question.startswith("Be short.\n\nPlay Abba")


def test_what_is_missing_or_has_another_form_is_told(tmp_path: Path) -> None:
    task = get_task("bfcl-parallel")
    with pytest.raises(DataMissingError, match="--data-dir"):
        task.samples(Options())
    with pytest.raises(DataMissingError, match="possible_answer"):
        task.samples(Options(data_dir=tmp_path))
    with pytest.raises(EvalError, match="unknown split 'dead'"):
        task.samples(Options(data_dir=tmp_path, arguments={"split": "dead"}))
    with pytest.raises(EvalError, match="no answer to 'parallel_0'"):
        task.samples(write(tmp_path, answer={**ANSWER, "id": "other"}))
    with pytest.raises(EvalError, match=r"another form(.|\n)*function"):
        task.samples(write(tmp_path, row={**ROW, "function": []}))
    with pytest.raises(DataMissingError, match="parallel_multiple"):
        get_task("bfcl-parallel-multiple").samples(Options(data_dir=tmp_path))


def test_schemas_of_the_data_set_become_json_schemas() -> None:
    assert json_schema(
        {
            "type": "dict",
            "properties": {
                "point": {"type": "tuple", "items": {"type": "float"}, "description": "x, y"},
                "what": {"type": "any"},
                "mod": {"type": "integer", "default": None},
            },
            "required": ["point"],
            "optional": ["what"],
        }
    ) == {
        "type": "object",
        "properties": {
            "point": {"type": "array", "items": {"type": "number"}, "description": "x, y"},
            "what": {},
            "mod": {"type": ["integer", "null"], "default": None},
        },
        "required": ["point"],
    }


async def test_functions_become_tools_whose_result_is_their_call() -> None:
    schema = {"type": "dict", "properties": {}}
    others = [Function(name=name, parameters=schema) for name in ("music_play", "lambda", "answer")]
    play, *rest = function_tools([Function.model_validate(PLAY), *others])
    assert [tool.name for tool in (play, *rest)] == ["music_play", "music_play_2", "lambda_", "answer_2"]
    assert play.spec.description == "Play an artist for some minutes."
    made = json.loads(await play.call({"artist": "Abba", "minutes": 20, "from_": 0.5}))
    assert made == {"music.play": {"artist": "Abba", "minutes": 20, "from": 0.5}}


RIGHT = """\
a = music_play(artist="Queen", minutes=15, from_=0.5)
b = music_play(artist="abba", minutes=20)
"""
MAP = 'a = [music_play(artist=x[0], minutes=x[1]) for x in [["Abba", 20], ["Queen", 15]]]\n'


@pytest.mark.parametrize(
    ("plan", "right", "at_once", "confident"),
    [
        (RIGHT + "answer(a, b)", 1, 1, 0),
        (RIGHT + "answer(a)", 1, 1, 0),
        (RIGHT + 'answer("done")', 1, 1, 0),
        (MAP + "answer(a)", 1, 1, 0),
        (RIGHT + "c = music_play(artist=a, minutes=1)\nanswer(a, b)", 0, 1, 1),
        ('a = music_play(artist="abba", minutes=20)\nanswer(a)', 0, 1, 1),
        ('a = music_play(artist="abba", minutes="20")\nanswer(a)', 0, 0, 0),
        ("I would rather talk about the weather.", 0, 0, 0),
    ],
)
async def test_the_calls_of_a_plan_are_judged(
    tmp_path: Path, plan: str, right: float, at_once: float, confident: float
) -> None:
    engine = ScriptedEngine(lambda _: plan)
    report = await run_task(get_task("bfcl-parallel"), engine, write(tmp_path))
    assert report.errors == 0
    assert report.accuracy is not None and report.accuracy.mean == right
    assert report.metrics["valid at once"].mean == at_once
    assert report.metrics["wrong with confidence"].mean == confident


def true_plan(sample: Sample) -> str:
    """The plan that makes the expected calls with the first value that is allowed for each argument."""
    functions = [Function.model_validate(one) for one in sample.metadata["functions"]]
    tools = {one.name: tool for one, tool in zip(functions, function_tools(functions), strict=True)}
    lines: list[str] = []
    for expected in json.loads(sample.target):
        ((name, allowed),) = expected.items()
        given = {key: values[0] for key, values in allowed.items() if values[0] != ""}
        arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
        lines.append(f"r{len(lines)} = {tools[name].name}({arguments})")
    return "\n".join([*lines, f"answer({', '.join(f'r{i}' for i in range(len(lines)))})"])


@pytest.mark.parametrize("name", ["bfcl-parallel", "bfcl-parallel-multiple"])
async def test_true_plans_are_right_on_the_data_set_itself(name: str) -> None:
    folder = os.environ.get("BRAID_BFCL_DIR")
    if folder is None:
        pytest.skip("BRAID_BFCL_DIR names no folder with the data of bfcl-eval")
    task = get_task(name)
    options = Options(data_dir=Path(folder), limit=10)
    plans = {sample.question.strip(): true_plan(sample) for sample in task.samples(options)}

    def respond(prompt: str) -> str:
        return next(plan for question, plan in plans.items() if question in prompt)

    report = await run_task(task, ScriptedEngine(respond), options)
    assert report.errors == 0
    assert report.accuracy is not None and (report.accuracy.mean, report.accuracy.n) == (1.0, 10)
