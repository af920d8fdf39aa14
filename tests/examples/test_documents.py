from __future__ import annotations

from pathlib import Path

import pytest

from braid.testing import ScriptedEngine
from examples.documents import Quote, Reply, make_agent, make_plan, stands
from tests.support.example_process import run_example
from tests.support.scripted_server import serving

HANDBOOK = "# Returns\n\nA refund is paid within 30 days.\nKeep the receipt.\n\nA gift cannot be returned.\n"
PLAN = """\
hits = find("refund days")
t = think("How many days?", given=[hits])
answer({"answer": t.answer, "sources": [hits[0]]})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    (tmp_path / "handbook.md").write_text(HANDBOOK)
    (tmp_path / "more" / "days.txt").write_text("Many days.\n\nOther days.\n\nDays again.\n")
    (tmp_path / "refund.pdf").write_text("refund refund refund")
    return tmp_path


def replies(messages: str) -> str:
    return "The answer is 30 days." if "How many days?\n" in messages else PLAN


async def test_passages_are_found_by_rare_words_with_file_and_line(folder: Path) -> None:
    result = await make_agent().run_plan(make_plan("refund days"), deps=folder, output_type=list[Quote])
    first, *others = result.output
    assert (first.file, first.line, first.text) == (
        "handbook.md",
        3,
        "A refund is paid within 30 days.\nKeep the receipt.",
    )
    assert [other.file for other in others] == ["more/days.txt"] * 3
    assert result.usage.calls == 0


async def test_an_answer_has_sources_that_stand_in_the_files(folder: Path) -> None:
    engine = ScriptedEngine(replies)
    result = await make_agent(engine).run("How long do refunds take?", deps=folder)
    assert isinstance(result.output, Reply) and result.output.answer == "30 days", result.reason
    (source,) = result.output.sources
    assert stands(source, folder)
    assert not stands(source.model_copy(update={"line": 4}), folder)
    assert not stands(source.model_copy(update={"text": "A refund is paid within 3 days."}), folder)
    assert "Answer from the documents alone" in engine.calls[0].prompt
    assert "Keep the receipt" in engine.calls[1].prompt


@pytest.mark.parametrize("file", ["../secret.txt", "/etc/passwd", "refund.pdf", "more", "nothing.md"])
async def test_only_documents_of_the_folder_are_read(folder: Path, file: str) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    result = await make_agent().run_plan(f"answer(read({file!r}))\n", deps=folder)
    assert result.status == "failed" and "there is no document" in result.reason


async def test_a_file_is_read_from_a_line_on(folder: Path) -> None:
    plan = 'answer(read("handbook.md", 4))\n'
    result = await make_agent().run_plan(plan, deps=folder, output_type=Quote)
    assert result.output == Quote(
        file="handbook.md", line=4, text="Keep the receipt.\n\nA gift cannot be returned."
    )


def test_the_program_without_a_model_and_with_one(folder: Path) -> None:
    found = run_example("documents", folder, "--find", "gift")
    assert found.stdout == "handbook.md:6\n    A gift cannot be returned.\n\n", found.stderr
    with serving(lambda messages: replies(messages[-1]["content"])) as server:
        asked = run_example("documents", folder, "How long do refunds take?", engine=server.uri)
    assert asked.stdout.startswith("30 days \n\nhandbook.md:3\n"), asked.stderr
    wrong = run_example("documents", "no/such/folder", "--find", "gift")
    assert wrong.returncode == 1 and "is no folder" in wrong.stderr
