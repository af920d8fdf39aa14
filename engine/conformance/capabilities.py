"""What each declared capability promises. A suite is skipped for engines that do not declare it."""

from __future__ import annotations

import re
from typing import Any, cast

from braid.engine.base import Engine
from braid.engine.conformance.base import ConformanceBase, generate_text, no_leak, released, skip, stream_all
from braid.engine.errors import InvalidParamsError
from braid.engine.scope import Budget
from braid.engine.types import Message, ToolDeclaration


class ChatConformance(ConformanceBase):
    """Capability `chat`."""

    messages: tuple[Message, ...] = (
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Say hello."},
    )

    async def test_chat_reads_messages(self, engine: Engine) -> None:
        self.need(engine, "chat")
        async with no_leak(engine), await engine.prefill(self.messages) as context:
            assert "Say hello." in context.text and context.token_count > 0
            released(await engine.generate(context, self.greedy()))


class TokenIdsConformance(ConformanceBase):
    """Capability `token_ids`."""

    async def test_token_ids_are_read_and_reported(self, engine: Engine) -> None:
        self.need(engine, "token_ids")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [completion] = released(await engine.generate(context, self.greedy()))
            assert completion.token_ids is not None
            assert len(completion.token_ids) == completion.usage.generated_tokens
            async with await engine.prefill(list(completion.token_ids)) as again:
                assert again.token_count == len(completion.token_ids)

    async def test_impossible_token_ids_are_refused(self, engine: Engine) -> None:
        self.need(engine, "token_ids")
        async with no_leak(engine):
            try:
                await engine.prefill([-1])
            except InvalidParamsError:
                return
        raise AssertionError("expected InvalidParamsError")


class LogprobsConformance(ConformanceBase):
    """Capability `logprobs`."""

    async def test_logprobs_come_with_each_token(self, engine: Engine) -> None:
        self.need(engine, "logprobs")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [completion] = released(await engine.generate(context, self.greedy(logprobs=3)))
            assert completion.logprobs and completion.top_logprobs
            assert all(value <= 1e-6 for value in completion.logprobs)
            assert len(completion.logprobs) == len(completion.top_logprobs)
            if completion.token_ids is not None:
                assert len(completion.logprobs) == len(completion.token_ids)
            for value, best in zip(completion.logprobs, completion.top_logprobs, strict=True):
                values = [logprob for _, logprob in best]
                assert 1 <= len(best) <= 3 and values == sorted(values, reverse=True)
                assert abs(value - values[0]) <= self.tolerance, "greedy decoding takes the best token"

    async def test_logprobs_without_alternatives_and_not_at_all(self, engine: Engine) -> None:
        self.need(engine, "logprobs")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [some] = released(await engine.generate(context, self.greedy(logprobs=0)))
            [none] = released(await engine.generate(context, self.greedy()))
            assert some.logprobs and not some.top_logprobs
            assert none.logprobs is None and none.top_logprobs is None

    async def test_streamed_tokens_carry_logprobs(self, engine: Engine) -> None:
        self.need(engine, "logprobs")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            tokens = await stream_all(engine, context, self.greedy(logprobs=2))
            assert any(token.logprob is not None and token.top_logprobs for token in tokens)


class PromptLogprobsConformance(ConformanceBase):
    """Capability `prompt_logprobs`."""

    async def test_score_gives_one_value_per_token(self, engine: Engine) -> None:
        self.need(engine, "prompt_logprobs")
        scope = Budget()
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            scores = await engine.score(context, " and then it sleeps", budget=scope)
            assert scores and all(value <= 1e-6 for value in scores)
            assert scope.spent["calls"] == 1 and scope.reserved == {"tokens": 0, "calls": 0}

    async def test_score_agrees_with_sampling(self, engine: Engine) -> None:
        self.need(engine, "prompt_logprobs", "logprobs")
        self.need_determinism()
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [completion] = released(await engine.generate(context, self.greedy(logprobs=0, max_tokens=1)))
            scores = await engine.score(context, completion.text) if completion.text else []
            if len(scores) != 1 or completion.logprobs is None or "\ufffd" in completion.text:
                return skip(f"{completion.text!r} is not one token when it is read")
            assert abs(scores[0] - completion.logprobs[0]) <= self.tolerance


class CutConformance(ConformanceBase):
    """Capability `cut`."""

    async def test_cut_rewinds(self, engine: Engine) -> None:
        self.need(engine, "cut")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            [completion] = await engine.generate(context, self.greedy())
            async with completion.context, await engine.cut(completion.context, context.token_count) as back:
                assert back.text == context.text and back.token_count == context.token_count
                if self.deterministic:
                    assert await generate_text(engine, back, self.greedy()) == [completion.text]

    async def test_cut_outside_of_the_context_is_refused(self, engine: Engine) -> None:
        self.need(engine, "cut")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            for length in (-1, 0, context.token_count + 1):
                try:
                    await engine.cut(context, length)
                except InvalidParamsError:
                    continue
                raise AssertionError(f"cut to {length} tokens was accepted")


class TextJoinConformance(ConformanceBase):
    """Capability `text_join`."""

    async def test_join_appends_what_the_parts_added(self, engine: Engine) -> None:
        self.need(engine, "text_join")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            one, two = await engine.generate(context, self.greedy(n=2, temperature=0.8))
            async with one.context, two.context:
                parts = [one.context, two.context]
                async with await engine.join(context, parts, how="text", separator=" | ") as joined:
                    assert joined.text == context.text + one.text + " | " + two.text
                    assert joined.critical_path_tokens == max(part.critical_path_tokens for part in parts)
                    released(await engine.generate(joined, self.greedy()))

    async def test_join_of_strangers_is_refused(self, engine: Engine) -> None:
        self.need(engine, "text_join")
        async with (
            no_leak(engine),
            await engine.prefill(self.prompt) as one,
            await engine.prefill(self.other_prompt) as two,
        ):
            try:
                await engine.join(one, [two], how="text")
            except InvalidParamsError:
                return
        raise AssertionError("expected InvalidParamsError")


