"""Options of a server, and the limits that protect it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields

from pydantic import SecretStr

from braid.engine.errors import InvalidParamsError

DEFAULT_KEY_ENV = "BRAID_API_KEY"


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """How much one request, and all of them together, may ask for.

    Beyond a limit a request is refused, never shortened.
    """

    max_concurrency: int = 32
    """Requests that generate in parallel."""
    max_queue: int = 128
    """Requests that wait for their turn. More get 429."""
    max_body_bytes: int = 4 * 2**20
    """Size of a request's body."""
    max_choices: int = 128
    """Completions of one request: prompts times `n`."""
    max_tokens: int = 32_768
    """Largest `max_tokens` of a request. The room in the model's context limits it too."""
    max_connections: int = 512
    """Open connections, less where the process may open fewer files. One that sent no request makes room."""
    head_seconds: float = 10.0
    """Time in which a connection must have sent the head of a request: its first line and headers."""
    body_seconds: float = 30.0
    """Time in which a client must have sent its request."""
    write_seconds: float = 60.0
    """Time for which a client may leave data unread before it counts as gone."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            least = 0 if limit.name == "max_queue" else 1
            value = getattr(self, limit.name)
            small = value <= 0 if limit.name.endswith("_seconds") else value < least
            if small:
                raise InvalidParamsError(f"{limit.name} is too small: {value!r}")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where to listen, and what clients see."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    served_model_name: str | None = None
    """What clients call the model. None: the engine's own name."""
    api_key: SecretStr | None = None
    """Bearer token that everything under /v1 needs. None: no key is needed."""
    grace: float = 30.0
    """Seconds in which running requests may finish once the server is told to stop."""
    allow_hosts: tuple[str, ...] = ()
    """Names by which clients may call the server, beside `host`, addresses in digits, `localhost` and the
    machine's own name. `*` allows every name.
    """
    limits: ServerLimits = field(default_factory=ServerLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidParamsError(f"port must lie in 0..65535, got {self.port!r}")
        if self.grace < 0:
            raise InvalidParamsError(f"grace must be >= 0 seconds, got {self.grace!r}")
        if self.served_model_name is not None and not self.served_model_name.strip():
            raise InvalidParamsError("served_model_name is empty")


def read_api_key(name: str | None = None) -> SecretStr | None:
    """The key from the environment variable `name`, by default `BRAID_API_KEY`. None: clients need no key.

    Raises:
        InvalidParamsError: the variable is named but not set, or it is set to nothing. A server that was
            meant to be locked must not open.
    """
    variable = DEFAULT_KEY_ENV if name is None else name
    value = os.environ.get(variable)
    if value is None and name is None:
        return None
    if value is None or not value.strip():
        state = "not set" if value is None else "set to nothing"
        raise InvalidParamsError(
            f"the environment variable {variable!r}, which should hold the API key, is {state}"
        )
    return SecretStr(value.strip())
