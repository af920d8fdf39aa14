"""Options that are out of range or contradict the effect are refused where the tool is defined."""

from typing import Any, get_type_hints

import pytest

from braid.executors import Tool, ToolContext, ToolOptions, tool
from braid.executors.tools import Done, ToolArgumentError, ToolDefinitionError, ToolSpec
from braid.executors.tools.options import ToolOptionsDict


def only_context(context: ToolContext[int]) -> Done:
    return Done()


@pytest.mark.parametrize(
    "options",
    [
        {"name": "two words"},
        {"name": "answer"},
        {"name": "class"},
        {"effect": "harmless"},
        {"timeout": 0},
        {"retries": -1},
        {"retries": 1, "effect": "mutating"},
        {"max_concurrency": 0},
    ],
)
def test_what_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError):
        tool(**options)(lambda: None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"effect": "mutating", "retries": 1}, "never retried"),
        ({"effect": "mutating", "hedge": 1.0}, "never hedged"),
        ({"effect": "idempotent", "cache": "always"}, "only results of pure tools"),
        ({"reconcile": lambda key: Done()}, "reconcile is for mutating"),
        ({"effect": "mutating", "reconcile": dict}, "reconcile must be"),
        ({"effect": "mutating", "reconcile": only_context}, "reconcile is given the key"),
        ({"hedge": "soon"}, "quantile"),
        ({"retry_on": "always"}, "retry_on"),
    ],
)
def test_options_that_contradict_the_effect_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ToolDefinitionError, match=says):

        @tool(**options)
        async def example() -> None: ...


def test_the_keywords_of_tool_are_the_fields_of_the_options() -> None:
    assert get_type_hints(ToolOptionsDict) == get_type_hints(ToolOptions)


def test_a_refusal_names_the_tool_where_it_is_known() -> None:
    with pytest.raises(ToolDefinitionError, match=r"^tool options: timeout must be .*, got -1"):
        ToolOptions(timeout=-1)
    with pytest.raises(ToolDefinitionError, match=r"^tool 'send': timeout must be") as caught:

        @tool(timeout=-1)
        def send() -> None: ...

    assert caught.value.tool == "send"


def test_an_option_that_does_not_exist_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="retry"):
        tool(retry=3)(lambda: None)  # pyright: ignore[reportCallIssue]


async def test_a_specification_takes_the_place_of_the_annotations() -> None:
    async def anything(**args: Any) -> Any:
        return args

    spec = ToolSpec(
        name="move",
        description="move it",
        parameters={"properties": {"x": {"type": "integer"}}, "required": ["x"]},
        effect="mutating",
    )
    made = Tool(anything, ToolOptions(name="other", timeout=3.0), spec=spec)
    assert (made.name, made.options.name, made.options.timeout) == ("move", "move", 3.0)
    assert (made.spec.description, made.spec.effect, made.options.effect) == (
        "move it",
        "mutating",
        "mutating",
    )
    assert await made.call({"x": 1}) == {"x": 1}
    with pytest.raises(ToolArgumentError, match="'x' is a required property"):
        await made.call({})
    with pytest.raises(ToolDefinitionError, match="never retried"):
        Tool(anything, ToolOptions(retries=1), spec=spec)
