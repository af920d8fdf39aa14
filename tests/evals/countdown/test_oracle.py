"""The symbolic solver as an engine, in every mode."""

from __future__ import annotations

import pytest

from braid.engine import SamplingParams
from braid.evals.countdown.demonstrators import demonstrate_join, demonstrate_serial, demonstrate_spawn
from braid.evals.countdown.notation import TraceError, prompt
from braid.evals.countdown.oracle import continuation, oracle_engine
from braid.evals.countdown.problems import Problem, generate
from braid.evals.countdown.solve import attempt_direct, attempt_serial, attempt_spawn

PROBLEM = Problem((45, 43, 7, 4), 54)


async def test_the_oracle_behind_the_engine_spawns_and_joins() -> None:
    async with oracle_engine() as engine:
        for problem in generate("validation", 10):
            parent, threads = demonstrate_spawn(problem.numbers, problem.target, 6)
            tried = await attempt_spawn(engine, problem, threads=6)
            join = demonstrate_join(problem.numbers, problem.target, 6, threads)
            assert tried.text.split() == join.text.split()
            assert tried.solved == any(thread.found for thread in threads)
            # Every token once: the parent's header, its list without the end mark, the threads, the join, the
            # rest.
            written = [thread.child.prompt + " " + thread.child.text for thread in threads]
            joined = join.prompt.removeprefix(prompt("SPAWN", problem.target, problem.numbers, threads=6))
            expected = sum(len(t.split()) for t in (parent.prompt, parent.text, *written, joined, join.text))
            assert tried.tokens == expected - 1
            longest = max(
                len(t.split())
                for t in (
                    f"{parent.prompt} {parent.text}".removesuffix(" END"),
                    *written,
                    f"{join.prompt} {join.text}",
                )
            )
            assert tried.longest_sequence == longest
            assert tried.threads == 6
        assert engine.open_contexts() == 0


async def test_the_oracle_in_the_other_modes() -> None:
    async with oracle_engine() as engine:
        direct = await attempt_direct(engine, PROBLEM, samples=3)
        assert [a.solved for a in direct] == [True] * 3
        serial = await attempt_serial(engine, PROBLEM, window=1024)
        text = demonstrate_serial(PROBLEM.numbers, PROBLEM.target).text
        assert serial.solved and serial.longest_sequence == 7 + len(text.split())
        assert not (await attempt_serial(engine, PROBLEM, window=40)).solved
        none = await attempt_spawn(engine, PROBLEM, threads=0)
        assert none.threads == 0 and none.usage.calls == 1
    with pytest.raises(TraceError):
        continuation("Hello")


async def test_any_prefix_of_a_list_is_continued() -> None:
    demonstration, _ = demonstrate_spawn(PROBLEM.numbers, PROBLEM.target, 2)
    words = f"{demonstration.prompt} {demonstration.text}".split()
    async with oracle_engine() as engine:
        for at in range(8, len(words)):
            async with await engine.prefill(" ".join(words[:at])) as context:
                (found,) = await engine.generate(context, SamplingParams(max_tokens=64))
                found.context.release()
            assert found.text.split() == words[at:]
