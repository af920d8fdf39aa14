"""What every engine must do: prefill, generate, stream, cancel, usage and budget, release, errors."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Any, cast, get_args

from braid.engine.base import Engine
from braid.engine.conformance.base import ConformanceBase, generate_text, no_leak, released, skip, stream_all
from braid.engine.errors import (
    BudgetExceededError,
    CapabilityError,
    ContextLengthError,
    ContextReleasedError,
    EngineError,
    InvalidParamsError,
)
from braid.engine.scope import Budget, use_budget
from braid.engine.types import Capability, Usage


class CoreConformance(ConformanceBase):
    """What every engine must do."""

    async def test_info_is_filled_in(self, engine: Engine) -> None:
        info = engine.info
        assert info.uri and info.model
        assert info.capabilities <= frozenset(get_args(Capability))
        assert info.max_context is None or info.max_context > 0

    # prefill and handles

    async def test_prefill_gives_a_context_that_is_released_once(self, engine: Engine) -> None:
        before = engine.open_contexts()
        context = await engine.prefill(self.prompt)
        assert engine.open_contexts() == before + 1
        assert context.token_count > 0 and context.critical_path_tokens == 0 and not context.released
        if isinstance(self.prompt, str):
            assert self.prompt in context.text
        context.release()
        context.release()
        assert context.released and engine.open_contexts() == before

    async def test_context_manager_releases(self, engine: Engine) -> None:
        async with no_leak(engine):
            async with await engine.prefill(self.prompt) as context:
                assert not context.released
            assert context.released

    async def test_extend_appends_text(self, engine: Engine) -> None:
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            try:
                longer = await engine.extend(context, " and so on")
            except CapabilityError as error:
                return skip(str(error))
            async with longer:
                assert longer.text.endswith(" and so on")
                assert longer.token_count > context.token_count
                released(await engine.generate(longer, self.greedy()))

    async def test_released_context_is_refused(self, engine: Engine) -> None:
        context = await engine.prefill(self.prompt)
        context.release()
        await self._raises(ContextReleasedError, engine.generate(context, self.greedy()))
        await self._raises(ContextReleasedError, engine.extend(context, "x"))
        await self._raises(ContextReleasedError, stream_all(engine, context, self.greedy()))

    async def test_descendant_outlives_its_ancestor(self, engine: Engine) -> None:
        async with no_leak(engine):
            context = await engine.prefill(self.prompt)
            [first] = await engine.generate(context, self.greedy())
            context.release()
            async with first.context:
                [second] = await engine.generate(first.context, self.greedy())
                assert second.context.critical_path_tokens >= first.context.critical_path_tokens
                second.context.release()

    # generate and stream

    async def test_generate_gives_one_owned_completion(self, engine: Engine) -> None:
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [completion] = await engine.generate(context, self.greedy())
            async with completion.context:
                assert completion.index == 0 and completion.finish_reason in ("stop", "length")
                assert completion.text in completion.context.text
                assert 1 <= completion.usage.generated_tokens <= self.max_tokens
                assert completion.usage.critical_path_tokens == completion.usage.generated_tokens
                assert completion.context.critical_path_tokens == completion.usage.generated_tokens

    async def test_n_completions_come_in_order_and_fork_the_context(self, engine: Engine) -> None:
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            text = context.text
            completions = await engine.generate(context, self.greedy(n=3, temperature=0.8))
            assert [completion.index for completion in completions] == [0, 1, 2]
            assert len({id(completion.context) for completion in completions}) == 3
            assert context.text == text
            released(completions)

    async def test_greedy_is_repeatable_and_streams_the_same(self, engine: Engine) -> None:
        self.need_determinism()
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [first] = await generate_text(engine, context, self.greedy())
            [second] = await generate_text(engine, context, self.greedy())
            tokens = await stream_all(engine, context, self.greedy())
            assert first == second == "".join(token.text for token in tokens)

    async def test_stream_ends_each_branch_once(self, engine: Engine) -> None:
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            tokens = await stream_all(engine, context, self.greedy(n=2, temperature=0.8))
            for index in (0, 1):
                branch = [token for token in tokens if token.index == index]
                assert [token.finish_reason for token in branch[:-1]] == [None] * (len(branch) - 1)
                assert branch[-1].finish_reason in ("stop", "length")

    async def test_max_tokens_is_a_limit(self, engine: Engine) -> None:
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [completion] = released(await engine.generate(context, self.greedy(max_tokens=2)))
            assert completion.usage.generated_tokens <= 2
            if completion.usage.generated_tokens == 2:
                assert completion.finish_reason in ("length", "stop")

    async def test_stop_string_ends_and_is_not_shown(self, engine: Engine) -> None:
        self.need_determinism()
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [text] = await generate_text(engine, context, self.greedy())
            stop = text[len(text) // 2 : len(text) // 2 + 2]
            if "\ufffd" in stop or not stop.strip():
                return skip(f"no usable stop string in {text!r}")
            expected = text[: text.index(stop)]
            [completion] = await engine.generate(context, self.greedy(stop=(stop, "never to be seen")))
            async with completion.context:
                assert completion.text == expected
                assert completion.finish_reason == "stop" and completion.stop_hit in (stop, None)
                assert completion.context.text.endswith(expected)
            tokens = await stream_all(engine, context, self.greedy(stop=(stop,)))
            assert "".join(token.text for token in tokens) == expected

    async def test_requests_side_by_side_give_what_they_give_alone(self, engine: Engine) -> None:
        self.need_determinism()
        async with (
            no_leak(engine),
            await engine.prefill(self.prompt) as one,
            await engine.prefill(self.other_prompt) as two,
        ):
            contexts = [one, two, one, two]
            alone = [await generate_text(engine, context, self.greedy()) for context in contexts]
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(generate_text(engine, context, self.greedy())) for context in contexts
                ]
            assert [task.result() for task in tasks] == alone

    # cancellation

    async def test_cancelled_generate_gives_everything_back(self, engine: Engine) -> None:
        scope = Budget()
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            params = self.greedy(max_tokens=self.long_tokens)
            task = asyncio.create_task(engine.generate(context, params, budget=scope))
            await asyncio.sleep(0.02)
            task.cancel()
            with suppress(asyncio.CancelledError):
                released(await task)  # it may have been done already
            assert scope.reserved == {"tokens": 0, "calls": 0}
            released(await engine.generate(context, self.greedy()))

    async def test_closed_stream_gives_everything_back(self, engine: Engine) -> None:
        scope = Budget()
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            params = self.greedy(max_tokens=self.long_tokens)
            async with aclosing(cast("Any", engine.stream(context, params, budget=scope))) as stream:
                async for _ in stream:
                    break
            assert scope.reserved == {"tokens": 0, "calls": 0}
            released(await engine.generate(context, self.greedy()))

    # usage and budget

    async def test_budget_books_what_usage_says(self, engine: Engine) -> None:
        scope = Budget()
        async with no_leak(engine), await engine.prefill(self.prompt, budget=scope) as context:
            params = self.greedy(n=2, temperature=0.8)
            completions = released(await engine.generate(context, params, budget=scope))
            total = context.usage.then(Usage.parallel(completion.usage for completion in completions))
            assert total.cached_tokens <= total.prompt_tokens and total.generated_tokens >= 2
            assert scope.spent == {
                "tokens": total.prompt_tokens + total.generated_tokens,
                "calls": total.calls,
            }
            assert scope.reserved == {"tokens": 0, "calls": 0}

    async def test_ambient_budget_is_charged(self, engine: Engine) -> None:
        async with no_leak(engine):
            with use_budget(Budget()) as scope:
                async with await engine.prefill(self.prompt) as context:
                    released(await engine.generate(context, self.greedy()))
            assert scope.spent["calls"] == 1 and scope.spent["tokens"] > 0

    async def test_budget_that_does_not_suffice_refuses_before_the_work(self, engine: Engine) -> None:
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            for scope in (Budget(tokens=1), Budget(calls=0)):
                await self._raises(BudgetExceededError, engine.generate(context, self.greedy(), budget=scope))
                await self._raises(BudgetExceededError, _drain(engine, context, self.greedy(), scope))
                assert scope.spent == scope.reserved == {"tokens": 0, "calls": 0}

    # errors

    async def test_malformed_prompts_are_refused(self, engine: Engine) -> None:
        async with no_leak(engine):
            for bad in ("", [], [{"role": "nobody", "content": "x"}], [{"role": "user"}], 7, ["text"]):
                await self._raises(InvalidParamsError, engine.prefill(cast("Any", bad)))

    async def test_too_long_requests_are_refused(self, engine: Engine) -> None:
        limit = engine.info.max_context
        if limit is None:
            return skip("the engine knows no longest context")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            params = self.greedy(max_tokens=limit + 1)
            await self._raises(ContextLengthError, engine.generate(context, params))

    async def test_what_is_not_declared_raises(self, engine: Engine) -> None:
        missing = frozenset(get_args(Capability)) - engine.capabilities
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            if "cut" in missing:
                await self._raises(CapabilityError, engine.cut(context, 1))
            if "text_join" in missing:
                await self._raises(CapabilityError, engine.join(context, [], how="text"))
            if "kv_join" in missing:
                await self._raises(CapabilityError, engine.join(context, [], how="kv"))
            if "prompt_logprobs" in missing:
                await self._raises(CapabilityError, engine.score(context, " text"))
            if "logprobs" in missing:
                await self._raises(CapabilityError, engine.generate(context, self.greedy(logprobs=1)))
            if "grammar" in missing:
                await self._raises(CapabilityError, engine.generate(context, self.greedy(grammar="yes|no")))
            if "penalties" in missing:
                given = self.greedy(presence_penalty=1.0)
                await self._raises(CapabilityError, engine.generate(context, given))
            if "tool_calls" in missing:
                await self._raises(
                    CapabilityError, engine.prefill_with_tools([{"role": "user", "content": "hi"}], [])
                )
            if "token_ids" in missing:
                await self._raises(CapabilityError, engine.prefill([1, 2, 3]))

    async def test_adapters_that_are_not_declared_raise(self, engine: Engine) -> None:
        if "adapters" in engine.capabilities:
            return
        try:
            engine.with_adapter(None)
        except CapabilityError:
            return
        raise AssertionError("expected CapabilityError")

    async def test_closed_engine_refuses_and_closes_again(self, engine: Engine) -> None:
        context = await engine.prefill(self.prompt)
        await engine.close()
        await engine.close()
        await self._raises(EngineError, engine.prefill(self.prompt))
        await self._raises(EngineError, engine.generate(context, self.greedy()))
        context.release()
        assert engine.open_contexts() == 0

    @staticmethod
    async def _raises(expected: type[Exception], work: Any) -> None:
        try:
            await work
        except expected as error:
            assert str(error), "an error says what is wrong"
            return
        raise AssertionError(f"expected {expected.__name__}")


async def _drain(engine: Engine, context: Any, params: Any, scope: Budget) -> None:
    async for _ in engine.stream(context, params, budget=scope):
        pass
