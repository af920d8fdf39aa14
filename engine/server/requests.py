"""Requests of the OpenAI API, read strictly, and turned into a `GenerationRequest` for an engine.

What this server does not know or cannot do is refused by name, and never quietly left out. Fields that ask
for nothing (null, `best_of` of 1) pass. Those that cannot change a completion (`user`, `metadata`) and hints
such as `reasoning_effort` are ignored, and the reply's headers name them. Beyond the API,
as in other open servers: `top_k`, `min_p`, `repetition_penalty`, `stop_token_ids`, `ignore_eos`,
`return_token_ids`, `structured_outputs`, and `continue_final_message` for a chat whose last message is the
beginning of the answer. Source: the request types of the `openai` package.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, from_json

from braid.engine.errors import InvalidParamsError
from braid.engine.openai_api import Endpoint
from braid.engine.server.config import ServerLimits
from braid.engine.server.errors import ApiError, from_validation, invalid, unsupported
from braid.engine.server.request_part import RequestPart
from braid.engine.server.tools import (
    Tool,
    ToolChoice,
    ToolUse,
    WrittenCall,
    closed,
    plain_call,
    plain_result,
    tell_of_tools,
    tool_use,
)
from braid.engine.types import Capability, Grammar, Message, Prompt, SamplingParams

# The API's own default for /completions. A chat may fill the context.
_COMPLETION_TOKENS = 16
_MAX_STOPS = 16
_MAX_BIASES = 1024
_MAX_TOOLS = 128

# What changes no completion, and hints on how to think or to work. A completion without them is what was
# asked for.
_HINTS = frozenset(
    {
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "reasoning",
        "include_reasoning",
        "enable_thinking",
        "thinking",
        "think",
        "verbosity",
        "prediction",
        "cache_prompt",
        "priority",
    }
)
# What stands for something else in a regular expression.
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&~-]")
# What this server does not do, and the values that do not ask for it.
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "best_of": (1,),
    "suffix": ("",),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "use_beam_search": (False,),
}


class StreamOptions(RequestPart):
    """Options of a stream."""

    include_usage: bool = False
    include_obfuscation: bool = False


class JsonSchema(RequestPart):
    """A JSON schema as a response format has it."""

    schema_: dict[str, Any] = Field(alias="schema")
    name: str = ""
    description: str = ""
    strict: bool = False
    """The answer is valid under the schema in either case."""


class ResponseFormat(RequestPart):
    """Format that a completion must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    """The schema as llama.cpp has it."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.schema_ is not None and (self.type == "text" or self.json_schema is not None):
            raise ValueError("schema excludes json_schema and the type 'text'")
        if self.schema_ is None and (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema is given exactly if type is 'json_schema'")
        return self

    @property
    def grammar(self) -> dict[str, object] | None:
        if self.json_schema is not None:
            return closed(self.json_schema.schema_)
        return self.schema_ or ({"type": "object"} if self.type == "json_object" else None)


def _schema(value: object) -> object:
    """A schema that may come as the text of one."""
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError as error:
        text, reason = "the schema is not valid JSON: {reason}", {"reason": str(error)}
        raise PydanticCustomError("schema_type", text, reason) from None


class StructuredOutputs(RequestPart):
    """What a completion must be, as vLLM has it. Exactly one field is given."""

    json_: Annotated[dict[str, Any], BeforeValidator(_schema)] | None = Field(None, alias="json")
    json_object: bool = False
    regex: str | None = None
    choice: list[Annotated[str, Field(min_length=1)]] | None = Field(None, min_length=1)
    grammar: str | None = None
    """A grammar in llguidance's dialect of Lark."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        asked = (self.json_, self.json_object or None, self.regex, self.choice, self.grammar)
        if sum(each is not None for each in asked) != 1:
            raise ValueError("exactly one of json, json_object, regex, choice and grammar is given")
        return self

    def to_grammar(self) -> Grammar | str | dict[str, object]:
        if self.grammar is not None:
            return Grammar("lark", self.grammar)
        if self.choice is not None:
            return "|".join(_SPECIAL.sub(r"\\\g<0>", each) for each in self.choice)
        return self.regex or self.json_ or {"type": "object"}


