"""Answers: how they are read out of a completion, and which of them count as the same."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_MARK = re.compile(r"\banswer\s*(?:is\b\s*:?|:)\s*(?=\S)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?")
_COMMENT = re.compile(r"[.;]\s+\S|,\s+(?:but|not|because|since|so)\b", re.IGNORECASE)
"""What may follow a number that is the answer, and belongs to it no more."""


def last_boxed(text: str) -> str | None:
    r"""The content of the last balanced `\boxed{...}`, or None."""
    start = text.rfind("\\boxed{")
    while start >= 0:
        depth = 0
        for at in range(start + len("\\boxed"), len(text)):
            depth += (text[at] == "{") - (text[at] == "}")
            if depth == 0:
                return text[start + len("\\boxed{") : at].strip()
        start = text.rfind("\\boxed{", 0, start)
    return None


def extract_answer(text: str) -> str | None:
    r"""The answer in `text`.

    It is the last `\boxed{...}`, else what follows the last "answer:" or "answer is", else the last line that
    is not blank. None if there is no text at all. Such a candidate casts no vote.
    """
    boxed = last_boxed(text)
    if boxed:
        return boxed
    marks = list(_MARK.finditer(text))
    lines = text[marks[-1].end() :].splitlines()[:1] if marks else reversed(text.splitlines())
    line = next((line for line in lines if line.strip()), "").strip(" *\t")
    number = _NUMBER.match(line)
    if marks and number and _COMMENT.match(line, number.end()):
        return number[0]
    return line.rstrip(".* ") or None


def canonical(answer: str) -> str:
    """One spelling for all answers that count as the same.

    Case, white space, a leading article, thousands commas and trailing zeros make no difference.
    """
    folded = " ".join(answer.casefold().split()).strip(" \"'").rstrip(" .\"'")
    if _NUMBER.fullmatch(folded):
        try:
            number = Decimal(folded.replace(",", "")).normalize()
        except InvalidOperation:
            return folded
        return "0" if number == 0 else str(number)
    return re.sub(r"^(?:the|a|an) ", "", folded)
