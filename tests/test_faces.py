"""The faces of the rooms.

What each offers in `__all__`. A name that leaves or joins one is a change that somebody meant.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.support.snapshots import check_snapshot

ROOMS = (
    "braid.engine",
    "braid.reasoning",
    "braid.executors",
    "braid.planner",
    "braid.orchestrator",
    "braid.evals",
    "braid.training",
)


def test_the_faces_offer_what_they_did() -> None:
    faces = {name: sorted(getattr(import_module(name), "__all__", ())) for name in ROOMS}
    lines = [
        line
        for name, face in faces.items()
        for line in (name.rpartition(".")[2], *(f"    {one}" for one in face))
    ]
    check_snapshot(Path(__file__).with_name("faces.txt"), "\n".join(lines) + "\n")


def test_the_faces_keep_their_promise() -> None:
    for name in ROOMS:
        room = import_module(name)
        for one in getattr(room, "__all__", ()):
            assert hasattr(room, one), f"{name} offers {one}, which is not there"
