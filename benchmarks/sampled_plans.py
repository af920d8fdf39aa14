"""What several plans for a question bring: accuracy, wrong with confidence, time and tokens for each number.

    python benchmarks/sampled_plans.py QUESTIONS.jsonl --engine local:braid-mini --samples 1,4,8

Each line of the file is a JSON object with `question` and `answer`, and as far as they apply `unit`,
`tolerance` (relative, 0.01 unless given), `kind` (`number`, `name`, `yes_no` or `decline`) and `id`.
`judge` says which answers are right. Results are appended to `--out` as they come, and questions that are in
there are not asked again. At the end stands the calibration curve: of the answers with a given agreement, how
many are right.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from braid.engine import connect
from braid.executors.builtin.atlas import fold
from braid.orchestrator import Agent, ModelSettings

NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
FACTORS = {
    **{"mm": 1e-3, "cm": 1e-2, "m": 1.0, "metre": 1.0, "meter": 1.0, "km": 1e3, "kilometre": 1e3},
    **{"kilometer": 1e3, "ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "mi": 1609.344, "mile": 1609.344},
    **{"g": 1e-3, "kg": 1.0, "kilogram": 1.0, "t": 1e3, "tonne": 1e3, "ton": 1e3},
    **{"km2": 1.0, "km²": 1.0, "m2": 1e-6, "ha": 1e-2},
}
"""What one of a unit is in the unit of its quantity."""
MULTIPLES = {"thousand": 1e3, "million": 1e6, "billion": 1e9}
UNSURE = re.compile(r"\b(?:not sure|do not know|don't know|cannot|can't|no tool|could not|unknown|unable)\b")
TOLERANCE = 0.01


def factor(unit: str) -> float | None:
    """The factor of a unit. None where it is not known."""
    word = unit.strip().casefold().rstrip(".")
    return FACTORS.get(word, FACTORS.get(word.removesuffix("s")))


def numbers_of(text: str) -> Iterator[tuple[float, str]]:
    """The numbers in a text, each with the unit behind it. "1.2 million km" is 1200000 km."""
    for found in NUMBER.finditer(text):
        many, unit = split_unit(text[found.end() :])
        yield float(found[0].replace(",", "").replace("−", "-")) * many, unit


def split_unit(text: str) -> tuple[float, str]:
    """What `text` begins with: how many, such as "million", and a unit."""
    words = re.findall(r"[^\W\d_]+[²2]?|%", text)[:2] if re.match(r"\s?(?:[^\W\d_]|%)", text) else []
    many = MULTIPLES.get(words[0].casefold(), 1.0) if words else 1.0
    unit = words[1:] if many != 1 else words[:1]
    return many, unit[0] if unit else ""


def same_number(given: float, unit: str, true: float, true_unit: str, tolerance: float) -> bool:
    """Whether two numbers are the same, in the units that they have, if both are known."""
    ours, theirs = factor(unit), factor(true_unit)
    scale = 1.0 if ours is None or theirs is None else ours / theirs
    return abs(given * scale - true) <= max(tolerance * abs(true), 1e-9)


def judge(row: dict[str, Any], answer: str, *, declined: bool) -> bool:
    """Whether `answer` is right for a row.

    A number is right within the tolerance, after its unit. Of several numbers of an answer, one must be
    right, and the true answer's names must stand in it. A name is right where one contains the other as whole
    words. Yes and no are compared as such. Where there is no answer, only a decline is right.
    """
    given = row["answer"]
    truths = cast("list[object]", given) if isinstance(given, list) else [given]
    kind, tolerance = row.get("kind", ""), float(row.get("tolerance") or TOLERANCE)
    if kind == "decline" or truths == [None]:
        return declined or UNSURE.search(answer.casefold()) is not None
    return not declined and any(_fits(str(t), answer, kind, row.get("unit") or "", tolerance) for t in truths)


def _fits(true: str, answer: str, kind: str, unit: str, tolerance: float) -> bool:
    words, given = fold(true), fold(answer)
    if kind in ("yes_no", "boolean") or words in (("yes",), ("no",), ("true",), ("false",)):
        yes = {"yes", "true"}
        return (
            bool(given)
            and given[0] in {"yes", "no", "true", "false"}
            and ((given[0] in yes) == (words[0] in yes))
        )
    numbers = list(numbers_of(true))
    if kind == "number" or (numbers and NUMBER.match(true.strip())):
        number, own = numbers[0]
        many, named = split_unit(unit)
        if own == "" and named:
            number, own = number * many, named
        return any(same_number(n, u, number, own, tolerance) for n, u in numbers_of(answer))
    return _contains(given, words) or _contains(words, given)


def _contains(text: Sequence[str], part: Sequence[str]) -> bool:
    starts = range(len(text) - len(part) + 1)
    return bool(part) and any(tuple(text[start : start + len(part)]) == tuple(part) for start in starts)


async def ask(agent: Agent, row: dict[str, Any], samples: int, temperature: float) -> dict[str, Any]:
    """One question with so many plans, judged."""
    began = time.perf_counter()
    settings = ModelSettings(samples=samples, sample_temperature=temperature)
    result = await agent.run(row["question"], settings=settings)
    right = judge(row, result.answer if result.complete else "", declined=result.status == "declined")
    return {
        "id": row["id"],
        "samples": samples,
        "question": row["question"],
        "true": row["answer"],
        "answer": result.answer,
        "status": result.status,
        "confidence": result.confidence,
        "doubt": result.doubt,
        "right": right,
        "sure_and_wrong": result.complete and not result.doubt and not right,
        "seconds": time.perf_counter() - began,
        "tokens": result.usage.prompt_tokens + result.usage.generated_tokens - result.usage.cached_tokens,
        "plan": result.plan,
        "reason": result.reason,
    }


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """The table and the calibration curve of what was asked."""
    lines = [
        f"{'plans':>6}{'right':>16}{'wrong, sure':>14}{'doubted':>9}{'declined':>10}{'s':>8}{'tokens':>9}"
    ]
    for samples in sorted({row["samples"] for row in rows}):
        of = [row for row in rows if row["samples"] == samples]
        share = sum(row["right"] for row in of) / len(of)
        error = (share * (1 - share) / max(1, len(of) - 1)) ** 0.5
        lines.append(
            f"{samples:>6}{f'{100 * share:.1f} ± {100 * error:.1f} %':>16}"
            f"{100 * sum(row['sure_and_wrong'] for row in of) / len(of):>12.1f} %"
            f"{sum(bool(row['doubt']) for row in of):>9}"
            f"{sum(row['status'] == 'declined' for row in of):>10}"
            f"{sum(row['seconds'] for row in of) / len(of):>8.2f}"
            f"{sum(row['tokens'] for row in of) / len(of):>9.0f}"
        )
    for samples in sorted({row["samples"] for row in rows} - {1}):
        lines.append(f"\nagreement of {samples} plans, and how many of their answers are right")
        of = [row for row in rows if row["samples"] == samples and row["status"] == "answered"]
        voted = [row for row in of if row["confidence"] is not None]
        for low, high in ((0.0, 0.3), (0.3, 0.5), (0.5, 0.625), (0.625, 0.75), (0.75, 0.9), (0.9, 1.01)):
            inside = [row for row in voted if low <= row["confidence"] < high]
            if inside:
                right = sum(row["right"] for row in inside)
                lines.append(f"  {low:.2f} to {min(high, 1):.2f}  {right} of {len(inside)}")
    return "\n".join(lines)


async def ask_all(
    given: argparse.Namespace,
    rows: Sequence[dict[str, Any]],
    numbers: Sequence[int],
    out: Path,
    done: list[dict[str, Any]],
) -> None:
    """Ask what is not in `done`, and append it to `done` and `out`."""
    known = {(row["id"], row["samples"]) for row in done}
    options = {"threads": given.threads} if given.threads else {}
    async with await connect(given.engine, **options) as engine:
        agent = Agent(engine, shortcuts=False)
        for place, row in enumerate(rows):
            for samples in numbers:
                if (row["id"], samples) not in known:
                    done.append(await ask(agent, row, samples, given.temperature))
                    append(out, done[-1])
            print(f"\r{place + 1} of {len(rows)}", end="", file=sys.stderr, flush=True)


def append(out: Path, row: dict[str, Any]) -> None:
    """Write one result down."""
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> None:
    """Read the command line and ask what was not asked before."""
    parser = argparse.ArgumentParser(description="What several plans for a question bring.")
    parser.add_argument("file", type=Path, help="questions, one JSON object a line")
    parser.add_argument("--engine", "-e", default="local:braid-mini")
    parser.add_argument("--samples", default="1,4,8", help="numbers of plans, with commas between them")
    parser.add_argument("--temperature", type=float, default=0.7, help="of all plans but the first")
    parser.add_argument("--limit", type=int, default=None, help="the first questions only")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="default: the file's name with .sampled.jsonl")
    given = parser.parse_args()
    out: Path = given.out or given.file.with_suffix(".sampled.jsonl")
    rows = [json.loads(line) for line in given.file.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [{"id": str(place), **row} for place, row in enumerate(rows)][: given.limit]
    done = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []
    numbers = [int(number) for number in given.samples.split(",")]
    asyncio.run(ask_all(given, rows, numbers, out, done))
    print(file=sys.stderr)
    wanted = {row["id"] for row in rows}
    print(summary([row for row in done if row["id"] in wanted and row["samples"] in numbers]))


if __name__ == "__main__":
    main()
