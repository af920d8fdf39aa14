"""Tools of MCP servers, launched or reached over HTTP."""

from braid.executors.mcp.config import McpError, McpServer, read_mcp_config
from braid.executors.mcp.names import free_name, identifier, plan_parameters
from braid.executors.mcp.toolset import McpTools

__all__ = [
    "McpError",
    "McpServer",
    "McpTools",
    "free_name",
    "identifier",
    "plan_parameters",
    "read_mcp_config",
]
