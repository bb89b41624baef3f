"""Arrays and scalars of numpy in plain words, told without importing it: whoever has one, has it.

Only those that are nothing but their numbers: no objects, no bytes that mean nothing, such as the
gaps of aligned records and of long doubles.
"""

from __future__ import annotations

from typing import Any

_KINDS = frozenset("biufcSUmMV")
_LONG = frozenset("gG")


def is_plain_array(value: Any) -> bool:
    """Whether a value is an array of numpy itself, of numbers, texts, times or records of such."""
    kind = type(value)
    is_array = kind.__name__ == "ndarray" and kind.__module__ == "numpy"
    return is_array and dtype_form(value.dtype) is not None


def is_array_scalar(value: Any) -> bool:
    """Whether a value is one number, text or time of numpy's own types."""
    bases = {f"{base.__module__}.{base.__name__}" for base in type(value).__mro__}
    if "numpy.generic" not in bases or type(value).__module__ != "numpy":
        return False
    return value.dtype.kind != "V" and dtype_form(value.dtype) is not None


def dtype_form(dtype: Any) -> Any:
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
    return form if form is not None and dtype_of(form) == dtype else None


def _field(name: str, dtype: Any) -> list[Any] | None:
    inner, shape = dtype.subdtype or (dtype, ())
    form = dtype_form(inner)
    return None if form is None else [name, form, list(shape)]


def dtype_of(form: Any) -> Any:
    """The dtype of which `dtype_form` gave this."""
    import numpy as np

    if isinstance(form, str):
        return np.dtype(form)
    return np.dtype([(name, dtype_of(inner), tuple(shape)) for name, inner, shape in form])


def array_bytes(array: Any) -> memoryview:
    """The bytes of an array, in rows; a view of its own memory where it lies so."""
    import numpy as np

    line: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(line)
