"""Sampled plans: several plans for one question, a vote over what they come to, and how far they agree."""

from braid.orchestrator.sampled_plans.drawing import PlanSampling, affordable, default_samples, sampled_plans
from braid.orchestrator.sampled_plans.earlier import EarlierSamples, SamplesRead
from braid.orchestrator.sampled_plans.events import (
    PlanSampled,
    PlansRequested,
    PlansVoted,
    SampleRejected,
    SampleText,
    VoteDecision,
)

__all__ = [
    "EarlierSamples",
    "PlanSampled",
    "PlanSampling",
    "PlansRequested",
    "PlansVoted",
    "SampleRejected",
    "SampleText",
    "SamplesRead",
    "VoteDecision",
    "affordable",
    "default_samples",
    "sampled_plans",
]
