"""Stop strings in text that arrives in pieces: the same hit in any chunking, and nothing shown too early."""

from __future__ import annotations

from collections.abc import Sequence


def find_stop(text: str, stops: Sequence[str], start: int = 0) -> tuple[int, str] | None:
    """Where the first stop string begins, and which one it is.

    First means completed first, as if the text came character by character, so the answer does not depend on
    the chunking; of two that end together the longer counts. The search begins at character `start`.
    """
    hits = [(at + len(stop), at, stop) for stop in stops if (at := text.find(stop, start)) >= 0]
    if not hits:
        return None
    _, at, stop = min(hits)
    return at, stop


def held_back(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of `text` may turn out to be the beginning of a stop string."""
    longest = max((len(stop) for stop in stops), default=0)
    for length in range(min(len(text), longest - 1), 0, -1):
        tail = text[-length:]
        if any(stop.startswith(tail) for stop in stops):
            return length
    return 0