def _joined(value: object) -> object:
    """Text that comes as a list of text parts, in one."""
    if not isinstance(value, list):
        return value
    texts: list[str] = []
    for part in cast("list[object]", value):
        fields = cast("dict[str, object]", part) if isinstance(part, dict) else {}
        text = fields.get("text")
        if fields.get("type") != "text" or not isinstance(text, str):
            raise PydanticCustomError("content_type", "only text is read: text, or a list of text parts")
        texts.append(text)
    return "".join(texts)


class ChatMessage(RequestPart):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(_joined)]
    name: str = ""
    tool_calls: list[WrittenCall] = Field(default_factory=list[WrittenCall])
    tool_call_id: str = ""

    @model_validator(mode="before")
    @classmethod
    def _called(cls, value: object) -> object:
        """Calls of the assistant need no text."""
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            if fields.get("role") == "assistant" and fields.get("tool_calls"):
                return {**fields, "content": fields.get("content") or ""}
        return cast("object", value)

    def to_message(self) -> Message:
        """The message for a model that knows no tools: calls and their results are text."""
        text = "\n".join(filter(None, [self.content, *map(plain_call, self.tool_calls)]))
        match self.role:
            case "developer":
                return {"role": "system", "content": text}
            case "tool":
                return {"role": "user", "content": plain_result(text)}
            case role:
                return {"role": role, "content": text}

    def to_template(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The message for a chat template that takes tools. `names` are the functions behind ids of calls."""
        if self.role == "tool":
            call = {"tool_call_id": self.tool_call_id, "name": names[self.tool_call_id]}
            return {"role": "tool", "content": self.content, **call}
        calls = [call.to_template() for call in self.tool_calls]
        return {**self.to_message(), "content": self.content, **({"tool_calls": calls} if calls else {})}


def _check_calls(messages: Sequence[ChatMessage]) -> dict[str, str]:
    """The names of called functions by the ids of their calls.

    Raises:
        ApiError: calls and results do not belong together.
    """
    names: dict[str, str] = {}
    for place, message in enumerate(messages):
        at = f"messages[{place}]"
        if message.tool_calls and message.role != "assistant":
            raise invalid(f"{at}.tool_calls", "only an assistant calls tools")
        if message.role == "tool" and not message.tool_call_id:
            raise invalid(f"{at}.tool_call_id", "a result names its call", "missing_required_parameter")
        if message.role != "tool" and message.tool_call_id:
            raise invalid(f"{at}.tool_call_id", "only a message of a tool has it")
        if message.role == "tool" and message.tool_call_id not in names:
            raise invalid(f"{at}.tool_call_id", f"no message before has a call {message.tool_call_id!r}")
        names |= {call.id: call.function.name for call in message.tool_calls}
    return names


def _stops(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _biases(value: object) -> object:
    """Biases by token id. JSON has no numbers as keys, so token ids come as text."""
    if not isinstance(value, dict):
        return value
    biases = cast("dict[object, object]", value)
    # A key with more digits than any vocabulary needs is an attack on int().
    if not all(isinstance(key, str) and key.isdecimal() and len(key) <= 9 for key in biases):
        raise PydanticCustomError("logit_bias_type", "logit_bias maps token ids to numbers")
    return {int(cast("str", key)): bias for key, bias in biases.items()}


class _Request(RequestPart):
    """The fields that both endpoints share."""

    model: str
    n: int = Field(1, ge=1)
    temperature: float = Field(1.0, ge=0.0)
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    top_k: int = Field(0, ge=-1)
    min_p: float = Field(0.0, ge=0.0, lt=1.0)
    seed: int | None = Field(None, ge=-(2**63), lt=2**64)
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_stops)] = Field(
        default_factory=list[str], max_length=_MAX_STOPS
    )
    stop_token_ids: list[int] = Field(default_factory=list[int], max_length=_MAX_STOPS)
    ignore_eos: bool = False
    presence_penalty: float = Field(0.0, ge=-2.0, le=2.0)
    frequency_penalty: float = Field(0.0, ge=-2.0, le=2.0)
    repetition_penalty: float = Field(1.0, gt=0.0, le=100.0)
    logit_bias: Annotated[
        dict[int, Annotated[float, Field(ge=-100.0, le=100.0)]], BeforeValidator(_biases)
    ] = Field(default_factory=dict[int, float], max_length=_MAX_BIASES)
    max_tokens: int | None = Field(None, ge=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    return_token_ids: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("stream_options", "stream_options is only allowed when stream is true")
        if self.structured_outputs is not None and self.response_format is not None:
            raise PydanticCustomError(
                "structured_outputs", "structured_outputs and response_format exclude each other"
            )
        return self

    @property
    def grammar(self) -> Grammar | str | dict[str, object] | None:
        if self.structured_outputs is not None:
            return self.structured_outputs.to_grammar()
        return self.response_format.grammar if self.response_format else None

    def sampling(self, *, max_tokens: int | None, logprobs: int | None) -> SamplingParams:
        return SamplingParams(
            n=self.n,
            max_tokens=max_tokens or 1,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=max(0, self.top_k),
            min_p=self.min_p,
            stop=tuple(self.stop),
            stop_token_ids=tuple(self.stop_token_ids),
            ignore_eos=self.ignore_eos,
            seed=self.seed,
            logprobs=logprobs,
            grammar=self.grammar,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=self.repetition_penalty,
            logit_bias=self.logit_bias,
        )


class ChatRequest(_Request):
    """A request to the chat endpoint."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    continue_final_message: bool = False
    add_generation_prompt: bool = True
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict[str, Any])
    tools: list[Tool] = Field(default_factory=list[Tool], max_length=_MAX_TOOLS)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool = True

    def to_generation_request(self) -> GenerationRequest:
        """The request for an engine.

        Raises:
            ApiError: fields contradict each other.
        """
        if self.top_logprobs is not None and not self.logprobs:
            raise ApiError(
                400, "'top_logprobs' needs 'logprobs': true", param="top_logprobs", code="invalid_value"
            )
        if self.continue_final_message == self.add_generation_prompt:
            raise unsupported(
                "add_generation_prompt",
                "'add_generation_prompt' must be false with 'continue_final_message', and true without it",
            )
        names = _check_calls(self.messages)
        tools = self._tool_use()
        functions = tools.functions if tools else ()
        messages, answer_start = [message.to_message() for message in self.messages], ""
        template = None
        if functions or names or self.chat_template_kwargs:
            template = TemplateInput(
                messages=tuple(message.to_template(names) for message in self.messages),
                tools=tuple(function.to_template() for function in functions),
                options=self.chat_template_kwargs,
            )
        if self.continue_final_message:
            if len(messages) < 2 or messages[-1]["role"] != "assistant":
                raise ApiError(
                    400,
                    "'continue_final_message' needs a last message of the assistant, and one before it",
                    param="messages",
                    code="invalid_value",
                )
            if template is not None:
                raise unsupported(
                    "continue_final_message",
                    "'continue_final_message' excludes tools, their calls and 'chat_template_kwargs'",
                )
            answer_start = messages.pop()["content"]
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return GenerationRequest(
            kind="chat",
            prompts=(tell_of_tools(messages, functions),),
            template=template,
            tools=tools,
            answer_start=answer_start,
            sampling=replace(
                self.sampling(max_tokens=limit, logprobs=self.top_logprobs or 0 if self.logprobs else None),
                grammar=None if tools else self.grammar,
            ),
            max_tokens=limit,
            stream=self.stream,
            include_usage=bool(self.stream_options and self.stream_options.include_usage),
            return_token_ids=self.return_token_ids,
        )

    def _tool_use(self) -> ToolUse | None:
        use = tool_use(self.tools, self.tool_choice, parallel=self.parallel_tool_calls)
        if use is None or use.forced or self.grammar is None:
            return use
        if not isinstance(self.grammar, dict):
            raise unsupported("structured_outputs", "beside tools, 'structured_outputs' is a JSON schema")
        return replace(use, answer=self.grammar)


