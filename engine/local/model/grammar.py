"""Completions that a grammar allows: token masks by llguidance, one matcher for each branch.

A model loads without it. Without llguidance the engine does not declare the capability `grammar`.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import copy
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import torch

from braid.engine.errors import EngineError, InvalidParamsError, MissingPackageError
from braid.engine.system import recall, remember
from braid.engine.types import Grammar

_THOUGHTS = ("<think>", "</think>")
_LAST_TOKENS = 8
"""End of a prompt in which thoughts are looked for."""
_KEPT = 64
"""Compiled grammars kept for the next request."""
_ITEMS = 2_000_000
"""Steps of the parser for one mask. With a vocabulary of 262,144, the default of 50,000 is too few."""
_KEPT_CHARACTERS = 2**20
"""Length of their sources together. A compiled grammar takes some ten to forty times its source."""


class Grammars:
    """Compiles grammars for one tokenizer and keeps those used last. May be called from any thread.

    Special tokens are no text. A grammar meets them only where it names them, and an end-of-sequence token
    exactly where its match is complete.
    """

    def __init__(self, tokenizer: Any, *, vocabulary: int, end_ids: Sequence[int]) -> None:
        """Learn what the token index says, or recall it. The index itself may be made later, when it is used.

        To make it takes two seconds for a vocabulary of 262,144.

        Raises:
            MissingPackageError: llguidance is not installed.
            EngineError: llguidance cannot read this tokenizer, or no token ends a completion.
        """
        try:
            from llguidance import LLMatcher, LLParserLimits, LLTokenizer
        except ModuleNotFoundError as error:
            raise MissingPackageError("llguidance", needed_by="grammars", extra="local") from error
        if not end_ids:
            raise EngineError(
                "the model has no end-of-sequence token, which a grammar needs to end a completion"
            )
        self._matcher = LLMatcher
        self._limits = LLParserLimits(step_max_items=_ITEMS)
        try:
            backend = copy(tokenizer.backend_tokenizer)
            backend.no_padding()
            backend.no_truncation()
            source, size = backend.to_str(), max(vocabulary, len(tokenizer))
            self._index = _Index(lambda: LLTokenizer(source, n_vocab=size, eos_token=sorted(end_ids)))
            key = (
                sha256(source.encode()).hexdigest(),
                str(size),
                str(sorted(end_ids)),
                version("llguidance"),
            )
            added = getattr(tokenizer, "added_tokens_decoder", {})
            special: list[int] | None = recall("grammars", *key)
            if special is None:
                special = [id for id in added if self._index.get().is_special_token(id)]
                remember("grammars", *key, value=special)
        except Exception as error:  # whatever its Rust side raises: the model itself runs without grammars
            raise EngineError(f"llguidance cannot read this tokenizer: {error}") from error
        self.tokens: dict[str, int] = {str(added[id]): id for id in special}
        """Tokens that are no text for a grammar. It names them by their ids."""
        self.text_tokens = frozenset(id for id in self.tokens.values() if not added[id].special)
        """Those of them that are text for the tokenizer, such as `<think>`."""
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._compiled: OrderedDict[tuple[Grammar, bool], Any] = OrderedDict()
        self.version = f"llguidance {version('llguidance')}"

    def start(self, grammar: Grammar, branches: int, *, prompt: Sequence[int] = ()) -> TokenMasks:
        """The masks of `branches` completions that begin now, behind `prompt`.

        Raises:
            InvalidParamsError: the grammar is not valid, or too complex. The message says where.
        """
        key = (grammar, grammar.after_thoughts and self._thinks(prompt))
        with self._lock:
            matcher = self._compiled.pop(key, None)
        if matcher is None:
            matcher = self._compile(*key)
        matchers = [matcher.deep_copy() for _ in range(branches)]
        with self._lock:
            self._compiled[key] = matcher
            sizes = [len(kept.source) for kept, _ in self._compiled]
            while len(sizes) > _KEPT or sum(sizes) > _KEPT_CHARACTERS:
                self._compiled.popitem(last=False)
                del sizes[0]
        return TokenMasks(matchers, self._vocabulary, lambda: self._compile_again(*key))

    def _thinks(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt ends in thoughts that are open, as some chat templates end it."""
        opening, closing = (self.tokens.get(mark) for mark in _THOUGHTS)
        marks = [token for token in prompt[-_LAST_TOKENS:] if token in (opening, closing)]
        return bool(marks) and marks[-1] == opening

    def _behind_thoughts(self, source: str, thinking: bool) -> str:
        """A Lark grammar that begins behind thoughts, where the model has tokens for them."""
        opening, closing = (self.tokens.get(mark) for mark in _THOUGHTS)
        if opening is None or closing is None:
            return source
        start = f"<[{opening}]> thoughts | behind_thoughts" if not thinking else "thoughts"
        rules = [f"start: {start}", f"thoughts: /(?s:.*)/ <[{closing}]> /\\s{{0,4}}/ behind_thoughts"]
        return "\n".join([*rules, re.sub(r"^start\b", "behind_thoughts", source, flags=re.MULTILINE)])

    def _compile_again(self, grammar: Grammar, thinking: bool) -> Any:
        """A matcher of its own. The one that is kept fails from now on, and later requests do without."""
        with self._lock:
            self._compiled.pop((grammar, thinking), None)
        return self._compile(grammar, thinking)

    def _compile(self, grammar: Grammar, thinking: bool) -> Any:
        match grammar.kind:
            case "regex":
                source = self._matcher.grammar_from_regex(grammar.source)
            case "lark":
                text = grammar.source
                if grammar.after_thoughts:
                    text = self._behind_thoughts(text, thinking)
                source = self._matcher.grammar_from_lark(text)
            case "json_schema":
                try:
                    source = self._matcher.grammar_from_json_schema(
                        grammar.source, overrides={"whitespace_flexible": False}
                    )
                except ValueError as error:
                    raise InvalidParamsError(
                        f"the JSON schema {grammar.source!r} is no JSON: {error}", param="grammar"
                    ) from error
        matcher = self._matcher(self._index.get(), source, log_level=0, limits=self._limits)
        if matcher.is_error():
            raise InvalidParamsError(
                f"the {_KINDS[grammar.kind]} given as grammar is not valid: {matcher.get_error().strip()}",
                param="grammar",
            )
        probe = matcher.deep_copy()
        probe.compute_logit_bias()
        if probe.is_error():
            text = f"the {_KINDS[grammar.kind]} given as grammar matches no text at all"
            raise InvalidParamsError(text, param="grammar")
        return matcher


