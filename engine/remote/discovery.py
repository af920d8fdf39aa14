"""From an address and the environment to a client, a model and its capabilities."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import SecretStr

from braid.engine.errors import EngineResponseError, EngineURIError, InvalidParamsError
from braid.engine.openai_api import Model, read_models
from braid.engine.remote.client import Client, RejectedError
from braid.engine.scope import ambient_budget

DEFAULT_KEY_ENV = "OPENAI_API_KEY"


def read_key(name: str | None) -> SecretStr | None:
    """The key in the environment variable `name`.

    Raises:
        InvalidParamsError: the variable holds what no header can, or it is empty or missing. Only the default
            one may be, since local servers want no key.
    """
    value = os.environ.get(name, "").strip() if name else ""
    if name and name != DEFAULT_KEY_ENV and not value:
        raise InvalidParamsError(f"the environment variable {name!r} (api_key_env) is empty or not set")
    if not _fits_a_header(value):
        raise InvalidParamsError(
            f"the environment variable {name!r} (api_key_env) holds characters that no key has; "
            "expected printable ASCII"
        )
    return SecretStr(value) if value else None


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `InvalidParamsError` for a header that cannot be sent. The error never repeats its value."""
    for name, value in headers.items():
        if not (name and _fits_a_header(name) and _fits_a_header(value)):
            raise InvalidParamsError(f"header {name!r} cannot be sent; expected printable ASCII")


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


async def find_model(client: Client, named: str | None, key_env: str | None) -> Model:
    """The model to use, with what the server says about it. It is the first request to a server.

    A server need not list its models when one is named.

    Raises:
        EngineConnectionError: the server cannot be reached.
        EngineResponseError: the key was refused.
        EngineURIError: no model is named, and the server does not list exactly one.
    """
    models: list[Model] = []
    try:
        models = read_models(await client.get("models", budget=ambient_budget(), max_retries=1))
    except RejectedError as error:
        if error.status == 401:
            hint = (
                f"put the key into ${key_env}"
                if key_env
                else "name the key's environment variable with api_key_env="
            )
            raise EngineResponseError(f"{error}; {hint}", status=401) from None
        if named is None:
            hint = "name one after '#' in the address"
            raise EngineURIError(f"cannot list the server's models ({error}); {hint}") from None
    except EngineResponseError:
        if named is None:
            raise
    if named is not None:
        return next((model for model in models if model.id == named), Model(id=named))
    if len(models) == 1:
        return models[0]
    listed = ", ".join(sorted(model.id for model in models)[:50]) or "none"
    raise EngineURIError(
        f"name a model after '#' in the address {client.shown!r}; the server lists: {listed}"
    )
