"""Budgets never go over by one unit, whoever races. Scopes nest. Reservations are settled once."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braid.engine import Budget, BudgetExceededError, InvalidParamsError, Price, budget
from braid.engine.scope.budget import ambient_budget, use_budget

NOTHING = {"tokens": 0, "calls": 0}


def test_threads_racing_for_a_budget_never_cross_it():
    root = Budget(tokens=1000, calls=400)
    scopes = [root.child(f"branch {i}", tokens=200) for i in range(8)]
    granted: list[int] = []
    start = threading.Barrier(len(scopes))

    def work(number: int) -> None:
        mine = 0
        start.wait()
        for attempt in range(300):
            amount = 1 + (number * 7 + attempt) % 5
            try:
                held = scopes[number].reserve(tokens=amount, calls=1)
            except BudgetExceededError:
                continue
            assert root.spent["tokens"] + root.reserved["tokens"] <= 1000
            if attempt % 3:
                held.settle(tokens=amount, calls=1)
                mine += amount
            else:
                held.refund()
        granted.append(mine)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(scopes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == len(scopes)
    assert root.spent["tokens"] == sum(granted) <= 1000
    assert root.spent["calls"] <= 400
    assert root.reserved == NOTHING and root.overshoot == NOTHING
    for scope in scopes:
        assert scope.spent["tokens"] <= 200 and scope.reserved == NOTHING
    assert sum(scope.spent["tokens"] for scope in scopes) == root.spent["tokens"]


def test_all_units_of_a_contended_budget_are_given_out():
    root = Budget(calls=500)
    taken = [0] * 8

    def work(number: int) -> None:
        try:
            while True:
                root.reserve(calls=1).settle(calls=1)
                taken[number] += 1
        except BudgetExceededError:
            return

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == root.spent["calls"] == 500


@given(
    limits=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    amounts=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10), st.booleans()), max_size=20),
)
def test_any_order_of_reserving_and_settling_adds_up(limits, amounts):
    root = Budget(tokens=limits[0])
    child = root.child("inner", tokens=limits[1])
    spent = 0
    open_reservations = []
    for asked, used, now in amounts:
        used = min(asked, used)
        held_before = root.reserved["tokens"]
        fits = spent + held_before + asked <= min(limits) or asked == 0
        try:
            held = child.reserve(tokens=asked)
        except BudgetExceededError as error:
            assert not fits
            assert error.limit == "tokens" and error.asked == asked
            continue
        assert fits
        if now:
            held.settle(tokens=used)
            spent += used
        else:
            open_reservations.append((held, used))
        assert root.spent == child.spent and root.reserved == child.reserved
    for held, used in open_reservations:
        held.settle(tokens=used)
        held.settle(tokens=99)  # settled once
        spent += used
    assert root.spent["tokens"] == spent and root.reserved == NOTHING and root.overshoot == NOTHING


def test_a_refused_reservation_holds_nothing_anywhere():
    root = Budget(tokens=100)
    inner = root.child("inner", calls=0)
    with pytest.raises(BudgetExceededError) as caught:
        inner.reserve(tokens=10, calls=1)
    assert (caught.value.limit, caught.value.scope) == ("calls", "inner")
    assert root.reserved == inner.reserved == NOTHING


def test_leaving_a_reservation_unsettled_refunds_it():
    scope = Budget(tokens=5)
    with pytest.raises(RuntimeError), scope.reserve(tokens=5):
        raise RuntimeError
    assert scope.remaining("tokens") == 5


def test_overshoot_is_booked_and_reported():
    root = Budget(tokens=10)
    inner = root.child("inner")
    inner.reserve(tokens=8).settle(tokens=13)
    assert root.spent["tokens"] == 13 and root.overshoot["tokens"] == 3
    assert inner.overshoot["tokens"] == 0  # it has no limit of its own
    assert root.remaining("tokens") == 0
    with pytest.raises(BudgetExceededError):
        inner.reserve(tokens=1)


def test_remaining_is_the_tightest_scope():
    root = Budget(tokens=100, calls=3)
    inner = root.child("inner", tokens=500)
    assert inner.remaining("tokens") == 100 and inner.remaining("calls") == 3
    assert Budget().remaining("tokens") is None


def test_deadline():
    scope = Budget(seconds=0.0, parent=Budget(seconds=1000))
    assert scope.remaining_seconds() is not None and scope.remaining_seconds() <= 0
    with pytest.raises(BudgetExceededError, match="seconds"):
        scope.reserve(tokens=1)
    with pytest.raises(BudgetExceededError, match="seconds"):
        scope.child("inner").check_time()
    assert Budget().remaining_seconds() is None


@pytest.mark.parametrize("limit", ["tokens", "calls", "seconds"])
def test_negative_limits_are_refused(limit):
    with pytest.raises(InvalidParamsError, match=limit):
        Budget(**{limit: -1})


async def test_ambient_budget_follows_tasks_and_nests():
    assert ambient_budget().tokens is None
    with budget(tokens=100, name="outer") as outer:
        with budget(tokens=1000, name="inner") as inner:
            assert inner.parent is outer and ambient_budget() is inner

            async def spend() -> None:
                ambient_budget().reserve(tokens=30).settle(tokens=30)

            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(spend())
            with pytest.raises(BudgetExceededError, match="outer"):
                await spend()
        assert ambient_budget() is outer and outer.spent["tokens"] == 90
    mine = Budget()
    with use_budget(mine):
        assert ambient_budget() is mine
    assert ambient_budget() is not mine


async def test_the_ambient_budget_reaches_a_thread():
    with use_budget(Budget(name="here")):
        assert (await asyncio.to_thread(ambient_budget)).name == "here"


class Race:
    """64 branches with known costs (1 to 7 tokens, a bit of money), and one budget too small for them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.root = Budget(tokens=100, calls=40, cost=0.02)
        self.scopes = [self.root.child(f"branch {i}") for i in range(64)]
        self.granted: list[int] = []
        self.seen: list[float] = []

    def spend(self, branch: int) -> None:
        amount = 1 + (branch * 31 + self.number) % 7
        try:
            held = self.scopes[branch].reserve(tokens=amount, calls=1, cost=amount / 10_000)
        except BudgetExceededError as error:
            assert error.spent + error.asked > error.allowed
            return
        self.seen.append(self.root.spent["tokens"] + self.root.reserved["tokens"])
        if branch % 5 == 0:
            held.refund()
        else:
            held.settle(tokens=amount, calls=1, cost=amount / 10_000)
            self.granted.append(amount)

    async def run_tasks(self) -> None:
        async def one(branch: int) -> None:
            await asyncio.sleep(0)
            self.spend(branch)

        async with asyncio.TaskGroup() as group:
            for branch in range(64):
                group.create_task(one(branch))

    def run_threads(self) -> None:
        threads = [threading.Thread(target=self.spend, args=(branch,)) for branch in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def check(self) -> None:
        root = self.root
        assert max(self.seen) <= 100 and root.spent["calls"] == len(self.granted) <= 40
        assert root.spent["tokens"] == sum(self.granted) <= 100
        assert root.spent["cost"] == round(sum(self.granted) / 10_000, 9) <= 0.02
        assert not any(root.reserved.values()) and not any(root.overshoot.values())


async def test_sixty_four_branches_race_for_one_budget_a_thousand_times():
    for number in range(1000):
        race = Race(number)
        await race.run_tasks()
        race.check()


def test_sixty_four_threads_race_for_one_budget():
    for number in range(60):
        race = Race(number)
        race.run_threads()
        race.check()


@pytest.mark.long
def test_sixty_four_threads_race_for_one_budget_a_thousand_times():
    for number in range(1000):
        race = Race(number)
        race.run_threads()
        race.check()


def test_prices_give_money_its_limit() -> None:
    prices = {"gpt-*": Price(prompt=2.5, cached=1.25, generated=10.0), "*": Price(call=0.01)}
    root = Budget(cost=0.10, prices=prices)
    inner = root.child("branch")
    price = inner.price_of("openai:https://api.example.com#gpt-x", "gpt-x")
    assert price is prices["gpt-*"] and inner.price_of("other") is prices["*"]
    assert price.of(prompt=1000, cached=600, generated=100) == 0.001 + 0.00075 + 0.001
    with inner.reserve(tokens=9000, calls=1, cost=price.of(generated=9000)) as held:
        assert root.remaining("cost") == pytest.approx(0.01)
        with pytest.raises(BudgetExceededError, match="cost") as caught:
            inner.reserve(cost=price.of(generated=1001))
        assert caught.value.budget is root
        held.settle(tokens=100, calls=1, cost=price.of(generated=100))
    assert root.spent["cost"] == 0.001 and root.remaining("cost") == 0.099
    assert Budget().price_of("anything").of(prompt=10**9) == 0


def test_money_adds_up_in_any_order() -> None:
    root = Budget(cost=0.3)
    for _ in range(3):
        root.spend(cost=0.1)
    assert root.remaining("cost") == 0
    with pytest.raises(BudgetExceededError):
        root.spend(cost=0.000000001)


def test_a_soft_limit_says_so_and_stops_nothing() -> None:
    root = Budget(tokens=100, calls=10, soft=0.5)
    inner = root.child("branch")
    assert not inner.tight and inner.pressure == 0 and inner.slack == 1
    held = inner.reserve(tokens=60)
    assert inner.tight and inner.pressure == 0.6 and inner.slack == pytest.approx(0.8)
    held.refund()
    assert not inner.tight
    inner.spend(calls=10)
    assert inner.tight and inner.slack == 0
    assert Budget(soft=0.1).tight is False
    assert Budget(seconds=0.0, soft=0.9).tight


@pytest.mark.parametrize("soft", [-0.1, 1.5, float("nan")])
def test_a_soft_limit_is_a_share(soft: float) -> None:
    with pytest.raises(InvalidParamsError, match="soft"):
        Budget(soft=soft)


def test_a_scope_may_count_in_two_trees() -> None:
    agent, outer = Budget(tokens=100, name="agent"), Budget(tokens=50, name="outer")
    run = Budget(name="run", parent=agent, within=outer)
    run.spend(tokens=40)
    assert agent.spent["tokens"] == outer.spent["tokens"] == 40 and run.remaining("tokens") == 10
    with pytest.raises(BudgetExceededError, match="outer"):
        run.reserve(tokens=20)
    shared = Budget(name="twice", parent=outer, within=outer.child("inner"))
    shared.spend(tokens=1)
    assert outer.spent["tokens"] == 41


def test_the_statement_says_what_was_spent_of_what() -> None:
    root = Budget(tokens=10, cost=1.0, name="outer")
    inner = root.child("inner", tokens=30)
    inner.reserve(tokens=8).settle(tokens=13, calls=1)
    told = inner.statement()
    assert told["tokens"].spent == 13 and told["tokens"].limit == 10 and told["tokens"].overshoot == 3
    assert told["calls"].limit is None and told["cost"].spent == 0 and told["seconds"].spent >= 0


async def worker(scope: Budget, asked: int, used: int) -> None:
    with await scope.hold(tokens=asked) as held:
        await asyncio.sleep(0.001)
        held.settle(tokens=used)


@pytest.mark.parametrize(
    ("number", "asked", "used"), [(64, 500, 60), (16, 3000, 90), (2, 5000, 10), (9, 1, 1)]
)
async def test_a_reservation_waits_while_others_will_give_back(number: int, asked: int, used: int):
    root = Budget(tokens=6000)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for place in range(number):
            group.create_task(worker(root.child(str(place)), asked, used))
    assert root.spent["tokens"] == number * used and root.reserved["tokens"] == 0


async def test_what_can_never_fit_is_refused_at_once_or_when_that_is_known():
    root = Budget(tokens=100)
    with pytest.raises(BudgetExceededError):
        await root.hold(tokens=101)
    tasks = [asyncio.create_task(worker(root, 60, 55)) for _ in range(4)]
    await asyncio.wait(tasks)
    assert [type(task.exception()) for task in tasks].count(BudgetExceededError) == 3
    assert root.spent["tokens"] == 55


async def test_tasks_that_hold_something_never_wait_for_one_another():
    root = Budget(tokens=100)
    both = asyncio.Barrier(2)

    async def holds_and_asks() -> None:
        with await root.hold(tokens=50):
            await both.wait()
            with await root.hold(tokens=30):
                pass

    tasks = [asyncio.create_task(holds_and_asks()) for _ in range(2)]
    done, _ = await asyncio.wait(tasks, timeout=20)
    assert [type(task.exception()) for task in done].count(BudgetExceededError) >= 1
    assert root.reserved["tokens"] == 0


async def test_a_task_that_waits_can_be_cancelled():
    root = Budget(tokens=100)
    with await root.hold(tokens=100):
        waiting = asyncio.create_task(root.hold(tokens=1))
        # Another task holds it, so the wait begins.
        await asyncio.sleep(0.01)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
    assert root.reserved["tokens"] == 0
