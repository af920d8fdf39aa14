"""How one server is asked to keep to a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from braid.engine.openai_api import Endpoint, Model

BOTH_ENDPOINTS: frozenset[Endpoint] = frozenset(("chat", "completions"))
_CHAT: frozenset[Endpoint] = frozenset(("chat",))
_SCHEMA_SERVERS: Mapping[str, frozenset[Endpoint]] = {
    "braid": BOTH_ENDPOINTS,
    "vllm": BOTH_ENDPOINTS,
    "sglang": BOTH_ENDPOINTS,
    "llamacpp": BOTH_ENDPOINTS,
    "library": _CHAT,  # Ollama
    "organization_owner": _CHAT,  # LM Studio
    "openai": _CHAT,
    "system": _CHAT,  # OpenAI, newer models
}
"""Where servers take a JSON schema, by what they call themselves in the list of models (`owned_by`)."""


def assumed_schema_endpoints(model: Model) -> frozenset[Endpoint]:
    """Where the server takes a JSON schema, as far as what it says about `model` tells."""
    if model.owned_by == "braid" and "grammar" not in model.capabilities:
        return frozenset()
    listed = _CHAT if "structured_outputs" in model.supported_parameters else frozenset[Endpoint]()
    return _SCHEMA_SERVERS.get(model.owned_by, listed)


def schema_fields(server: str, endpoint: Endpoint, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The request fields for `schema` at `endpoint`.

    llama.cpp and older SGLang ignore `response_format` at `/completions` in silence. They have a field of
    their own there, whose value SGLang takes as text.
    """
    if endpoint == "completions" and server in ("llamacpp", "sglang"):
        return {"json_schema": schema if server == "llamacpp" else json.dumps(schema)}
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def closed_schema(schema: object) -> Any:
    """`schema` in the narrower form that OpenAI wants: every property is required, and there are no others.

    Whatever fits the result fits `schema`. Defaults go, since every value is written.
    """
    if isinstance(schema, list):
        return [closed_schema(item) for item in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("dict[str, Any]", schema)
    closed: dict[str, Any] = {key: closed_schema(value) for key, value in given.items() if key != "default"}
    for key in ("properties", "$defs"):
        if isinstance(named := given.get(key), dict):
            closed[key] = {
                name: closed_schema(value) for name, value in cast("dict[str, object]", named).items()
            }
    for key in ("enum", "const"):
        if key in given:
            closed[key] = given[key]
    if "properties" in closed:
        closed.setdefault("additionalProperties", False)
        closed["required"] = list(closed["properties"])
    return closed
