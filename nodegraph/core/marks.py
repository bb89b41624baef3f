"""Marks of tensors, by which it is told later, at next to no cost, whether they were changed.

Torch counts the changes that are made through it. For those made behind its back, as through an
array that shares a tensor's memory, some of its bytes are looked at: all of a small tensor's,
else 8 bytes at each of 256 places spread over it. That takes 10 to 40 µs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Any

from nodegraph.core.digests import LEAVES, is_tensor
from nodegraph.core.plain_forms import datetime_to_plain, is_array_scalar, is_plain_array

_PLACES = 256
_WORD = 8
SMALL = 4096
"""Bytes of a tensor of which all are looked at."""
_PLAIN_OBJECTS = (str, bytes, int, float, Fraction)


@dataclass(slots=True)
class MutationMarks:
    """Of all tensors in a value.

    Attributes:
        versions: How often each was changed in place, as torch counts it.
        samples: Hashes of some of each one's bytes; None where these can't be looked at.
        is_whole: Nothing of the value is left out, so equal marks mean an equal value.
    """

    versions: list[int]
    samples: list[int | None]
    is_whole: bool = True


def mutation_marks(value: Any) -> MutationMarks | None:
    """Marks of a value; None if it holds nothing that copies of it share with it."""
    if type(value) in LEAVES:
        return None
    marks = MutationMarks([], [])
    try:
        _mark(value, marks)
    except RecursionError:  # an object that holds itself
        marks.is_whole = False
    return marks if marks.samples or not marks.is_whole else None


def _mark(value: Any, marks: MutationMarks) -> None:
    if is_tensor(value):
        _mark_tensor(value, marks)
        return
    inner: Any = ()
    if isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, (list, tuple)):
        inner = value
    elif is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, item.name, None) for item in fields(value)]
    elif not isinstance(value, (*_PLAIN_OBJECTS, type(None))) and not _is_unshared(value):
        marks.is_whole = False
    if not LEAVES.issuperset(map(type, inner)):
        for item in inner:
            _mark(item, marks)


def _is_unshared(value: Any) -> bool:
    """Whether whoever is handed it shares nothing with others: it is copied, or never changes."""
    return (
        is_plain_array(value)
        or is_array_scalar(value)
        or isinstance(value, Enum)
        or datetime_to_plain(value) is not None
    )


def _mark_tensor(tensor: Any, marks: MutationMarks) -> None:
    try:
        marks.versions.append(tensor._version)
    except RuntimeError:  # one made in inference mode, whose changes aren't counted
        marks.versions.append(-1)
    marks.samples.append(_sample(tensor))
    if marks.samples[-1] is None or tensor.nbytes > SMALL:
        marks.is_whole = False


def _sample(tensor: Any) -> int | None:
    if tensor.device.type != "cpu" or str(tensor.layout) != "torch.strided":
        return None
    if tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or not tensor.is_contiguous():
        return None
    import numpy as np
    import torch

    if not tensor.numel():
        return 0
    # A single item counts as contiguous with any stride, and then can't be seen as bytes.
    flat = tensor.detach().as_strided((tensor.numel(),), (1,))
    data = flat.view(torch.uint8).numpy()
    if data.size > SMALL:
        words = data[: data.size // _WORD * _WORD].view(np.uint64)
        data = words[_places(words.size)]
    return hash(data.tobytes())


@lru_cache(maxsize=256)
def _places(words: int) -> Any:
    """One word in each of as many equal parts, at odd places: rows of a picture are even ones."""
    import numpy as np

    edges = np.arange(_PLACES + 1, dtype=np.int64) * words // _PLACES
    scattered = np.arange(_PLACES, dtype=np.int64) * 2654435761 % 2**32
    return edges[:-1] + scattered % np.maximum(np.diff(edges), 1)
