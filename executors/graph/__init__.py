"""The task graph and the state of its nodes. It changes only by `GraphPatch`."""

from braid.executors.graph.graph import GraphChange, TaskGraph, reopen, revive
from braid.executors.graph.patch import GraphError, GraphPatch, StalePatchError
from braid.executors.graph.state import (
    FINAL,
    UNSTARTED,
    Key,
    NameSlot,
    NodeRecord,
    Place,
    exclusive,
    names_read,
    op_kind,
    tool_of,
)

__all__ = [
    "FINAL",
    "UNSTARTED",
    "GraphChange",
    "GraphError",
    "GraphPatch",
    "Key",
    "NameSlot",
    "NodeRecord",
    "Place",
    "StalePatchError",
    "TaskGraph",
    "exclusive",
    "names_read",
    "op_kind",
    "reopen",
    "revive",
    "tool_of",
]
