"""The values that pass through an engine's interface: prompts, parameters, tokens, completions, usage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, cast

from braid.engine.checks import is_number, is_whole
from braid.engine.errors import InvalidParamsError

if TYPE_CHECKING:
    from braid.engine.base import Context


class Message(TypedDict):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt: TypeAlias = "str | Sequence[Message] | Sequence[int]"
"""Text, chat messages, or token ids."""

FinishReason = Literal["stop", "length", "cancelled"]

Capability = Literal[
    "chat",
    "token_ids",
    "logprobs",
    "prompt_logprobs",
    "cut",
    "kv_join",
    "text_join",
    "grammar",
    "json_schema",
    "hidden_states",
    "native_n",
    "penalties",
    "seed",
    "tool_calls",
    "adapters",
]


def _items(value: object) -> Iterable[Any]:
    """The items of a list or tuple. For anything else, one item that no check accepts."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else (None,)


ToolChoice = Literal["auto", "none", "required"]
"""Whether a model that was given tools may call them, must not, or has to."""


@dataclass(frozen=True, kw_only=True)
class ToolDeclaration:
    """A tool that a model may call (capability `tool_calls`). Nobody runs it."""

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON schema of the arguments, which is an object."""


@dataclass(frozen=True)
class Grammar:
    """What a completion may be, in one of three notations (capability `grammar`)."""

    kind: Literal["regex", "json_schema", "lark"]
    """`regex` is a regular expression in the syntax of Rust's `regex` crate, without look-around and back
    references. `json_schema` is a JSON schema, whose completion is compact JSON without white space
    between its parts. `lark` is a grammar in llguidance's dialect of Lark, whose start rule is `start`.
    """
    source: str
    """Text of the expression, schema or grammar."""
    after_thoughts: bool = False
    """Whether a model that thinks aloud may do so first, for `lark`. What it writes up to `</think>` is free
    then. The local engine knows it by the tokens `<think>` and `</think>`. A remote engine leaves it to its
    server.
    """

    def __post_init__(self) -> None:
        kinds = ("regex", "json_schema", "lark")
        if self.kind not in kinds or not isinstance(cast("object", self.source), str):
            raise InvalidParamsError(
                f"a Grammar has a kind of {kinds} and a text as its source, "
                f"got {self.kind!r} and {self.source!r}",
                param="grammar",
            )

    @classmethod
    def of(cls, given: Grammar | str | dict[str, object]) -> Grammar:
        """The grammar that `SamplingParams.grammar` stands for.

        A string is a regular expression, a dict a JSON schema.

        Raises:
            InvalidParamsError: it is none of these, or the dict cannot be written as JSON.
        """
        if isinstance(given, Grammar):
            return given
        if isinstance(given, str):
            return cls("regex", given)
        try:
            return cls("json_schema", json.dumps(given))
        except (TypeError, ValueError) as error:
            raise InvalidParamsError(
                "grammar must be a Grammar, a regular expression or a JSON schema; "
                f"{given!r} is no JSON: {error}",
                param="grammar",
            ) from error


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """How to sample tokens."""

    n: int = 1
    """Number of completions."""
    max_tokens: int = 512
    """Most tokens that a completion may have."""
    temperature: float = 0.7
    """0 is greedy decoding."""
    top_p: float = 1.0
    """Smallest set of tokens with at least this probability. 1 is off."""
    top_k: int = 0
    """Number of most probable tokens to keep. 0 is off."""
    min_p: float = 0.0
    """Least probability of a token, as a share of that of the most probable one. 0 is off."""
    stop: tuple[str, ...] = ()
    """Strings that end the completion. They are not part of it."""
    stop_token_ids: tuple[int, ...] = ()
    """Tokens that end the completion."""
    ignore_eos: bool = False
    """Whether to continue after an end-of-sequence token."""
    seed: int | None = None
    """Fixes the samples. Branch `i` of `n` uses a seed derived from (seed, i), so results do not depend on
    what else is in the batch. In bfloat16 and float16 the logits themselves depend on it by their rounding,
    and on which part of the prompt was cached. Equal seeds give equal text in float32.
    """
    logprobs: int | None = None
    """Number of alternatives whose log-probabilities are reported, beside that of each sampled token. None:
    no log-probabilities.
    """
    grammar: Grammar | str | dict[str, object] | None = None
    """A regular expression, a JSON schema or a `Grammar` that the whole completion must match (capability
    `grammar`). A JSON schema is taken by engines with capability `json_schema` as well, which may put white
    space between its parts. A completion that reaches `max_tokens` or a stop string is the beginning of a
    match.
    """
    repetition_penalty: float = 1.0
    """Divides the logits of tokens that were read or written, if they are positive, and multiplies negative
    ones (capability `penalties`).
    """
    presence_penalty: float = 0.0
    """Is subtracted once from the logits of tokens that were written (capability `penalties`)."""
    frequency_penalty: float = 0.0
    """Is subtracted from the logits of tokens that were written, for each occurrence (capability
    `penalties`).
    """
    logit_bias: Mapping[int, float] = field(default_factory=lambda: dict[int, float](), hash=False)
    """Is added to the logits of these token ids (capability `penalties`)."""

    def __post_init__(self) -> None:
        def check(name: str, ok: bool, expected: str) -> None:
            if not ok:
                raise InvalidParamsError(
                    f"SamplingParams: {name} must {expected}, got {getattr(self, name)!r}", param=name
                )

        for name, least in (("n", 1), ("max_tokens", 1), ("top_k", 0)):
            value: Any = getattr(self, name)
            check(name, is_whole(value) and value >= least, f"be a whole number >= {least}")
        check("temperature", is_number(self.temperature) and self.temperature >= 0, "be a finite number >= 0")
        check("top_p", is_number(self.top_p) and 0 < self.top_p <= 1, "lie in (0, 1]")
        check("min_p", is_number(self.min_p) and 0 <= self.min_p < 1, "lie in [0, 1)")
        check(
            "stop",
            all(isinstance(each, str) and each for each in _items(self.stop)),
            "be a tuple of non-empty strings",
        )
        check(
            "stop_token_ids",
            all(is_whole(each) and each >= 0 for each in _items(self.stop_token_ids)),
            "be a tuple of token ids",
        )
        check("ignore_eos", isinstance(self.ignore_eos, bool), "be True or False")
        check("seed", self.seed is None or is_whole(self.seed), "be None or a whole number")
        check(
            "logprobs",
            self.logprobs is None or (is_whole(self.logprobs) and 0 <= self.logprobs <= 20),
            "be None or a whole number in 0..20",
        )
        check(
            "grammar",
            self.grammar is None or isinstance(self.grammar, Grammar | str | dict),
            "be None, a Grammar, a regular expression or a JSON schema",
        )
        if self.grammar is not None and self.ignore_eos:
            raise InvalidParamsError(
                "SamplingParams: ignore_eos and grammar exclude each other: "
                "a completion ends where its grammar ends",
                param="ignore_eos",
            )
        check(
            "repetition_penalty",
            is_number(self.repetition_penalty) and self.repetition_penalty > 0,
            "be a finite number > 0",
        )
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            check(name, is_number(value) and -2 <= value <= 2, "lie in -2..2")
        bias: object = self.logit_bias
        check(
            "logit_bias",
            isinstance(bias, Mapping)
            and all(
                is_whole(token) and token >= 0 and is_number(change) and -100 <= change <= 100
                for token, change in cast("Mapping[Any, Any]", bias).items()
            ),
            "map token ids to values in -100..100",
        )

    @property
    def json_schema(self) -> dict[str, object] | None:
        """The JSON schema that `grammar` is, given as a dict or as a `Grammar`. None where it is none."""
        if not isinstance(self.grammar, Grammar):
            return self.grammar if isinstance(self.grammar, dict) else None
        if self.grammar.kind != "json_schema":
            return None
        try:
            schema: object = json.loads(self.grammar.source)
        except ValueError as error:
            raise InvalidParamsError(
                f"SamplingParams: the JSON schema in grammar is no JSON: {error}", param="grammar"
            ) from error
        return cast("dict[str, object]", schema) if isinstance(schema, dict) else None

    @property
    def endless(self) -> bool:
        """Whether nothing but `max_tokens` ends a completion."""
        return self.ignore_eos and not self.stop and not self.stop_token_ids

    @property
    def penalized(self) -> bool:
        """Whether any penalty or bias is set."""
        return bool(
            self.repetition_penalty != 1 or self.presence_penalty or self.frequency_penalty or self.logit_bias
        )


def branch_seed(seed: int, index: int) -> int:
    """The seed of branch `index`: `seed` itself for branch 0, else a 63-bit hash of both.

    So branch `i` of `n` samples what a single run with `seed=branch_seed(seed, i)` samples.
    """
    if index == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Cost of work, in tokens.

    A prompt is counted where it is read: by `prefill`, `extend` and `join` (in `Context.usage`) when the
    engine keeps the KV, by each request when it is sent again. So prompt plus generated tokens, over all
    contexts and completions, is what the budget books.
    """

    prompt_tokens: int = 0
    """All tokens of the prompts."""
    cached_tokens: int = 0
    """Those prompt tokens whose KV was reused."""
    generated_tokens: int = 0
    """Sampled tokens, those of thoughts included."""
    reasoning_tokens: int = 0
    """Those sampled tokens that were thoughts, as far as a server tells."""
    drafted_tokens: int = 0
    """Tokens that were proposed by speculative decoding."""
    accepted_tokens: int = 0
    """Proposed tokens that were accepted."""
    discarded_tokens: int = 0
    """Tokens that were generated and thrown away: cancelled branches, losers."""
    critical_path_tokens: int = 0
    """The longest chain of generated tokens: a sum over sequential work, a maximum over parallel work."""
    calls: int = 0
    """Requests that generate or score. Reading a prompt is none."""

    def then(self, other: Usage) -> Usage:
        """Usage of this work followed by `other`. The critical paths add up."""
        return self._merge(other, self.critical_path_tokens + other.critical_path_tokens)

    def beside(self, other: Usage) -> Usage:
        """Usage of this work in parallel with `other`. The longer critical path counts."""
        return self._merge(other, max(self.critical_path_tokens, other.critical_path_tokens))

    @staticmethod
    def parallel(parts: Iterable[Usage]) -> Usage:
        """Usage of all `parts` in parallel."""
        total = Usage()
        for part in parts:
            total = total.beside(part)
        return total

    def _merge(self, other: Usage, critical: int) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            generated_tokens=self.generated_tokens + other.generated_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            drafted_tokens=self.drafted_tokens + other.drafted_tokens,
            accepted_tokens=self.accepted_tokens + other.accepted_tokens,
            discarded_tokens=self.discarded_tokens + other.discarded_tokens,
            critical_path_tokens=critical,
            calls=self.calls + other.calls,
        )


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call of a tool that a model wrote of its own accord, as its server reports it."""

    name: str
    arguments: str
    """JSON as the model wrote it. It may be broken."""
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Token:
    """One streamed piece of a completion. Usually it is one token, but a server may send several at once."""

    text: str
    index: int = 0
    """Number of the branch that it belongs to."""
    id: int | None = None
    """Token id. None where the backend does not report it."""
    logprob: float | None = None
    """Natural log-probability. None where the backend does not report it."""
    top_logprobs: tuple[tuple[str, float], ...] = ()
    reasoning: str = ""
    """Thoughts that a server keeps apart from the text. They are no part of the context."""
    finish_reason: FinishReason | None = None
    """Set in the last piece of a branch, whose text may be empty."""
    stop_hit: str | None = None
    usage: Usage | None = None
    """Set in the last piece of a branch, if it is known."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Set in the last piece of a branch."""
    extra: Mapping[str, Any] | None = None
    """Data beside the text, such as what happens in an agent's run. A server passes it on."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One finished branch of `generate`. The caller owns `context` and releases it."""

    text: str
    context: Context
    """Prompt and completion."""
    finish_reason: FinishReason
    usage: Usage
    index: int = 0
    stop_hit: str | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[tuple[tuple[str, float], ...], ...] | None = None
    reasoning: str = ""
    """Thoughts that a server keeps apart from the text. They are no part of the context."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls that a server reports beside the text. They are no part of the context, and nobody runs them."""
    extra: Mapping[str, Any] | None = None
    """Data beside the text, as in `Token`."""


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What an engine is: its address, its model, and the limits that it reports."""

    uri: str
    model: str
    max_context: int | None
    """Longest context in tokens. None: not known."""
    capabilities: frozenset[Capability] = field(default_factory=lambda: frozenset[Capability]())
    adapters: tuple[str, ...] = ()
    """Names of the adapters that `Engine.with_adapter` knows."""
    details: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    """Facts that `braid doctor` and `/engine` show."""
    sampling_defaults: dict[str, float] = field(default_factory=lambda: dict[str, float]())
    """What the model's makers recommend, by the names of fields of `SamplingParams`. No engine applies it by
    itself.
    """
