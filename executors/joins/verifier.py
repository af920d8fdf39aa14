"""Verifiers: tools and functions that say how good an answer is."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Container
from typing import Any, Final, TypeAlias, cast

from braid.executors.nodes import Const, Expr, ToolCall
from braid.executors.tools import Tool, ToolDefinitionError, ToolError, ToolOptions, ToolSpec

PASSES: Final = 0.5
"""The score from which on an answer passes, unless a plan says `at_least=`."""

Verify: TypeAlias = "Callable[[str, Any], bool | float | Awaitable[bool | float]]"
"""Says of a question and an answer whether the answer is good: True or False, or a score."""

_KINDS: Final = frozenset({"boolean", "number", "integer"})


def verifier_problem(spec: ToolSpec, *, most: int = 1) -> str | None:
    """Why a tool is no verifier. None if it is one.

    Args:
        spec: The tool.
        most: How many arguments it may need: the answer, or question and answer.
    """
    needed = spec.parameters.get("required", ())
    if not 1 <= len(needed) <= most:
        what = "one argument" if most == 1 else "one or two arguments"
        return f"a verifier needs {what}, and `{spec.name}` needs {len(needed)}"
    if spec.effect == "mutating":
        return f"`{spec.name}` changes things in the world, and a verifier only looks at an answer"
    returns = spec.returns or {}
    options = cast("list[dict[str, Any]]", returns.get("anyOf", [returns]))
    kinds = [option.get("type") for option in options]
    if returns and not any(kind is None or kind in _KINDS for kind in kinds):
        return f"a verifier returns True, False or a number, and `{spec.name}` returns {kinds[0]}"
    return None


def verifier_tool(given: Tool | Callable[..., Any], *, taken: Container[str] = ()) -> Tool:
    """A verifier as a tool: of the answer, or of question and answer. Its calls are then those of any tool.

    Args:
        given: A tool, or a function of the answer, or of question and answer. If it is typed, its arguments
            are coerced as those of any tool.
        taken: Names that the tool of a function may not have.

    Raises:
        ToolDefinitionError: It is no verifier. The message says why.
    """
    made = cast("Tool", given) if isinstance(given, Tool) else _made(given, taken)
    if problem := verifier_problem(made.spec, most=2):
        raise ToolDefinitionError(problem, tool=made.name)
    return made


def _made(given: Callable[..., Any], taken: Container[str]) -> Tool:
    if not callable(given):
        raise ToolDefinitionError(f"a verifier is a tool or a function, got {given!r:.60}")
    needed = [
        parameter
        for parameter in inspect.signature(given).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    count = len(needed)
    if count not in (1, 2):
        raise ToolDefinitionError(
            f"a verifier takes the answer, or question and answer, and {given!r:.60} takes {count} arguments"
        )
    name = "verifier"
    while name in taken:
        name += "_"
    if all(parameter.annotation is not parameter.empty for parameter in needed):
        return Tool(given, ToolOptions(name=name))
    options = ToolOptions(name=name, version=_version_of(given))
    if inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(type(given).__call__):

        async def verify_async(question: str, answer: Any) -> Any:
            return await given(*(question, answer)[-count:])

        return Tool(verify_async, options)

    def verify(question: str, answer: Any) -> Any:
        return given(*(question, answer)[-count:])

    return Tool(verify, options)


def _version_of(function: Callable[..., Any]) -> str:
    """What tells results of one verifier from those of another in a cache that outlives the run."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = repr(function)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_call(tool: Tool, question: str, answer: Expr) -> ToolCall:
    """The call of a verifier for one answer."""
    names = list(tool.spec.parameters["required"])
    values: list[Expr] = [Const(question), answer][-len(names) :]
    return ToolCall(tool.name, tuple(zip(names, values, strict=True)))


def score_of(verdict: Any, verifier: str) -> float:
    """What a verifier returned, as a number: 1 for True, 0 for False.

    Raises:
        ToolError: It is neither a yes or no nor a number.
    """
    if isinstance(verdict, (int, float)) and verdict == verdict:  # a number, and no NaN
        return float(verdict)
    raise ToolError(
        f"{verifier} returned {verdict!r:.60}; a verifier returns True, False or a number", tool=verifier
    )
