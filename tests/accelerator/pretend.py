"""A pretend accelerator: ``cuda:0``, ``cuda:1``, … on a CPU build of torch, in plain Python.

Its tensors are ordinary ones that say they lie on a device (`relabelling`). Each operation on them
runs the CPU's own kernel (`operation`), so results equal the CPU's bit for bit. What goes wrong on
accelerators goes wrong here: tensors of two devices don't mix, `numpy()` raises, memory ends
(`memory`), and what crosses between host and device, or lets the host wait, is noted with where.

It can't show speed, overlap (what a stream is given is done at once), races between host and
device, or the last bits of real kernels, and has neither `backward`, `torch.Generator("cuda")` nor
`deepcopy` of its tensors.
It rests on private parts of torch; `test_pretend.py` tells when they change.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.accelerator.memory import Memory
from tests.accelerator.operation import Operation, is_there, on_host
from tests.accelerator.relabelling import view_in_storage
from tests.accelerator.torch_cuda import CudaState, lend_guard, patched, tensor_methods

_WAITING = {"aten::_local_scalar_dense", "aten::equal", "aten::nonzero", "aten::masked_select"}
"""Operations for which CUDA lets the host wait, as what comes out decides what it does next."""
_BY_DEVICE = {
    "aten::convolution",
    "aten::convolution_backward",
    "aten::group_norm",
    "aten::scaled_dot_product_attention",
    "aten::softmax.int",
}
"""Operations that choose a kernel by the device, beside those that have one for the CPU."""
_OWN = {"aten::copy_", "aten::_copy_from", "aten::as_strided"}


@dataclass(frozen=True, slots=True)
class Transfer:
    """Something that crossed between host and device, or let the host wait.

    Attributes:
        kind: ``to host``, ``to device``, ``between devices`` or ``wait``.
        operation: Such as ``aten::copy_``.
        place: File and line of the nearest caller outside of torch.
        bytes: That were copied; 0 of a ``wait``.
    """

    kind: str
    operation: str
    place: str
    bytes: int


class PretendAccelerator:
    """Devices ``cuda:0``, ``cuda:1``, … inside the `with`; one such object at a time.

    Args:
        memory: Bytes of each device.

    Attributes:
        log: All transfers and waits so far.
    """

    def __init__(self, *memory: int) -> None:
        self.log: list[Transfer] = []
        self._memory = Memory(list(memory))
        self._state = CudaState(self._memory)
        self._undo = ExitStack()

    def __enter__(self) -> PretendAccelerator:
        lend_guard()
        with ExitStack() as undo:
            undo.callback(patched(torch.cuda, self._state.functions()))
            undo.callback(patched(torch.accelerator, self._state.accelerator_functions()))
            undo.callback(patched(torch.Tensor, tensor_methods()))
            for library in self._kernels():
                undo.callback(library._destroy)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()
        _ENDED.append(self)

    def used(self, index: int = 0) -> int:
        """Bytes of the tensors that live on a device."""
        return self._memory.ledgers[index].used

    def peak(self, index: int = 0) -> int:
        """The most of them since `torch.cuda.reset_peak_memory_stats`."""
        return self._memory.ledgers[index].peak

    def resize(self, total: int, index: int = 0) -> None:
        """Give a device more memory, or less."""
        self._memory.ledgers[index].total = total

    def transfers(self, kind: str, *, within: str = "") -> list[Transfer]:
        """Those of a kind whose place holds a text, such as a file's name."""
        return [item for item in self.log if item.kind == kind and within in item.place]

    def _kernels(self) -> list[Any]:
        has = torch._C._dispatch_has_kernel_for_dispatch_key
        library = torch.library.Library("aten", "IMPL")
        for name in torch._C._dispatch_get_all_op_names():
            wanted = name in _BY_DEVICE or (name.startswith("aten::") and has(name, "CPU"))
            if wanted and name not in _OWN and not has(name, "CUDA"):
                packet, _, overload = name.removeprefix("aten::").partition(".")
                op = getattr(getattr(torch.ops.aten, packet), overload or "default")
                library.impl(name.removeprefix("aten::"), self._kernel(op), "CUDA")
        for name in ("copy_", "_copy_from"):
            library.impl(name, self._copy(name), "CUDA")
        library.impl("as_strided", view_in_storage, "CUDA")
        rest = torch.library.Library("_", "IMPL")
        rest.fallback(self._run, "CUDA")
        return [library, rest]

    def _kernel(self, op: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._run(op, *args, **kwargs)

    def _run(self, op: Any, *args: Any, **kwargs: Any) -> Any:
        """An operation by the CPU's kernel, with its results on the device of its tensors."""
        with torch._C.DisableTorchFunction():
            if op._schema.name in _WAITING:
                self._note("wait", op, 0)
            return Operation(self._memory, self._state, op, args, kwargs).run()

    def _copy(self, name: str) -> Callable[..., Tensor]:
        op = getattr(torch.ops.aten, name).default
        kinds = {(True, False): "to device", (False, True): "to host"}

        def copy(first: Tensor, second: Tensor, non_blocking: bool = False) -> Tensor:
            target, source = (first, second) if name == "copy_" else (second, first)
            ends = is_there(target), is_there(source)
            if ends in kinds or target.device != source.device:
                size = source.numel() * source.element_size()
                self._note(kinds.get(ends, "between devices"), op, size)
            torch.ops.aten.copy_.default(on_host(target), on_host(source))
            return target

        return copy

    def _note(self, kind: str, op: Any, size: int) -> None:
        self.log.append(Transfer(kind, op._schema.name, _place(), size))


_ENDED: list[PretendAccelerator] = []
"""Kept, as tensors that outlive them tell them when they are freed."""

_INSIDE = tuple(
    map(
        str, (Path(torch.__file__).parent, Path(__file__), Path(__file__).with_name("operation.py"))
    )
)


def _place() -> str:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
