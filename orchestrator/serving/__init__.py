"""A whole agent behind the interface of an engine, so that the server can put it behind the OpenAI API."""

from braid.orchestrator.serving.agent_engine import AgentEngine, AgentRunError

__all__ = ["AgentEngine", "AgentRunError"]
