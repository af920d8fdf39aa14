"""`bfcl-parallel` and `bfcl-parallel-multiple`: several calls for one question.

The questions are those of the Berkeley Function Calling Leaderboard. They are not part of Braid. Name a
folder that holds them, such as the unzipped wheel of the package `bfcl-eval`.

A row's functions become tools. None of them does anything: its result is the call itself, as text.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError

from braid.engine import Engine
from braid.evals.solvers import SAMPLES_ARGUMENT, plan_samples, planning_metrics, solve_with_agent
from braid.evals.task import DataMissingError, EvalError, Options, Output, Sample, Score, Task
from braid.evals.tasks.bfcl_rules import are_expected
from braid.executors import Tool
from braid.executors.mcp import free_name, identifier, plan_parameters
from braid.executors.nodes import ToolCall
from braid.executors.tools import ToolSpec
from braid.orchestrator import RunResult

FOLDERS: Final = ("", "data", "bfcl_eval/data")
"""Where the files may be, below the data folder."""

SPLITS: Final = {"original": "", "live": "live_"}
"""What a file's name has before the subset: questions of the makers, and of users."""

_JSON_TYPES: Final = {"dict": "object", "float": "number", "tuple": "array", "any": None}
_KEPT: Final = ("description", "enum", "default", "maximum")

RowT = TypeVar("RowT", bound="_Line")


class Function(BaseModel):
    """A function as a row describes it."""

    name: str
    description: str = ""
    parameters: dict[str, Any]
    """The schema of its arguments, with type names of Python."""


class _Line(BaseModel):
    id: str


class _Message(BaseModel):
    content: str


class _Row(_Line):
    question: Annotated[list[list[_Message]], Field(min_length=1, max_length=1)]
    function: Annotated[list[Function], Field(min_length=1)]


class _Answer(_Line):
    ground_truth: list[Annotated[dict[str, dict[str, list[Any]]], Field(min_length=1, max_length=1)]]


def load(options: Options, *, subset: str) -> Sequence[Sample]:
    """The rows of a subset in the newest version of the data that the folder has.

    Raises:
        DataMissingError: There is no data folder, or a file is not in it.
        EvalError: There is no such split, a file has other rows, or jsonschema is not installed.
    """
    plan_samples(options)  # a mistake shows before a model is loaded
    if find_spec("jsonschema") is None:
        raise EvalError("the tools of BFCL need jsonschema: pip install 'braid-agents[mcp]'")
    split = options.arguments.get("split", "original")
    if split not in SPLITS:
        raise EvalError(f"unknown split {split!r}; there are: {', '.join(SPLITS)}")
    questions = _find(options.data_dir, f"{SPLITS[split]}{subset}")
    answers = {row.id: row.ground_truth for row in _lines(_answers_of(questions), _Answer)}
    samples: list[Sample] = []
    for row in _lines(questions, _Row):
        if row.id not in answers:
            raise EvalError(f"{str(questions)!r}: there is no answer to {row.id!r}")
        samples.append(
            Sample(
                id=row.id,
                question="\n\n".join(message.content for message in row.question[0]),
                target=json.dumps(answers[row.id], ensure_ascii=False),
                metadata={"functions": [function.model_dump() for function in row.function]},
            )
        )
    return samples


def _find(folder: Path | None, subset: str) -> Path:
    wanted = f"BFCL_v*_{subset}.json, and possible_answer with a file of the same name"
    if folder is None:
        raise DataMissingError(f"the tasks of BFCL need --data-dir, a folder with {wanted}")
    found: dict[int, Path] = {}
    for path in (path for below in FOLDERS for path in (folder / below).glob(f"BFCL_v*_{subset}.json")):
        version = re.fullmatch(rf"BFCL_v(\d+)_{subset}\.json", path.name)
        if version is not None and _answers_of(path).is_file():
            found[int(version[1])] = path
    if not found:
        raise DataMissingError(f"{str(folder)!r} does not hold {wanted}")
    return found[max(found)]


