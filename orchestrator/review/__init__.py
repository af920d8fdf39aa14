"""Plans that a person looks at before anything of them runs."""

from braid.orchestrator.review.review import (
    ApprovePlan,
    Decision,
    EditPlan,
    PlanRejectedError,
    PlanReview,
    PlanReviewed,
    RejectPlan,
    Review,
    ReviewedStatement,
    ReviewError,
    no_plan,
    rejection,
    reviewed,
)

__all__ = [
    "ApprovePlan",
    "Decision",
    "EditPlan",
    "PlanRejectedError",
    "PlanReview",
    "PlanReviewed",
    "RejectPlan",
    "Review",
    "ReviewError",
    "ReviewedStatement",
    "no_plan",
    "rejection",
    "reviewed",
]