class KVJoinConformance(ConformanceBase):
    """Capability `kv_join`."""

    async def test_kv_join_goes_on_from_all_parts(self, engine: Engine) -> None:
        self.need(engine, "kv_join")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            one, two = await engine.generate(context, self.greedy(n=2, temperature=0.8))
            async with one.context, two.context:
                parts = [one.context, two.context]
                async with await engine.join(context, parts, how="kv") as joined:
                    added = sum(part.token_count - context.token_count for part in parts)
                    assert joined.token_count == context.token_count + added
                    assert joined.critical_path_tokens == max(part.critical_path_tokens for part in parts)
                    released(await engine.generate(joined, self.greedy()))


class NativeNConformance(ConformanceBase):
    """Capability `native_n`."""

    async def test_n_branches_are_one_call(self, engine: Engine) -> None:
        self.need(engine, "native_n")
        scope = Budget()
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            released(await engine.generate(context, self.greedy(n=4, temperature=0.8), budget=scope))
            assert scope.spent["calls"] == 1


class SeedConformance(ConformanceBase):
    """Capability `seed`."""

    async def test_a_seed_fixes_every_branch(self, engine: Engine) -> None:
        self.need(engine, "seed")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            params = self.greedy(n=3, temperature=1.0, seed=11)
            assert await generate_text(engine, context, params) == await generate_text(
                engine, context, params
            )

    async def test_branches_do_not_depend_on_their_number(self, engine: Engine) -> None:
        self.need(engine, "seed")
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            few = await generate_text(engine, context, self.greedy(n=2, temperature=1.0, seed=5))
            many = await generate_text(engine, context, self.greedy(n=4, temperature=1.0, seed=5))
            assert many[:2] == few


class ToolCallsConformance(ConformanceBase):
    """Capability `tool_calls`. Whether a model calls a tool is its own affair."""

    async def test_a_chat_with_tools_is_read_and_answered(self, engine: Engine) -> None:
        self.need(engine, "tool_calls")
        messages: list[Message] = [{"role": "user", "content": "How tall is K2?"}]
        tool = ToolDeclaration(name="height", description="Height of a mountain")
        async with (
            no_leak(engine),
            await engine.prefill(messages) as bare,
            await engine.prefill_with_tools(messages, [tool]) as context,
        ):
            assert context.token_count > bare.token_count
            [completion] = released(await engine.generate(context, self.greedy()))
            assert {call.name for call in completion.tool_calls} <= {"height"}


class GrammarConformance(ConformanceBase):
    """Capability `grammar`."""

    async def test_a_regular_expression_binds_the_completion(self, engine: Engine) -> None:
        self.need(engine, "grammar")
        pattern = "(yes|no), [0-9]{2}"
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            params = self.greedy(n=3, temperature=1.0, grammar=pattern, max_tokens=32)
            for text in await generate_text(engine, context, params):
                assert re.fullmatch(pattern, text), f"{text!r} does not match {pattern!r}"

    async def test_a_schema_binds_the_completion(self, engine: Engine) -> None:
        self.need(engine, "grammar" if "grammar" in engine.capabilities else "json_schema")
        import json

        schema: dict[str, object] = {
            "type": "object",
            "properties": {"ok": {"type": "boolean"}},
            "required": ["ok"],
            "additionalProperties": False,
        }
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            params = self.greedy(grammar=schema, max_tokens=48)
            [text] = await generate_text(engine, context, params)
            answer = cast("dict[str, Any]", json.loads(text))
            assert isinstance(answer["ok"], bool)


class AdaptersConformance(ConformanceBase):
    """Capability `adapters`. What there is depends on the adapters that the engine was opened with."""

    async def test_an_unknown_adapter_is_refused(self, engine: Engine) -> None:
        self.need(engine, "adapters")
        try:
            engine.with_adapter("no such adapter")
        except InvalidParamsError:
            return
        raise AssertionError("expected InvalidParamsError")

    async def test_views_share_contexts_and_close_alone(self, engine: Engine) -> None:
        self.need(engine, "adapters")
        for name in (None, *engine.info.adapters):
            view = engine.with_adapter(name)
            async with no_leak(engine), await view.prefill(self.prompt) as context:
                assert view.open_contexts() == engine.open_contexts()
                released(await engine.generate(context, self.greedy()))
            await view.close()
        async with no_leak(engine), await engine.prefill(self.prompt) as context:
            released(await engine.generate(context, self.greedy()))

    async def test_adapters_share_nothing_that_was_read(self, engine: Engine) -> None:
        self.need(engine, "adapters")
        self.need_determinism()
        texts: dict[str | None, list[str]] = {}
        for name in (None, *engine.info.adapters):
            view = engine.with_adapter(name)
            async with no_leak(engine), await view.prefill(self.prompt) as context:
                texts[name] = await generate_text(view, context, self.greedy())
        for name, alone in texts.items():
            view = engine.with_adapter(name)
            async with no_leak(engine), await view.prefill(self.prompt) as context:
                assert await generate_text(engine, context, self.greedy()) == alone
