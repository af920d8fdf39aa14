"""The values that pass through the engine's face: prompts, sampling parameters, tokens, completions, usage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

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
    "hidden_states",
    "native_n",
    "penalties",
    "seed",
]


@dataclass(frozen=True)
class Grammar:
    """What a completion may be, as text in one of three notations (capability `grammar`).

    `regex`: a regular expression in the syntax of Rust's `regex` crate, which has no look-around and no back references.
    `json_schema`: a JSON schema, as JSON; the completion is compact JSON, without white space between its parts.
    `lark`: a grammar in llguidance's dialect of Lark, whose start rule is `start`.
    """

    kind: Literal["regex", "json_schema", "lark"]
    source: str

    @classmethod
    def of(cls, given: Grammar | str | dict[str, object]) -> Grammar:
        """What `SamplingParams.grammar` stands for: a string is a regular expression, a dict a JSON schema.

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
                f"grammar must be a Grammar, a regular expression or a JSON schema; {given!r} is no JSON: {error}"
            ) from error


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """How to draw tokens. `temperature=0` is greedy decoding.

    `seed` fixes the draws: branch `i` of `n` uses a seed derived from (seed, i), so results do not depend on
    what else is in the batch. `logprobs=k` asks for the log-probability of each sampled token and of the k best
    alternatives (`logprobs=0`: the sampled token only). `grammar` is a regular expression, a JSON schema or a
    `Grammar` that the whole completion must match (capability `grammar`); one that reaches `max_tokens` or a stop string is
    the beginning of a match. `stop` strings end the completion and are not part of it.
    `repetition_penalty` divides what speaks for tokens that were read or written; `presence_penalty` and
    `frequency_penalty` are subtracted for tokens that were written, once and per occurrence; `logit_bias` is added
    (capability `penalties`).
    """

    n: int = 1
    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    seed: int | None = None
    logprobs: int | None = None
    grammar: Grammar | str | dict[str, object] | None = None
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=lambda: dict[int, float](), hash=False)

    def __post_init__(self) -> None:
        def check(ok: bool, what: str) -> None:
            if not ok:
                raise InvalidParamsError(f"SamplingParams: {what}")

        check(isinstance(self.n, int) and self.n >= 1, f"n must be a whole number >= 1, got {self.n!r}")
        check(
            isinstance(self.max_tokens, int) and self.max_tokens >= 1,
            f"max_tokens must be a whole number >= 1, got {self.max_tokens!r}",
        )
        check(self.temperature >= 0, f"temperature must be >= 0, got {self.temperature!r}")
        check(0 < self.top_p <= 1, f"top_p must lie in (0, 1], got {self.top_p!r}")
        check(self.top_k >= 0, f"top_k must be >= 0 (0 is off), got {self.top_k!r}")
        check(0 <= self.min_p < 1, f"min_p must lie in [0, 1), got {self.min_p!r}")
        check(
            not isinstance(self.stop, str) and all(isinstance(s, str) and s for s in self.stop),
            f"stop must be a tuple of non-empty strings, got {self.stop!r}",
        )
        check(
            self.logprobs is None or 0 <= self.logprobs <= 20,
            f"logprobs must be None or lie in 0..20, got {self.logprobs!r}",
        )
        check(
            self.grammar is None or not self.ignore_eos,
            "ignore_eos and grammar exclude each other: a completion ends where its grammar ends",
        )
        check(self.repetition_penalty > 0, f"repetition_penalty must be > 0, got {self.repetition_penalty!r}")
        for name in ("presence_penalty", "frequency_penalty"):
            value: float = getattr(self, name)
            check(-2 <= value <= 2, f"{name} must lie in -2..2, got {value!r}")
        check(
            all(
                isinstance(token, int) and token >= 0 and -100 <= bias <= 100
                for token, bias in self.logit_bias.items()
            ),
            f"logit_bias must map token ids to values in -100..100, got {self.logit_bias!r}",
        )

    @property
    def penalized(self) -> bool:
        """Whether any penalty or bias is asked for."""
        return bool(
            self.repetition_penalty != 1 or self.presence_penalty or self.frequency_penalty or self.logit_bias
        )


def branch_seed(seed: int, index: int) -> int:
    """The seed of branch `index`: `seed` itself for branch 0, else a 63-bit hash of both.

    So branch `i` of `n` draws what a single run with `seed=branch_seed(seed, i)` draws.
    """
    if index == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What work cost, in tokens.

    `prompt_tokens` counts every token of the prompts, `cached_tokens` those of them whose KV was reused. A prompt is
    counted where it is read: by `prefill`, `extend` and `join` (in `Context.usage`) when the engine keeps the KV, by
    each request when it is sent again. So prompt plus generated tokens, over all contexts and completions, is what the
    budget books. `generated_tokens` were sampled; `drafted`/`accepted` count speculative tokens; `discarded_tokens`
    were generated and thrown away (cancelled branches, losers). `critical_path_tokens` is the longest chain of generated
    tokens: a sum over what ran one after the other, a maximum over what ran side by side. `calls` counts engine requests
    that generate or score; reading a prompt is none.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    discarded_tokens: int = 0
    critical_path_tokens: int = 0
    calls: int = 0

    def then(self, other: Usage) -> Usage:
        """Usage of this work followed by `other`: the critical paths add up."""
        return self._merge(other, self.critical_path_tokens + other.critical_path_tokens)

    def beside(self, other: Usage) -> Usage:
        """Usage of this work side by side with `other`: the longer critical path counts."""
        return self._merge(other, max(self.critical_path_tokens, other.critical_path_tokens))

    @staticmethod
    def parallel(parts: Iterable[Usage]) -> Usage:
        """Usage of all `parts` side by side."""
        total = Usage()
        for part in parts:
            total = total.beside(part)
        return total

    def _merge(self, other: Usage, critical: int) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            generated_tokens=self.generated_tokens + other.generated_tokens,
            drafted_tokens=self.drafted_tokens + other.drafted_tokens,
            accepted_tokens=self.accepted_tokens + other.accepted_tokens,
            discarded_tokens=self.discarded_tokens + other.discarded_tokens,
            critical_path_tokens=critical,
            calls=self.calls + other.calls,
        )


@dataclass(frozen=True, kw_only=True)
class Token:
    """One streamed piece of a completion: usually one token; a server may send several at once.

    `index` says which of the `n` branches it belongs to. `id` and `logprob` are None where the backend does not tell.
    The last piece of a branch carries `finish_reason` (its text may be empty), and `usage` if it is known.
    """

    text: str
    index: int = 0
    id: int | None = None
    logprob: float | None = None
    top_logprobs: tuple[tuple[str, float], ...] = ()
    finish_reason: FinishReason | None = None
    stop_hit: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One finished branch of `generate`. The caller owns `context` (prompt plus completion) and releases it."""

    text: str
    context: Context
    finish_reason: FinishReason
    usage: Usage
    index: int = 0
    stop_hit: str | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[tuple[tuple[str, float], ...], ...] | None = None


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What an engine says of itself; `details` is shown by `braid doctor` and `/engine`."""

    uri: str
    model: str
    max_context: int | None
    capabilities: frozenset[Capability] = field(default_factory=lambda: frozenset[Capability]())
    details: dict[str, str] = field(default_factory=lambda: dict[str, str]())
