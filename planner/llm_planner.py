"""The planner that is a language model: it streams a plan, and each statement goes to the graph the moment it is complete."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

from braid.engine import (
    Engine,
    Grammar,
    InvalidParamsError,
    Message,
    Prompt,
    SamplingParams,
    Usage,
    plain_chat,
)
from braid.executors import GraphPatch
from braid.executors.nodes import Node
from braid.planner.errors import PlanError, PlanningError, PlanSyntaxError
from braid.planner.events import (
    PlanEvent,
    PlannerFinished,
    PlannerRejected,
    PlannerRepaired,
    PlannerStatement,
    PlannerText,
)
from braid.planner.language import render_plan
from braid.planner.prompts import (
    STOP,
    STOP_TURNS,
    compact_prompt,
    earlier_statements,
    finished_statements,
    is_inner_call,
    plan_grammar,
    plan_request,
    repair_request,
    run_root,
)
from braid.planner.reader import Accepted, PlanReader
from braid.planner.stream import PlanStream
from braid.planner.task import PartialPlan, PlanTask
from braid.reasoning import derived_seed

Style = Literal["compact", "chat", "text"]
"""`compact` is the embedded model's prompt, `chat` a list of messages, `text` the same messages as plain text."""


@dataclass
class _Round:
    """One round under way: what was accepted and what it cost; a text for each attempt, an error for each that failed."""

    task: PlanTask
    reader: PlanReader
    began: float = field(default_factory=time.monotonic)
    texts: list[str] = field(default_factory=lambda: list[str]())
    errors: list[PlanError] = field(default_factory=lambda: list[PlanError]())
    usage: Usage = field(default_factory=Usage)
    cut_off: bool = False
    plan_so_far: str = ""
    """In compact style, the statements that the attempt goes on from."""
    interrupted: int = 0
    """Attempts that an earlier process could not bring to their end; they count as no repair."""
    going_on: str = ""
    """In compact style, what the interrupted attempt had written."""


