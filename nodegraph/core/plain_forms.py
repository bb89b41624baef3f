"""Arrays and scalars of numpy, dates and times in plain words; numpy is not imported for that.

Only those that are nothing but their numbers: no objects, no bytes that mean nothing, such as the
gaps of aligned records and of long doubles.
"""

from __future__ import annotations

import sys
from typing import Any


def datetime_to_plain(value: Any) -> list[Any] | None:
    """A value of `datetime` or a `ZoneInfo` as a list; None of anything else."""
    # Whoever has one has imported them; a check of a workflow has no use for them.
    datetime_module = sys.modules.get("datetime")
    if datetime_module is None:
        return None
    kind = type(value)
    if kind is datetime_module.datetime:
        day = [value.year, value.month, value.day]
        return _with_zone(["datetime", *day, *_clock(value)], value.tzinfo)
    if kind is datetime_module.date:
        return ["date", value.year, value.month, value.day]
    if kind is datetime_module.time:
        return _with_zone(["time", *_clock(value)], value.tzinfo)
    if kind is datetime_module.timedelta:
        return ["span", value.days, value.seconds, value.microseconds]
    if kind is datetime_module.timezone:
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
    zone_form = datetime_to_plain(zone)
    return None if zone_form is None else [*form, zone_form]


def datetime_from_plain(form: list[Any]) -> Any:
    """The value of which `datetime_to_plain` gave this.

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
    return kind(*numbers, fold=fold, tzinfo=None if zone is None else datetime_from_plain(zone))


_KINDS = frozenset("biufcSUmMV")
_LONG = frozenset("gG")


def is_plain_array(value: Any) -> bool:
    """Whether a value is an array of numpy itself, of numbers, texts, times or records of such."""
    kind = type(value)
    is_array = kind.__name__ == "ndarray" and kind.__module__ == "numpy"
    return is_array and dtype_to_plain(value.dtype) is not None


def is_array_scalar(value: Any) -> bool:
    """Whether a value is one number, text or time of numpy's own types."""
    bases = {f"{base.__module__}.{base.__name__}" for base in type(value).__mro__}
    if "numpy.generic" not in bases or type(value).__module__ != "numpy":
        return False
    return value.dtype.kind != "V" and dtype_to_plain(value.dtype) is not None


def dtype_to_plain(dtype: Any) -> Any:
    """A dtype as text, or as a list of fields; None if its bytes don't say everything."""
    if dtype.hasobject or dtype.metadata or dtype.itemsize == 0:
        return None
    if dtype.names is None:
        is_known = dtype.kind in _KINDS and dtype.char not in _LONG and dtype.subdtype is None
        form: Any = dtype.str if is_known else None
    else:
        form = [_field(name, dtype.fields[name][0]) for name in dtype.names]
        if any(field is None for field in form):
            return None
    # Types that others add to numpy, and records with gaps, aren't what they write themselves as.
    return form if form is not None and dtype_from_plain(form) == dtype else None


def _field(name: str, dtype: Any) -> list[Any] | None:
    inner, shape = dtype.subdtype or (dtype, ())
    form = dtype_to_plain(inner)
    return None if form is None else [name, form, list(shape)]


def dtype_from_plain(form: Any) -> Any:
    """The dtype of which `dtype_to_plain` gave this."""
    import numpy as np

    if isinstance(form, str):
        return np.dtype(form)
    return np.dtype([(name, dtype_from_plain(inner), tuple(shape)) for name, inner, shape in form])


def array_bytes(array: Any) -> memoryview:
    """The bytes of an array, in rows; a view of its own memory where it lies so."""
    import numpy as np

    line: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(line)