class CompletionRequest(_Request):
    """A request to the completions endpoint."""

    prompt: Any
    max_tokens: int | None = Field(_COMPLETION_TOKENS, ge=0)
    """0 only reads the prompt, which `echo` then gives back."""
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool = False

    @field_validator("prompt")
    @classmethod
    def _prompts(cls, value: object) -> list[str] | list[list[int]]:
        """One prompt or several: text, a list of texts, token ids, or a list of lists of token ids."""
        if isinstance(value, str):
            return [value]
        if isinstance(value, list) and value:
            items = cast("list[object]", value)
            if all(isinstance(item, str) for item in items):
                return cast("list[str]", items)
            if _token_ids(items):
                return [cast("list[int]", items)]
            if all(_token_ids(item) for item in items):
                return cast("list[list[int]]", items)
        raise PydanticCustomError(
            "prompt_type", "a prompt is text, a list of texts, token ids, or a list of lists of token ids"
        )

    def to_generation_request(self) -> GenerationRequest:
        """The request for an engine.

        Raises:
            ApiError: fields contradict each other.
        """
        if self.max_tokens == 0 and not self.echo:
            raise ApiError(
                400, "'max_tokens' can be 0 only with 'echo'", param="max_tokens", code="invalid_value"
            )
        return GenerationRequest(
            kind="completions",
            prompts=tuple(self.prompt),
            sampling=self.sampling(max_tokens=self.max_tokens, logprobs=self.logprobs),
            max_tokens=self.max_tokens,
            echo=self.echo,
            stream=self.stream,
            include_usage=bool(self.stream_options and self.stream_options.include_usage),
            return_token_ids=self.return_token_ids,
        )


