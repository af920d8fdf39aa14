"""For tests of agents: an engine that gives scripted responses."""

from braid.engine.scripted import Response, ScriptedEngine

__all__ = ["Response", "ScriptedEngine"]
