"""The output of a run: the values of a plan's answer, as the type that the caller asked for."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from braid.engine import CapabilityError, Message, SamplingParams
from braid.executors.values import break_markers, short_form
from braid.orchestrator.errors import OutputTypeError
from braid.orchestrator.result import ModelCall

if TYPE_CHECKING:
    from braid.orchestrator.loop import Job

_MAX_TOKENS = 1024
_MOST_DECIMALS = 4
"""Most decimals of a computed number in an answer that a person reads."""


def answer_text(values: Sequence[Any]) -> str:
    """The answer as a person reads it."""
    return ", ".join(short_form(value) for value in values)


def said_text(values: Sequence[Any], computed: Sequence[Any] = ()) -> str:
    """The answer as a person reads it, without digits that no measurement has.

    Args:
        values: The values of the answer.
        computed: What was computed for it. Their long decimals are rounded wherever they stand in its text.
    """
    text = answer_text(values)
    for number in computed:
        exact = short_form(number) if isinstance(number, float) else ""
        if len(exact.partition(".")[2]) > _MOST_DECIMALS and "e" not in exact:
            text = re.sub(rf"(?<![\w.]){re.escape(exact)}(?![\w.])", f"about {_rounded(number)}", text)
    return text


def _rounded(number: float) -> str:
    if abs(number) < 1:
        return f"{number:.3g}"
    grouping = "," if abs(number) >= 10_000 else ""
    text = f"{number:{grouping}.{1 if abs(number) >= 1000 else 2}f}"
    return text.rstrip("0").rstrip(".")


def plain_output(values: Sequence[Any]) -> Any:
    """The answer where no type was asked for: the value itself, or a tuple of several."""
    return values[0] if len(values) == 1 else tuple(values)


def fits(value: Any, output_type: Any) -> bool:
    """Whether `value` is one of `output_type` as it is."""
    try:
        _adapter(output_type).validate_python(value, from_attributes=True)
    except ValidationError:
        return False
    return True


async def typed_output(values: Sequence[Any], job: Job, spent: Callable[[ModelCall], None]) -> Any:
    """The answer as the output type of `job`.

    The values are validated by pydantic in lax mode. A fact is tried as its bare value too, and text as JSON
    too. If none fits, a chat model is asked to restate the answer as JSON of the type's schema. It is told
    what is wrong, and asked again until it fits (`output_retries`).

    Args:
        values: The values of the answer.
        job: The job that they answer.
        spent: Called with what each request cost.

    Raises:
        OutputTypeError: Nothing fits.
    """
    output_type, engine = job.output_type, job.think_engine
    adapter = _adapter(output_type)
    error: ValidationError | None = None
    for candidate in _candidates(values):
        try:
            return adapter.validate_python(candidate, from_attributes=True)
        except ValidationError as raised:
            error = error or raised
    got = plain_output(values)
    if "chat" not in engine.capabilities:
        why = f"{_first(error)}; {engine.info.uri} is no chat model, so it cannot be asked to restate it"
        raise OutputTypeError(output_type, got, why) from error
    schema = adapter.json_schema() if job.spec.output_retries else {}
    messages = _request(schema, answer_text(values), job.question, error)
    text = ""
    for _ in range(job.spec.output_retries):
        text = await _restated(messages, schema, job, spent)
        error = None
        for document in _documents(text):
            try:
                return adapter.validate_python(document)
            except ValidationError as raised:
                error = raised
        messages += [
            Message(role="assistant", content=break_markers(text.strip()) or "(nothing)"),
            Message(role="user", content=f"That does not fit: {_first(error)}. Write the JSON value again."),
        ]
    said = f"; asked to restate it, the model said {text!r:.200}" if job.spec.output_retries else ""
    raise OutputTypeError(output_type, got, f"{_first(error)}{said}") from error


def told_type(output_type: Any) -> str:
    """What the planner is told about the output type. Empty for one without a JSON schema."""
    if output_type is None:
        return ""
    try:
        schema = _adapter(output_type).json_schema()
    except PydanticUserError:
        return ""
    return f"The value of `answer` is to fit this JSON schema, an object as a dict:\n{json.dumps(schema)}"


def _adapter(output_type: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(output_type)
    except Exception as error:  # pydantic raises many kinds for what is no type
        raise OutputTypeError(
            output_type, output_type, f"it is no type that pydantic can check: {error}"
        ) from error


def _candidates(values: Sequence[Any]) -> Iterator[Any]:
    value = plain_output(values)
    yield value
    if hasattr(value, "value"):
        yield value.value
    text = answer_text(values)
    if text != value:
        yield text
    if isinstance(value, str):
        yield from _documents(value)


def _documents(text: str) -> Iterator[Any]:
    """JSON found in `text`: all of it, or from the first bracket on, since models add words and fences."""
    stripped = text.strip()
    starts = [0, *sorted(at for char in "{[" if (at := stripped.find(char)) > 0)]
    for start in starts:
        try:
            document, _ = json.JSONDecoder().raw_decode(stripped[start:])
        except ValueError:
            continue
        yield document


def _request(
    schema: dict[str, Any], answer: str, question: str, error: ValidationError | None
) -> list[Message]:
    return [
        Message(
            role="system",
            content="Restate the given answer as one JSON value that matches this JSON schema. "
            f"Write nothing else and add no facts.\n{json.dumps(schema)}",
        ),
        Message(
            role="user",
            content=f"Question: {question}\nAnswer: {break_markers(answer)}\n"
            f"What is wrong with it: {_first(error)}",
        ),
    ]


async def _restated(
    messages: Sequence[Message], schema: dict[str, Any], job: Job, spent: Callable[[ModelCall], None]
) -> str:
    """What the model says to `messages`, as JSON of `schema` where its server can hold it to that."""
    engine, budget = job.think_engine, job.budget
    began = time.monotonic()
    async with await engine.prefill(messages, budget=budget) as context:
        while True:
            can = engine.capabilities
            params = SamplingParams(
                max_tokens=_MAX_TOKENS,
                temperature=0.0,
                seed=job.spec.seed if "seed" in can else None,
                grammar=None if can.isdisjoint(("grammar", "json_schema")) else schema,
            )
            try:
                (completion,) = await engine.generate(context, params, budget=budget)
            except CapabilityError:
                if engine.capabilities == can:
                    raise
                continue  # the server refused what it promised, and the engine knows it now
            completion.context.release()
            usage, seconds = context.usage.then(completion.usage), time.monotonic() - began
            spent(ModelCall(kind="output", engine=engine.info.uri, usage=usage, seconds=seconds))
            return completion.text


def _first(error: ValidationError | None) -> str:
    if error is None:
        return "there is no JSON in it"
    details = error.errors()[0]
    place = ".".join(map(str, details["loc"]))
    return f"{place + ': ' if place else ''}{details['msg']}"
