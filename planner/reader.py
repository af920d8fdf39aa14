"""The reader of a round's plan: parser and checker together, over all attempts of the round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from braid.executors.nodes import Node
from braid.planner.checker import PlanChecker
from braid.planner.errors import PlanCheckError, PlanError, PlanSyntaxError
from braid.planner.events import PlannerStatement
from braid.planner.language import PlanParser, Statement, render_guards
from braid.planner.task import PlanTask


@dataclass(frozen=True)
class AcceptedStatement:
    """A statement that was accepted."""

    statement: Statement
    nodes: tuple[Node, ...]
    """Its nodes. Those of calls that stood inside it come first, its own last."""


def statement_event(accepted: AcceptedStatement, task: PlanTask, *, attempt: int = 0) -> PlannerStatement:
    """The event that says that a statement was accepted."""
    statement = accepted.statement
    return PlannerStatement(
        nodes=tuple(node.id for node in accepted.nodes),
        name=statement.name,
        source=statement.source,
        condition=render_guards(accepted.nodes[-1].guards) if accepted.nodes else "",
        line=statement.line,
        round=task.round,
        attempt=attempt,
    )


class PlanReader:
    """Reads the attempts at one round's plan.

    Statements that an earlier attempt brought stand. Where a later attempt repeats them, they are passed
    over. A call without a name is passed over as often as it was accepted.

    Args:
        task: The round.
        max_statements: One statement more is an error, and then `exhausted` is true.
        understand: What is made of each node, where a model has turns of its own. None takes it as it is.
    """

    def __init__(
        self,
        task: PlanTask,
        *,
        max_statements: int = 1000,
        understand: Callable[[Node], Node] | None = None,
    ) -> None:
        self.accepted: list[AcceptedStatement] = []
        """The statements of the round so far."""
        self.exhausted = False
        """Whether the plan has too many statements."""
        self._checker = PlanChecker(task.tools, task.graph, round=task.round, verifier=task.verifier)
        self._max = max_statements
        self._understand = understand
        self._parser = PlanParser()
        self._known: Counter[Statement] = Counter()
        self._pieces: list[str] = []
        self._accepted_end = 0
        self._line_end = 0
        self._last_line = 0
        self._count = 0

    @property
    def nodes(self) -> list[Node]:
        """All nodes of the round so far."""
        return [node for accepted in self.accepted for node in accepted.nodes]

    @property
    def complete(self) -> bool:
        """Whether the plan is at its end. It answers under no condition, or an end mark was read."""
        return self._checker.answered or self._parser.ended

    @property
    def text(self) -> str:
        """All of this attempt's text, what it went on from included."""
        return "".join(self._pieces)

    @property
    def accepted_text(self) -> str:
        """This attempt's text up to the end of the last line whose statements were all accepted."""
        return "".join(self._pieces)[: self._accepted_end]

    def begin(self, prefix: str = "") -> None:
        """Start an attempt.

        Args:
            prefix: Text of accepted statements that the model goes on from.
        """
        self._parser = PlanParser()
        self._known = Counter(accepted.statement for accepted in self.accepted)
        self._pieces.clear()
        self._accepted_end = self._line_end = self._last_line = self._count = 0
        for _ in self.feed(prefix):
            pass

    def feed(self, text: str) -> Iterator[AcceptedStatement]:
        """Take what the model wrote next. Yield the statements that it completes.

        Raises:
            PlanError: The first mistake. The attempt is over.
        """
        self._pieces.append(text)
        yield from self._take(self._parser.feed(text))

    def finish(self, *, cut_off: bool = False) -> Iterator[AcceptedStatement]:
        """The attempt's text has ended. Yield the statements that its end completes.

        Args:
            cut_off: Whether the token limit stopped the model.

        Raises:
            PlanError: Something is open, nothing was written, or the plan was cut off before it answered.
        """
        yield from self._take(self._parser.finish())
        if self._count == 0:
            raise PlanSyntaxError(
                "the token limit came before the first statement of a plan"
                if cut_off
                else "there is no statement of a plan in this text",
                line=1,
                column=1,
                fix="reply with the plan only: one statement on each line, `answer(...)` at the end",
                source_line=next((line for line in "".join(self._pieces).splitlines() if line.strip()), "")[
                    :100
                ],
            )
        if cut_off and not self._checker.answered:
            raise PlanSyntaxError(
                "the plan was cut off before its end: it is too long",
                line="".join(self._pieces).count("\n") + 1,
                column=1,
                fix="write fewer and shorter statements; a map calls a tool for every item of a list",
            )

    def _take(self, items: Iterable[Statement | PlanSyntaxError]) -> Iterator[AcceptedStatement]:
        for item in items:
            if isinstance(item, PlanError):
                if item.line > self._last_line:
                    self._accepted_end = self._line_end
                raise item
            self._count += 1
            if item.end != self._line_end:
                self._accepted_end = self._line_end
                self._line_end = item.end
            self._last_line = item.line + item.source.count("\n")
            if self._known[item] > 0:
                self._known[item] -= item.name is None
                continue
            if len(self.accepted) >= self._max:
                self.exhausted = True
                raise PlanCheckError(
                    f"the plan has more than {self._max} statements",
                    line=item.line,
                    column=item.column,
                    fix="use maps: `[tool(x) for x in xs]` calls a tool for every item",
                )
            nodes = self._checker.check(item)
            if self._understand is not None:
                nodes = [self._understand(node) for node in nodes]
            accepted = AcceptedStatement(item, tuple(nodes))
            self.accepted.append(accepted)
            yield accepted
        self._accepted_end = self._line_end
