from datetime import UTC, datetime, timedelta

import pytest

from braid.executors.builtin.now import now
from braid.executors.tools import ToolArgumentError


async def test_names_a_moment_in_a_zone() -> None:
    moment = await now.call({"timezone": "Asia/Tokyo"})
    told = datetime.fromisoformat(moment.iso)
    assert abs(told - datetime.now(UTC)) < timedelta(minutes=1)
    assert told.utcoffset() == timedelta(hours=9)
    assert moment.date == told.date().isoformat()
    assert moment.time == told.time().isoformat()
    assert moment.weekday == told.strftime("%A")
    assert moment.short_form() == moment.iso


async def test_the_local_zone_is_the_default() -> None:
    moment = await now.call({})
    assert datetime.fromisoformat(moment.iso).utcoffset() == datetime.now().astimezone().utcoffset()
    assert moment.timezone


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        ("Europe/Pariss", "Europe/Paris"),
        ("Tokyo", "Asia/Tokyo"),
        ("new york", "America/New_York"),
        ("../../etc/passwd", "IANA"),
        ("America", "time zone"),
        ("", "IANA"),
        ("\0", "IANA"),
    ],
)
async def test_unknown_zones(zone: str, says: str) -> None:
    with pytest.raises(ToolArgumentError, match=says):
        await now.call({"timezone": zone})
