"""Stop strings in text that arrives in pieces.

Hits are the same in any chunking, and nothing is shown too early.
"""

from __future__ import annotations

from collections.abc import Sequence


def find_stop(text: str, stops: Sequence[str], start: int = 0) -> tuple[int, str] | None:
    """Position of the first stop string, and the string itself.

    First means completed first, as if the text came character by character, so the answer does not depend on
    the chunking. Of two that end together, the longer one counts. The search begins at character `start`.
    """
    hits = [(at + len(stop), at, stop) for stop in stops if (at := text.find(stop, start)) >= 0]
    if not hits:
        return None
    _, at, stop = min(hits)
    return at, stop


def held_back(text: str, stops: Sequence[str]) -> int:
    """Number of characters at the end of `text` that may turn out to be the beginning of a stop string."""
    longest = max((len(stop) for stop in stops), default=0)
    for length in range(min(len(text), longest - 1), 0, -1):
        tail = text[-length:]
        if any(stop.startswith(tail) for stop in stops):
            return length
    return 0
