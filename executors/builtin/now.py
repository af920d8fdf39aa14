"""The tool `now`: the present date and time."""

from __future__ import annotations

import difflib
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, ConfigDict

from braid.executors.tools import ToolArgumentError, tool


class Moment(BaseModel):
    """A point in time as people write it. Its short form is `iso`."""

    model_config = ConfigDict(frozen=True)

    iso: str
    date: str
    time: str
    weekday: str
    timezone: str

    def short_form(self) -> str:
        return self.iso


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


# Not pure: the same call gives another result later, so results must not be shared.
@tool(effect="idempotent")
def now(timezone: str | None = None) -> Moment:
    """Tell the present date, time and weekday.

    Args:
        timezone: an IANA name such as "Europe/Paris" or "UTC". This machine's own time zone unless given.
    """
    if timezone is None:
        moment = datetime.now().astimezone()
        zone = moment.tzname() or "local"
    else:
        moment, zone = datetime.now(_zone(timezone)), timezone
    return Moment(
        iso=moment.isoformat(timespec="seconds"),
        date=moment.date().isoformat(),
        time=moment.strftime("%H:%M:%S"),
        weekday=WEEKDAYS[moment.weekday()],  # strftime would follow the locale
        timezone=zone,
    )


def _zone(name: str) -> ZoneInfo:
    # OSError: a folder of the database, such as "America". ValueError: a path that leads out of it.
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    known = {zone.casefold(): zone for zone in available_timezones()}
    # The city alone is common too.
    known |= {zone.casefold().rpartition("/")[2]: zone for zone in known.values()}
    near = difflib.get_close_matches(name.casefold().replace(" ", "_"), known, n=3)
    matches = list(dict.fromkeys(known[name] for name in near))
    hint = f"did you mean {' or '.join(matches)}?" if matches else 'give an IANA name, such as "Europe/Paris"'
    raise ToolArgumentError(f"now: there is no time zone {name[:80]!r}; {hint}", tool="now")
