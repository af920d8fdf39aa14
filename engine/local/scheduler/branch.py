"""One sequence being generated, as the caller sees it: tokens, text, where it stopped and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from braid.engine.errors import EngineError
from braid.engine.local.kv import Locks, PrefixEnd
from braid.engine.local.model import Detokenizer
from braid.engine.stop_strings import find_stop, held_back
from braid.engine.types import FinishReason, SamplingParams, Token, Usage


@dataclass
class Branch:
    """One completion, from its first token to its end.

    Text is decoded as it comes when a stream or stop strings need it, else at the end.
    """

    index: int
    params: SamplingParams
    detokenizer: Detokenizer
    streamed: bool = False
    token_ids: list[int] = field(default_factory=list[int])
    text: str = ""
    logprobs: list[float] = field(default_factory=list[float])
    top_logprobs: list[tuple[tuple[str, float], ...]] = field(
        default_factory=list[tuple[tuple[str, float], ...]]
    )
    finish_reason: FinishReason | None = None
    fault: EngineError | None = None
    """Why it ended before its end."""
    stop_hit: str | None = None
    prefix: PrefixEnd | None = None
    num_computed_tokens: int = 0
    """Number of prompt and generated tokens whose KV ends at `prefix`."""
    locks: Locks = ()
    boundaries: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """(characters, tokens) wherever text and tokens end together."""
    _shown: int = 0

    def push(self, token: int, end_ids: frozenset[int]) -> Token | None:
        """Take in a sampled token.

        Returns:
            What may be shown of the text now, when it is streamed.
        """
        self.token_ids.append(token)
        if (token in end_ids and not self.params.ignore_eos) or token in self.params.stop_token_ids:
            self.finish_reason = "stop"
        elif len(self.token_ids) == self.params.max_tokens:
            self.finish_reason = "length"
        if self.streamed or self.params.stop:
            self._decode(token)
        elif self.finish_reason is not None:
            self.text = self.detokenizer.push_all(
                self.token_ids if self.finish_reason == "length" else self.token_ids[:-1]
            )
        return self._make_token(token) if self.streamed else None

    def give_up(self, fault: EngineError) -> Token | None:
        """End it where it is, as if `max_tokens` had been reached.

        Returns:
            What was held back of the text, when it is streamed.
        """
        self.fault, self.finish_reason = fault, "length"
        if self.streamed or self.params.stop:
            self.text += self.detokenizer.flush()
        else:
            self.text = self.detokenizer.push_all(self.token_ids)
        if not self.streamed:
            return None
        shown = self.text[self._shown :]
        return Token(text=shown, index=self.index, finish_reason=self.finish_reason, usage=self.usage())

    def kept_tokens(self) -> tuple[int, str]:
        """Number of sampled tokens that lie wholly within the text, and the text behind them."""
        if self.stop_hit is None:
            # Nothing was cut: every token but an ending one belongs to the context, incomplete ones too.
            return len(self.token_ids) - (self.finish_reason == "stop"), ""
        characters, tokens = max(
            (point for point in self.boundaries if point[0] <= len(self.text)), default=(0, 0)
        )
        return tokens, self.text[characters:]

    def usage(self) -> Usage:
        count = len(self.token_ids)
        return Usage(generated_tokens=count, critical_path_tokens=count, calls=1 if self.index == 0 else 0)

    def _decode(self, token: int) -> None:
        before = len(self.text)
        if self.finish_reason == "stop":
            self.text += self.detokenizer.flush()
        else:
            self.text += self.detokenizer.push(token)
            if self.finish_reason == "length":
                self.text += self.detokenizer.flush()
            if not self.detokenizer.torn:
                self.boundaries.append((len(self.text), len(self.token_ids)))
        longest = max(map(len, self.params.stop), default=0)
        hit = find_stop(self.text, self.params.stop, max(0, before - longest + 1))
        if hit:
            end, self.stop_hit = hit
            self.text = self.text[:end]
            self.finish_reason = "stop"

    def _make_token(self, token: int) -> Token:
        end = (
            len(self.text) if self.finish_reason else len(self.text) - held_back(self.text, self.params.stop)
        )
        shown, self._shown = self.text[self._shown : end], max(self._shown, end)
        return Token(
            text=shown,
            index=self.index,
            id=token,
            logprob=self.logprobs[-1] if self.logprobs else None,
            top_logprobs=self.top_logprobs[-1] if self.top_logprobs else (),
            finish_reason=self.finish_reason,
            stop_hit=self.stop_hit,
            usage=self.usage() if self.finish_reason else None,
        )
