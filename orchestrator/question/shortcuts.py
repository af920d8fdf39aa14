"""The way before the plan of a run: what code can answer, and what a model answers without a plan."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from braid.engine import (
    BudgetExceededError,
    CapabilityError,
    EngineResponseError,
    Event,
    Message,
    SamplingParams,
    Usage,
)
from braid.executors.builtin import builtin_tools
from braid.executors.tools import ToolError, UnknownToolError
from braid.orchestrator.outputs import fits
from braid.orchestrator.question.conversation import in_context
from braid.orchestrator.recorder import Recorder
from braid.orchestrator.result import ModelCall
from braid.package_info import DISTRIBUTION, version_of
from braid.planner import DirectText, LLMPlanner, Routed
from braid.planner.follow_up import rewrite
from braid.planner.lookups import lookup_plan, unread
from braid.planner.routing import Installation, Surroundings, route

if TYPE_CHECKING:
    from braid.orchestrator.loop import Job

_MAX_TOKENS = 2048


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """An answer without a plan."""

    value: Any
    answer: str
    unit: str = ""
    """The unit of a number."""
    declined: bool = False
    """Whether the answer says that there is none."""
    over_budget: str = ""
    """Why the answer is cut off. Empty where it is not."""
    call: ModelCall | None = None
    """What it cost, where a model wrote it."""


async def shortcut(job: Job, emit: Callable[[Event], None]) -> tuple[Job, Shortcut | None]:
    """Answer `job` without a plan, where it needs none.

    Returns:
        The job that is left, without a greeting in its question, and the answer. None is for the planner.
    """
    if not job.spec.shortcuts or job.draft or (job.earlier and job.routed is None):
        return job, None
    routed = job.routed
    if routed is None:
        routed = decide(job)
        emit(routed)
    if routed.answer is not None:
        value = (
            routed.value if job.output_type is None or fits(routed.value, job.output_type) else routed.answer
        )
        return job, Shortcut(value=value, answer=routed.answer, unit=routed.unit, declined=routed.declined)
    job = replace(job, question=routed.question or job.question)
    if routed.route == "direct":
        return job, await _written(job, emit)
    return replace(job, draft=draft_for(job)), None


async def answered_by_code(job: Job) -> bool:
    """Whether a run of `job` asks its model nothing. It is for models of the compact style."""
    read = in_context(job.question, job.spec.turns, compact=True, recorder=Recorder())
    job = replace(job, question=read.question, draft=read.draft, unresolved=read.unresolved)
    job, taken = await shortcut(job, lambda _: None)
    return taken is not None or bool(job.draft or job.unresolved)


@cache
def load_tables() -> None:
    """Load what code answers from, once: the atlas, wordings and their patterns."""
    question = "Which is higher, K2 or Mont Blanc, and by how much?"
    rewrite(question, ())
    route(question)
    lookup_plan(question)


def draft_for(job: Job) -> str:
    """The plan of `job`, where code can write it. Only the embedded model is helped like this."""
    if not job.spec.shortcuts or LLMPlanner(job.engine).style != "compact":
        return ""
    here = installation(job)
    if not here.facts:
        return ""
    remarks = job.output_type in (None, str)
    return lookup_plan(job.question, here.tools, remarks=remarks) or (
        "" if here.other_tools else unread(job.question)
    )


def decide(job: Job) -> Routed:
    """Where the question of `job` goes. No model is asked."""
    here = installation(job)
    found = route(
        job.question,
        Surroundings(
            here=here,
            known_name=_known_name if here.facts and not here.other_tools else None,
            conversation=bool(job.spec.history),
        ),
    )
    if found.answer is None or job.output_type is None:
        unfit = found.kind == "direct" and job.output_type not in (None, str)
    else:
        unfit = not fits(found.value, job.output_type) and not fits(found.answer, job.output_type)
    if unfit:
        return Routed(route="plan", reason="the output type needs a plan", question=job.question)
    return Routed(
        route=found.kind,
        reason=found.reason,
        answer=found.answer,
        value=found.value,
        unit=found.unit,
        declined=found.declined,
        question=found.question,
    )


def installation(job: Job) -> Installation:
    """What Braid can say about itself with the engines and the tools of `job`."""
    tools = job.tools
    others = [tool for tool in tools if not _own(tool.name) or builtin_tools(tool.name)[0] is not tool]
    infos = [job.engine.info, job.think_engine.info]
    return Installation(
        version=version_of(DISTRIBUTION) or "",
        engine=" and ".join(dict.fromkeys(info.uri for info in infos)),
        model=" and ".join(dict.fromkeys(info.model for info in infos)),
        local=all(info.uri.startswith("local:") for info in infos),
        chat=LLMPlanner(job.think_engine).style == "chat",
        tools=tuple(tool.name for tool in tools),
        facts="search" in tools and all(tool.name != "search" for tool in others),
        other_tools=bool(others),
    )


def _own(name: str) -> bool:
    try:
        builtin_tools(name)
    except UnknownToolError:
        return False
    return True


def _known_name(text: str) -> bool:
    from braid.executors.builtin.atlas import load_atlas

    try:
        load_atlas().lookup(text)
    except ToolError:
        return False
    return True


async def _written(job: Job, emit: Callable[[Event], None]) -> Shortcut:
    """The answer of the model itself, in one generation."""
    system: list[Message] = []
    if job.spec.instructions.strip():
        system.append(Message(role="system", content=job.spec.instructions.strip()))
    prompt = [*system, *job.history, Message(role="user", content=job.question)]
    params = replace(SamplingParams(max_tokens=_MAX_TOKENS, temperature=0.0), **job.spec.sampling)
    pieces: list[str] = []
    call, over_budget, began = None, "", time.monotonic()
    try:
        async with job.budget.deadline():
            usage = await _seeded(job, prompt, params, pieces, emit)
        uri, seconds = job.think_engine.info.uri, time.monotonic() - began
        call = ModelCall(kind="direct", engine=uri, usage=usage, seconds=seconds)
    except BudgetExceededError as error:
        over_budget = str(error)
    text = "".join(pieces).strip()
    return Shortcut(value=text, answer=text, call=call, over_budget=over_budget)


async def _seeded(
    job: Job,
    prompt: list[Message],
    params: SamplingParams,
    pieces: list[str],
    emit: Callable[[Event], None],
) -> Usage:
    """`_streamed` with the run's seed, unless the server turns out to refuse it."""
    while True:
        can = job.think_engine.capabilities
        seeded = replace(params, seed=job.spec.seed if "seed" in can else None)
        try:
            return await _streamed(job, prompt, seeded, pieces, emit)
        except CapabilityError:
            if pieces or job.think_engine.capabilities == can:
                raise


async def _streamed(
    job: Job,
    prompt: list[Message],
    params: SamplingParams,
    pieces: list[str],
    emit: Callable[[Event], None],
) -> Usage:
    """Append the model's text to `pieces` as it comes."""
    async with await job.think_engine.prefill(prompt, budget=job.budget) as context:
        reported: Usage | None = None
        tokens = job.think_engine.stream(context, params, budget=job.budget)
        try:
            async for token in tokens:
                if token.text:
                    pieces.append(token.text)
                    emit(DirectText(text=token.text))
                reported = token.usage or reported
                if token.tool_calls and not "".join(pieces).strip():
                    raise EngineResponseError(
                        f"the model called the tool {token.tool_calls[0].name!r} instead of writing an "
                        "answer; it was offered no tools"
                    )
        finally:
            if isinstance(tokens, AsyncGenerator):
                await tokens.aclose()
        counted = Usage(generated_tokens=len(pieces), critical_path_tokens=len(pieces), calls=1)
        return context.usage.then(reported or counted)
