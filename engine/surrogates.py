"""Halves of surrogate pairs in text from outside.

JSON, a command line and a tool can all hold one. No encoder and no tokenizer takes it.
"""

from __future__ import annotations


def mend_text(text: str) -> str:
    """`text` with U+FFFD in place of each lone half.

    Two halves that belong together become their character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class PairJoiner:
    """Joins pairs whose halves come in two pieces of a text. The rest is mended as by `mend_text`."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        text = self._half + piece
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return mend_text(text.removesuffix(self._half))

    def close(self) -> str:
        """What stands for the half that nothing followed."""
        half, self._half = self._half, ""
        return mend_text(half)
