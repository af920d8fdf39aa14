"""One attempt at a Countdown problem in each mode, through the methods of `reasoning`, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from braid.engine import Engine, Usage
from braid.evals.countdown.notation import answer_equations, answers, prompt
from braid.evals.countdown.problems import Problem
from braid.evals.countdown.thread_format import CountdownThreads
from braid.reasoning import MethodRun, TokenSpan, best_of_n, direct, spawn_join

DEFAULT_WINDOW = 256
ANSWER_TOKENS = 32
"""Room for a direct answer: an equation has five tokens."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An answer and the work that it took."""

    text: str
    solved: bool
    spans: tuple[TokenSpan, ...]
    """Computed tokens, the prompt included."""
    usage: Usage
    threads: int = 0
    """Threads that were run."""

    @property
    def tokens(self) -> int:
        """All tokens computed, read or written. What sequences share counts once."""
        return sum(span.end - span.start for span in self.spans)

    @property
    def longest_sequence(self) -> int:
        """The context window that was needed, in tokens."""
        return max(span.end for span in self.spans)


class CountdownVerifier:
    """Exact verifier (`braid.reasoning.Verifier`): 1 for a solution and 0 for anything else."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    async def score(self, question: str, candidates: Sequence[str]) -> list[float]:
        return [float(answers(candidate, self.problem)) for candidate in candidates]


async def attempt_direct(
    engine: Engine, problem: Problem, *, samples: int, temperature: float = 1.0, seed: int = 0
) -> tuple[Attempt, ...]:
    """`samples` answers from one prompt, in the order drawn. The prompt is in the spans of the first."""
    async with await engine.prefill(prompt("DIRECT", problem.target, problem.numbers)) as context:
        solution = await best_of_n(
            MethodRun(engine=engine, seed=seed, verifier=CountdownVerifier(problem)),
            context,
            n=samples,
            max_tokens=ANSWER_TOKENS,
            temperature=temperature,
            extract=extract_answer,
        )
        read = context.token_count
    return tuple(
        Attempt(
            text=candidate.text,
            solved=answers(candidate.text, problem),
            spans=(TokenSpan(read if place else 0, read + candidate.critical_path_tokens),),
            usage=Usage(
                prompt_tokens=0 if place else read,
                generated_tokens=candidate.critical_path_tokens,
                critical_path_tokens=candidate.critical_path_tokens,
            ),
        )
        for place, candidate in enumerate(solution.candidates)
    )


async def attempt_serial(engine: Engine, problem: Problem, *, window: int = DEFAULT_WINDOW) -> Attempt:
    """One greedy search in one sequence of at most `window` tokens."""
    async with await engine.prefill(prompt("SERIAL", problem.target, problem.numbers)) as context:
        room = window - context.token_count
        solution = await direct(MethodRun(engine=engine), context, max_tokens=room, extract=extract_answer)
        text = solution.candidates[0].text
        return Attempt(
            text=text,
            solved=answers(text, problem),
            spans=(TokenSpan(0, context.token_count + solution.usage.generated_tokens),),
            usage=context.usage.then(solution.usage),
        )


async def attempt_spawn(
    engine: Engine,
    problem: Problem,
    *,
    threads: int,
    window: int = DEFAULT_WINDOW,
    check: bool = False,
    temperature: float = 0.0,
    seed: int = 0,
) -> Attempt:
    """One search with `threads` threads (0 to 10), each sequence of at most `window` tokens."""
    text = prompt("SPAWN", problem.target, problem.numbers, threads=threads)
    async with await engine.prefill(text) as context:
        solution = await spawn_join(
            MethodRun(engine=engine, seed=seed),
            context,
            threads=CountdownThreads(check=check),
            window=window,
            temperature=temperature,
            extract=extract_answer,
        )
        return Attempt(
            text=solution.candidates[0].text,
            solved=answers(solution.answer, problem),
            spans=(TokenSpan(0, context.token_count), *solution.spans),
            usage=context.usage.then(solution.usage),
            threads=solution.threads,
        )


def extract_answer(text: str) -> str | None:
    """The part of `text` from `ANS` on. None without equations there."""
    return text[text.rindex("ANS") :].strip() if answer_equations(text) else None
