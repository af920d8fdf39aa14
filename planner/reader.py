"""The reader of a round's plan: parser and checker together, over all attempts of the round."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from braid.executors.graph import names_read
from braid.executors.nodes import Answer, Map, Node, ToolCall, refs
from braid.planner.checker import PlanChecker
from braid.planner.dialects import Called, CallReader, ThoughtReader, called_statement, without_thoughts
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
        dialects: Whether calls in other forms are read too, and what may be thoughts is held back.
    """

    def __init__(
        self,
        task: PlanTask,
        *,
        max_statements: int = 1000,
        understand: Callable[[Node], Node] | None = None,
        dialects: bool = False,
    ) -> None:
        self.accepted: list[AcceptedStatement] = []
        """The statements of the round so far."""
        self.exhausted = False
        """Whether the plan has too many statements."""
        self._checker = PlanChecker(task.tools, task.graph, round=task.round, verifier=task.verifier)
        self._max = max_statements
        self._understand = understand
        self._task = task
        self._tools = {spec.name for spec in task.tools}
        self._dialects = dialects
        self._thoughts: ThoughtReader | None = None
        self._calls: CallReader | None = None
        self._called: dict[str, str] = {}
        """The name of each call that this attempt made in another form than a plan."""
        self._drafts = 0
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
    def unread(self) -> tuple[str, ...]:
        """What the round's plan looks up or works out for nothing, if it answers.

        Calls that change something in the world are not meant: they are made for that.
        """
        nodes = self.nodes
        if not any(isinstance(node.op, Answer) and not node.op.declines for node in nodes):
            return ()
        read = {name for node in (*self._task.graph.nodes.values(), *nodes) for name in names_read(node)}
        mutating = {spec.name for spec in self._task.tools if spec.effect == "mutating"}

        def meant(node: Node) -> bool:
            op = node.op.body if isinstance(node.op, Map) else node.op
            return isinstance(op, Answer) or (isinstance(op, ToolCall) and op.tool in mutating)

        return tuple(node.name or node.source for node in nodes if node.name not in read and not meant(node))

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
        self._thoughts = ThoughtReader() if self._dialects else None
        self._calls = CallReader(self.call_line) if self._dialects else None
        self._called.clear()
        self._drafts = 0
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
        if self._thoughts is None or self._calls is None:
            yield from self._read(text)
            return
        for piece in self._thoughts.feed(text):
            for line in self._calls.feed(piece):
                yield from self._read(line)

    def _read(self, text: str) -> Iterator[AcceptedStatement]:
        self._pieces.append(text)
        yield from self._take(self._parser.feed(text))

    def call_line(self, call: Called) -> str:
        """The line of a plan that makes a call which the model wrote in another way.

        The result of a tool gets a name, so that later rounds can read it. A call that was accepted before
        keeps the name that it has.
        """
        if call.tool not in self._tools:
            return f"{call.text}\n"
        before = [each.statement for each in self.accepted]
        names = self._called | {each.source.removeprefix(f"{each.name} = "): each.name for each in before}
        taken = {*self._task.graph.names(), *names.values()}
        free = (name for number in itertools.count(1) if (name := f"call{number}") not in taken)
        self._called[call.text] = name = names.get(call.text) or next(free)
        return f"{name} = {call.text}\n"

    def _in_words(self) -> str:
        """The text as an answer in words, to calls whose results an earlier round has shown. Else empty.

        A model that knows function calling and no plan language says its answer when it has the results. Such
        a model has written nothing so far but calls with plain values.
        """
        earlier = [node for node in self._task.graph.nodes.values() if 0 <= node.round < self._task.round]
        only_calls = all(
            isinstance(node.op, ToolCall) and not any(list(refs(value)) for _, value in node.op.args)
            for node in earlier
        )
        text = without_thoughts("".join(self._pieces))
        return text if self._dialects and earlier and only_calls and "```" not in text else ""

    def finish(self, *, cut_off: bool = False) -> Iterator[AcceptedStatement]:
        """The attempt's text has ended. Yield the statements that its end completes.

        Args:
            cut_off: Whether the token limit stopped the model.

        Raises:
            PlanError: Something is open, nothing was written, or the plan was cut off before it answered.
        """
        if self._thoughts is not None and self._calls is not None:
            for piece in self._thoughts.finish():
                for line in self._calls.feed(piece):
                    yield from self._read(line)
            for line in self._calls.finish():
                yield from self._read(line)
        yield from self._take(self._parser.finish())
        if self._count == 0 and not cut_off and (words := self._in_words()):
            self._parser = PlanParser()
            yield from self._read(called_statement("answer", json.dumps({"value": words})) + "\n")
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
            if item.drafts != self._drafts:  # what was accepted of a draft stands, like a rejected attempt
                self._drafts = item.drafts
                self._known = Counter(accepted.statement for accepted in self.accepted)
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
