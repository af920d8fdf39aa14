"""An agent as an engine: a chat goes in, and the answer of a run comes out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, NoReturn, TypeAlias, cast

from braid.engine import (
    BraidError,
    CapabilityError,
    Completion,
    Context,
    Engine,
    EngineError,
    EngineInfo,
    Envelope,
    InvalidParamsError,
    Message,
    Prompt,
    SamplingParams,
    Token,
    Usage,
)
from braid.engine.scope import Budget
from braid.executors.values import Secrets
from braid.orchestrator.agent import Agent
from braid.orchestrator.errors import InvalidHistoryError
from braid.orchestrator.history import History, read_history
from braid.orchestrator.result import RunResult
from braid.orchestrator.stream import RunStream

SHOWN: Final = {
    *("run.started", "planner.routed", "round.started", "planner.statement", "node.started"),
    *("node.finished", "node.failed", "node.skipped", "node.cancelled", "node.uncertain"),
}
"""Kinds of the events that a streamed answer carries beside its text."""

TOLD: Final = (
    *("run_id", "status", "stopped", "reason", "hint", "route"),
    *("plan", "rounds", "nodes", "seconds"),
)
"""What an answer carries of the run that it came from, by the names of `RunResult.to_dict`."""

REMEMBERED: Final = 256
"""Conversations whose typed turns are kept, so that a follow-up can be read from them."""


_Talk: TypeAlias = tuple[tuple[str, str], ...]
"""A conversation, without its system messages."""


class AgentRunError(EngineError):
    """A run of the agent failed."""


class AgentEngine(Engine):
    """Answers a chat by a run of `agent`: the last message is the question.

    System messages are instructions, and those between are the conversation so far. Tokens and completions
    carry the plan, the nodes and the status of the run as `extra`. The settings of a request, such as its
    temperature, have no effect: they are the agent's own.

    It belongs to one event loop, that of the agent. The caller closes the agent.

    Args:
        agent: What runs.
        model: What clients call it.
    """

    def __init__(self, agent: Agent, *, model: str = "braid-agent") -> None:
        self._agent = agent
        self._info = EngineInfo(
            uri=f"agent:{agent.spec.engine}", model=model, max_context=None, capabilities=frozenset({"chat"})
        )
        self._open = 0
        self._conversations: OrderedDict[_Talk, History] = OrderedDict()
        self._secrets = Secrets()

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> AgentContext:
        """The chat as a context.

        Raises:
            InvalidParamsError: It is no chat, or its last message is not the user's.
        """
        if isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
            raise InvalidParamsError("an agent answers chats, not prompts of text")
        try:
            messages = read_history(cast("Sequence[Message]", prompt))
        except InvalidHistoryError as error:
            raise InvalidParamsError(str(error)) from error
        if not messages or messages[-1]["role"] != "user" or not messages[-1]["content"].strip():
            raise InvalidParamsError("the last message to an agent is a question of the user")
        return AgentContext(self, messages)

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        """One completion: the answer of one run.

        Raises:
            AgentRunError: The run failed.
        """
        run = self._run(context, params, budget)
        async with run as events:
            async for _ in _checked(events.text()):
                pass
        extra = self._summary(run.result)
        answer, usage = self._answer(context, run.result), run.result.usage
        made = AgentContext(self, (*_messages(context), _said(answer)))
        return [Completion(text=answer, context=made, finish_reason="stop", usage=usage, extra=extra)]

    async def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncGenerator[Token]:
        """The answer as it is written, and between its pieces what happens in the run."""
        run = self._run(context, params, budget)
        queue: asyncio.Queue[Token | None] = asyncio.Queue()
        said = False

        def show(envelope: Envelope) -> None:
            if envelope.event.kind in SHOWN:
                event = self._secrets.redact_data(envelope.event.model_dump(mode="json"))
                queue.put_nowait(Token(text="", extra={"event": event}))

        async def read() -> None:
            try:
                async for piece in events.text(on_event=show):
                    queue.put_nowait(Token(text=piece))
            finally:
                queue.put_nowait(None)

        async with run as events:
            reading = asyncio.create_task(read(), name="braid: agent")
            try:
                while (token := await queue.get()) is not None:
                    said = said or bool(token.text)
                    yield token
            finally:
                reading.cancel()
                await asyncio.wait([reading])
            if (error := reading.exception()) is not None:
                _refuse(error)
        answer = self._answer(context, run.result)
        yield Token(
            text="" if said else answer,
            finish_reason="stop",
            usage=run.result.usage,
            extra=self._summary(run.result),
        )

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> Context:
        raise CapabilityError("continuation", self.info.uri, "an agent's answer has no given beginning")

    def open_contexts(self) -> int:
        return self._open

    async def close(self) -> None:
        """The agent is the caller's to close."""

    def count(self, change: int) -> None:
        """Count a context that was made (1) or released (-1)."""
        self._open += change

    def _run(self, context: Context, params: SamplingParams, budget: Budget | None) -> RunStream:
        if params.n != 1:
            raise CapabilityError("native_n", self.info.uri, "an agent gives one answer")
        if params.grammar is not None:
            raise CapabilityError("grammar", self.info.uri, "give the agent an output type")
        messages = _messages(context)
        told = [each["content"] for each in messages if each["role"] == "system"]
        talk = [each for each in messages[:-1] if each["role"] != "system"]
        return self._agent.stream(
            messages[-1]["content"],
            history=self._conversations.get(_key(talk), talk),
            instructions="\n\n".join(told) or None,
            budget=budget,
        )

    def _answer(self, context: Context, result: RunResult[Any]) -> str:
        """The answer of a run, whose typed turns are kept.

        Raises:
            AgentRunError: There is none.
        """
        if result.status == "failed":
            raise AgentRunError(f"the agent's run {result.run_id} failed: {result.reason}")
        talk = [each for each in _messages(context) if each["role"] != "system"]
        if isinstance(result.history, History):
            self._conversations[_key([*talk, _said(result.answer)])] = result.history
            while len(self._conversations) > REMEMBERED:
                self._conversations.popitem(last=False)
        return result.answer

    def _summary(self, result: RunResult[Any]) -> dict[str, Any]:
        """What is told of a run that is over."""
        told = (
            "run_id",
            "status",
            "stopped",
            "reason",
            "hint",
            "route",
            "plan",
            "rounds",
            "nodes",
            "seconds",
        )
        document = result.to_dict()
        return {"run": {name: document[name] for name in told}}


