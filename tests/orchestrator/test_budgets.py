"""Budgets of whole runs: scopes of user code, sub-agents, money, and what a soft limit leaves out."""

from __future__ import annotations

import asyncio

import pytest

from braid.engine import Budget, BudgetExceededError, Price, budget
from braid.engine.scope import NoPriceError, ambient_budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import ToolContext, tool
from braid.executors.tools import ToolError
from braid.orchestrator import Agent

ANSWER = 'answer("yes")\n'


@tool
async def height(name: str) -> float:
    """Height of a mountain."""
    return {"K2": 8611.0}[name]


async def test_scopes_of_user_code_nest_and_all_of_them_count() -> None:
    agent = Agent(ScriptedEngine([ANSWER] * 4), tools=[height], budget=Budget(tokens=100_000, name="agent"))
    with budget(tokens=50_000, name="outer") as outer:
        with budget(calls=3, name="inner") as inner:
            first = await agent.run("?")
            mine = Budget(tokens=20_000, name="mine")
            second = await agent.run("?", budget=mine)
        assert first.complete and second.complete
    spent = first.usage.prompt_tokens + first.usage.generated_tokens
    assert mine.spent["tokens"] == second.usage.prompt_tokens + second.usage.generated_tokens
    assert inner.spent == outer.spent and outer.spent["tokens"] == spent + mine.spent["tokens"]
    assert agent.budget is not None and agent.budget.spent["tokens"] == spent


async def test_a_budget_of_its_own_does_not_lift_the_limit_that_a_run_stands_in() -> None:
    with budget(tokens=3, name="outer"):
        result = await Agent(ScriptedEngine(ANSWER), tools=[]).run("?", budget=Budget(tokens=10**6))
    assert result.stopped == "budget" and "'outer'" in result.reason


async def test_what_agents_inside_tools_spend_counts_in_the_outer_run() -> None:
    inner = Agent(ScriptedEngine([ANSWER] * 8), tools=[height])

    @tool
    async def delegate(task: str) -> str:
        """Ask another agent, which has a budget of its own."""
        return (await inner.run(task, budget=Budget(tokens=100_000))).answer

    names = [f"x{i}" for i in range(8)]
    plan = "".join(f'{name} = delegate("{name}")\n' for name in names) + f"answer({', '.join(names)})\n"
    scope = Budget()
    result = await Agent(ScriptedEngine(plan), tools=[delegate]).run("?", budget=scope)
    assert result.complete
    own = result.usage.prompt_tokens + result.usage.generated_tokens
    assert result.budget["tokens"].spent == scope.spent["tokens"] > own
    assert scope.spent["calls"] == 1 + 8 + 8  # the plan, the tool calls, and the plans of the inner agents
    assert result.to_dict()["budget"]["tokens"]["spent"] == scope.spent["tokens"]


async def test_parallel_delegations_cannot_spend_more_calls_than_are_left() -> None:
    engine = ScriptedEngine([ANSWER] * 8)
    inner = Agent(engine, tools=[])

    @tool
    async def delegate(task: str) -> str:
        return (await inner.run(task)).answer

    names = [f"x{i}" for i in range(8)]
    plan = "".join(f'{name} = delegate("{name}")\n' for name in names) + f"answer({', '.join(names)})\n"
    scope = Budget(calls=9)
    result = await Agent(ScriptedEngine(plan), tools=[delegate]).run("?", budget=scope)
    assert scope.spent["calls"] <= 9 and not any(scope.overshoot.values())
    assert not result.complete and len(engine.calls) + 1 <= 9


async def test_streaming_counts_each_token_once() -> None:
    agent = Agent(ScriptedEngine([ANSWER] * 2), tools=[])
    whole, streamed = Budget(), Budget()
    await agent.run("?", budget=whole)
    async with agent.stream("?", budget=streamed) as events:
        async for _ in events:
            pass
    assert streamed.spent == whole.spent


async def test_money_is_a_limit_and_is_told() -> None:
    prices = {"scripted*": Price(prompt=1_000, generated=2_000)}
    agent = Agent(ScriptedEngine([ANSWER] * 2), tools=[])
    dear = await agent.run("?", budget=Budget(prices=prices))
    usage = dear.usage
    cost = usage.prompt_tokens * 0.001 + usage.generated_tokens * 0.002
    assert dear.budget["cost"].spent == pytest.approx(cost) and dear.budget["cost"].limit is None
    poor = await agent.run("?", budget=Budget(cost=0.0005, prices=prices))
    assert poor.stopped == "budget" and "cost" in poor.reason


