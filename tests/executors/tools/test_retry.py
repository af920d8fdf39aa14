"""Which failures are tried again, how long a retry waits, and what attempts cost."""

from __future__ import annotations

from collections import Counter

import httpx

from braid.engine import Budget
from braid.executors import tool
from braid.executors.nodes import Ref
from braid.executors.tools import ToolError, ToolUnavailableError, UncertainError
from braid.executors.tools.errors import ToolCrashError
from braid.executors.tools.retry import may_retry, retry_after, retry_delay
from tests.support.written_plans import Recorded, answer, call


def crash(error: BaseException) -> ToolCrashError:
    made = ToolCrashError("crashed")
    made.__cause__ = error
    return made


def test_what_is_tried_again() -> None:
    assert may_retry(crash(ConnectionError()), None)
    assert may_retry(ToolUnavailableError("later"), None)
    assert not may_retry(ToolError("no such title"), None)
    assert may_retry(crash(ConnectionError()), (ConnectionError, TimeoutError))
    assert not may_retry(crash(KeyError()), ConnectionError)
    assert may_retry(crash(KeyError("busy")), lambda error: "busy" in str(error))
    assert not may_retry(UncertainError("?"), lambda error: True)


def test_waits_grow_with_full_jitter_and_follow_what_is_asked() -> None:
    first = [retry_delay(crash(OSError()), attempt=1, backoff=1.0) or 0.0 for _ in range(300)]
    fourth = [retry_delay(crash(OSError()), attempt=4, backoff=1.0) or 0.0 for _ in range(300)]
    assert 0 <= min(first) < 0.1 and 0.9 < max(first) <= 1.0
    assert min(fourth) < 0.8 and 7 < max(fourth) <= 8.0
    asked = retry_delay(ToolUnavailableError("busy", retry_after=3), attempt=1, backoff=1.0)
    assert asked is not None and 3 <= asked <= 4
    assert retry_delay(ToolUnavailableError("busy", retry_after=3600), attempt=1, backoff=1.0) is None


def test_the_header_of_a_response_is_honoured() -> None:
    response = httpx.Response(429, headers={"retry-after": "7"}, request=httpx.Request("GET", "http://x"))
    assert retry_after(httpx.HTTPStatusError("slow down", request=response.request, response=response)) == 7
    assert retry_after(ValueError()) is None


async def test_each_attempt_costs_a_call_and_the_budget_ends_the_attempts() -> None:
    tried = 0

    @tool(retries=10, backoff=0.0)
    async def flaky() -> int:
        nonlocal tried
        tried += 1
        raise ConnectionError("gone")

    budget = Budget(calls=3)
    run = Recorded()
    outcome = await run.run(call("a", "flaky"), answer(Ref("a")), tools=[flaky], budget=budget)
    assert outcome.stopped == "budget" and "calls" in outcome.reason
    assert tried == budget.spent["calls"] == 3


async def test_only_the_errors_of_the_policy_are_tried_again() -> None:
    tried: Counter[str] = Counter()

    @tool(retries=2, backoff=0.0, retry_on=ConnectionError)
    async def flaky(kind: str) -> str:
        tried[kind] += 1
        if kind == "bug":
            raise KeyError(kind)
        if tried[kind] < 3:
            raise ConnectionResetError(kind)
        return kind

    run = Recorded()
    await run.run(call("a", "flaky", kind="net"), call("b", "flaky", kind="bug"), tools=[flaky])
    assert run.graph.result("a") == "net" and run.graph.state("b") == "failed"
    assert tried == {"net": 3, "bug": 1}
