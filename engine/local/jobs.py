"""The work the model thread does: reading a prompt, generating, scoring. Each job yields after every model step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import torch

from engine.budget import Budget
from engine.local.grammar import TokenMasks
from engine.local.kv import PrefixCache, Segment, cut_segment
from engine.local.model import Model
from engine.local.sampler import branch_generators, draw, top_logprobs
from engine.local.text import GrowingText
from engine.stopping import find_stop, held_back
from engine.types import FinishReason, SamplingParams, Token, Usage

_CHUNK = 256
"""Tokens of a prompt read in one step: short enough that other requests are not kept waiting."""

Job = Generator[None, None, "Segment | None"]


@dataclass
class Branch:
    """One sequence being generated, from its first token to its end."""

    index: int
    params: SamplingParams
    growing: GrowingText
    ids: list[int] = field(default_factory=list)
    text: str = ""
    logprobs: list[float] = field(default_factory=list)
    tops: list[tuple[tuple[str, float], ...]] = field(default_factory=list)
    reason: FinishReason | None = None
    stop_hit: str | None = None
    segment: Segment | None = None
    whole: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """(characters, tokens) wherever text and tokens end together."""
    _shown: int = 0

    def push(self, token: int, ends: frozenset[int]) -> Token:
        """Take in a sampled token; returns what may be shown of the text now."""
        self.ids.append(token)
        before = len(self.text)
        if (token in ends and not self.params.ignore_eos) or token in self.params.stop_token_ids:
            self.reason = "stop"
            self.text += self.growing.flush()
        else:
            self.text += self.growing.push(token)
            if len(self.ids) == self.params.max_tokens:
                self.reason = "length"
                self.text += self.growing.flush()
            if not self.growing.torn:
                self.whole.append((len(self.text), len(self.ids)))
        longest = max(map(len, self.params.stop), default=0)
        hit = find_stop(self.text, self.params.stop, max(0, before - longest + 1))
        if hit:
            end, self.stop_hit = hit
            self.text = self.text[:end]
            self.reason = "stop"
        return self._piece(token)

    def kept(self) -> tuple[int, str]:
        """How many sampled tokens lie wholly within the text, and the text behind them."""
        characters, tokens = max(
            (point for point in self.whole if point[0] <= len(self.text)), default=(0, 0)
        )
        if self.stop_hit is None:
            # Nothing was cut: every token but an ending one belongs to the context, torn ones too.
            tokens = len(self.ids) - (self.reason == "stop")
            return tokens, ""
        return tokens, self.text[characters:]

    def usage(self) -> Usage:
        count = len(self.ids)
        return Usage(generated_tokens=count, critical_path_tokens=count, calls=1 if self.index == 0 else 0)

    def _piece(self, token: int) -> Token:
        end = len(self.text) if self.reason else len(self.text) - held_back(self.text, self.params.stop)
        shown, self._shown = self.text[self._shown : end], max(self._shown, end)
        return Token(
            text=shown,
            index=self.index,
            id=token,
            logprob=self.logprobs[-1] if self.logprobs else None,
            top_logprobs=self.tops[-1] if self.tops else (),
            finish_reason=self.reason,
            stop_hit=self.stop_hit,
            usage=self.usage() if self.reason else None,
        )


@dataclass
class Progress:
    """What a job has sampled so far, readable when it was cancelled."""

    generated: int = 0


def read_prompt_job(
    model: Model, prefixes: PrefixCache, ids: tuple[int, ...], known: Segment | None, scope: Budget
) -> Generator[None, None, tuple[Segment | None, int]]:
    """Make the KV of all of `ids` but the last, which the next step reads.

    Returns it with the number of tokens whose KV was there already.
    """
    wanted = ids[:-1]
    if known is not None and len(known.ids) > len(wanted):
        known = cut_segment(known, len(wanted))
    segment = prefixes.longest(wanted, known)
    start = len(segment.ids) if segment else 0
    if start == len(wanted):
        return segment, start
    cache = model.cache(segment)
    for at in range(start, len(wanted), _CHUNK):
        scope.check_time()
        model.read(wanted[at : at + _CHUNK], cache)
        yield
    made = Segment(segment, wanted, model.layers(cache, 0, start, len(wanted)))
    prefixes.add(made)
    return made, start


def generate_job(
    model: Model,
    prefixes: PrefixCache,
    ids: tuple[int, ...],
    known: Segment | None,
    params: SamplingParams,
    scope: Budget,
    progress: Progress,
    show: Callable[[list[Token]], None],
    masks: TokenMasks | None = None,
) -> Generator[None, None, list[Branch]]:
    """Sample `params.n` branches in one batch over the shared KV of `ids`; `show` gets each step's tokens.

    `masks` say what the grammar of `params` allows.
    """
    segment, _ = yield from read_prompt_job(model, prefixes, ids, known, scope)
    start = len(segment.ids) if segment else 0
    cache = model.cache(segment, params.n)
    generators = branch_generators(params)
    branches = [Branch(index, params, GrowingText(model.codec, ids)) for index in range(params.n)]
    live, last = list(branches), [ids[-1]] * params.n
    while live:
        scope.check_time()
        logits = model.logits([[token] for token in last], cache)[:, -1]
        places = [branch.index for branch in live]
        allowed = logits if masks is None else masks.apply(logits, places)
        last = draw(allowed, params, [generators[place] for place in places])
        if masks is not None:
            masks.advance(last, places)
        progress.generated += len(live)
        if params.logprobs is not None:
            _note_logprobs(model, live, last, logits, params.logprobs)
        shown = [branch.push(token, model.end_ids) for branch, token in zip(live, last, strict=True)]
        for row, branch in enumerate(live):
            if branch.reason is not None:
                branch.segment = _finished(model, prefixes, segment, cache, row, start, ids, branch)
        show(shown)
        keep = [row for row, branch in enumerate(live) if branch.reason is None]
        if keep and len(keep) < len(live):
            cache.batch_select_indices(torch.tensor(keep))
        live, last = [live[row] for row in keep], [last[row] for row in keep]
        yield
    return branches


def score_job(
    model: Model,
    prefixes: PrefixCache,
    ids: tuple[int, ...],
    known: Segment | None,
    added: Sequence[int],
    scope: Budget,
) -> Generator[None, None, list[float]]:
    """Log-probabilities of `added` after `ids`."""
    segment, _ = yield from read_prompt_job(model, prefixes, ids, known, scope)
    cache = model.cache(segment)
    inputs = [ids[-1], *added[:-1]]
    scores: list[float] = []
    for at in range(0, len(inputs), _CHUNK):
        scope.check_time()
        logprobs = torch.log_softmax(model.logits([inputs[at : at + _CHUNK]], cache)[0], dim=-1)
        targets = torch.tensor(added[at : at + _CHUNK])
        scores += logprobs.gather(1, targets[:, None])[:, 0].tolist()
        yield
    return scores


def _finished(
    model: Model,
    prefixes: PrefixCache,
    shared: Segment | None,
    cache: object,
    row: int,
    start: int,
    ids: tuple[int, ...],
    branch: Branch,
) -> Segment | None:
    """The KV of the prompt and of what the branch keeps; the last kept token is read by whoever goes on."""
    kept, _ = branch.kept()
    covered = (ids + tuple(branch.ids[:kept]))[: len(ids) + len(branch.ids) - 1]
    if len(covered) <= start:
        return shared
    segment = Segment(shared, covered, model.layers(cache, row, start, len(covered)))  # type: ignore[arg-type]
    prefixes.add(segment)
    return segment


def _note_logprobs(
    model: Model, live: list[Branch], chosen: list[int], logits: torch.Tensor, count: int
) -> None:
    """Log-probabilities of the model itself, before temperature and truncation: those that `score` gives, too."""
    logprobs = torch.log_softmax(logits, dim=-1)
    for row, (branch, token) in enumerate(zip(live, chosen, strict=True)):
        branch.logprobs.append(float(logprobs[row, token]))
        if count:
            best = top_logprobs(logprobs[row], count)
            branch.tops.append(tuple((model.codec.decode([token]), value) for token, value in best))
