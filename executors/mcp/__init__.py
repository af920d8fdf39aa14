"""Tools of MCP servers, launched or reached over HTTP."""

from braid.executors.mcp.config import McpServer, read_mcp_config
from braid.executors.mcp.toolset import McpTools

__all__ = ["McpServer", "McpTools", "read_mcp_config"]
