"""The planner that is a language model.

The model streams a plan. Each statement goes to the graph the moment it is complete.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

from braid.engine import (
    Capability,
    CapabilityError,
    Context,
    Engine,
    Grammar,
    InvalidParamsError,
    Message,
    Prompt,
    SamplingParams,
    Token,
    Usage,
    plain_chat,
)
from braid.engine.surrogates import mend_text
from braid.executors import GraphPatch
from braid.executors.nodes import Node
from braid.executors.values import break_markers
from braid.planner.dialects import OPENINGS, Called, called_statement, opened_thoughts
from braid.planner.errors import PlanError, PlanningError, PlanSyntaxError
from braid.planner.events import (
    PlanEvent,
    PlannerFinished,
    PlannerRejected,
    PlannerRepaired,
    PlannerText,
)
from braid.planner.language import starts_plan
from braid.planner.prompts import (
    FENCE,
    OWN,
    STOP_TURNS,
    TURNS,
    compact_prompt,
    earlier_statements,
    finished_statements,
    language_grammar,
    plan_grammar,
    plan_request,
    read_refusal,
    repair_request,
    run_root,
    written_plan,
)
from braid.planner.reader import PlanReader, statement_event
from braid.planner.repairs import Detour, detour, repeats
from braid.planner.stream import PlanStream
from braid.planner.task import PartialPlan, PlanTask, PromptLength
from braid.reasoning import derived_seed

SMALL = 1_500_000_000
"""Models with fewer parameters get the short prompt: the rules of the full one confuse them."""

Style = Literal["compact", "chat", "text"]
"""The form of the prompt.

