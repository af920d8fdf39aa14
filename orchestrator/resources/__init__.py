"""What an agent opens and closes: an engine for each role, and MCP servers with their tools."""

from braid.orchestrator.resources.engines import EngineOption, OpenEngines, Role, RoleEngines, address_of
from braid.orchestrator.resources.resources import Resources

__all__ = ["EngineOption", "OpenEngines", "Resources", "Role", "RoleEngines", "address_of"]
