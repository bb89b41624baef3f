"""Tensors of the host's memory that say they lie on another device.

torch gives a tensor away as a DLPack structure and takes one back. In between, the device that the
structure names can be changed: what comes back is an ordinary tensor of that device, with a storage
and an address, without a byte copied.

Source: DLPack's unversioned DLManagedTensor, https://dmlc.github.io/dlpack/latest/c_api.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor

HOST, CUDA = 1, 2
"""Kinds of devices, as DLPack numbers them."""


class ManagedTensor(ctypes.Structure):
    """DLManagedTensor, with the fields of its DLTensor first."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_kind", ctypes.c_int32),
        ("device_index", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("dtype", ctypes.c_uint32),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]


Watch = Callable[[int, ManagedTensor], None]
"""Is given a structure's address and the structure, and may put a deleter of its own there."""

Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_address_in = ctypes.pythonapi.PyCapsule_GetPointer
_address_in.restype, _address_in.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def relabelled(tensor: Tensor, kind: int, index: int, watch: Watch | None = None) -> Tensor:
    """The same bytes, kept alive, as a tensor of another device."""
    capsule = torch._C._to_dlpack(tensor.detach() if tensor.requires_grad else tensor)
    address = _address_in(capsule, b"dltensor")
    managed = ManagedTensor.from_address(address)
    managed.device_kind, managed.device_index = kind, index
    if watch is not None:
        watch(address, managed)
    return torch._C._from_dlpack(capsule)


def view_in_storage(
    base: Tensor, size: list[int], stride: list[int], storage_offset: int | None = None
) -> Tensor:
    """A view that shares its base's storage; the offset counts from where that begins."""
    view = torch.ops.aten.alias.default(base)
    return torch.ops.aten.as_strided_.default(view, size, stride, storage_offset)