`compact` is the embedded model's prompt, `chat` a list of messages, `text` the same messages as plain text.
"""


@dataclass
class _Round:
    """The state of one round of planning."""

    task: PlanTask
    reader: PlanReader
    began: float = field(default_factory=time.monotonic)
    texts: list[str] = field(default_factory=lambda: list[str]())
    """What the model wrote in each attempt."""
    errors: list[PlanError] = field(default_factory=lambda: list[PlanError]())
    """The mistake of each attempt that failed."""
    usage: Usage = field(default_factory=Usage)
    """The cost of all attempts."""
    grammar: bool = True
    """Whether the engine may take grammars of the plan language. It is known once it has refused one."""
    cut_off: bool = False
    """Whether the token limit stopped the last attempt."""
    plan_so_far: str = ""
    """In compact style, the statements that the attempt goes on from."""
    interruptions: int = 0
    """Number of attempts that were interrupted with their process. They do not count as repairs."""
    before: str = ""
    """The text of this round that the last attempt went on from."""
    tokens: list[Token] = field(default_factory=lambda: list[Token]())
    """What the model wrote in the last attempt, where it can be told apart token by token."""
    unfinished: str = ""
    """In compact style, the text of the attempt that was interrupted, up to its last line end."""


class LLMPlanner:
    """Plans with a language model.

    Threads and loops may share it where they may share its engine.

    Args:
        engine: What writes the plan.
        style: The form of the prompt. `auto` takes what the engine's model wants: `compact` where its details
            say `prompt_style: compact`, `compact-results` or `compact-turns`, `chat` where it can chat,
            otherwise the same messages as plain text.
        max_repairs: How many further attempts a round gets after invalid ones.
        max_tokens: Token limit of each attempt. None takes 512 for the compact style, else 1024.
        max_statements: The planner gives up a plan of more statements.
        temperature: Of the first attempt. 0 is greedy.
        top_p: Of all attempts. 1 is off.
        repair_temperature: Of the repairs, so that the same mistake is not made again.
        grammar: Whether to let the model write nothing but plans for the tools at hand, about names of the
            question where it is braid-mini (`plan_grammar`), else with texts of its own (`language_grammar`).
            It has an effect where the engine has the capability.

    Raises:
        InvalidParamsError: A limit is too small.
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
        top_p: float = 1.0,
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
        self._continues = (
            self.style == "text"
            or "token_ids" in engine.capabilities
            or engine.info.details.get("continuation") == "flags"
        )
        """Whether a repair goes on behind the accepted statements, in the assistant's own message."""
        needed: set[Capability] = {"token_ids", "logprobs", "penalties"}
        self._guided = self.style != "compact" and needed <= engine.capabilities
        """Whether a repair can be kept from writing the same again."""
        form = engine.info.details.get("prompt_style")
        self._shows_results = form in ("compact-results", "compact-turns")
        self._markers = TURNS if form == "compact-turns" else OWN
        self.max_repairs = max_repairs
        self.max_tokens = max_tokens or (512 if self.style == "compact" else 1024)
        self.max_statements = max_statements
        self.temperature = temperature
        self.top_p = top_p
        self.repair_temperature = repair_temperature
        self.grammar = grammar

    async def prompt_length(self, task: PlanTask) -> PromptLength:
        """The prompt for the engine's model: short for a small one, and where the full one is too long.

        Too long is more than a third of the model's context, counted by its own tokenizer. An engine that
        counts no tokens is taken to have three characters in a token.
        """
        if self.style == "compact":
            return "full"
        info = self.engine.info
        if 0 < int(info.details.get("parameters", 0)) < SMALL:
            return "short"
        if info.max_context is None:
            return "full"
        messages = [*run_root(replace(task, prompt="full")), plan_request(task)]
        text = plain_chat(messages)
        counted = await self.engine.count_tokens(messages if self.style == "chat" else text)
        return "short" if 3 * (counted or len(text) // 3) > info.max_context else "full"

    def start(self, task: PlanTask, *, emit: Callable[[PlanEvent], None] | None = None) -> PlanStream:
        """Plan one round, for `run_graph`. The stream has one patch for each statement.

        Each patch is made for the graph's version at that moment. What `task.written` holds is read again at
        once, against the graph as it is before this round. Its statements bring no patches, unless their
        nodes are missing in the graph.

        Args:
            task: What is planned.
            emit: Called with each event.
        """
        state = self._begin(task)
        return PlanStream(self._patches(state, emit), unread=lambda: state.reader.unread)

    async def _patches(
        self, state: _Round, emit: Callable[[PlanEvent], None] | None
    ) -> AsyncGenerator[GraphPatch]:
        graph = state.task.graph
        ended = False
        try:
            async with aclosing(self._all(state)) as items:
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

    async def _all(self, state: _Round) -> AsyncGenerator[tuple[PlanEvent, tuple[Node, ...]]]:
        """`_run`, and before it the statements of `task.written` that did not reach the graph.

        One piece of a model's text may hold several statements. Their patches come one after the other, and
        the process may have ended between them.
        """
        for accepted in tuple(state.reader.accepted):
            if any(node.id not in state.task.graph.entries for node in accepted.nodes):
                yield statement_event(accepted, state.task, attempt=len(state.errors)), accepted.nodes
        async with aclosing(self._run(state)) as items:
            async for item in items:
                yield item

    async def plan(self, task: PlanTask) -> AsyncGenerator[PlanEvent]:
        """Plan one round and yield the events alone. The graph is left as it is.

        Raises:
            PlanningError: The model wrote no valid plan within the repairs it was allowed.
        """
        async with aclosing(self._run(self._begin(task))) as items:
            async for event, _ in items:
                yield event

    def _begin(self, task: PlanTask) -> _Round:
        understand = read_refusal if self.style == "compact" and self._markers is OWN else None
        reader = PlanReader(
            task,
            max_statements=self.max_statements,
            understand=understand,
            dialects=self.style != "compact",
        )
        state = _Round(task, reader)
        if task.written is not None:
            self._replay(state, task.written)
        return state

    def _replay(self, state: _Round, written: PartialPlan) -> None:
        """Bring `state` to where interrupted processes were."""
        reader = state.reader
        tokens = Usage(generated_tokens=written.tokens, critical_path_tokens=written.tokens)
        state.usage = state.usage.then(tokens)
        for text, rejected in written.attempts:
            state.before = self._prefix(state)
            reader.begin(state.before)
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
                state.unfinished = reader.text[: reader.text.rfind("\n") + 1]
            elif text:
                state.interruptions += 1
                state.texts.append(text)
                line = text.count("\n") + 1
                error = PlanSyntaxError(
                    "the plan breaks off here", line=line, column=1, fix="go on from here"
                )
                state.errors.append(error)

    async def _run(self, state: _Round) -> AsyncGenerator[tuple[PlanEvent, tuple[Node, ...]]]:
        """Make attempts until one is valid. Yields events, each with the nodes that it brings."""
        task, reader = state.task, state.reader
        valid = reader.complete  # an interrupted process may have come that far
        attempts = 0 if valid else self.max_repairs + 1 + state.interruptions
        for attempt in range(len(state.errors), attempts):
            prompt, prefix = self._prompt(state)
            way = self._detour(state, prefix)
            reader.begin(prefix)
            state.before, state.tokens = prefix, []
            state.texts.append("")
            try:
                async with aclosing(self._text(prompt, prefix, state, way)) as pieces:
                    async for text in pieces:
                        state.texts[-1] += text
                        yield PlannerText(text=text, attempt=attempt), ()
                        for accepted in reader.feed(text):
                            yield statement_event(accepted, task, attempt=attempt), accepted.nodes
                        if reader.complete:
                            break
                if not reader.complete:
                    for accepted in reader.finish(cut_off=state.cut_off):
                        yield statement_event(accepted, task, attempt=attempt), accepted.nodes
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
                f"the model wrote no valid plan in {len(state.texts)} attempt(s);"
                f" the last mistake: {state.errors[-1]}",
                errors=state.errors,
                text="\n\n".join(state.texts),
            )

    async def _text(
        self, prompt: Prompt, prefix: str, state: _Round, way: Detour | None
    ) -> AsyncGenerator[str]:
        """The text of an attempt. The first one is the draft, if there is one, a line at a time."""
        if not state.task.draft or state.errors:
            async with aclosing(self._stream(prompt, state, way)) as pieces:  # else the model goes on
                async for piece in pieces:
                    yield piece
            return
        state.cut_off = False
        for line in state.task.draft.removeprefix(prefix).splitlines(keepends=True):
            yield line

    async def _stream(self, prompt: Prompt, state: _Round, way: Detour | None) -> AsyncGenerator[str]:
        """The model's text in pieces, without what a server turns out to refuse, such as a seed."""
        while True:
            can, begun = self.engine.capabilities, False
            try:
                async with aclosing(self._stream_once(prompt, state, way)) as pieces:
                    async for text in pieces:
                        begun = True
                        yield text
                return
            except CapabilityError as error:
                if error.capability == "grammar" and state.grammar and not begun:
                    state.grammar = False  # a server that takes schemas, and no grammars of other kinds
                elif begun or self.engine.capabilities == can:
                    raise

    async def _stream_once(self, prompt: Prompt, state: _Round, way: Detour | None) -> AsyncGenerator[str]:
        """The model's text in pieces. Whatever ends it, the Context is released and the usage is counted."""
        budget = state.task.budget
        params = self._params(state)
        state.cut_off = False
        generated, held = 0, ""
        reported: Usage | None = None
        async with AsyncExitStack() as contexts:

            async def entered(context: Context) -> Context:
                state.usage = state.usage.then(context.usage)
                return await contexts.enter_async_context(context)

            context = await entered(await self.engine.prefill(prompt, budget=budget))
            opening = opened_thoughts(context.text) if self.style == "chat" else ""
            if opening:
                yield opening  # so that the text says that it begins with thoughts, also to a resumed run
            kept = way.kept if way is not None else ""
            if self.style != "compact" and not opening and (begun := state.before + kept):
                context = await entered(await self.engine.extend(context, begun, budget=budget))
            if way is not None:  # in the middle of a line, where no grammar of whole plans begins
                params = replace(params, grammar=None)
                one = replace(params, max_tokens=1, logit_bias={way.banned: -100.0})
                (completion,) = await self.engine.generate(context, one, budget=budget)
                context = await entered(completion.context)
                state.usage = state.usage.then(completion.usage)
                yield kept + mend_text(completion.text)
            tokens = self.engine.stream(context, params, budget=budget)
            try:
                async for token in tokens:
                    generated += bool(token.text or token.reasoning or token.id is not None)
                    reported = token.usage or reported
                    state.tokens.append(token)
                    state.cut_off = token.finish_reason == "length"
                    text = held + token.text + _called(token, state)
                    held = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""  # its other half may follow
                    if text := mend_text(text.removesuffix(held)):
                        yield text
            finally:
                # A stream that is closed early reports no usage. What came is what was generated.
                counted = Usage(generated_tokens=generated, critical_path_tokens=generated, calls=1)
                state.usage = state.usage.then(reported or counted)
                if isinstance(tokens, AsyncGenerator):
                    await tokens.aclose()

    def _prompt(self, state: _Round) -> tuple[Prompt, str]:
        """The prompt of the next attempt, and the text of this round that the model goes on from."""
        task, reader = state.task, state.reader
        if self.style == "compact":
            prefix = self._prefix(state)
            before = finished_statements(task.graph, before=task.round, results=self._shows_results)
            state.plan_so_far = before + prefix
            prompt = compact_prompt(
                task.question, task.tools, plan_so_far=state.plan_so_far, markers=self._markers
            )
            return prompt, prefix
        messages = [*run_root(task), plan_request(task, earlier_statements(task.graph, before=task.round))]
        prefix = self._prefix(state)
        for number, (text, error) in enumerate(zip(state.texts, state.errors, strict=True), 1):
            messages.append(Message(role="assistant", content=break_markers(text.strip()) or "(nothing)"))
            continues = bool(prefix) and number == len(state.errors)
            messages.append(repair_request(error, len(reader.accepted), continues=continues))
        return (messages if self.style == "chat" else plain_chat(messages)), prefix

    def _prefix(self, state: _Round) -> str:
        """The text of this round that the next attempt goes on from."""
        found, state.unfinished = state.unfinished, ""
        reader = state.reader
        # A small model that begins to talk does not come to its plan.
        begins = bool(state.errors) or state.task.prompt == "short"
        if found or not begins:
            return found
        if self.style == "compact":
            return reader.accepted_text
        if not self._continues or any(text.startswith(OPENINGS) for text in state.texts):
            return ""
        if not reader.accepted:
            return FENCE
        # Prose and calls in other forms are not gone on from: only a plan is.
        is_plan = starts_plan(reader.text.lstrip().partition("\n")[0])
        return reader.accepted_text if is_plan and reader.text == state.before + state.texts[-1] else ""

    def _detour(self, state: _Round, prefix: str) -> Detour | None:
        """Where the next attempt leaves the last one, if that has made the same mistake again."""
        if not self._guided or not repeats(state.errors):
            return None
        return detour(state.tokens, before=state.before, prefix=prefix)

    def _params(self, state: _Round) -> SamplingParams:
        task, attempt = state.task, len(state.errors)
        # A compact prompt has no feedback. Where it has no new results either, only chance keeps a model from
        # repeating itself.
        first_without_news = 2 if self._shows_results else 1
        again = attempt > 0 or (task.round >= first_without_news and self.style == "compact")
        seeded = "seed" in self.engine.capabilities
        seed = derived_seed(task.seed, task.round, attempt) if seeded else None
        # They are read only after the same mistake twice, and tokens that are forced cannot have them.
        logprobs = 0 if self._guided and state.errors else None
        stops: dict[Style, tuple[str, ...]] = {"chat": (), "text": STOP_TURNS}
        return SamplingParams(
            max_tokens=self.max_tokens,
            temperature=self.repair_temperature if again else self.temperature,
            top_p=self.top_p,
            stop=stops.get(self.style, (self._markers.stop,)),
            seed=seed,
            grammar=self._grammar(state),
            logprobs=logprobs,
        )

    def _grammar(self, state: _Round) -> Grammar | None:
        task = state.task
        if not (self.grammar and state.grammar and "grammar" in self.engine.capabilities):
            return None
        if self.style != "compact":
            begun = [each.statement.name for each in state.reader.accepted] if state.before else []
            return language_grammar(task.tools, earlier={*task.graph.names(), *filter(None, begun)})
        if self._markers is not OWN:
            return language_grammar(task.tools, letters=True, plan_so_far=state.plan_so_far)
        return plan_grammar(task.tools, names_from=task.question, plan_so_far=state.plan_so_far)


