"""Calls of tools as data, and as statements of the plan language."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from braid.planner.language import FINAL_FORMS

_NAMES = ("name", "tool", "tool_name", "function", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "tool_input", "action_input")

_AROUND = {"tool_calls": list, "function": dict}
"""What may stand around calls in the words of OpenAI's API."""


@dataclass(frozen=True, kw_only=True)
class Called:
    """One call that a model wrote."""

    tool: str
    text: str
    """The call in the plan language."""


def called_statement(tool: str, arguments: str) -> str:
    """A call that a model wrote in another way than a plan, as a statement of one.

    Args:
        tool: What is called.
        arguments: JSON as the model wrote it. What is no JSON object stands in the statement as it is.
    """
    try:
        given: object = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        given = None
    if isinstance(given, dict):
        return _call(tool, cast("dict[str, object]", given))
    return f"{tool}({arguments})"


def _call(tool: str, given: Mapping[str, object]) -> str:
    # JSON's strings are strings of the language.
    texts = {
        key: json.dumps(value) if isinstance(value, str) else repr(value) for key, value in given.items()
    }
    named = tool not in FINAL_FORMS  # a plan's `answer` takes values without names
    return f"{tool}({', '.join(f'{key}={text}' if named else text for key, text in texts.items())})"


def calls_in(block: str) -> list[Called] | None:
    """The calls in a block of text that begins with a bracket.

    Args:
        block: JSON, the same in Python's words, or a list of calls in Python's words.

    Returns:
        None where it holds anything else.
    """
    try:
        return _calls_of(json.loads(block, strict=False))
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubtful escapes are the model's data
            tree = ast.parse(block.strip(), mode="eval").body
        match tree:
            case ast.List(elts=[ast.Call(), *_] as items):
                return _python_calls(items, block.strip())
            case _:
                return _calls_of(ast.literal_eval(tree))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _python_calls(items: list[ast.expr], block: str) -> list[Called] | None:
    found: list[Called] = []
    for item in items:
        if not isinstance(item, ast.Call) or not isinstance(item.func, ast.Name):
            return None
        found.append(Called(tool=item.func.id, text=ast.get_source_segment(block, item) or ""))
    return found


def _calls_of(value: object) -> list[Called] | None:
    """The calls that a value of JSON is. None where it has another form."""
    match value:
        case list():
            each = [_calls_of(item) for item in cast("list[object]", value)]
            return [call for calls in each if calls for call in calls] if each and all(each) else None
        case dict():
            given = cast("dict[str, Any]", value)
            inner = next(
                (given[key] for key, kind in _AROUND.items() if isinstance(given.get(key), kind)), None
            )
            return _one_call(given) if inner is None else _calls_of(inner)
        case _:
            return None


def _one_call(value: Mapping[str, Any]) -> list[Called] | None:
    tool = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    key = next((key for key in _ARGUMENTS if key in value), None)
    if tool is None or key is None:
        return None
    arguments = value[key]
    if arguments is None:
        return [Called(tool=tool, text=f"{tool}()")]
    if isinstance(arguments, str):  # OpenAI's API has JSON in a string here
        return [Called(tool=tool, text=called_statement(tool, arguments))]
    if isinstance(arguments, dict):
        return [Called(tool=tool, text=_call(tool, cast("dict[str, object]", arguments)))]
    return None
