from __future__ import annotations

from collections.abc import Callable

import pytest

from braid.executors.nodes import Node
from braid.executors.tools import ToolSpec
from braid.planner import PlanError, compile_plan
from tests.support.plan_tools import plan_tools


@pytest.fixture
def tools() -> list[ToolSpec]:
    return plan_tools().specs()


@pytest.fixture
def nodes_of(tools: list[ToolSpec]) -> Callable[[str], list[Node]]:
    """The nodes of a plan that must be valid."""

    def compiled(text: str) -> list[Node]:
        nodes, errors = compile_plan(text, tools)
        assert not errors, "\n".join(map(str, errors))
        return nodes

    return compiled


@pytest.fixture
def error_of(tools: list[ToolSpec]) -> Callable[[str], PlanError]:
    """The first mistake of a plan that must have one."""

    def first(text: str) -> PlanError:
        _, errors = compile_plan(text, tools)
        assert errors, "the plan was taken as valid"
        return min(errors, key=lambda error: (error.line, error.column))

    return first
