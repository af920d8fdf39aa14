"""How a model samples, as agents, runs, the command line and the journal know it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_SAMPLES = 64
"""Most plans that are written for one question."""


def _stops(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


class Sampling(BaseModel):
    """The settings of a model. None is the default that each kind of text has."""

    model_config = ConfigDict(frozen=True)

    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Of plans, thoughts and direct answers. None is 0 for these, or what a reasoning method has."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of one generation. None is the limit that each kind of text has."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Smallest set of tokens with at least this probability, for plans, thoughts and direct answers."""
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...] | None, BeforeValidator(_stops)] = None
    """Strings that end a thought or a direct answer. A plan ends where its language says."""

    @property
    def sampling(self) -> dict[str, Any]:
        """The settings that were given, by the names of the fields of `SamplingParams`."""
        return {name: value for name in Sampling.model_fields if (value := getattr(self, name)) is not None}


class ModelSettings(Sampling):
    """The settings of a model for one run: `agent.run("...", settings=ModelSettings(temperature=0.7))`.

    What is None is as the agent has it. What a plan says of a thought wins.
    """

    model_config = ConfigDict(extra="forbid")

    seed: int | None = None
    """Seed of everything that is drawn at random."""
    samples: int | None = Field(default=None, ge=1, le=MOST_SAMPLES)
    """How many plans are written for a question and voted on."""
    sample_temperature: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Of all these plans but the first."""
    answer_agreement: float | None = Field(default=None, ge=0, le=1)
    """Share of the plans that must agree for an answer without a word of doubt."""
    doubt_agreement: float | None = Field(default=None, ge=0, le=1)
    """Share of the plans that must agree for an answer at all."""
