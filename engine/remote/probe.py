"""Finding out with a handful of tiny requests what a server can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from braid.engine.errors import EngineConnectionError, EngineResponseError
from braid.engine.openai_api import (
    PATHS,
    Endpoint,
    Reply,
    prompt_fields,
    read_reply,
    read_text_logprobs,
)
from braid.engine.remote.client import Client
from braid.engine.remote.schemas import schema_fields
from braid.engine.scope import ambient_budget
from braid.engine.system import run_all
from braid.engine.types import Capability

_CHAT = [{"role": "user", "content": "Count from one to ten."}]
_TEXT = "One two three"
# No prompt mentions this word, so only a server that honours the schema writes it.
_WORD = "kzq"
_SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string", "enum": [_WORD]}},
    "required": ["word"],
    "additionalProperties": False,
}
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "count", "parameters": {"type": "object", "properties": {}}},
}
_PENALTIES = {
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "repetition_penalty": 1.1,
    "logit_bias": {"1": 1},
}
_NO_PENALTIES = {
    "presence_penalty": "x",
    "frequency_penalty": "x",
    "repetition_penalty": "x",
    "logit_bias": "x",
}


@dataclass(frozen=True)
class Findings:
    """What the server showed."""

    capabilities: frozenset[Capability]
    schema_endpoints: frozenset[Endpoint]
    """Where it keeps to a JSON schema."""
    continues_chat: bool
    """Whether it accepts the flags that continue an assistant message."""


async def probe_server(client: Client, model: str, *, kind: str, chat: bool, completions: bool) -> Findings:
    """Try the endpoints that `chat` and `completions` name, of a server that calls itself `kind`.

    A capability counts when every endpoint in use shows it. `json_schema` counts by endpoint.

    Raises:
        EngineConnectionError: the server cannot be reached.
        EngineResponseError: neither endpoint answers.
    """
    probe = _Probe(client, model, kind)
    capabilities: set[Capability] = {"text_join"}
    endpoints: list[Endpoint] = []
    if chat and await probe.reply("chat", _CHAT):
        capabilities.add("chat")
        endpoints.append("chat")
        if await probe.reply("chat", _CHAT, tools=[_TOOL]):
            capabilities.add("tool_calls")
    if completions and await probe.reply("completions", _TEXT):
        endpoints.append("completions")
        if await probe.reports_ids():
            capabilities.add("token_ids")
        if await probe.echoes():
            capabilities.add("prompt_logprobs")
    if not endpoints:
        raise EngineResponseError(
            f"{client.shown}: the server answers neither chat nor completions: {probe.refusal}"
        )
    prompts: dict[Endpoint, Any] = {"chat": _CHAT, "completions": _TEXT}
    natives = [await probe.choices(endpoint, prompts[endpoint]) == 2 for endpoint in endpoints]
    if all(natives):
        capabilities.add("native_n")
    if all([await probe.gives_logprobs(endpoint, prompts[endpoint]) for endpoint in endpoints]):
        capabilities.add("logprobs")
    obeying: list[Endpoint] = [one for one in endpoints if await probe.obeys_schema(one, prompts[one])]
    if obeying:
        capabilities.add("json_schema")
    if all([await probe.obeys_seed(endpoint, prompts[endpoint]) for endpoint in endpoints]):
        capabilities.add("seed")
    if all([await probe.obeys_penalties(endpoint, prompts[endpoint]) for endpoint in endpoints]):
        capabilities.add("penalties")
    begun = [*_CHAT, {"role": "assistant", "content": "One, two,"}]
    flags = {"continue_final_message": True, "add_generation_prompt": False}
    return Findings(
        frozenset(capabilities),
        frozenset(obeying),
        "chat" in endpoints and bool(await probe.reply("chat", begun, **flags)),
    )


class _Probe:
    def __init__(self, client: Client, model: str, kind: str) -> None:
        self._client = client
        self._model = model
        self._kind = kind
        self.refusal = ""

    async def _post(self, endpoint: Endpoint, prompt: Any, fields: dict[str, Any]) -> object | None:
        """The answer, or None when the server refuses."""
        body: dict[str, Any] = {"model": self._model, "max_tokens": 1, "temperature": 1.0}
        body |= prompt_fields(prompt, endpoint=endpoint) | fields
        scope = ambient_budget()
        with scope.reserve(tokens=64, calls=1) as reservation:
            try:
                payload = await self._client.post(PATHS[endpoint], body, budget=scope)
            except EngineConnectionError:
                raise
            except EngineResponseError as error:
                if error.status in (401, 403):
                    raise
                self.refusal = str(error)
                return None
            usage = read_reply(endpoint, payload).usage
            reservation.settle(
                tokens=(usage.prompt_tokens + (usage.completion_tokens or 0)) if usage else 64, calls=1
            )
        return payload

    async def reply(self, endpoint: Endpoint, prompt: Any, **fields: Any) -> Reply | None:
        payload = await self._post(endpoint, prompt, fields)
        return None if payload is None else read_reply(endpoint, payload)

    async def choices(self, endpoint: Endpoint, prompt: Any) -> int:
        reply = await self.reply(endpoint, prompt, n=2)
        return len(reply.pieces) if reply else 0

    async def gives_logprobs(self, endpoint: Endpoint, prompt: Any) -> bool:
        fields_of_logprobs: dict[str, Any] = (
            {"logprobs": True, "top_logprobs": 1} if endpoint == "chat" else {"logprobs": 1}
        )
        reply = await self.reply(endpoint, prompt, **fields_of_logprobs)
        return bool(reply and any(piece.parts for piece in reply.pieces))

    async def reports_ids(self) -> bool:
        """Whether it takes token ids, and reports those of what it generates (vLLM)."""
        reply = await self.reply("completions", [1, 2, 3], return_token_ids=True)
        return bool(reply and any(piece.token_ids for piece in reply.pieces))

    async def obeys_seed(self, endpoint: Endpoint, prompt: Any) -> bool:
        """Whether equal seeds give equal text while other requests run.

        Some servers keep one random state for all.
        """
        seeds = (1, 2, 1, 2, 1, 2)

        async def draw(seed: int) -> str:
            reply = await self.reply(endpoint, prompt, seed=seed, max_tokens=16, temperature=1.5)
            return reply.pieces[0].text if reply and reply.pieces else ""

        texts = list(zip(seeds, await run_all([draw(seed) for seed in seeds]), strict=True))
        return len(set(texts)) == 2 and len({text for _, text in texts}) == 2

    async def echoes(self) -> bool:
        payload = await self._post("completions", _TEXT, {"echo": True, "logprobs": 0})
        if payload is None:
            return False
        tokens, logprobs, _ = read_text_logprobs(payload)
        return len(tokens) == len(logprobs) and _TEXT in "".join(tokens)

    async def obeys_penalties(self, endpoint: Endpoint, prompt: Any) -> bool:
        """Whether it takes all of them, and refuses impossible values instead of ignoring them."""
        if await self.reply(endpoint, prompt, **_PENALTIES) is None:
            return False
        return all(
            [await self.reply(endpoint, prompt, **{name: bad}) is None for name, bad in _NO_PENALTIES.items()]
        )

    async def obeys_schema(self, endpoint: Endpoint, prompt: Any) -> bool:
        fields = schema_fields(self._kind, endpoint, _SCHEMA)
        reply = await self.reply(endpoint, prompt, max_tokens=96, temperature=0.0, **fields)
        # A small model fills what room it has with white space. What it begins is enough to tell.
        said = "".join(reply.pieces[0].text.split()) if reply and reply.pieces else ""
        return bool(said) and f'{{"word":"{_WORD}"}}'.startswith(said)
