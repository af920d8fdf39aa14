"""The OpenAI API's messages: schemas of requests and replies, and server-sent events.

Client and server share them.
"""

from braid.engine.openai_api.schema import (
    PATHS,
    Endpoint,
    Model,
    Part,
    Piece,
    Reply,
    WireToolCall,
    WireUsage,
    prompt_fields,
    read_error,
    read_json,
    read_models,
    read_reply,
    read_text_logprobs,
    sampling_fields,
)
from braid.engine.openai_api.sse import SSEParser

__all__ = [
    "PATHS",
    "Endpoint",
    "Model",
    "Part",
    "Piece",
    "Reply",
    "SSEParser",
    "WireToolCall",
    "WireUsage",
    "prompt_fields",
    "read_error",
    "read_json",
    "read_models",
    "read_reply",
    "read_text_logprobs",
    "sampling_fields",
]
