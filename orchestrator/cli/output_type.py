"""What an option names: tools of a module, or the type that an answer must fit."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import to_jsonable_python

from braid.executors import Tool, ToolRegistry
from braid.executors.tools import ToolDefinitionError, schema_problem


def read_output_type(given: str) -> Any:
    """The type that `given` names: `answer.json`, a file with a JSON schema, or `module:Type`.

    The module may lie in the working directory. Values of a schema are JSON.

    Raises:
        typer.BadParameter: It cannot be read.
    """
    file = Path(given)
    if file.suffix == ".json" or file.is_file():
        return _schema_type(file)
    return named_object(given, "a file with a JSON schema, or module:Type")


def read_tools(given: str) -> list[Tool]:
    """The tools that `given` names: `desk:tools`. The module may lie in the working directory.

    Raises:
        typer.BadParameter: There are none.
    """
    try:
        return list(ToolRegistry.of(named_object(given, "module:NAME, of a tool, a function, or a list")))
    except ToolDefinitionError as error:
        raise typer.BadParameter(f"{given!r} names no tools: {error}") from error


def named_object(given: str, expected: str) -> Any:
    """The object of a module that `given` names.

    Raises:
        typer.BadParameter: It is not written as `expected`, or cannot be imported.
    """
    module, _, name = given.partition(":")
    if not module or not name:
        raise typer.BadParameter(f"expected {expected}, got {given!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise typer.BadParameter(f"cannot read {given!r}: {error}") from error
    return found


def _schema_type(file: Path) -> Any:
    try:
        schema = json.loads(file.read_text(encoding="utf-8"))
        importlib.import_module("jsonschema").Draft202012Validator.check_schema(schema)
    except ModuleNotFoundError as error:
        raise typer.BadParameter("a JSON schema needs jsonschema: pip install 'braid-agents[mcp]'") from error
    except Exception as error:  # of the file, of JSON, or of the schema
        reason = getattr(error, "message", None) or error
        raise typer.BadParameter(f"{file} holds no JSON schema: {reason}") from error

    def check(value: Any) -> Any:
        document = to_jsonable_python(value, fallback=str)
        try:
            problem = schema_problem(schema, document)
        except Exception as error:
            raise ValueError(f"the schema cannot be checked: {error}") from error
        if problem is not None:
            raise ValueError(problem.message)
        return document

    return Annotated[Any, AfterValidator(check), WithJsonSchema(schema)]
