"""Modules of transformers in a precision, without a default that other threads compute by.

Its `from_pretrained` makes a precision the default of the whole process while it builds a module.
Whoever draws noise in another thread at that moment would draw it in that precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_FLOATING = {
    *(torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye),
    *(torch.linspace, torch.logspace, torch.hann_window, torch.hamming_window),
}
"""What makes floating point numbers of the default precision."""
_AS_GIVEN = {torch.full, torch.arange, torch.tensor, torch.as_tensor, torch.scalar_tensor}
"""What does so if it is given floats."""


class ThreadDtype(TorchFunctionMode):
    """Inside the `with`, what this thread makes without a precision has one, as if it were the
    default."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        is_open = options.get("dtype") is None and options.get("out") is None
        if is_open and (func in _FLOATING or (func in _AS_GIVEN and _is_of_floats(args, options))):
            options["dtype"] = self._dtype
        return func(*args, **options)


def _is_of_floats(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return any(_has_float(value) for value in (*args, *kwargs.values()))


def _has_float(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_float, value))
    return isinstance(value, float)


def with_thread_dtype(kind: Any) -> Any:
    """A class of transformers of which `from_pretrained` leaves the default precision alone.

    What it gives is of this class; give it the one that was meant.
    """

    def get_init_context(
        cls: Any, dtype: torch.dtype, *args: Any, **kwargs: Any
    ) -> list[AbstractContextManager[Any]]:
        usual = torch.get_default_dtype()
        contexts = kind.get_init_context.__func__(cls, usual, *args, **kwargs)
        return [*contexts, ThreadDtype(dtype)]

    parts = {
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "get_init_context": classmethod(get_init_context),
    }
    return type(kind.__name__, (kind,), parts)
