"""An engine for each role in a run. One plans, one thinks and writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeAlias, cast, get_args

from braid.engine import Engine
from braid.engine.automatic import resolve
from braid.orchestrator.errors import ConfigurationError

Role = Literal["plan", "think"]
"""What an engine is for. `plan` writes plans. `think` writes thoughts, direct answers and typed outputs."""

EngineOption: TypeAlias = "str | Engine | Mapping[Role, str | Engine | None] | None"
"""An engine or its address for all roles, or one for each role."""

_ROLES: Final = get_args(Role)


@dataclass(frozen=True, kw_only=True)
class OpenEngines:
    """The engines of a run."""

    plan: Engine
    think: Engine


@dataclass(frozen=True, kw_only=True)
class RoleEngines:
    """The engine that an agent was given for each role. None is a role that was not named."""

    plan: str | Engine | None = None
    think: str | Engine | None = None

    @classmethod
    def of(cls, given: EngineOption) -> Self:
        """The engines in an agent's `engine`.

        Raises:
            ConfigurationError: A role is not known, or has something else than an engine or an address.
        """
        named = cast("Mapping[Any, Any]", given) if isinstance(given, Mapping) else {"plan": given}
        for role, engine in named.items():
            if role not in _ROLES:
                raise ConfigurationError(
                    f"an engine has one of the roles {', '.join(_ROLES)}, got {role!r}; a role that is not "
                    "named has the engine of `plan`"
                )
            if engine is not None and not (
                isinstance(engine, Engine) or (isinstance(engine, str) and engine)
            ):
                raise ConfigurationError(
                    f"engine: the role {role!r} has an engine or the address of one, got {engine!r:.80}"
                )
        return cls(**named)

    def wanted(self, plan: str, think: str | None) -> tuple[str | Engine, str | Engine]:
        """What plans and what thinks in a run whose options name these addresses.

        An engine that was given wins, for all roles that have none of their own.
        """
        planner = _resolved(plan if self.plan is None else self.plan)
        if self.think is not None:
            return planner, _resolved(self.think)
        return planner, _resolved(think or planner) if self.plan is None else planner


def _resolved(engine: str | Engine) -> str | Engine:
    return resolve(engine) if isinstance(engine, str) else engine


def address_of(engine: str | Engine) -> str:
    """The address of an engine."""
    return engine.info.uri if isinstance(engine, Engine) else engine
