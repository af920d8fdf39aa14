"""Answers questions over a folder of text and Markdown files, with quotes that name file and line.

Install: pip install 'braid-agents[local]' (or plain braid-agents, to drive a server).

    python examples/documents.py docs --find "retry mutating"     # needs no model: the best passages
    BRAID_ENGINE=openai:http://HOST:8000/v1#MODEL python examples/documents.py docs "What may be retried?"

A question needs a chat model, which BRAID_ENGINE names, because passages must be read. The embedded model
plans look-ups only.

Change first: `ENDINGS`, and `find`, which may just as well ask your search engine.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field

from braid import Agent, BraidError, Plan, ToolContext, tool
from braid.engine import Engine
from braid.executors.tools import ToolError

ENDINGS = {".md", ".rst", ".txt"}
INSTRUCTIONS = """\
Answer from the documents alone. Call `find` with the words that a passage would have, think about what it \
found (given=...), and `read` on where it is cut off. The sources are the passages that the answer rests on, \
as `find` returned them. Decline where the documents do not say."""


class Quote(BaseModel):
    """A passage of a file. `line` is the one that it begins in, from 1."""

    file: str
    line: int
    text: str


class Reply(BaseModel):
    """What the agent answers."""

    answer: str
    sources: list[Quote] = Field(min_length=1)


def passages(folder: Path) -> Iterator[Quote]:
    """The paragraphs of all files."""
    for file in sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS and path.is_file()):
        text = file.read_text(encoding="utf-8", errors="replace")
        for found in re.finditer(r"\S.*(?:\n.*\S.*)*", text):
            line = text.count("\n", 0, found.start()) + 1
            yield Quote(file=file.relative_to(folder).as_posix(), line=line, text=found[0])


@tool
def find(context: ToolContext[Path], words: str, most: int = 5) -> list[Quote]:
    """Find the passages that have most of the given words. Rare words count more."""
    wanted = set(re.findall(r"\w+", words.lower()))
    found = [
        (quote, wanted & set(re.findall(r"\w+", quote.text.lower()))) for quote in passages(context.deps)
    ]
    weight = {word: math.log(1 + len(found) / (1 + sum(word in has for _, has in found))) for word in wanted}
    ranked = sorted(found, key=lambda item: -sum(weight[word] for word in item[1]))
    return [quote for quote, has in ranked[:most] if has]


@tool
def read(context: ToolContext[Path], file: str, first: int = 1) -> Quote:
    """Read up to 60 lines of a file, beginning with line `first`."""
    path = (context.deps / file).resolve()
    if not (path.is_relative_to(context.deps.resolve()) and path.suffix in ENDINGS and path.is_file()):
        raise ToolError(f"there is no document {file!r}; give a file that `find` named")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return Quote(file=file, line=first, text="\n".join(lines[first - 1 : first + 59]))


def stands(quote: Quote, folder: Path) -> bool:
    """Whether a quote stands in its file at its line. A model may have changed it."""
    found = [real for real in passages(folder) if (real.file, real.line) == (quote.file, quote.line)]
    return any(quote.text.strip() in real.text for real in found)


def make_agent(engine: str | Engine | None = None) -> Agent:
    """The agent. The folder is the `deps` of a run."""
    return Agent(engine, tools=[find, read], builtins=False, output_type=Reply, instructions=INSTRUCTIONS)


def make_plan(words: str) -> Plan:
    """Finding passages, as a plan that needs no model."""
    plan = Plan()
    plan.answer(plan.call(find, words))
    return plan


def main() -> None:
    """Answer the question of the command line, or show passages."""
    match sys.argv[1:]:
        case [folder, *_] if not Path(folder).is_dir():
            sys.exit(f"{folder!r} is no folder; give the folder of the documents first")
        case [folder, "--find", words]:
            result = make_agent().run_plan_sync(make_plan(words), deps=Path(folder), output_type=list[Quote])
            sources: list[Quote] = result.output or []
        case [folder, question]:
            result = make_agent().run_sync(question, deps=Path(folder))
            if not result.complete:
                sys.exit(f"{result.status}: {result.reason}\n{result.hint}")
            print(result.output.answer, "\n")
            sources = result.output.sources
        case _:
            sys.exit(__doc__)
    for quote in sources:
        mark = "" if stands(quote, Path(folder)) else " (does not stand there)"
        print(f"{quote.file}:{quote.line}{mark}\n    {quote.text[:200]}\n")


if __name__ == "__main__":
    try:
        main()
    except BraidError as error:
        sys.exit(f"error: {error}")
