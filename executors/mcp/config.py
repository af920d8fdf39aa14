"""MCP servers and how to reach them, and the configuration file that lists them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, ClassVar, Final, Self, cast
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from braid.engine import BraidError
from braid.executors.nodes import FailureKind
from braid.executors.tools import Effect

_SHORTEST_SECRET: Final = 4
"""Shorter values are not hidden: a 1 in the environment would make every message unreadable."""

_SECRET_OPTION: Final = re.compile(r"(?i)key|token|secret|passw|pwd|auth|credential|cookie|header|bearer")


class McpError(BraidError):
    """An MCP server cannot be reached, or its configuration cannot be read.

    The message says which and why, and what the server wrote last.
    """

    failure: ClassVar[FailureKind] = "outage"


class McpServer(BaseModel):
    """How to reach one server: a command that launches it, or the address of one that runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    command: str | None = None
    """What to launch. It inherits little of the environment."""
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = Field(default_factory=dict)
    """Added to the server's environment. Never logged."""
    cwd: Path | None = None
    url: str | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent with each request. Never logged."""
    start_timeout: float = Field(default=60.0, gt=0)
    """Seconds to start and to list the tools."""
    timeout: float = Field(default=60.0, gt=0)
    """Seconds for each call."""
    max_concurrency: int = Field(default=8, ge=1)
    """Most calls at once, over all tools of the server."""
    max_result_bytes: int = Field(default=1_000_000, ge=1)
    """Most bytes of text in one result. Longer ones are refused."""
    effects: dict[str, Effect] = Field(default_factory=dict)
    """Effects by tool, as the server calls it. They overrule the server's hints."""
    only: tuple[str, ...] | None = None
    """Names of the tools to take, as the server calls them. None takes all."""
    hidden: tuple[SecretStr, ...] = ()
    """Further texts that no message may show. A configuration file adds the values of its `${NAME}`s."""

    @property
    def shown(self) -> str:
        """How the server is reached, without what may be secret: no arguments, no user, no query."""
        if self.url is None:
            return self.command or ""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def hide(self, text: str) -> str:
        """`text` with `***` in place of every secret of this server."""
        for secret in self._secret_texts:
            text = text.replace(secret, "***")
        return text

    @property
    def _secret_texts(self) -> list[str]:
        """The secrets, the longest first."""
        values = [*self.env.values(), *self.headers.values(), *self.hidden]
        found = [one.get_secret_value() for one in values]
        # A scheme such as Bearer is no secret, and servers repeat the token alone.
        found += [one.get_secret_value().partition(" ")[2] for one in self.headers.values()]
        found += _secret_arguments(self.args)
        if self.url is not None:
            parts = urlsplit(self.url)
            user = parts.netloc.rpartition("@")[0]
            found += [user, *user.split(":", 1), parts.query, parts.fragment]
            found += [pair.partition("=")[2] for pair in parts.query.split("&")]
            found += [value for _, value in parse_qsl(parts.query)]
        return sorted({text for text in found if len(text) >= _SHORTEST_SECRET}, key=len, reverse=True)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError(f"server {self.name!r}: give either a command or a url")
        return self


def read_mcp_config(file: Path | str) -> list[McpServer]:
    """The servers of a JSON file in the usual form.

        {"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}

    `${NAME}` in values stands for an environment variable.

    Raises:
        McpError: The file cannot be read, or has another form. The message names the place.
    """
    path = Path(file)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise McpError(f"cannot read the MCP configuration {path}: {error}") from error
    listed: Any = cast("dict[str, Any]", content).get("mcpServers") if isinstance(content, dict) else None
    if not isinstance(listed, dict):
        raise McpError(f'{path}: expected {{"mcpServers": {{"name": {{"command": ...}}}}}}')
    servers: list[McpServer] = []
    for name, options in cast("dict[str, Any]", listed).items():
        if not isinstance(options, dict):
            raise McpError(f"{path}: server {name!r} must be an object with a command or a url")
        given = {key: value for key, value in cast("dict[str, Any]", options).items() if key != "type"}
        variables: list[str] = []
        expanded = _expanded(given, path, variables)
        try:
            one = McpServer(name=name, **expanded)
            hidden = (*one.hidden, *map(SecretStr, variables))
            servers.append(one.model_copy(update={"hidden": hidden}))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise McpError(
                f"{path}: server {name!r}: {f'{where}: ' if where else ''}{first['msg']}"
            ) from None
    return servers


def _expanded(value: Any, path: Path, found: list[str]) -> Any:
    """`value` with every `${NAME}` in it replaced by the environment variable, which is added to `found`."""
    if isinstance(value, str):

        def variable(match: re.Match[str]) -> str:
            text = os.environ.get(match[1])
            if text is None:
                raise McpError(f"{path}: the environment variable {match[1]} is not set")
            found.append(text)
            return text

        return re.sub(r"\$\{(\w+)\}", variable, value)
    if isinstance(value, dict):
        return {key: _expanded(item, path, found) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_expanded(item, path, found) for item in cast("list[Any]", value)]
    return value


def _secret_arguments(args: tuple[str, ...]) -> list[str]:
    """Arguments that may be secret: values of options named so, passwords in addresses, long codes."""
    found: list[str] = []
    for before, arg in zip(("", *args), args, strict=False):
        option, _, value = arg.partition("=")
        if value and _SECRET_OPTION.search(option):
            found.append(value)
        elif before.startswith("-") and _SECRET_OPTION.search(before) and not arg.startswith("-"):
            found += [arg, arg.partition(" ")[2], arg.partition(":")[2].strip()]
        elif "://" in arg:
            parts = urlsplit(arg)
            user = parts.netloc.rpartition("@")[0]
            found += [user, user.partition(":")[2], parts.query]
            found += [value for _, value in parse_qsl(parts.query)]
        elif re.fullmatch(r"[\w+=.:-]{16,}", arg) and re.search(r"\d", arg) and re.search(r"[A-Za-z]", arg):
            found.append(arg)
    return found
