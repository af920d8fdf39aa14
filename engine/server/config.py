"""What can be set about a server, and the limits that protect it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields

from pydantic import SecretStr

from braid.engine.errors import InvalidParamsError

DEFAULT_KEY_ENV = "BRAID_API_KEY"


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """How much one request, and all of them together, may ask for. Beyond them a request is refused, never shortened.

    - `max_concurrency`: requests that generate side by side; `max_queue`: those that wait for their turn. More get 429.
    - `max_body_bytes`: size of a request's body.
    - `max_choices`: completions of one request: prompts times `n`.
    - `max_tokens`: the most that `max_tokens` may be. What the model's context leaves room for limits it, too.
    - `body_seconds`: how long a client may take to send its request.
    - `write_seconds`: how long a client may leave what was sent to it unread before it counts as gone.
    """

    max_concurrency: int = 32
    max_queue: int = 128
    max_body_bytes: int = 4 * 2**20
    max_choices: int = 128
    max_tokens: int = 32_768
    body_seconds: float = 30.0
    write_seconds: float = 60.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            least = 0 if limit.name == "max_queue" else 1
            value = getattr(self, limit.name)
            small = value <= 0 if limit.name.endswith("_seconds") else value < least
            if small:
                raise InvalidParamsError(f"{limit.name} is too small: {value!r}")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where to listen and what to promise.

    `port` 0 takes a free one. `served_model_name` is what clients call the model (default: the engine's own name).
    With `api_key`, everything under /v1 wants it as a bearer token. `grace` is the number of seconds that requests under
    way get to finish in once the server is told to stop.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    served_model_name: str | None = None
    api_key: SecretStr | None = None
    grace: float = 30.0
    limits: ServerLimits = field(default_factory=ServerLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidParamsError(f"port must lie in 0..65535, got {self.port!r}")
        if self.grace < 0:
            raise InvalidParamsError(f"grace must be >= 0 seconds, got {self.grace!r}")
        if self.served_model_name is not None and not self.served_model_name.strip():
            raise InvalidParamsError("served_model_name is empty")


def read_api_key(name: str | None = None) -> SecretStr | None:
    """The key from the environment variable `name`, by default `BRAID_API_KEY`; None: clients need no key.

    A variable that is named but not set, and any that is set to nothing, raise `InvalidParamsError`: a server that was meant
    to be locked must not open.
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
