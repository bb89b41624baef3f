"""One operation on tensors of a pretend device: the CPU's kernel, and its results put there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from tests.accelerator.memory import Memory
from tests.accelerator.relabelling import CUDA, HOST, relabelled, view_in_storage
from tests.accelerator.torch_cuda import CudaState

_INDICES_ANYWHERE = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
_TAKES_NO_NUMBER = "aten::bitwise_"
"""Operations on two tensors of which torch makes the second one of a number, takes it for that
number again when Python is called, and then refuses it."""
_CPU = torch.device("cpu")


class Operation:
    """One call of an operation on tensors of a pretend device."""

    def __init__(self, memory: Memory, state: CudaState, op: Any, args: Any, kwargs: Any) -> None:
        self._memory = memory
        self._state = state
        self._op = op
        self._args = args
        self._kwargs = kwargs
        self._given = list(_tensors((args, kwargs)))
        self._written = {id(tensor) for tensor in self._written_to()}
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._index = self._device_index()

    def run(self) -> Any:
        """What the kernel gives; where there is no room for it, torch's error for that."""
        args, kwargs = _mapped(self._lower, self._args), _mapped(self._lower, self._kwargs)
        kwargs.pop("pin_memory", None)
        if self._op._schema.name.startswith(_TAKES_NO_NUMBER):
            args = [torch.tensor(item) if isinstance(item, int) else item for item in args]
        if any(item.name == "generator" for item in self._op._schema.arguments):
            kwargs["generator"] = self._generator(kwargs.get("generator"))
        made = self._computed(args, kwargs)
        for host, there in self._pairs:
            if id(there) in self._written and host.shape != there.shape:
                there.data = self._memory.adopt(host, self._index)
        asked = self._kwargs.get("device")
        goes_away = isinstance(asked, torch.device) and asked.type != "cuda"
        return made if goes_away else _mapped(self._lift, made)

    def _computed(self, args: Any, kwargs: Any) -> Any:
        try:
            return self._op(*args, **kwargs)
        except RuntimeError as error:
            size = re.search(r"can't allocate memory: you tried to allocate (\d+)", str(error))
            if size is None:
                raise
            raise self._memory.no_room(self._index, int(size[1])) from None

    def _lower(self, value: Any) -> Any:
        """An argument as the CPU's kernel takes it."""
        if isinstance(value, torch.device):
            return _CPU if value.type == "cuda" else value
        if not isinstance(value, Tensor) or not is_there(value):
            return value
        known = next((host for host, there in self._pairs if there is value), None)
        if known is not None:
            return known
        # What is written to and empty is to be given its size by the kernel.
        is_empty = id(value) in self._written and not value.numel()
        host = torch.empty_like(value, device=_CPU) if is_empty else on_host(value)
        self._pairs.append((host, value))
        return host

    def _lift(self, value: Any) -> Any:
        """What came out as a tensor of the device: one that was given, a view of one, or new."""
        if not isinstance(value, Tensor):
            return value
        for host, there in self._pairs:
            if value is host:
                return there
            if value.numel() and host.numel() and _shares_bytes(value, host):
                return self._view(value, host, there)
        if any(value is item for item in self._given):
            return value
        return self._memory.adopt(value, self._index)

    def _view(self, made: Tensor, host: Tensor, base: Tensor) -> Tensor:
        if made.dtype != base.dtype:
            return relabelled(made, CUDA, self._index)
        shift = (made.data_ptr() - host.data_ptr()) // max(base.element_size(), 1)
        offset = base.storage_offset() + shift
        return view_in_storage(base, list(made.shape), list(made.stride()), offset)

    def _written_to(self) -> Iterator[Tensor]:
        args, kwargs = self._args, self._kwargs
        for at, item in enumerate(self._op._schema.arguments):
            if item.alias_info is not None and item.alias_info.is_write:
                yield from _tensors(args[at] if at < len(args) else kwargs.get(item.name))

    def _generator(self, given: torch.Generator | None) -> torch.Generator:
        if given is not None:
            raise RuntimeError(
                f"Expected a 'cuda' device type for generator but found '{given.device}'"
            )
        return self._state.generators[self._index]

    def _device_index(self) -> int:
        """Which device it runs on.

        Raises:
            RuntimeError: Its tensors are on several; a number alone may come from the CPU.
        """
        given, name = self._given, self._op._schema.name
        if name in _INDICES_ANYWHERE:
            values = (*self._args[:1], *self._args[2:])
            given = [item for item in values if isinstance(item, Tensor)]
        here = [item.device for item in given if is_there(item)]
        if not here:
            return self._index_without_tensors(name)
        odd = {x.device for x in given if x.device != here[0] and (x.ndim or is_there(x))}
        if odd:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{here[0]} and {min(map(str, odd))}! (in {name})"
            )
        return int(here[0].index)

    def _index_without_tensors(self, name: str) -> int:
        if self._given and name in _INDICES_ANYWHERE:
            raise RuntimeError(
                "indices should be either on cpu or on the same device as the indexed tensor "
                f"({self._given[0].device})"
            )
        asked = self._kwargs.get("device")
        is_numbered = isinstance(asked, torch.device) and asked.index is not None
        return asked.index if is_numbered else self._state.current


def is_there(tensor: Tensor) -> bool:
    """Whether a tensor lies on a pretend device."""
    return tensor.device.type == "cuda"


def on_host(tensor: Tensor) -> Tensor:
    """The same bytes as a tensor of the CPU."""
    return relabelled(tensor, HOST, 0) if is_there(tensor) else tensor


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(change, item) for item in value)
    if isinstance(value, dict):
        return {name: _mapped(change, item) for name, item in value.items()}
    return change(value)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


def _shares_bytes(one: Tensor, other: Tensor) -> bool:
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)