def _token_ids(value: object) -> bool:
    if not isinstance(value, list) or not value:
        return False
    items = cast("list[object]", value)
    return all(isinstance(item, int) and not isinstance(item, bool) for item in items)


@dataclass(frozen=True, kw_only=True)
class TemplateInput:
    """What a chat template reads, for engines that have one."""

    messages: tuple[dict[str, Any], ...]
    """Messages with calls and results."""
    tools: tuple[dict[str, Any], ...]
    options: Mapping[str, Any]
    """Further variables of the template."""


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What an engine is asked to do for one request.

    Choice `p * n + i` is branch `i` of prompt `p`.
    """

    kind: Endpoint
    prompts: tuple[Prompt, ...]
    sampling: SamplingParams
    max_tokens: int | None
    """None leaves as much as the context has room for."""
    model: str = ""
    """Name of the model that it is for."""
    template: TemplateInput | None = None
    """The chat for a template, where the prompt does not say everything."""
    tools: ToolUse | None = None
    """What may be called. `sampling` has no grammar then."""
    answer_start: str = ""
    """Beginning of the answer, which is part of the prompt."""
    echo: bool = False
    stream: bool = False
    include_usage: bool = False
    return_token_ids: bool = False
    grammar_param: str = "response_format"
    """The request field that the grammar comes from."""
    ignored: tuple[str, ...] = ()
    """Hints of the request that have no effect."""

    @property
    def choices(self) -> int:
        return len(self.prompts) * self.sampling.n

    @property
    def scores_prompts(self) -> bool:
        """Whether the prompts' own log-probabilities are asked for."""
        return self.echo and self.sampling.logprobs is not None

    @property
    def needs(self) -> list[tuple[Capability, str]]:
        """Capabilities that the engine must have, and the request field that asks for each."""
        sampling, prompt = self.sampling, self.params["prompt"]
        asked: list[tuple[Capability, str, bool]] = [
            ("grammar", self.grammar_param, sampling.grammar is not None or self.tools is not None),
            ("logprobs", "logprobs", sampling.logprobs is not None),
            ("seed", "seed", sampling.seed is not None),
            ("penalties", "presence_penalty", sampling.presence_penalty != 0),
            ("penalties", "frequency_penalty", sampling.frequency_penalty != 0),
            ("penalties", "repetition_penalty", sampling.repetition_penalty != 1),
            ("penalties", "logit_bias", bool(sampling.logit_bias)),
            ("token_ids", "return_token_ids", self.return_token_ids),
            ("token_ids", "stop_token_ids", bool(sampling.stop_token_ids)),
            ("token_ids", prompt, self.kind == "completions" and not isinstance(self.prompts[0], str)),
        ]
        return [(capability, field) for capability, field, is_asked in asked if is_asked]

    @property
    def params(self) -> dict[str, str]:
        """The request fields behind what an engine may refuse only while it runs."""
        prompt = "messages" if self.kind == "chat" else "prompt"
        return dict.fromkeys(("prompt", "chat", "chat_continuation", "extend"), prompt) | {
            "logprobs": "logprobs",
            "grammar": self.grammar_param,
            "seed": "seed",
            "detokenize": "echo",
        }