_COMPACT = ("compact", "compact-results", "compact-turns")
"""Prompt styles of models. Those behind the first were trained on the results of earlier rounds too.

The last one has the turns of a chat instead of braid-mini's markers.
"""


def _style_for(engine: Engine, style: Literal["auto", "chat", "compact"]) -> Style:
    if style == "compact" or (style == "auto" and engine.info.details.get("prompt_style") in _COMPACT):
        return "compact"
    return "chat" if "chat" in engine.capabilities else "text"


def _called(token: Token, state: _Round) -> str:
    """The statements for the tools that the model called by the means of its server."""
    lines = "".join(
        state.reader.call_line(Called(tool=call.name, text=called_statement(call.name, call.arguments)))
        for call in token.tool_calls
    )
    return f"\n{lines}" if lines and state.texts[-1] else lines


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
    return PlannerFinished(
        valid=valid,
        stopped=stopped,
        plan=written_plan(state.reader.nodes),
        text="\n\n".join(state.texts),
        seconds=time.monotonic() - state.began,
        round=state.task.round,
        attempts=len(state.texts),
        statements=len(state.reader.accepted),
        unread=state.reader.unread,
        prompt_tokens=state.usage.prompt_tokens,
        cached_tokens=state.usage.cached_tokens,
        generated_tokens=state.usage.generated_tokens,
        reasoning_tokens=state.usage.reasoning_tokens,
    )
