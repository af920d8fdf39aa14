"""Runs as spans of OpenTelemetry and as lines of `logging`."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.orchestrator import Agent, ConfigurationError, RunResult
from braid.orchestrator.recorder import Recorder
from braid.orchestrator.telemetry import export_spans


@tool
async def height(name: str) -> float:
    """Height of a mountain."""
    return {"K2": 8611.0}[name]


PLANS = {
    "one round": ['a = height("K2")\nb = think("Is it high?")\nanswer(a, b)\n', "yes"],
    "two rounds": ['a = height("K3")\nanswer(a)\n', 'b = height("K2")\nanswer(b)\n'],
    "a map": ['xs = [height(n) for n in ["K2", "K2"]]\nanswer(xs)\n'],
    "no plan": ["I would rather not."] * 9,
    "a budget": ['a = height("K2")\nanswer(a)\n'],
}


async def run(case: str) -> RunResult[Any]:
    budget = Budget(calls=1) if case == "a budget" else None
    agent = Agent(
        ScriptedEngine(PLANS[case]), tools=[height], max_rounds=2, max_repairs=0, replan=None, shortcuts=False
    )
    return await agent.run("How high is the secret mountain?", budget=budget)


@pytest.mark.parametrize("case", PLANS)
async def test_a_run_is_a_tree_of_spans(case: str) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    exporter, provider = memory.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    result = await run(case)
    export_spans(result.events, provider.get_tracer("test"))
    spans = {span.context.span_id: span for span in exporter.get_finished_spans()}
    (root,) = (span for span in spans.values() if span.parent is None)
    assert root.name == "braid.run" and root.attributes["braid.status"] == result.status
    assert root.status.is_ok is (result.status == "answered")
    for span in spans.values():
        assert span.start_time <= span.end_time
        if span.parent is not None:
            assert spans[span.parent.span_id].name in ("braid.run", "braid.round", "braid.map")
        assert "secret" not in str(dict(span.attributes))
    names = [span.name for span in spans.values()]
    assert names.count("braid.round") == result.rounds and names.count("braid.plan") == result.rounds
    if case == "one round":
        assert {"braid.tool", "braid.think"} <= set(names)
        (plan,) = (span for span in spans.values() if span.name == "braid.plan")
        assert plan.attributes["gen_ai.usage.output_tokens"] > 0
    if case == "two rounds":
        failed = [
            s for s in spans.values() if s.name == "braid.tool" and s.status.status_code.name == "ERROR"
        ]
        assert len(failed) == 1


async def test_without_opentelemetry_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(ConfigurationError, match=r"braid-agents\[otel\]"):
        export_spans([])


def test_opentelemetry_is_imported_when_it_is_used() -> None:
    code = "import sys, braid.orchestrator.telemetry as t; assert 'opentelemetry' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("case", PLANS)
async def test_a_run_is_logged(case: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "braid"):
        result = await run(case)
    lines = [record.message for record in caplog.records if record.name == "braid.run"]
    assert lines[0].startswith(f"run {result.run_id} started") and "secret" not in " ".join(lines)
    assert result.status in lines[-1]
    assert sum("round" in line and "started" in line for line in lines) == result.rounds
    assert any("failed" in line for line in lines[:-1]) is (case == "two rounds")
    assert all(record.levelno == logging.INFO for record in caplog.records if record.name == "braid.run")


async def test_what_is_asked_is_logged_for_debugging_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "braid"):
        await run("one round")
    assert "secret" in caplog.text


async def test_each_event_is_a_line_for_debugging_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    word = "xyzzy-plugh-1234"

    @tool
    def login(password: SecretStr) -> str:
        """Log in."""
        return f"logged in with {password.get_secret_value()}"

    agent = Agent(ScriptedEngine(f'a = login("{word}")\nanswer(a)\n'), tools=[login], replan=None)
    with caplog.at_level(logging.DEBUG, "braid"):
        result = await agent.run("go")
    assert word in result.answer
    lines = [record.message for record in caplog.records if record.levelno == logging.DEBUG]
    after = [line for line in lines if "node.started" in line or "finished" in line]
    assert {"node.started", "node.finished", "run.finished"} <= {
        json.loads(line.partition(": ")[2])["kind"] for line in lines
    }
    assert len(after) >= 4 and word not in "".join(after)


async def test_nobody_who_listens_costs_no_event(caplog: pytest.LogCaptureFixture) -> None:
    """Frequent events are built when they are read, unless somebody wants a line for each."""
    with caplog.at_level(logging.INFO, "braid"):
        assert Recorder().deferred is not None
    with caplog.at_level(logging.DEBUG, "braid"):
        assert Recorder().deferred is None
    assert any(isinstance(each, logging.NullHandler) for each in logging.getLogger("braid").handlers)


async def test_nothing_is_printed_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    for case in PLANS:
        await run(case)
    assert capfd.readouterr() == ("", "")
