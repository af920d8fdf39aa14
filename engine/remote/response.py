"""One response read branch by branch: tokens, stop strings, log-probabilities, and cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from braid.engine.errors import CapabilityError, EngineResponseError
from braid.engine.openai_api import Endpoint, Part, Piece, WireToolCall, WireUsage, read_json, read_reply
from braid.engine.remote.client import AttemptFailed
from braid.engine.remote.thoughts import ThoughtSplitter
from braid.engine.scope import Price
from braid.engine.stop_strings import find_stop, held_back
from braid.engine.surrogates import PairJoiner, mend_text
from braid.engine.types import FinishReason, SamplingParams, Token, ToolCall, Usage

# A server that honours a stop string may still send the rest of a token. More than that ignores the string.
_PIECES_AFTER_STOP = 2


@dataclass
class RemoteBranch:
    """One of the `n` completions of a request, in the making."""

    index: int
    splitter: ThoughtSplitter | None = None
    """Takes thoughts out of the text. None where tags are text."""
    tokens: list[Token] = field(default_factory=list[Token])
    held_back_tokens: list[Token] = field(default_factory=list[Token])
    """Tokens that may turn out to be part of a stop string."""
    token_ids: list[int] = field(default_factory=list[int])
    pieces: int = 0
    parts: int = 0
    raw_bytes: int = 0
    pieces_after_stop: int = 0
    cut: bool = False
    """Whether it has come to a stop string. What follows does not belong to it."""
    ended: bool = False
    """Whether the server called it finished. Text that comes after that still belongs to it."""
    stop_hit: str | None = None
    finish: FinishReason | None = None
    fault: str | None = None
    """Why what the server sent is no completion. None: it is one."""
    raw_text: list[str] = field(default_factory=list[str])
    joiner: PairJoiner = field(default_factory=PairJoiner)
    reasoning_joiner: PairJoiner = field(default_factory=PairJoiner)
    calls: list[WireToolCall] = field(default_factory=list[WireToolCall])

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)

    @property
    def reasoning(self) -> str:
        return "".join(token.reasoning for token in self.tokens)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(
            ToolCall(
                name=mend_text(call.function.name),
                arguments=mend_text(_arguments(call.function.arguments)),
                id=mend_text(call.id),
            )
            for call in self.calls
        )

    @property
    def thinking(self) -> bool:
        """Whether the text is in the midst of thoughts."""
        return self.splitter is not None and self.splitter.thinking

    def unsaid(self, piece: Piece) -> tuple[str, str]:
        """The text and the thoughts that `piece` adds.

        Some servers end a stream with the whole message (MiniMax).
        """
        text = piece.text.removeprefix("".join(self.raw_text)) if piece.whole else piece.text
        self.raw_text.append(text)
        thought = "" if piece.whole and self.reasoning else piece.reasoning
        if self.splitter is not None:
            text, inside = self.splitter.feed(text)
            thought += inside
        return self.joiner.feed(text), self.reasoning_joiner.feed(thought)

    def think(self, text: str) -> list[Token]:
        """Take in thoughts. No stop string ends them."""
        thoughts = [Token(text="", index=self.index, reasoning=text)] if text else []
        self.tokens.extend(thoughts)
        return thoughts

    def call(self, parts: Sequence[WireToolCall], *, whole: bool) -> None:
        """Take in calls, or parts of calls, which belong together by number or follow one another.

        A whole message says all calls, those that came in parts before it, too.
        """
        if whole and parts:
            self.calls.clear()
        for part in parts:
            name = part.function.name
            known = [call for call in self.calls if part.index is not None and call.index == part.index]
            if not known and part.index is None and not (part.id or name):
                known = self.calls
            call = known[-1] if known else None
            # Some servers give all calls the same number (Gemini).
            if call is None or (name and part.id and call.id not in ("", part.id)):
                self.calls.append(part.model_copy(deep=True))
                continue
            call.id = call.id or part.id
            if name != call.function.name:  # some servers say it in each part
                call.function.name += name
            call.function.arguments = _arguments(call.function.arguments) + _arguments(
                part.function.arguments
            )

    def add(self, tokens: Sequence[Token], stops: Sequence[str]) -> list[Token]:
        """Take in new tokens.

        Returns:
            Those that no stop string can touch any more.
        """
        self.held_back_tokens.extend(tokens)
        text = "".join(token.text for token in self.held_back_tokens)
        if hit := find_stop(text, stops):
            at, self.stop_hit = hit
            self.cut, self.finish = True, "stop"
            ready = _truncate(self.held_back_tokens, at)
            self.held_back_tokens = []
        else:
            ready = _wholly_inside(self.held_back_tokens, len(text) - held_back(text, stops))
            self.held_back_tokens = self.held_back_tokens[len(ready) :]
        self.tokens.extend(ready)
        return ready

    def flush(self) -> list[Token]:
        """The tokens that were held back, and what stands for halves of characters that nothing followed."""
        ready, self.held_back_tokens = self.held_back_tokens, []
        rest, thought = self.splitter.close() if self.splitter else ("", "")
        rest = "" if self.cut else self.joiner.feed(rest) + self.joiner.close()
        thought = self.reasoning_joiner.feed(thought) + self.reasoning_joiner.close()
        if rest or thought:
            ready.append(Token(text=rest, index=self.index, reasoning=thought))
        self.tokens.extend(ready)
        return ready


def _arguments(given: object) -> str:
    """Arguments as text. Some servers send them as JSON itself."""
    return given if isinstance(given, str) else json.dumps(given)


def _wholly_inside(tokens: Sequence[Token], length: int) -> list[Token]:
    """The leading tokens that lie wholly inside the first `length` characters."""
    ready: list[Token] = []
    for token in tokens:
        length -= len(token.text)
        if length < 0:
            break
        ready.append(token)
    return ready


def _truncate(tokens: Sequence[Token], length: int) -> list[Token]:
    """The tokens of the first `length` characters. The last one is shortened to fit."""
    ready: list[Token] = []
    for token in tokens:
        if length <= 0:
            break
        ready.append(token if len(token.text) <= length else replace(token, text=token.text[:length]))
        length -= len(token.text)
    return ready


class ResponseReader:
    """Reads one response of `len(indexes)` branches.

    `indexes` are their numbers among the caller's `n`. `tokens_per_byte` turns UTF-8 bytes into tokens, for
    servers that report no usage. `tagged_thoughts` says that thoughts may be in the text.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        params: SamplingParams,
        indexes: Sequence[int],
        prompt_tokens: int,
        tokens_per_byte: float,
        tagged_thoughts: bool,
        server: str,
        scrub: Callable[[str], str],
    ) -> None:
        self.committed = False
        self.usage: WireUsage | None = None
        self.discarded = 0
        self.branches: dict[int, RemoteBranch] = {}
        self._endpoint: Endpoint = endpoint
        self._params = params
        self._indexes = list(indexes)
        self._prompt_tokens = prompt_tokens
        self._tokens_per_byte = tokens_per_byte
        self._tagged_thoughts = tagged_thoughts
        self._server = server
        self._scrub = scrub
        self._unread: object = None
        """The last payload that held neither text nor usage."""

    @property
    def satisfied(self) -> bool:
        """Whether every branch ended at a stop string that the server ignores."""
        ignoring = [b.pieces_after_stop > _PIECES_AFTER_STOP for b in self.branches.values() if not b.ended]
        return len(self.branches) == len(self._indexes) and bool(ignoring) and all(ignoring)

    def reset(self) -> None:
        self.discarded += sum(self.generated().values())
        self.branches.clear()
        self.usage = None
        self._unread = None

    def feed(self, payload: object) -> list[Token]:
        reply = read_reply(self._endpoint, payload)
        if reply.usage is not None:
            self.usage = reply.usage if self.usage is None else _larger(self.usage, reply.usage)
        self._unread = None if reply.pieces or reply.usage else payload
        return [token for piece in reply.pieces for token in self._piece(piece)]

    def _piece(self, piece: Piece) -> list[Token]:
        if not 0 <= piece.index < len(self._indexes):
            raise EngineResponseError(
                f"{self._server}: the server sent choice {piece.index}, "
                f"but {len(self._indexes)} were asked for"
            )
        if piece.error is not None:
            raise EngineResponseError(
                f"{self._server}: the server failed in the middle: {self._scrub(piece.error)}"
            )
        index = self._indexes[piece.index]
        if index not in self.branches:
            self.branches[index] = RemoteBranch(index, ThoughtSplitter() if self._tagged_thoughts else None)
        branch = self.branches[index]
        text, thought = branch.unsaid(piece)
        branch.raw_bytes += len((piece.text + piece.reasoning).encode(errors="replace"))
        branch.pieces += bool(piece.text or piece.reasoning or piece.tool_calls)
        branch.parts += len(piece.parts)
        branch.call(piece.tool_calls, whole=piece.whole)
        ready = branch.think(thought)
        if not branch.cut:
            num_logprobs = self._params.logprobs
            if num_logprobs is not None and text and not branch.parts:
                raise CapabilityError(
                    "logprobs", self._server, "the server ignores the request for log-probabilities"
                )
            branch.token_ids.extend(piece.token_ids)
            # The log-probabilities of thoughts are none of the text.
            parts = piece.parts if text or not (thought or branch.thinking) else ()
            piece = replace(piece, text=text, parts=parts)
            ready += branch.add(_tokens(index, piece, num_logprobs), self._params.stop)
        else:
            branch.pieces_after_stop += bool(piece.text)
        if piece.finish is not None:
            branch.ended = True
            if not branch.cut:  # the last reason counts: some servers send one with every chunk
                branch.finish, branch.fault = self._finish(piece.finish)
                branch.stop_hit = piece.stop_hit if piece.stop_hit in self._params.stop else branch.stop_hit
        return ready

    def _finish(self, said: str) -> tuple[FinishReason, str | None]:
        """The reason in our words, and what is wrong with a completion that ends so."""
        match said.strip().lower():
            case (
                "stop" | "stopped" | "stop_sequence" | "stop_token" | "stop_word" | "stop_words" | "eos"
                | "eos_token" | "end" | "end_turn" | "end_of_text" | "endoftext" | "complete" | "completed"
                | "done" | "finish" | "finished" | "success" | "normal" | "word"
                | "tool_call" | "tool_calls" | "tool_use" | "function_call"
            ):  # fmt: skip
                return "stop", None
            case (
                "length" | "limit" | "max_length" | "max_tokens" | "max_new_tokens" | "max_output_tokens"
                | "model_length" | "context_length" | "model_context_window_exceeded"
            ):  # fmt: skip
                return "length", None
            case "abort" | "aborted" | "cancelled" | "canceled":
                return "cancelled", None
            case "content_filter":
                return "stop", "the server's content filter stopped the completion"
            case _:
                return "stop", f"the server ended the completion for the reason {self._scrub(said)!r}"

    def end(self, *, done: bool) -> list[Token]:
        """The last token of each branch, with finish reason and usage."""
        if faults := [branch.fault for branch in self.branches.values() if branch.fault is not None]:
            raise EngineResponseError(f"{self._server}: {faults[0]}")
        words = "" if self._unread is None else f"; it ended with {self._scrub(json.dumps(self._unread))}"
        if not self.branches and done:
            raise EngineResponseError(f"{self._server}: the response has no choices{words}")
        if not self.branches or any(branch.finish is None for branch in self.branches.values()):
            if not done:
                message = f"the connection ended before the completion did{words}"
                raise AttemptFailed(message, retryable=True, lost=True)
            if words:
                raise EngineResponseError(f"{self._server}: the response is no whole completion{words}")
            for branch in self.branches.values():
                full = self._params.max_tokens <= branch.parts
                branch.finish = branch.finish or ("length" if full else "stop")
        for branch in self.branches.values():
            self._check_schema(branch)
        last: list[Token] = []
        for index, usage in self.shares().items():
            branch = self.branches[index]
            last.extend(branch.flush())
            last.append(
                Token(
                    text="",
                    index=index,
                    finish_reason=branch.finish,
                    stop_hit=branch.stop_hit,
                    usage=usage,
                    tool_calls=branch.tool_calls,
                )
            )
        return last

    def _check_schema(self, branch: RemoteBranch) -> None:
        """Refuse a finished text that is no JSON, though a schema was asked for."""
        text = "".join(token.text for token in (*branch.tokens, *branch.held_back_tokens))
        if self._params.json_schema is None or branch.finish != "stop" or branch.stop_hit or not text:
            return
        try:
            read_json(text)
        except EngineResponseError:
            hint = "the server ignores the schema: what it sent is no JSON"
            raise CapabilityError("json_schema", self._server, hint) from None

    def generated(self) -> dict[int, int]:
        """Tokens generated so far by each branch: counted where the server reports them, else estimated."""
        counts = {index: self._count_tokens(branch) for index, branch in self.branches.items()}
        total = self.usage.completion_tokens if self.usage else None
        if total is not None and (len(counts) > 1 or not total):
            # Some servers report one branch of several (llama.cpp), or zeros.
            seen = (max(len(b.token_ids), b.parts, b.pieces) for b in self.branches.values())
            total = max(total, sum(seen))
        return _apportion(total, counts) if total is not None and counts else counts

    def _count_tokens(self, branch: RemoteBranch) -> int:
        if branch.token_ids or branch.parts:
            return max(len(branch.token_ids), branch.parts)
        if branch.finish == "length":
            return self._params.max_tokens
        # Servers stream about one token a piece. A response in one piece is measured by its length.
        guess = branch.pieces if branch.pieces > 1 else round(branch.raw_bytes * self._tokens_per_byte)
        return min(max(guess, bool(branch.raw_bytes)), self._params.max_tokens)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt: those that the server reports, else the estimate."""
        return (self.usage and self.usage.prompt_tokens) or self._prompt_tokens

    def spent(self) -> int:
        """Tokens to book for this response, even if it was cut short, and for failed attempts."""
        return self.prompt_tokens + sum(self.generated().values()) + self.discarded

    def cost(self, price: Price) -> float:
        """Price of `spent`.

        What was thrown away counts as generated, since a server does not say what it charges for it.
        """
        cached = self.usage.cached_tokens if self.usage else 0
        generated = sum(self.generated().values()) + self.discarded
        return price.of(prompt=self.prompt_tokens, cached=cached, generated=generated, calls=1)

    def shares(self) -> dict[int, Usage]:
        """Usage of each branch.

        The first one carries the prompt, which the server reads once for all of them.
        """
        shares: dict[int, Usage] = {}
        thoughts = _apportion(
            self.usage.reasoning_tokens if self.usage else 0,
            {index: len(branch.reasoning) for index, branch in self.branches.items()},
        )
        for place, (index, count) in enumerate(sorted(self.generated().items())):
            first = Usage()
            if place == 0:
                first = Usage(
                    prompt_tokens=self.prompt_tokens,
                    cached_tokens=self.usage.cached_tokens if self.usage else 0,
                    discarded_tokens=self.discarded,
                    calls=1,
                )
            shares[index] = replace(
                first,
                generated_tokens=count + first.discarded_tokens,
                reasoning_tokens=min(count, thoughts[index]),
                critical_path_tokens=count,
            )
        return shares


def _larger(first: WireUsage, second: WireUsage) -> WireUsage:
    """The larger counts of both, since counts only grow. Some servers send zeros before or after them."""
    counts = [used.completion_tokens for used in (first, second) if used.completion_tokens is not None]
    return WireUsage(
        prompt_tokens=max(first.prompt_tokens, second.prompt_tokens),
        completion_tokens=max(counts, default=None),
        cached=max(first.cached_tokens, second.cached_tokens),
        thoughts=max(first.reasoning_tokens, second.reasoning_tokens),
    )


def _apportion(total: int, weights: dict[int, int]) -> dict[int, int]:
    """`total` split in proportion to `weights`, in whole numbers that add up to it (largest remainders)."""
    if len(weights) == 1:
        return dict.fromkeys(weights, total)
    whole = sum(weights.values()) or len(weights)
    exact = {
        index: total * (weight if sum(weights.values()) else 1) / whole for index, weight in weights.items()
    }
    shares = {index: int(value) for index, value in exact.items()}
    for index in sorted(exact, key=lambda i: shares[i] - exact[i])[: total - sum(shares.values())]:
        shares[index] += 1
    return shares


def _tokens(index: int, piece: Piece, num_logprobs: int | None) -> list[Token]:
    """The piece as tokens.

    There is one for each part when the parts spell its text. Else its text goes with the last part.
    """
    if not piece.parts or num_logprobs is None:
        only = piece.token_ids[0] if len(piece.token_ids) == 1 else None
        return [Token(text=piece.text, index=index, id=only)] if piece.text else []
    spelled = "".join(part.text for part in piece.parts) == piece.text
    texts = [part.text for part in piece.parts] if spelled else [""] * (len(piece.parts) - 1) + [piece.text]
    ids: list[int | None] = [None] * len(piece.parts)
    if len(piece.token_ids) == len(piece.parts):
        ids = list(piece.token_ids)
    return [
        _token(index, text, part, id, num_logprobs)
        for text, part, id in zip(texts, piece.parts, ids, strict=True)
    ]


def _token(index: int, text: str, part: Part, id: int | None, num_logprobs: int) -> Token:
    return Token(text=text, index=index, id=id, logprob=part.logprob, top_logprobs=part.top[:num_logprobs])
