"""Grammars in the local engine: completions match for every model, and sampling is otherwise unchanged."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from braid.engine import Budget, Completion, EngineError, Grammar, InvalidParamsError, SamplingParams
from braid.engine.conformance.base import released, stream_all
from braid.engine.local import LocalEngine
from braid.engine.local.model.grammar import Grammars
from tests.support.tiny_models import Family, build_tokenizer

TinyModel = Callable[[Family], Path]

PROMPT = "The height of K2 is"
LIST = Grammar("lark", 'start: "[" ITEM (", " ITEM)* "]"\nITEM: "K2" | "Mont Blanc" | /[0-9]{1,3}/')
SENTENCE = "(yes|no), [0-9]{2} (metres|東京é)"


@pytest.fixture
async def engine(tiny_model: TinyModel) -> AsyncIterator[LocalEngine]:
    pytest.importorskip("llguidance")
    async with await LocalEngine.load(tiny_model("llama"), threads=1) as engine:
        yield engine
        assert engine.open_contexts() == 0


def params(grammar: Grammar | str | dict[str, Any] | None, **changes: Any) -> SamplingParams:
    given: dict[str, Any] = {"temperature": 1.0, "max_tokens": 60, "seed": 3, "grammar": grammar}
    return SamplingParams(**(given | changes))


async def texts(engine: LocalEngine, given: SamplingParams) -> list[str]:
    async with await engine.prefill(PROMPT) as context:
        return [completion.text for completion in released(await engine.generate(context, given))]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
async def test_every_kind_binds_every_branch(tiny_model: TinyModel, family: Family) -> None:
    pytest.importorskip("llguidance")
    async with await LocalEngine.load(tiny_model(family), threads=1) as engine:
        assert "grammar" in engine.capabilities and "llguidance" in engine.info.details["grammar"]
        for text in await texts(engine, params(SENTENCE, n=6)):
            assert re.fullmatch(SENTENCE, text)
        for text in await texts(engine, params(Grammar("regex", "a{3}|b{4}"), n=3, temperature=0.0)):
            assert text in ("aaa", "bbbb")
        schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}, "ok": {"type": "boolean"}}}
        schema |= {"required": ["n", "ok"], "additionalProperties": False}
        for text in await texts(engine, params(schema, n=4)):
            assert json.loads(text)["n"] in (1, 2) and not re.search(r"\s", text)
        for completion in await _complete(engine, params(LIST, n=6, max_tokens=200)):
            item = r"(K2|Mont Blanc|\d{1,3})"
            assert completion.finish_reason == "stop" or completion.text.startswith("[")
            if completion.finish_reason == "stop":
                assert re.fullmatch(rf"\[{item}(, {item})*\]", completion.text)


async def _complete(engine: LocalEngine, given: SamplingParams) -> list[Completion]:
    async with await engine.prefill(PROMPT) as context:
        return released(await engine.generate(context, given))


async def test_a_completion_ends_with_its_grammar_and_goes_on_from_there(engine: LocalEngine) -> None:
    async with await engine.prefill(PROMPT) as context:
        [completion] = await engine.generate(context, params("8611 metres"))
        async with completion.context as longer:
            assert completion.finish_reason == "stop"
            assert longer.text == context.text + "8611 metres"
            [more] = released(await engine.generate(longer, params(", which is high")))
            assert more.text == ", which is high"


async def test_max_tokens_leaves_the_beginning_of_a_match(engine: LocalEngine) -> None:
    [completion] = await _complete(engine, params("x{500}", max_tokens=5))
    assert completion.finish_reason == "length" and set(completion.text) == {"x"}


async def test_special_tokens_are_no_text(engine: LocalEngine) -> None:
    for completion in await _complete(engine, params(r"(?s:.*)", n=4, temperature=3.0, max_tokens=120)):
        assert "<|plan|>" not in completion.text and "<|end|>" not in completion.text


async def test_branches_do_not_depend_on_what_is_beside_them(engine: LocalEngine) -> None:
    four = await texts(engine, params(LIST, n=4))
    assert await texts(engine, params(LIST, n=4)) == four
    assert await texts(engine, params(LIST, n=2)) == four[:2]
    bound = params(SENTENCE, n=2)
    free = params(None, n=2)
    alone = [await texts(engine, bound), await texts(engine, free)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(texts(engine, given)) for given in (bound, free)]
    assert [task.result() for task in tasks] == alone


async def test_a_stream_says_what_generate_says(engine: LocalEngine) -> None:
    async with await engine.prefill(PROMPT) as context:
        tokens = await stream_all(engine, context, params(SENTENCE, temperature=0.0))
    assert (
        "".join(token.text for token in tokens) == (await texts(engine, params(SENTENCE, temperature=0.0)))[0]
    )


async def test_log_probabilities_are_the_models_own(engine: LocalEngine) -> None:
    async with await engine.prefill(PROMPT) as context:
        [completion] = released(await engine.generate(context, params("yes", logprobs=0)))
        scores = await engine.score(context, "<|end|>")
        [ended] = released(await engine.generate(context, params("", logprobs=0)))
    assert completion.logprobs and completion.token_ids and ended.logprobs
    assert len(completion.logprobs) == len(completion.token_ids)
    assert ended.text == "" and ended.logprobs[0] == pytest.approx(scores[0], abs=1e-4)


@pytest.mark.parametrize(
    "grammar",
    [
        "(yes",
        Grammar("lark", "start: nowhere"),
        Grammar("json_schema", "{"),
        {"type": "nothing"},
        {"type": {1, 2}},
    ],
)
async def test_an_invalid_grammar_is_refused_and_costs_nothing(engine: LocalEngine, grammar: Any) -> None:
    scope = Budget()
    async with await engine.prefill(PROMPT) as context:
        for _ in range(2):
            with pytest.raises(InvalidParamsError):
                await engine.generate(context, params(grammar), budget=scope)
            with pytest.raises(InvalidParamsError):
                [_ async for _ in engine.stream(context, params(grammar), budget=scope)]
    assert scope.spent["calls"] == 0 and scope.reserved == {"tokens": 0, "calls": 0}
    assert await texts(engine, params("yes")) == ["yes"]


def test_ignore_eos_and_grammar_exclude_each_other() -> None:
    with pytest.raises(InvalidParamsError, match="ignore_eos"):
        SamplingParams(grammar="a", ignore_eos=True)


async def test_a_cancelled_stream_leaves_the_grammar_as_it_was(engine: LocalEngine) -> None:
    async with await engine.prefill(PROMPT) as context:
        stream = engine.stream(context, params("(abc){1,300}", max_tokens=200))
        assert (await anext(stream)).text
        await stream.aclose()
    assert await texts(engine, params("(abc){1,300}", max_tokens=1)) != [""]


def _hard(words: str, *, count: int = 60, longest: int = 200) -> Grammar:
    """A grammar of which 24 texts take more lexer states than llguidance allows."""
    parts = (f"/[^<>]{{0,{longest}}}/", f"~/(?s:.*)({words})(?s:.*)/", f"/([A-Za-z]+[ ,.]?){{1,{count}}}/")
    return Grammar("lark", f'start: "<" A ">"\nA: {" & ".join(parts)}')


@pytest.mark.parametrize(
    "grammar",
    [
        _hard("foo|bar|baz"),
        _hard("foo|bar|baz|qux"),
        _hard("foo|bar|baz", count=50),
        _hard("foo|bar|baz", longest=150),
    ],
    ids=["three-words", "four-words", "fewer", "shorter"],
)
async def test_a_lexer_that_is_exhausted_ends_no_other_branch_and_no_later_request(
    engine: LocalEngine, grammar: Grammar, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, renewed = Grammars._compile_again, 0

    def counted(self: Grammars, given: Grammar, thinking: bool) -> Any:
        nonlocal renewed
        renewed += 1
        return again(self, given, thinking)

    monkeypatch.setattr(Grammars, "_compile_again", counted)
    given = params(grammar, n=24, max_tokens=200, temperature=1.5, seed=1)
    many = await _complete(engine, given)
    assert renewed, "the lexer was exhausted"
    assert len(many) == 24 and sum(each.finish_reason == "stop" for each in many) > 12
    assert all(each.text.startswith("<") for each in many)
    assert all(each.text.endswith(">") for each in many if each.finish_reason == "stop")
    for _ in range(2):
        [small] = await _complete(engine, params(grammar, max_tokens=20, temperature=1.5))
        assert small.text.startswith("<")


async def test_without_llguidance_the_capability_is_not_declared(
    tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    async with await LocalEngine.load(tiny_model("llama"), threads=1) as engine:
        assert "grammar" not in engine.capabilities
        assert "llguidance is not installed" in engine.info.details["grammar"]
        assert len(await texts(engine, params(None))) == 1


def test_a_tokenizer_without_an_end_has_no_grammars() -> None:
    pytest.importorskip("llguidance")
    with pytest.raises(EngineError, match="end-of-sequence"):
        Grammars(build_tokenizer(), vocabulary=384, end_ids=())


async def test_a_grammar_begins_behind_thoughts(tmp_path: Path) -> None:
    """Where the model has tokens for them: it may think first, and goes on where the prompt has begun to."""
    pytest.importorskip("llguidance")
    from tokenizers import AddedToken

    tokenizer: Any = build_tokenizer()
    tokenizer.add_tokens([AddedToken("<think>"), AddedToken("</think>")])
    grammars = Grammars(tokenizer, vocabulary=len(tokenizer), end_ids=[tokenizer.eos_token_id])
    opening, closing = grammars.tokens["<think>"], grammars.tokens["</think>"]
    grammar = Grammar("lark", "start: /yes|no/", after_thoughts=True)

    def ends_well(text: str, prompt: list[int]) -> bool:
        masks = grammars.start(grammar, 1, prompt=prompt)
        ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        for token in ids:
            if not masks.apply(torch.zeros(1, len(tokenizer)), [0])[0][0, token].isfinite():
                return False
            masks.advance(token, 0)
        return True

    assert ends_well("yes", [])
    assert ends_well("<think>K2 is high, no?</think>\n\nyes", [])
    assert not ends_well("<think>K2 is high</think>maybe", [])
    assert not ends_well("K2 is high", [])
    assert ends_well("K2 is high</think>no", [5, opening])
    assert not ends_well("no", [5, opening])
    assert ends_well("no", [opening, 5, closing])
