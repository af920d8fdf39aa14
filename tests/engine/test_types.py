"""The values of the engine's interface: refused values, sums of usage, seeds of branches, stop strings."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braid.engine import Budget, Grammar, InvalidParamsError, Price, SamplingParams, Usage
from braid.engine.prompts import ChatPrompt, TextPrompt, TokenPrompt, plain_chat, read_prompt
from braid.engine.stop_strings import find_stop, held_back
from braid.engine.types import branch_seed


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"n": 1.5},
        {"max_tokens": 0},
        {"temperature": -0.1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"min_p": 1.0},
        {"stop": "text"},
        {"stop": ("",)},
        {"logprobs": 21},
        {"logprobs": -1},
        {"n": True},
        {"n": "2"},
        {"max_tokens": True},
        {"max_tokens": 8.0},
        {"temperature": inf},
        {"temperature": nan},
        {"temperature": "0.7"},
        {"temperature": 10**400},
        {"temperature": None},
        {"top_p": nan},
        {"top_p": True},
        {"top_p": "1"},
        {"top_k": 1.5},
        {"top_k": False},
        {"top_k": None},
        {"min_p": nan},
        {"min_p": "0"},
        {"stop": None},
        {"stop": (b"x",)},
        {"stop": 7},
        {"stop_token_ids": ("x",)},
        {"stop_token_ids": (True,)},
        {"stop_token_ids": (-1,)},
        {"stop_token_ids": 5},
        {"ignore_eos": 1},
        {"ignore_eos": "no"},
        {"seed": "x"},
        {"seed": 1.0},
        {"seed": True},
        {"logprobs": True},
        {"logprobs": 2.5},
        {"logprobs": "3"},
        {"grammar": 7},
        {"grammar": b"x"},
        {"grammar": ["x"]},
        {"repetition_penalty": inf},
        {"repetition_penalty": True},
        {"repetition_penalty": "1"},
        {"presence_penalty": nan},
        {"presence_penalty": "0"},
        {"frequency_penalty": True},
        {"frequency_penalty": None},
        {"logit_bias": None},
        {"logit_bias": {True: 1.0}},
        {"logit_bias": {"5": 1.0}},
        {"logit_bias": {5: nan}},
        {"logit_bias": {5: "1"}},
        {"logit_bias": [(5, 1.0)]},
    ],
    ids=str,
)
def test_params_out_of_range_are_named(wrong):
    [name] = wrong
    with pytest.raises(InvalidParamsError, match=name) as caught:
        SamplingParams(**wrong)
    assert caught.value.param == name


@pytest.mark.parametrize(
    "wrong", [("ebnf", "x"), ("regex", None), ("json_schema", {"type": "object"}), (None, "x")], ids=str
)
def test_grammars_have_a_known_kind_and_a_text(wrong):
    with pytest.raises(InvalidParamsError, match="Grammar"):
        Grammar(*wrong)


@pytest.mark.parametrize("wrong", [True, "5", nan, inf, -1], ids=str)
@pytest.mark.parametrize("name", ["tokens", "calls", "seconds", "cost", "soft"])
def test_limits_of_budgets_are_numbers(name, wrong):
    with pytest.raises(InvalidParamsError, match=name):
        Budget(**{name: wrong})


@pytest.mark.parametrize("wrong", [True, "5", nan, inf, -1], ids=str)
@pytest.mark.parametrize("name", ["prompt", "generated", "cached", "call"])
def test_prices_are_numbers(name, wrong):
    with pytest.raises(InvalidParamsError, match=name):
        Price(**{name: wrong})


def test_whole_numbers_may_stand_for_fractions():
    params = SamplingParams(temperature=1, top_p=1, seed=-(10**30), logit_bias={3: -1}, stop=["x"])
    assert params.temperature == 1


USAGE = st.builds(
    Usage,
    prompt_tokens=st.integers(0, 99),
    cached_tokens=st.integers(0, 99),
    generated_tokens=st.integers(0, 99),
    drafted_tokens=st.integers(0, 99),
    discarded_tokens=st.integers(0, 99),
    critical_path_tokens=st.integers(0, 99),
    calls=st.integers(0, 9),
)


@given(USAGE, USAGE, USAGE)
def test_usage_adds_up_in_any_grouping(a, b, c):
    assert a.then(b).then(c) == a.then(b.then(c))
    assert a.beside(b) == b.beside(a)
    assert Usage.parallel([a, b, c]) == a.beside(b).beside(c)
    assert a.then(Usage()) == a == a.beside(Usage())
    one, other = a.then(b), a.beside(b)
    assert one.generated_tokens == other.generated_tokens == a.generated_tokens + b.generated_tokens
    assert one.critical_path_tokens == a.critical_path_tokens + b.critical_path_tokens
    assert other.critical_path_tokens == max(a.critical_path_tokens, b.critical_path_tokens)


def test_branch_seeds_are_stable_and_distinct():
    assert branch_seed(7, 0) == 7
    assert branch_seed(7, 1) == branch_seed(7, 1)
    seeds = {branch_seed(seed, index) for seed in range(50) for index in range(1, 50)}
    assert len(seeds) == 50 * 49
    assert all(0 <= seed < 2**63 for seed in seeds)


TEXTS = st.text(alphabet="abc", max_size=20)
STOPS = st.lists(st.text(alphabet="abc", min_size=1, max_size=4), max_size=3)


@given(TEXTS, STOPS, st.integers(1, 20))
def test_stop_strings_hit_alike_in_any_chunking(text, stops, chunk):
    """What is shown piece by piece is what a search character by character gives."""
    expected, hit = text, None
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            hit = max(ending, key=len)
            expected = text[: end - len(hit)]
            break
    shown, seen, found = "", "", None
    for start in range(0, len(text), chunk):
        seen += text[start : start + chunk]
        found = find_stop(seen, stops)
        end = found[0] if found else len(seen) - held_back(seen, stops)
        assert end >= len(shown), "text was shown that is not part of the completion"
        shown = seen[:end]
        if found:
            break
    if found is None:
        shown = seen
    assert shown == expected and (found[1] if found else None) == hit


def test_prompts_are_told_apart():
    assert read_prompt("hi") == TextPrompt("hi")
    assert read_prompt([1, 2]) == TokenPrompt((1, 2))
    message = {"role": "user", "content": "hi"}
    assert read_prompt([message]) == ChatPrompt((message,))


@pytest.mark.parametrize("half", [chr(0xD835), chr(0xDCFF), chr(0xDC00), "\udc00\ud835"])
def test_halves_of_characters_in_prompts_are_mended(half):
    mended = f"half {chr(0xFFFD) * len(half)} pair"
    assert read_prompt(f"half {half} pair") == TextPrompt(mended)
    message = {"role": "user", "content": f"half {half} pair"}
    assert read_prompt([message]) == ChatPrompt((message | {"content": mended},))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        [],
        b"x",
        None,
        7,
        [True],
        ["x"],
        [1, "x"],
        [{"role": "robot", "content": ""}],
        [{"role": "user", "content": 3}],
    ],
    ids=repr,
)
def test_malformed_prompts_are_refused(wrong):
    with pytest.raises(InvalidParamsError):
        read_prompt(wrong)


def test_plain_chat_has_a_documented_form():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    assert plain_chat(messages) == "System: Be brief.\n\nUser: Hi.\n\nAssistant:"
