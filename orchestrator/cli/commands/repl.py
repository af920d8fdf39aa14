"""`braid repl`: one question after another, in one conversation.

Ctrl-C stops the running task and keeps the session. Ctrl-D leaves. Without a terminal, lines are read from
stdin.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from braid.engine import Message
from braid.executors import Tool
from braid.orchestrator.agent import Agent
from braid.orchestrator.cli.commands.plan import show_plan
from braid.orchestrator.cli.commands.run import show_result, watch
from braid.orchestrator.cli.commands.tools import show_tools
from braid.orchestrator.cli.group import EXIT_CODES, report_error
from braid.orchestrator.cli.interrupts import interrupting
from braid.orchestrator.cli.options import (
    CacheOption,
    ChunkOption,
    ContinueOption,
    DeviceOption,
    EngineOption,
    InstructionsOption,
    JournalOption,
    MaxTokensOption,
    McpOption,
    MemoryOption,
    ProbeOption,
    SamplesOption,
    SeedOption,
    ShortcutsOption,
    StopOption,
    TemperatureOption,
    ThinkEngineOption,
    ThreadsOption,
    ToolsFromOption,
    ToolsOption,
    TopPOption,
    conversation,
    make_agent,
    run_async,
    run_spec,
    selected_tools,
)
from braid.orchestrator.cli.output import console
from braid.orchestrator.cli.person import Person
from braid.orchestrator.events import RunStatus
from braid.orchestrator.settings import RunSpec, state_folder

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

HELP = """\
Ask one question after another; later ones may refer to earlier ones.

Inside: /plan <question>, /tools, /engine \\[address], /help, /quit.
A line typed while a task runs is told to the planner.
Ctrl-C stops the running task and keeps the session; Ctrl-D leaves.
Lines from a pipe: the exit code is that of the last question, as of `braid run`.
"""

_SESSION_HELP = """\
Type a question. Later ones may refer to earlier ones.

  /plan <question>    show the plan, run nothing
  /tools              the tools that plans may call
  /engine [address]   show the engine, or change it
  /new                forget the conversation
  /help               this
  /quit               leave (so does Ctrl-D)

While a task runs: type a line and press Enter to tell the planner something; Ctrl-C stops the task."""
_COMMANDS = ("/plan", "/tools", "/engine", "/new", "/help", "/quit")


def repl(
    engine: EngineOption = None,
    think_engine: ThinkEngineOption = None,
    tools: ToolsOption = None,
    tools_from: ToolsFromOption = None,
    mcp: McpOption = None,
    max_rounds: Annotated[
        int | None,
        typer.Option(
            "--max-rounds", min=1, metavar="N", help="Plans per question at most.", show_default=False
        ),
    ] = None,
    instructions: InstructionsOption = None,
    temperature: TemperatureOption = None,
    max_tokens: MaxTokensOption = None,
    samples: SamplesOption = None,
    top_p: TopPOption = None,
    stop: StopOption = None,
    seed: SeedOption = None,
    shortcuts: ShortcutsOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = None,
    memory: MemoryOption = None,
    cache: CacheOption = None,
    chunk: ChunkOption = None,
    probe: ProbeOption = None,
    journal: JournalOption = None,
    goes_on: ContinueOption = False,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history",
            metavar="FILE",
            help="Where typed lines are kept. Default: in your state folder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Hold a session at the terminal."""
    spec = run_spec(
        tools_from=tools_from or None,
        engine=engine,
        think_engine=think_engine,
        mcp=mcp,
        max_rounds=max_rounds,
        instructions=instructions,
        temperature=temperature,
        max_tokens=max_tokens,
        samples=samples,
        top_p=top_p,
        stop=stop,
        seed=seed,
        shortcuts=shortcuts,
        threads=threads,
        device=device,
        memory_mib=memory,
        cache_mib=cache,
        chunk_tokens=chunk,
        probe=probe,
    )
    earlier = conversation("last") if goes_on else ()
    session = Repl(spec, selected_tools(tools, spec.tools_from), journal=journal, history=earlier)
    raise typer.Exit(run_async(_talk(session, history or state_folder() / "history")))


async def _talk(session: Repl, history_file: Path) -> int:
    """Hold the session. Returns the exit code, which is that of the last question where nobody is there."""
    at_terminal = sys.stdin.isatty()
    try:
        await session.talk(TerminalLines(history_file) if at_terminal else PipedLines())
    finally:
        await session.close()
    return 0 if at_terminal else EXIT_CODES[session.status]


