"""Errors in the shape of the OpenAI API, and the translation of engine errors to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from braid.engine.errors import (
    BraidError,
    BudgetExceededError,
    CapabilityError,
    ContextLengthError,
    EngineConnectionError,
    EngineError,
    EngineResponseError,
    InvalidParamsError,
)


class ApiError(BraidError):
    """A refusal or failure as the client sees it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}


def server_error(status: int, message: str, code: str | None = None) -> ApiError:
    """A failure that the request did not cause. Status 503 says that a retry may succeed."""
    return ApiError(status, message, type="server_error", code=code, retry_after=1 if status == 503 else None)


def unsupported(param: str, message: str) -> ApiError:
    """The refusal of a parameter that this server does not support."""
    return ApiError(400, message, param=param, code="unsupported_parameter")


def invalid(param: str, message: str, code: str = "invalid_value") -> ApiError:
    """The refusal of a value of a parameter."""
    return ApiError(400, f"{param!r}: {message}", param=param, code=code)


def to_api_error(error: Exception, *, params: Mapping[str, str]) -> ApiError:
    """The error that the client sees.

    Only messages that were written for people go out. Of an unexpected error the client learns only that it
    happened.

    Args:
        error: what was raised.
        params: names of the request fields behind a capability, and behind `prompt`. Other parameters have
            their own names.
    """
    match error:
        case ApiError():
            return error
        case ContextLengthError():
            return ApiError(400, str(error), param=params.get("prompt"), code="context_length_exceeded")
        case CapabilityError(capability=capability):
            field = params.get(capability)
            text = f"this model's engine cannot do that ({capability})"
            text = f"{field!r}: {text}" if field else text
            return ApiError(400, text, param=field, code="unsupported_parameter")
        case InvalidParamsError(param=name):
            param = params.get(name, name) if name else params.get("prompt")
            return ApiError(400, str(error), param=param, code="invalid_value")
        case BudgetExceededError():
            return ApiError(429, str(error), type="insufficient_quota", code="insufficient_quota")
        case EngineConnectionError():
            return server_error(503, "the engine cannot be reached", "engine_unavailable")
        case EngineResponseError(status=status) if status in (429, 502, 503, 504):
            return server_error(503, "the engine is overloaded or away", "engine_unavailable")
        case EngineError():
            return server_error(500, str(error), "engine_error")
        case _:
            return server_error(500, "internal error", "internal_error")


def from_validation(error: ValidationError) -> ApiError:
    """The first fault in a request, with `param` such as `messages[0].content`."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    param = ""
    for step in first["loc"]:
        param += f"[{step}]" if isinstance(step, int) else f".{step}" if param else step
    kind, text = first["type"], first["msg"].removeprefix("Value error, ")
    if kind == "missing":
        return ApiError(400, f"{param!r} is missing", param=param, code="missing_required_parameter")
    if kind == "extra_forbidden":
        return ApiError(400, f"unknown parameter: {param!r}", param=param, code="unknown_parameter")
    code = "invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value"
    message = f"{param!r}: {text}" if param else text
    return ApiError(400, message, param=param or None, code=code)
