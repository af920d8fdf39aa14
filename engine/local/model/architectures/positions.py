"""How long a context may be."""

from __future__ import annotations

from typing import Any


def find_max_context(config: Any) -> int | None:
    """Longest context in tokens. None: not known.

    Rotations of type `longrope` (Phi-3) turn all tokens of a forward in another way once one of them stands
    behind the original length. Contexts that share KV, or a step, cannot differ in that, so they end there.
    """
    longest = getattr(config, "max_position_embeddings", None)
    rotations = getattr(config, "rope_parameters", None) or {}
    for rotation in (rotations, *rotations.values()):
        if isinstance(rotation, dict) and rotation.get("rope_type") == "longrope":
            original = rotation.get("original_max_position_embeddings")
            longest = min(length for length in (original, longest) if length is not None)
    return longest