class LLMPlanner:
    """Plans with a language model.

    Args:
        engine: what writes the plan.
        style: the prompt's form; `auto` takes what the engine's model wants: `compact` where its details say
            `prompt_style: compact` or `compact-results`, `chat` where it can chat, otherwise the same messages as plain text.
        max_repairs: how many further attempts a round gets after invalid ones.
        max_tokens: limit of each attempt; None takes 512 for the compact style, else 1024.
        max_statements: a plan of more statements is given up, as babble.
        temperature: of the first attempt; 0 is greedy.
        repair_temperature: of the repairs, so that the same mistake is not made again.
        grammar: in compact style, where the engine can, let the model write nothing but plans for the tools at hand, about
            names of the question (`braid.planner.prompts.grammar`).
    """

    def __init__(
        self,
        engine: Engine,
        *,
        style: Literal["auto", "chat", "compact"] = "auto",
        max_repairs: int = 2,
        max_tokens: int | None = None,
        max_statements: int = 1000,
        temperature: float = 0.0,
        repair_temperature: float = 0.7,
        grammar: bool = True,
    ) -> None:
        for name, value, least in (
            ("max_repairs", max_repairs, 0),
            ("max_tokens", 1 if max_tokens is None else max_tokens, 1),
            ("max_statements", max_statements, 1),
        ):
            if value < least:
                raise InvalidParamsError(f"LLMPlanner: {name} must be >= {least}, got {value!r}")
        self.engine = engine
        self.style: Style = _style_for(engine, style)
        self._shows_results = engine.info.details.get("prompt_style") == "compact-results"
        self.max_repairs = max_repairs
        self.max_tokens = max_tokens or (512 if self.style == "compact" else 1024)
        self.max_statements = max_statements
        self.temperature = temperature
        self.repair_temperature = repair_temperature
        self.grammar = grammar

    def start(self, task: PlanTask, *, emit: Callable[[PlanEvent], None] | None = None) -> PlanStream:
        """Plan one round, for `run_graph`. The stream has one patch for each statement.

        Each patch is made for the graph's version at that moment. What `task.written` holds is read again at once, against
        the graph as it is before this round. Its statements bring no patches.

        Args:
            task: What is planned.
            emit: Called with each event.
        """
        return PlanStream(self._patches(self._begin(task), emit))

    async def _patches(
        self, state: _Round, emit: Callable[[PlanEvent], None] | None
    ) -> AsyncGenerator[GraphPatch]:
        graph = state.task.graph
        ended = False
        try:
            async with aclosing(self._run(state)) as items:
                async for event, nodes in items:
                    ended = isinstance(event, PlannerFinished)
                    if emit is not None:
                        emit(event)
                    if nodes:
                        reason = f"line {nodes[-1].line} of the plan"
                        yield GraphPatch(base_version=graph.version, add=nodes, reason=reason)
        finally:
            # A run that has its answer, or was stopped, closes this generator before the plan is at its end.
            if not ended and emit is not None:
                emit(_finished(state, valid=state.reader.complete, stopped=True))

    async def plan(self, task: PlanTask) -> AsyncGenerator[PlanEvent]:
        """The events of planning alone; the graph is left as it is.

        Raises:
            PlanningError: no valid plan within the repairs allowed.
        """
        async with aclosing(self._run(self._begin(task))) as items:
            async for event, _ in items:
                yield event

    def _begin(self, task: PlanTask) -> _Round:
        state = _Round(task, PlanReader(task, max_statements=self.max_statements))
        if task.written is not None:
            self._read_again(state, task.written)
        return state

    def _read_again(self, state: _Round, written: PartialPlan) -> None:
        """Bring `state` to where an interrupted process was."""
        reader = state.reader
        tokens = Usage(generated_tokens=written.tokens, critical_path_tokens=written.tokens)
        state.usage = state.usage.then(tokens)
        for text, rejected in written.attempts:
            reader.begin(self._prefix(state))
            try:
                for _ in reader.feed(text):
                    pass
                if rejected:
                    for _ in reader.finish(cut_off=True):
                        pass
            except PlanError as error:
                state.texts.append(text)
                state.errors.append(error)
                continue
            if reader.complete:
                state.texts.append(text)
            elif self.style == "compact":
                state.going_on = reader.text[: reader.text.rfind("\n") + 1]
            elif text:
                state.interrupted += 1
                state.texts.append(text)
                line = text.count("\n") + 1
                error = PlanSyntaxError(
                    "the plan breaks off here", line=line, column=1, fix="go on from here"
                )
                state.errors.append(error)

    async def _run(self, state: _Round) -> AsyncGenerator[tuple[PlanEvent, tuple[Node, ...]]]:
        """Attempts until one is valid: events, each with the nodes that it brings."""
        task, reader = state.task, state.reader
        valid = reader.complete  # an interrupted process may have come that far
        attempts = 0 if valid else self.max_repairs + 1 + state.interrupted
        for attempt in range(len(state.errors), attempts):
            prompt, prefix = self._prompt(state)
            reader.begin(prefix)
            state.texts.append("")
            try:
                async with aclosing(self._stream(prompt, state)) as pieces:
                    async for text in pieces:
                        state.texts[-1] += text
                        yield PlannerText(text=text, attempt=attempt), ()
                        for accepted in reader.feed(text):
                            yield _statement(accepted, task, attempt), accepted.nodes
                        if reader.complete:
                            break
                if not reader.complete:
                    for accepted in reader.finish(cut_off=state.cut_off):
                        yield _statement(accepted, task, attempt), accepted.nodes
                valid = True
                break
            except PlanError as error:
                state.errors.append(error)
            yield _rejected(state.errors[-1], attempt), ()
            if reader.exhausted:
                break
        if valid and state.errors:
            yield PlannerRepaired(rejected=len(state.errors)), ()
        yield _finished(state, valid=valid), ()
        if not valid:
            raise PlanningError(
                f"the model wrote no valid plan in {len(state.texts)} attempt(s); the last mistake: {state.errors[-1]}",
                errors=state.errors,
                text="\n\n".join(state.texts),
            )

    async def _stream(self, prompt: Prompt, state: _Round) -> AsyncGenerator[str]:
        """The model's text in pieces. Whatever ends it, the context is given back and the usage booked."""
        budget = state.task.budget
        params = self._params(state)
        state.cut_off = False
        generated = 0
        told: Usage | None = None
        async with await self.engine.prefill(prompt, budget=budget) as context:
            state.usage = state.usage.then(context.usage)
            tokens = self.engine.stream(context, params, budget=budget)
            try:
                async for token in tokens:
                    generated += bool(token.text or token.id is not None)
                    told = token.usage or told
                    state.cut_off = token.finish_reason == "length"
                    if token.text:
                        yield token.text
            finally:
                # A stream that is closed early reports no usage; what came is what was generated.
                counted = Usage(generated_tokens=generated, critical_path_tokens=generated, calls=1)
                state.usage = state.usage.then(told or counted)
                if isinstance(tokens, AsyncGenerator):
                    await tokens.aclose()

    def _prompt(self, state: _Round) -> tuple[Prompt, str]:
        """The prompt of the next attempt, and the text of this round that the model goes on from."""
        task, reader = state.task, state.reader
        if self.style == "compact":
            prefix = self._prefix(state)
            before = finished_statements(task.graph, before=task.round, results=self._shows_results)
            state.plan_so_far = before + prefix
            return compact_prompt(task.question, task.tools, plan_so_far=state.plan_so_far), prefix
        messages = [*run_root(task), plan_request(task, earlier_statements(task.graph, before=task.round))]
        for text, error in zip(state.texts, state.errors, strict=True):
            messages.append(Message(role="assistant", content=text.strip() or "(nothing)"))
            messages.append(repair_request(error, len(reader.accepted)))
        return (messages if self.style == "chat" else plain_chat(messages)), ""

    def _prefix(self, state: _Round) -> str:
        """What of this round's text the next attempt goes on from: in compact style only."""
        found, state.going_on = state.going_on, ""
        if found or self.style != "compact" or not state.errors:
            return found
        return state.reader.sound_text

    def _params(self, state: _Round) -> SamplingParams:
        task, attempt = state.task, len(state.errors)
        # A compact prompt has no feedback: once results are no news either, only chance keeps a model from repeating itself.
        news = 1 if self._shows_results else 0
        again = attempt > 0 or (task.round > news and self.style == "compact")
        seeded = "seed" in self.engine.capabilities
        seed = derived_seed(task.seed, task.round, attempt) if seeded else None
        grammar: Grammar | None = None
        if self.grammar and self.style == "compact" and "grammar" in self.engine.capabilities:
            grammar = plan_grammar(task.tools, names_from=task.question, plan_so_far=state.plan_so_far)
        stops: dict[Style, tuple[str, ...]] = {"compact": (STOP,), "chat": (), "text": STOP_TURNS}
        return SamplingParams(
            max_tokens=self.max_tokens,
            temperature=self.repair_temperature if again else self.temperature,
            stop=stops[self.style],
            seed=seed,
            grammar=grammar,
        )


