"""The check of `join(...)`: its parts, its policy, and its verifier."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NoReturn

from braid.executors.graph import tool_of
from braid.executors.joins import verifier_problem
from braid.executors.nodes import Const, Expr, Join, ListOf, Node, Ref, refs
from braid.executors.tools import ToolSpec
from braid.planner.checker.types import UNKNOWN, JsonType, NoSuchPart, common, suggest
from braid.planner.errors import Place, PlanCheckError
from braid.planner.language import Argument, Call, is_anonymous

_POLICIES: Final = ("all", "first", "vote", "verified", "confident")
_SOME: Final = re.compile(r"([1-9]\d{0,3}) of ([1-9]\d{0,3})")
_ARGUMENTS: Final = ("parts", "policy", "verifier", "at_least")
_LISTED: Final = '"all", "first", "2 of 3", "vote", "verified" or "confident"'


class JoinCheck:
    """Turns calls of `join` into joins.

    Args:
        tools: What the plan may call.
        verifier: Whether the run has a verifier of its own. None if that is not known.
    """

    def __init__(self, tools: Mapping[str, ToolSpec], verifier: bool | None) -> None:
        self._tools = tools
        self._verifier = verifier

    def check(
        self,
        call: Call,
        args: Sequence[Argument],
        type_of: Callable[[Ref], JsonType],
        nodes_of: Callable[[str], Sequence[Node]],
    ) -> tuple[Join, JsonType]:
        """The join of a call, and the type of its value.

        Args:
            call: The call.
            args: Its arguments.
            type_of: Gives the type of what a reference reads.
            nodes_of: Gives the nodes that bind a name.

        Raises:
            PlanCheckError: The call is no join.
        """
        given = self._given(call, args)
        parts = given["parts"]
        op = replace(self._policy(given.get("policy")), parts=self._parts(parts))
        op = replace(
            op,
            verifier=self._verifier_of(call, op, given.get("verifier")),
            at_least=self._at_least(op, given.get("at_least")),
        )
        if isinstance(op.parts, tuple) and op.total is not None and len(op.parts) != op.total:
            self._fail(
                given["policy"].place,
                f"`{op.count} of {op.total}` needs {op.total} parts, and there are {len(op.parts)}",
                f'write `policy="{min(op.count or 1, len(op.parts))} of {len(op.parts)}"`',
            )
        if op.policy != "all":
            self._check_effects(parts, nodes_of)
        return op, self.type_of(op, type_of, parts.place)

    def type_of(self, op: Join, type_of: Callable[[Ref], JsonType], place: Place | None = None) -> JsonType:
        """The type of a join's value.

        Args:
            op: The join.
            type_of: Gives the type of what a reference reads.
            place: Where its parts stand, if they are to be checked.

        Raises:
            PlanCheckError: A part of a `confident` join has no confidence.
        """
        if isinstance(op.parts, Ref):
            part = self._item(op.parts, type_of(op.parts), place)
            types = [part]
        else:
            types = [type_of(part) if isinstance(part, Ref) else UNKNOWN for part in op.parts]
        if op.policy == "confident" and place is not None:
            exprs = op.parts if isinstance(op.parts, tuple) else (op.parts,)
            for expr, kind in zip(exprs, types, strict=True):
                self._check_confidence(expr, kind, place)
        found = common(types)
        return found.list_of() if op.policy in ("all", "some") else found

    def verifier(self, place: Place, name: str) -> None:
        """Check that a tool of that name is there and is a verifier.

        Raises:
            PlanCheckError: It is not.
        """
        spec = self._tools.get(name)
        if spec is None:
            guess = suggest(name, self._tools)
            fix = (
                f"did you mean `{guess}`?" if guess else f"the tools are: {', '.join(self._tools) or 'none'}"
            )
            self._fail(place, f"there is no tool `{name}`", fix)
        if problem := verifier_problem(spec):
            self._fail(place, problem, "name a tool of one argument that says how good an answer is")

    def no_verifier(self, place: Place, what: str) -> None:
        """Check that the run has a verifier of its own, for `what` names none.

        Raises:
            PlanCheckError: It has none.
        """
        if self._verifier is False:
            self._fail(
                place,
                f"{what} needs a verifier, and this run has none of its own",
                'name a tool that checks answers: `verifier="..."`',
            )

    def _given(self, call: Call, args: Sequence[Argument]) -> dict[str, Argument]:
        given: dict[str, Argument] = {}
        for arg in args:
            name = "parts" if arg.keyword is None else arg.keyword
            if name in given:
                self._fail(arg.place, "`join` takes one list", "write `join([a, b])`")
            if name not in _ARGUMENTS:
                guess = suggest(name, _ARGUMENTS)
                hint = f"did you mean `{guess}`? " if guess else ""
                self._fail(
                    arg.place, f"`join` has no argument `{name}`", f"{hint}It takes {', '.join(_ARGUMENTS)}"
                )
            given[name] = arg
        if "parts" not in given:
            self._fail(call.place, "`join` needs its parts", "write `join([a, b])`")
        return given

    def _parts(self, arg: Argument) -> tuple[Expr, ...] | Ref:
        match arg.value:
            case ListOf(items) if items:
                return items
            case Ref() as ref:
                return ref
            case _:
                self._fail(
                    arg.place, "`join` takes a list of parts", "write `join([a, b])`, or name a map or a list"
                )

    def _policy(self, arg: Argument | None) -> Join:
        """A join without parts that has the policy."""
        if arg is None:
            return Join(())
        match arg.value:
            case Const("all" | "first" | "vote" | "verified" | "confident" as policy):
                return Join((), policy)
            case Const(str() as text):
                if found := _SOME.fullmatch(text):
                    count, total = int(found[1]), int(found[2])
                    if count <= total:
                        return Join((), "some", count, total)
                    self._fail(
                        arg.place, f"`{text}` is more than all parts", f'write `policy="{total} of {total}"`'
                    )
                guess = suggest(text, _POLICIES)
                fix = f'did you mean `policy="{guess}"`?' if guess else f"the policies are {_LISTED}"
                self._fail(arg.place, f"there is no policy {text!r}", fix)
            case _:
                self._fail(arg.place, "`policy` is the name of a policy", f"write one of {_LISTED}")

    def _verifier_of(self, call: Call, op: Join, arg: Argument | None) -> str | None:
        if arg is None:
            if op.policy == "verified":
                self.no_verifier(call.place, 'policy="verified"')
            return None
        if op.policy != "verified":
            self._fail(arg.place, f"policy={_shown(op)} has no verifier", 'write `policy="verified"`')
        if not isinstance(arg.value, Const) or not isinstance(arg.value.value, str):
            self._fail(arg.place, "`verifier` is the name of a tool", 'write it in quotes: `verifier="..."`')
        self.verifier(arg.place, arg.value.value)
        return arg.value.value

    def _at_least(self, op: Join, arg: Argument | None) -> float | None:
        if arg is None:
            return None
        if op.policy not in ("verified", "confident"):
            self._fail(
                arg.place,
                f"policy={_shown(op)} has no score",
                'leave `at_least` out, or write `policy="confident"`',
            )
        match arg.value:
            case Const(bool()):
                pass
            case Const(int() | float() as number):
                return float(number)
            case _:
                pass
        self._fail(arg.place, "`at_least` of `join` is a number", "write `at_least=0.9`")

    def _item(self, ref: Ref, found: JsonType, place: Place | None) -> JsonType:
        kinds = {option.kind for option in found.options()}
        if place is not None and kinds and None not in kinds and "array" not in kinds:
            self._fail(
                place.of(ref.name), f"`join` takes a list, and `{ref.name}` is none", "write `join([a, b])`"
            )
        item = found.step(0, ref.name)
        return UNKNOWN if isinstance(item, NoSuchPart) else item

    def _check_confidence(self, part: Expr, kind: JsonType, place: Place) -> None:
        shown = part.name if isinstance(part, Ref) else "this part"
        unsure = not isinstance(part, Ref)
        if unsure or isinstance(kind.step("confidence", shown), NoSuchPart):
            self._fail(
                place if unsure else place.of(shown),
                f"`{shown}` does not say how sure it is",
                'policy="confident" joins results of `think`, which have a `.confidence`',
            )

    def _check_effects(self, arg: Argument, nodes_of: Callable[[str], Sequence[Node]]) -> None:
        """Refuse parts that change the world: a join that decides runs some of them for nothing."""
        for ref in refs(arg.value):
            for tool in self._mutating(ref.name, nodes_of):
                shown = "a call inside it" if is_anonymous(ref.name) else f"`{ref.name}`"
                self._fail(
                    arg.place.of(ref.name),
                    f"{shown} calls `{tool}`, which changes things in the world and is not taken back"
                    " where the join takes another part",
                    'join with policy="all", or decide first and call it with what was decided',
                )

    def _mutating(self, name: str, nodes_of: Callable[[str], Sequence[Node]]) -> Iterator[str]:
        """The mutating tools that the nodes of a name call, those in joins included."""
        for node in nodes_of(name):
            tool = tool_of(node)
            spec = self._tools.get(tool or "")
            if spec is not None and spec.effect == "mutating":
                yield spec.name
            if isinstance(node.op, Join):
                parts = node.op.parts if isinstance(node.op.parts, tuple) else (node.op.parts,)
                for ref in (ref for part in parts for ref in refs(part)):
                    yield from self._mutating(ref.name, nodes_of)

    def _fail(self, place: Place, message: str, fix: str) -> NoReturn:
        raise PlanCheckError.at(place, message, fix)


def _shown(op: Join) -> str:
    return f'"{op.count} of {op.total}"' if op.policy == "some" else f'"{op.policy}"'
