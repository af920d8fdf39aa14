"""The base of all parts of a request: read strictly, and null counts as not given."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, model_validator


class RequestPart(BaseModel):
    """A part of a request. Fields that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        """The object without its null fields. Null is the API's word for "not given"."""
        if isinstance(value, dict):
            return {key: item for key, item in cast("dict[str, Any]", value).items() if item is not None}
        return value
