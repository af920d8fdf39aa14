"""The first example of docs/server.md writes a plan that answers its question."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "server.md"
QUESTION = "How much taller is K2 than Mont Blanc?"


@pytest.mark.parametrize(
    ("question", "searched"),
    [
        (QUESTION, ["K2", "Mont Blanc"]),
        ("How much taller is Everest than K2?", ["Everest", "K2"]),
        ("How much higher is Denali than Kilimanjaro?", ["Denali", "Kilimanjaro"]),
        ("How high is Everest?", ["Everest"]),
    ],
)
def test_the_example_plans_what_it_is_asked(
    question: str, searched: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found and QUESTION in found[1]
    exec(compile(found[1].replace(QUESTION, question), str(PAGE), "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    for name in searched:
        assert re.search(rf'search\("[^"]*{name}[^"]*"\)', printed), printed
    assert "answer(" in printed and "CompletionUsage" in printed