async def test_a_tight_budget_thinks_with_less_and_says_so() -> None:
    plan = 'a = think("Is it?", method="self_consistency", n=8, max_tokens=40)\nanswer(a)\n'
    engine = ScriptedEngine([plan, "\\boxed{yes}"])
    limit = Budget(tokens=100_000, soft=0.5)
    limit.spend(tokens=74_000)
    result = await Agent(engine, tools=[]).run("?", budget=limit)
    assert result.answer == "yes"
    (think,) = [engine.calls[-1]]
    assert 1 < think.params.n < 8
    (node,) = [id for id, node in result.graph.nodes.items() if node.name == "a"]
    assert "instead of 8" in result.graph.result(node).degraded[0]


async def test_after_a_soft_limit_the_next_plan_is_the_last_and_is_told_to_answer() -> None:
    engine = ScriptedEngine(['a = height("K2")\n', 'b = height("K2")\n', ANSWER])
    agent = Agent(engine, tools=[height], max_rounds=5, replan=None)
    result = await agent.run("?", budget=Budget(calls=10, soft=0.1))
    assert len(engine.calls) == 2 and "answer now" in engine.calls[1].prompt
    assert result.stopped == "budget" and "soft limit" in result.reason
    assert "8611" in result.answer


async def test_a_tool_that_fails_in_the_words_of_a_soft_limit_ends_nothing() -> None:
    @tool
    async def quote() -> str:
        raise ToolError("the budget is nearly used up: answer now, with what is known")

    engine = ScriptedEngine(["a = quote()\nanswer(a)\n"] * 4)
    result = await Agent(engine, tools=[quote], max_rounds=4, replan=None).run("?")
    assert (result.rounds, result.stopped) == (4, "max_rounds")


async def test_the_scope_of_a_node_is_the_ambient_one_of_its_tool() -> None:
    seen: dict[str, Budget] = {}

    @tool
    async def spend(context: ToolContext[None], amount: int) -> int:
        seen[context.node_id] = context.budget
        assert ambient_budget() is context.budget
        await asyncio.sleep(0)
        ambient_budget().spend(tokens=amount)
        with budget(tokens=5, name="mine"), pytest.raises(BudgetExceededError, match="mine"):
            ambient_budget().reserve(tokens=6)
        return amount

    scope = Budget()
    result = await Agent(ScriptedEngine("a = spend(10)\nb = spend(20)\nanswer(a, b)\n"), tools=[spend]).run(
        "?", budget=scope
    )
    assert result.complete and sorted(one.spent["tokens"] for one in seen.values()) == [10, 20]
    usage = result.usage
    assert scope.spent["tokens"] == 30 + usage.prompt_tokens + usage.generated_tokens


@pytest.mark.parametrize(
    "prices", [None, {}, {"gpt-*": Price(generated=10)}, {"scripted": Price(generated=1), "x": Price()}]
)
async def test_a_limit_of_money_needs_a_price_that_fits_the_engine(
    prices: dict[str, Price] | None,
) -> None:
    engine = ScriptedEngine([ANSWER], model="m1")
    limit = Budget(cost=0.5, prices=prices)
    for refused in (
        Agent(engine, tools=[]).run("?", budget=limit),
        Agent(engine, tools=[], budget=limit).run("2 + 2"),
    ):
        with pytest.raises(NoPriceError, match=r"scripted:m1.*--price 'm1=IN/OUT'"):
            await refused
    with budget(cost=0.5, prices=prices), pytest.raises(NoPriceError):
        await Agent(engine, tools=[]).run("?")
    assert not engine.prefills and limit.spent["tokens"] == 0


@pytest.mark.parametrize("name", ["m1", "scripted:m1", "m*", "*"])
async def test_a_price_fits_by_address_or_model_and_may_be_nothing(name: str) -> None:
    agent = Agent(ScriptedEngine([ANSWER], model="m1"), tools=[])
    result = await agent.run("?", budget=Budget(cost=0.5, prices={name: Price()}))
    assert result.complete and result.budget["cost"].spent == 0


async def test_a_limit_of_money_is_refused_below_a_scope_that_has_the_wrong_prices() -> None:
    outer = Budget(prices={"gpt-*": Price(generated=1)})
    with pytest.raises(NoPriceError):
        outer.child("inner", cost=1.0).price_of("openai:http://x/v1#m", "m")
    assert outer.price_of("m") == Price()  # without a limit, what has no price is free
