"""Faces whose names are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(face: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """`__getattr__` for the package `face`, which offers the names of each module in `homes`."""
    home_of = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        return getattr(import_module(home_of[name]), name)

    return load
