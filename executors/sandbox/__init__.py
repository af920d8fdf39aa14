"""Programs that are not trusted, run with limits and in isolation."""

from braid.executors.sandbox.run import (
    SANDBOX_VARIABLE,
    SandboxError,
    SandboxLimits,
    SandboxResult,
    allowed_isolation,
    probe,
    run_sandboxed,
)

__all__ = [
    "SANDBOX_VARIABLE",
    "SandboxError",
    "SandboxLimits",
    "SandboxResult",
    "allowed_isolation",
    "probe",
    "run_sandboxed",
]
