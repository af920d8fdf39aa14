"""The copy experiment: how freely written plans spell names and tools that nobody has seen.

An exact-match rate asks whether the model named the right thing in the right place. This asks whether what it
wrote stands in the prompt, letter by letter.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from braid.planner.prompts import PLAN, QUESTION, STOP, TOOLS
from braid.training.planner_model.examples import Example
from braid.training.tokens import PAD, token_id


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """Spelling of freely written plans."""

    plans: int
    """Number of plans."""
    parsed: int
    """Plans that parse."""
    names: int
    """Names in them."""
    names_exact: float
    """Share of the names that stand in the prompt."""
    tools: int
    """Tool calls in them."""
    tools_exact: float
    """Share of the called tools that the prompt offers."""

    def facts(self) -> dict[str, float]:
        return asdict(self)


def measure_spelling(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    *,
    batch_size: int = 32,
    max_tokens: int = 400,
) -> Spelling:
    """Write a plan for each example by greedy decoding, and look up its names and tools in the prompt.

    A name is a text argument, without the attribute before " of ". Texts that are no names in the reference
    plan either (attributes, orders) are left out.
    """
    parsed = names = names_found = tools = tools_found = 0
    for start in range(0, len(examples), batch_size):
        part = examples[start : start + batch_size]
        for example, plan in zip(part, _write(model, tokenizer, part, max_tokens), strict=True):
            try:
                tree = ast.parse(plan)
            except SyntaxError:
                continue
            parsed += 1
            head, question = example.prompt.split(QUESTION)
            offered = {line.split("(")[0] for line in head.removeprefix(TOOLS).splitlines()}
            question = question.removesuffix(f"{PLAN}\n").casefold()
            known = set(_texts(ast.parse(example.plan.removesuffix(STOP))))
            for text in _texts(tree):
                if text in known and not any(name in text for name in example.names):
                    continue
                names += 1
                names_found += text.casefold() in question or text.partition(" of ")[2].casefold() in question
            called = _called(tree)
            tools += len(called)
            tools_found += sum(name in offered for name in called)
    return Spelling(
        plans=len(examples),
        parsed=parsed,
        names=names,
        names_exact=names_found / max(1, names),
        tools=tools,
        tools_exact=tools_found / max(1, tools),
    )


def _write(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example], limit: int
) -> Iterator[str]:
    prompts = [tokenizer.encode(example.prompt, add_special_tokens=False) for example in examples]
    pad, width = token_id(tokenizer, PAD), max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts])
    with torch.inference_mode():
        # The protocol that transformers asks of `self` here does not fit its own classes.
        generate: Any = model.generate  # pyright: ignore[reportAttributeAccessIssue]
        written: torch.Tensor = generate(
            input_ids=ids, attention_mask=(ids != pad).long(), max_new_tokens=limit, do_sample=False
        )
    for row in written[:, width:].tolist():
        yield str(tokenizer.decode(row, skip_special_tokens=False)).split(STOP)[0]


def _texts(tree: ast.AST) -> Iterator[str]:
    """The text arguments of calls, answers and f-strings left out."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Name) and call.func.id == "answer":
            continue
        for argument in call.args:
            items = argument.elts if isinstance(argument, ast.List) else [argument]
            for item in items:
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    yield item.value


def _called(tree: ast.AST) -> list[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [func.id for func in calls if isinstance(func, ast.Name) and func.id != "answer"]