def read_request(
    kind: Endpoint,
    body: bytes,
    *,
    model: str,
    limits: ServerLimits,
    defaults: Mapping[str, float] | None = None,
    others: Collection[str] = (),
) -> GenerationRequest:
    """The request in `body`, for the model that is served as `model`.

    Args:
        kind: the endpoint.
        body: JSON.
        model: name of the served model.
        limits: what a request may ask for.
        defaults: sampling parameters that count where the request has none, by their names.
        others: names of further models.

    Raises:
        ApiError: the request is malformed, beyond a limit, or for another model.
    """
    fields, ignored = _fields(body, _HINTS if kind == "chat" else _HINTS | {"chat_template_kwargs"})
    given = _validated(ChatRequest if kind == "chat" else CompletionRequest, fields)
    if given.model not in (model, *others):
        raise unknown_model(given.model, dict.fromkeys((model, *others)))
    try:
        request = given.to_generation_request()
        left_out = {name: value for name, value in (defaults or {}).items() if name not in fields}
        source = "response_format" if given.structured_outputs is None else "structured_outputs"
        request = replace(
            request,
            model=given.model,
            sampling=replace(request.sampling, **left_out),
            grammar_param="tools" if request.tools else source,
            ignored=ignored,
        )
    except InvalidParamsError as error:
        raise ApiError(400, str(error), param=error.param, code="invalid_value") from None
    if request.choices > limits.max_choices:
        raise ApiError(
            400,
            f"{request.choices} completions are asked for (prompts times 'n'); "
            f"this server allows {limits.max_choices}",
            param="n",
            code="invalid_value",
        )
    if request.max_tokens is not None and request.max_tokens > limits.max_tokens:
        field = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
        raise ApiError(
            400,
            f"{field!r} is {request.max_tokens}; this server allows {limits.max_tokens}",
            param=field,
            code="invalid_value",
        )
    return request


def unknown_model(asked: str, served: Collection[str]) -> ApiError:
    """The error for a model that this server does not have."""
    return ApiError(
        404,
        f"the model {asked!r} does not exist; this server has {', '.join(map(repr, served))}",
        param="model",
        code="model_not_found",
    )


def _fields(body: bytes, hint_names: frozenset[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields of the request that ask for something, and the names of the hints among the others.

    Raises:
        ApiError: the body is no JSON object, or asks for what this server does not support.
    """
    try:
        # Infinity and NaN are refused later, by the name of their field.
        parsed: object = from_json(body)
    except ValueError as error:
        raise ApiError(400, f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(parsed, dict):
        raise ApiError(400, "the body must be a JSON object", code="invalid_type")
    fields: dict[str, Any] = {}
    hints: list[str] = []
    for name, value in cast("dict[str, Any]", parsed).items():
        if value is None or _is_neutral(name, value):
            continue
        if name in hint_names:
            hints.append(name)
            continue
        if name in _NEUTRAL:
            raise unsupported(name, f"{name!r} is not supported by this server")
        fields[name] = value
    return fields, tuple(hints)


def _is_neutral(name: str, value: object) -> bool:
    return any(value == neutral for neutral in _NEUTRAL.get(name, ()))


_RequestT = TypeVar("_RequestT", bound=_Request)


def _validated(model: type[_RequestT], fields: Mapping[str, Any]) -> _RequestT:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error) from None
