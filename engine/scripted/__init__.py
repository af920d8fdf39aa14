r"""A scripted engine for tests: an `Engine` that gives scripted responses and records what it was asked.

    engine = ScriptedEngine('a = search("height of K2")\nanswer(a)')
    agent = Agent(engine=engine, tools=[...])

An asynchronous generator as the response keeps the engine silent for as long as the test wants:

    async def plan(prompt: str) -> AsyncIterator[str]:
        yield 'a = search("height of K2")\n'
        await hold.wait()
        yield "answer(a)"
"""

from braid.engine.scripted.engine import Call, ScriptedEngine, ScriptExhaustedError
from braid.engine.scripted.script import Response, Script

__all__ = ["Call", "Response", "Script", "ScriptExhaustedError", "ScriptedEngine"]
