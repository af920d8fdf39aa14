import pytest

from braid.executors.builtin import builtin_tools
from braid.executors.tools import UnknownToolError


def test_builtin_tools() -> None:
    assert [one.name for one in builtin_tools()] == ["search", "calculate", "rank", "python", "now"]
    assert [one.name for one in builtin_tools("now", "rank")] == ["now", "rank"]
    with pytest.raises(UnknownToolError, match="no built-in tool named 'browse'"):
        builtin_tools("browse")
    for one in builtin_tools():
        assert one.spec.description
        assert one.spec.returns is not None
        assert all("description" in described for described in one.spec.parameters["properties"].values())