class AgentContext(Context):
    """A chat that an agent is to answer, or has answered.

    It belongs to the event loop of its engine.
    """

    def __init__(self, engine: AgentEngine, messages: Sequence[Message]) -> None:
        self.messages = tuple(messages)
        self._engine = engine
        self._released = False
        engine.count(1)

    @property
    def text(self) -> str:
        return "\n\n".join(message["content"] for message in self.messages)

    @property
    def token_count(self) -> int:
        """None of it is read here. The run counts what its prompts take."""
        return 0

    @property
    def critical_path_tokens(self) -> int:
        return 0

    @property
    def usage(self) -> Usage:
        return Usage()

    @property
    def released(self) -> bool:
        return self._released

    def release(self) -> None:
        if not self._released:
            self._released = True
            self._engine.count(-1)


def _key(messages: Sequence[Message]) -> _Talk:
    return tuple((message["role"], message["content"]) for message in messages)


def _messages(context: Context) -> tuple[Message, ...]:
    assert isinstance(context, AgentContext)
    return context.messages


def _said(answer: str) -> Message:
    return {"role": "assistant", "content": answer}


async def _checked(pieces: AsyncGenerator[str]) -> AsyncGenerator[str]:
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                yield piece
        except BraidError as error:
            _refuse(error)


def _refuse(error: BaseException) -> NoReturn:
    """Raise an error of a run as what the server knows: engine errors as they are, others by their words."""
    if isinstance(error, BraidError) and not isinstance(error, EngineError):
        raise AgentRunError(str(error)) from error
    raise error
