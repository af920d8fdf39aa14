import pytest
from pydantic import BaseModel

from braid.executors.builtin.rank import rank
from braid.executors.tools import ToolArgumentError


class Height(BaseModel):
    value: float | str
    unit: str = "m"


async def test_orders() -> None:
    args = {"names": ["a", "b", "c"], "values": [2, 3.5, 1]}
    assert await rank.call(args) == ["b", "a", "c"]
    assert await rank.call({**args, "order": "ascending"}) == ["c", "a", "b"]
    assert await rank.call({"names": [], "values": []}) == []


@pytest.mark.parametrize("order", ["ascending", "descending"])
async def test_ties_keep_the_given_order(order: str) -> None:
    assert await rank.call({"names": ["x", "y", "z"], "values": [1, 1, 1], "order": order}) == ["x", "y", "z"]


async def test_facts_count_as_their_value() -> None:
    values = [Height(value=8611), Height(value=8849)]
    assert await rank.call({"names": ["K2", "Everest"], "values": values}) == ["Everest", "K2"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"names": ["a"], "values": [1, 2]}, "1 names and 2 values"),
        ({"names": ["a"], "values": ["1"]}, "values.0"),
        ({"names": ["a"], "values": [True]}, "values.0"),
        ({"names": ["a"], "values": [None]}, "values.0"),
        ({"names": ["a"], "values": [Height(value="Paris")]}, "values.0"),
        ({"names": ["a"], "values": [float("nan")]}, "'a' is not a number"),
        ({"names": ["a"], "values": [1], "order": "up"}, "order"),
        ({"names": "a", "values": [1]}, "names"),
        ({"values": [1]}, "'names' is missing"),
    ],
)
async def test_refuses(args: dict[str, object], says: str) -> None:
    with pytest.raises(ToolArgumentError, match=says):
        await rank.call(args)