def _answers_of(questions: Path) -> Path:
    return questions.parent / "possible_answer" / questions.name


def _lines(path: Path, kind: type[RowT]) -> list[RowT]:
    text = path.read_text(encoding="utf-8")
    try:
        return [kind.model_validate_json(line) for line in text.split("\n") if line.strip()]
    except ValidationError as error:
        raise EvalError(f"{str(path)!r} has a row of another form: {error}") from error


def function_tools(functions: Sequence[Function]) -> list[Tool]:
    """The functions as tools whose result is their call: `{"math.factorial": {"number": 5}}`.

    Names that plans cannot write are changed in the tool (`math_factorial`), but not in its result.
    """
    made: dict[str, Tool] = {}
    for function in functions:
        base = identifier(function.name)
        name = free_name(f"{base}_" if keyword.iskeyword(base) else base, made)
        made[name] = _tool(name, function)
    return list(made.values())


def _tool(name: str, function: Function) -> Tool:
    parameters, renamed = plan_parameters(json_schema(function.parameters))

    async def call(**args: Any) -> str:
        given = {renamed.get(key, key): value for key, value in args.items()}
        return json.dumps({function.name: given}, ensure_ascii=False)

    spec = ToolSpec(
        name=name,
        description=" ".join(function.description.split()),
        parameters=parameters,
        returns={"type": "string"},
    )
    return Tool(call, spec=spec)


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of the data set as a JSON schema. What may be null by default may be given as null."""
    kind = _JSON_TYPES.get(schema["type"], schema["type"])
    made: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if kind is not None:
        made["type"] = [kind, "null"] if "default" in made and made["default"] is None else kind
    if isinstance(schema.get("items"), dict):
        made["items"] = json_schema(schema["items"])
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {name: json_schema(inner) for name, inner in schema["properties"].items()}
        made["required"] = schema.get("required", [])
    return made


async def solve(engine: Engine, sample: Sample, options: Options, *, seed: int) -> Output:
    """One `Agent.run` of one round with the row's functions as its only tools. The calls are its answer."""
    tools = function_tools([Function.model_validate(one) for one in sample.metadata["functions"]])
    return await solve_with_agent(
        engine, sample, options, seed=seed, tools=tools, builtins=False, max_rounds=1, read=_calls_made
    )


def _calls_made(result: RunResult[object]) -> str:
    """The calls of the plan as JSON, with null for each that came to nothing. Skipped ones are left out."""
    calls = [
        json.loads(entry.value) if entry.state == "done" else None
        for entry in result.graph.entries.values()
        if entry.tool is not None
        and entry.state != "skipped"
        and not entry.dropped
        and (isinstance(entry.node.op, ToolCall) or entry.state != "done")  # a map is done by its items
    ]
    return json.dumps(calls, ensure_ascii=False)


async def score(sample: Sample, output: Output) -> Score:
    """Right when the calls are the expected ones, by the data set's own rules."""
    calls = json.loads(output.answer)
    right = None not in calls and are_expected(
        [pair for call in calls for pair in call.items()],
        [pair for call in json.loads(sample.target) for pair in call.items()],
        {function["name"]: function["parameters"] for function in sample.metadata["functions"]},
    )
    return planning_metrics(output, right)


def _task(subset: str, summary: str) -> Task:
    return Task(
        name=f"bfcl-{subset.replace('_', '-')}",
        summary=f"Berkeley Function Calling Leaderboard: {summary} (needs --data-dir)",
        load=partial(load, subset=subset),
        solve=solve,
        score=score,
        arguments={
            "split": f"one of {', '.join(SPLITS)} (default: original)",
            "samples": SAMPLES_ARGUMENT,
        },
    )


BFCL_PARALLEL = _task("parallel", "several calls, mostly of one function")
BFCL_PARALLEL_MULTIPLE = _task("parallel_multiple", "several calls of several functions")
