"""lm-evaluation-harness: a multiple-choice task by the log-probabilities of echoed prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval")

import lm_eval
import openai
from lm_eval.tasks import TaskManager

pytestmark = pytest.mark.clients
MODEL = Path(__file__).parents[2] / "engine/local/models/braid-mini"
# The questions end in words: this client cuts a mark and a space that are one token.
ROWS = [
    {"question": "How high is K2", "choices": ["answer(1)", "zzz qqq"], "label": 0},
    {"question": "Is Rome older than Bonn", "choices": ["purple", 'a = search("Rome")'], "label": 1},
    {"question": "What is 2 + 2", "choices": ["a = calculate(", ") ( ] ["], "label": 0},
]
TASK = """\
task: plans
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: label
doc_to_choice: "{{{{choices}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def _logprob(url: str, tokenizer: Any, question: str, choice: str) -> float:
    """What the server itself says of `choice` after `question`."""
    start = len(tokenizer.encode(question))
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    ids = tokenizer.encode(question + choice)
    reply = client.completions.create(model="m", prompt=ids, max_tokens=0, echo=True, logprobs=0)
    return sum(reply.choices[0].logprobs.token_logprobs[start:])


@pytest.mark.parametrize("tokenized", [True, False], ids=["ids", "text"])
def test_multiple_choice(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenized: bool) -> None:
    from transformers import AutoTokenizer

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "plans.yaml").write_text(TASK.format(data=data))
    results = lm_eval.simple_evaluate(
        model="local-completions",
        model_args={
            "model": "m",
            "base_url": f"{url}/completions",
            "tokenizer": str(MODEL),
            "tokenizer_backend": "huggingface",
            "tokenized_requests": tokenized,
            "num_concurrent": 1,
            "max_retries": 1,
        },
        tasks=["plans"],
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        bootstrap_iters=0,
    )
    tokenizer, right = AutoTokenizer.from_pretrained(MODEL), 0
    for sample in results["samples"]["plans"]:
        row = sample["doc"]
        told = [float(resp[0]) for resp in sample["filtered_resps"]]
        known = [_logprob(url, tokenizer, row["question"], f" {choice}") for choice in row["choices"]]
        assert told == pytest.approx(known, abs=1e-3)
        right += known.index(max(known)) == row["label"]
    assert results["results"]["plans"]["acc,none"] == pytest.approx(right / len(ROWS))