class PipedLines:
    """Lines from a stdin that is no terminal."""

    async def read(self) -> str | None:
        """The next line, or None at the end."""
        before = signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # asyncio's would not wake `readline`
        try:
            return sys.stdin.readline() or None
        finally:
            signal.signal(signal.SIGINT, before)


class TerminalLines:
    """Lines from a terminal, with editing, completion of commands and a history that outlives the session."""

    def __init__(self, history_file: Path) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter

        self._session: PromptSession[str] = PromptSession(
            history=_open_history(history_file),
            completer=WordCompleter(list(_COMMANDS), sentence=True),
            complete_while_typing=False,
        )

    async def read(self) -> str | None:
        """The next line. It is "" when Ctrl-C dropped it, and None for Ctrl-D."""
        try:
            return await self._session.prompt_async("braid> ")
        except KeyboardInterrupt:
            return ""
        except EOFError:
            return None


Lines = PipedLines | TerminalLines


class Repl:
    """One session: an agent, a conversation, and the task that runs now."""

    def __init__(
        self,
        spec: RunSpec,
        tools: Sequence[Tool],
        *,
        journal: bool | None,
        history: Sequence[Message] = (),
    ) -> None:
        self._spec = spec
        self._tools = tools
        self._journal = journal
        self._person = Person()
        self._agent = self._make_agent(spec)
        self._messages = history
        self._out = console()
        self.status: RunStatus = "answered"
        """How the last question ended."""

    async def talk(self, lines: Lines) -> None:
        """Read and answer until the end of input or /quit."""
        if isinstance(lines, TerminalLines):
            self._out.print("Ask a question, or /help. Ctrl-D leaves.", style="dim")
        while (line := await lines.read()) is not None:
            command, _, rest = line.strip().partition(" ")
            if command in ("/quit", "/exit"):
                return
            if command:
                await self._guarded(self._do(command, rest.strip(), line.strip()))

    async def close(self) -> None:
        await self._agent.close()

    async def _do(self, command: str, rest: str, line: str) -> None:
        match command:
            case "/help":
                self._out.print(_SESSION_HELP)
            case "/tools":
                show_tools(self._agent.tools.specs(), self._out)
            case "/new":
                self._messages = ()
            case "/engine":
                await self._engine(rest)
            case "/plan" if not rest:
                self._out.print("/plan needs a question: /plan How tall is K2?")
            case "/plan":
                await show_plan(self._agent, rest, history=self._messages)
            case _ if command.startswith("/"):
                self._out.print(f"unknown command {command}; there are {', '.join(_COMMANDS)}")
            case _:
                await self._answer(line)

    async def _answer(self, question: str) -> None:
        result = await watch(self._agent, question, self._person, history=self._messages)
        show_result(result)
        self.status = result.status
        self._messages = result.history
        for text in result.unheard:  # typed while the plan was written, and not taken up by it
            console(stderr=True).print(f"and you asked: {text}", style="dim", soft_wrap=True)
            await self._answer(text)

    async def _engine(self, address: str) -> None:
        if address:
            spec = self._spec.model_copy(update={"engine": address, "think_engine": None})
            agent = self._make_agent(spec)
            await agent.open()  # a wrong address leaves the session as it is
            await self._agent.close()
            self._agent, self._spec = agent, spec
        engines = await self._agent.open_engines()
        for info in {id(engine): engine.info for engine in (engines.plan, engines.think)}.values():
            self._out.print(
                f"{info.uri}: {info.model}, {', '.join(sorted(info.capabilities))}", soft_wrap=True
            )
            for key, value in sorted(info.details.items()):
                self._out.print(f"  {key}: {value}", soft_wrap=True)

    def _make_agent(self, spec: RunSpec) -> Agent:
        return make_agent(spec, self._tools, person=self._person, journal=self._journal)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`. Neither Ctrl-C nor an error in it ends the session."""
        task = asyncio.create_task(work)
        with interrupting(task):
            await asyncio.wait([task])
        if task.cancelled():
            console(stderr=True).print("stopped", style="yellow")
        elif (error := task.exception()) is not None:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise error
            self.status = "failed"
            report_error(error)


def _open_history(file: Path) -> Any:
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError as error:
        console(stderr=True).print(f"no history is kept: {error}", style="yellow")
        return InMemoryHistory()
    return FileHistory(file)
