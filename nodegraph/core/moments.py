"""Dates, times, spans and time zones in plain words."""

from __future__ import annotations

import sys
from typing import Any


def moment_form(value: Any) -> list[Any] | None:
    """A value of `datetime` or a `ZoneInfo` as a list; None of anything else."""
    # Whoever has one has imported them; a check of a workflow has no use for them.
    found = sys.modules.get("datetime")
    if found is None:
        return None
    kind = type(value)
    if kind is found.datetime:
        day = [value.year, value.month, value.day]
        return _with_zone(["datetime", *day, *_clock(value)], value.tzinfo)
    if kind is found.date:
        return ["date", value.year, value.month, value.day]
    if kind is found.time:
        return _with_zone(["time", *_clock(value)], value.tzinfo)
    if kind is found.timedelta:
        return ["span", value.days, value.seconds, value.microseconds]
    if kind is found.timezone:
        offset, *name = value.__getinitargs__()
        return ["offset", offset.days, offset.seconds, offset.microseconds, *name]
    if kind is getattr(sys.modules.get("zoneinfo"), "ZoneInfo", None) and value.key:
        return ["zone", value.key]
    return None


def _clock(value: Any) -> list[int]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold]


def _with_zone(form: list[Any], zone: Any) -> list[Any] | None:
    if zone is None:
        return [*form, None]
    told = moment_form(zone)
    return None if told is None else [*form, told]


def moment_of(form: list[Any]) -> Any:
    """The value of which `moment_form` gave this.

    Raises:
        ValueError, KeyError: It isn't of one, or this machine doesn't know the time zone.
    """
    import datetime
    from zoneinfo import ZoneInfo

    name, *parts = form
    if name == "date":
        return datetime.date(*parts)
    if name == "span":
        return datetime.timedelta(*parts)
    if name == "offset":
        return datetime.timezone(datetime.timedelta(*parts[:3]), *parts[3:])
    if name == "zone":
        return ZoneInfo(*parts)
    *numbers, fold, zone = parts
    kind = {"datetime": datetime.datetime, "time": datetime.time}[name]
    return kind(*numbers, fold=fold, tzinfo=None if zone is None else moment_of(zone))