_COMPACT = ("compact", "compact-results")
"""Prompt styles of models: the second was trained on the results of earlier rounds too."""


def _style_for(engine: Engine, style: Literal["auto", "chat", "compact"]) -> Style:
    if style == "compact" or (style == "auto" and engine.info.details.get("prompt_style") in _COMPACT):
        return "compact"
    return "chat" if "chat" in engine.capabilities else "text"


def _statement(accepted: Accepted, task: PlanTask, attempt: int) -> PlannerStatement:
    statement = accepted.statement
    return PlannerStatement(
        nodes=tuple(node.id for node in accepted.nodes),
        name=statement.name,
        source=statement.source,
        line=statement.line,
        round=task.round,
        attempt=attempt,
    )


def _rejected(error: PlanError, attempt: int) -> PlannerRejected:
    return PlannerRejected(
        line=error.line,
        column=error.column,
        message=error.message,
        fix=error.fix,
        text=str(error),
        attempt=attempt,
    )


def _finished(state: _Round, *, valid: bool, stopped: bool = False) -> PlannerFinished:
    written = [node for node in state.reader.nodes if not is_inner_call(node)]
    return PlannerFinished(
        valid=valid,
        stopped=stopped,
        plan=render_plan(written, line=lambda node: node.source),
        text="\n\n".join(state.texts),
        seconds=time.monotonic() - state.began,
        round=state.task.round,
        attempts=len(state.texts),
        statements=len(state.reader.accepted),
        prompt_tokens=state.usage.prompt_tokens,
        cached_tokens=state.usage.cached_tokens,
        generated_tokens=state.usage.generated_tokens,
    )