class _Index:
    """llguidance's index of a tokenizer, made when it is first used. May be used from any thread."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._made, self._lock = make, None, threading.Lock()

    def get(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


class TokenMasks:
    """The tokens that each branch of one request may sample next. Used by the model's thread alone.

    The matchers of a grammar share llguidance's lexer, and what one branch makes it too large for ends all of
    them. A branch whose matcher fails gets one of its own, which reads again what the branch has written. A
    fault is left only where that one fails too.
    """

    def __init__(self, matchers: Sequence[Any], vocabulary: int, renew: Callable[[], Any]) -> None:
        """Make masks. `renew` makes a matcher that shares nothing with any other."""
        self._matchers = list(matchers)
        self._written: list[list[int]] = [[] for _ in matchers]
        self._next: dict[int, torch.Tensor] = {}
        self._vocabulary = vocabulary
        self._renew = renew

    def apply(
        self, logits: torch.Tensor, branches: Sequence[int]
    ) -> tuple[torch.Tensor, dict[int, EngineError]]:
        """`logits` [rows, vocabulary] with -inf for every token that the branch of that row may not sample.

        Returns:
            The logits, and the branches whose grammar became too complex. Their rows are as given.
        """
        rows: list[torch.Tensor] = []
        faults: dict[int, EngineError] = {}
        for branch in branches:
            try:
                rows.append(self._mask(branch))
            except EngineError as error:
                faults[branch] = error
                rows.append(torch.ones(self._vocabulary, dtype=torch.uint8))
        return logits.masked_fill(torch.stack(rows).to(logits.device) == 0, -torch.inf), faults

    def advance(self, token: int, branch: int) -> None:
        """Record the token that a branch sampled.

        Raises:
            InvalidParamsError: the grammar became too complex to continue.
        """
        self._next.pop(branch, None)
        self._written[branch].append(token)
        if not self._matchers[branch].consume_token(token) and self._matchers[branch].is_error():
            self._start_again(branch)

    def forced(self, branch: int) -> int | None:
        """The only token that a branch may sample next.

        None where there are several, and where the grammar became too complex, which `apply` says then.
        """
        try:
            mask = self._mask(branch)
        except EngineError:
            return None
        return int(mask.argmax()) if int(torch.count_nonzero(mask)) == 1 else None

    def _mask(self, branch: int) -> torch.Tensor:
        if branch not in self._next:
            self._next[branch] = self._compute_mask(branch)
        return self._next[branch]

    def _compute_mask(self, branch: int) -> torch.Tensor:
        bias = self._matchers[branch].compute_logit_bias()
        if self._matchers[branch].is_error():
            self._start_again(branch)
            bias = self._matchers[branch].compute_logit_bias()
            _check(self._matchers[branch])
        return torch.frombuffer(bytearray(bias), dtype=torch.uint8)[: self._vocabulary]

    def _start_again(self, branch: int) -> None:
        """Give a branch a matcher of its own."""
        matcher = self._renew()
        matcher.consume_tokens(self._written[branch])
        _check(matcher)
        self._matchers[branch] = matcher


def _check(matcher: Any) -> None:
    if matcher.is_error():
        message = matcher.get_error().strip().partition("\n")[0]  # the rest is the parser's state
        text = f"the grammar is too complex to be followed any further: {message}"
        raise InvalidParamsError(text, param="grammar")


_KINDS = {"regex": "regular expression", "json_schema": "JSON schema", "lark": "Lark grammar"}
