"""What `torch.cuda` and `torch.accelerator` answer while there are pretend devices."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from tests.accelerator.memory import Ledger, Memory

Functions = dict[str, Callable[..., Any]]


class CudaState:
    """Each thread's current device, and a generator for each device."""

    def __init__(self, memory: Memory) -> None:
        self._devices = memory
        self._ledgers = memory.ledgers
        self._thread = threading.local()
        self.generators = [torch.Generator().manual_seed(0) for _ in memory.ledgers]

    @property
    def current(self) -> int:
        """The device that this thread means if it names none."""
        return getattr(self._thread, "index", 0)

    def index(self, device: Any = None) -> int:
        """The number of a device, however it is named."""
        given = device if device is None or isinstance(device, int) else torch.device(device).index
        return self.current if given is None else given

    def ledger(self, device: Any = None) -> Ledger:
        """A device's memory."""
        return self._ledgers[self.index(device)]

    def functions(self) -> Functions:
        """Those of `torch.cuda` that make sense here."""
        return {**self._presence(), **self._memory(), **self._seeds()}

    def accelerator_functions(self) -> Functions:
        """Those of `torch.accelerator`."""
        memory = self._memory()
        kept = [name for name in memory if "memory_" in name or name == "empty_cache"]
        return {
            **{name: memory[name] for name in kept if name != "mem_get_info"},
            "is_available": lambda: True,
            "device_count": lambda: len(self._ledgers),
            "synchronize": lambda device=None: None,
            "current_accelerator": lambda check_available=False: torch.device("cuda"),
            "current_device_index": lambda: self.current,
            "set_device_index": self._set_device,
            "get_memory_info": memory["mem_get_info"],
        }

    def _presence(self) -> Functions:
        return {
            "is_available": lambda: True,
            "is_initialized": lambda: self._devices.is_initialized,
            "is_bf16_supported": lambda *_, **__: True,
            "_is_in_bad_fork": lambda: False,
            "_lazy_init": self._initialize,
            "init": self._initialize,
            "device_count": lambda: len(self._ledgers),
            "current_device": lambda: self.current,
            "set_device": self._set_device,
            "_exchange_device": self._exchange_device,
            "_maybe_exchange_device": self._exchange_device,
            "synchronize": lambda device=None: self._initialize(),
            "ipc_collect": lambda: None,
            "get_device_properties": self._properties,
            "get_device_name": lambda device=None: "Pretend",
            "get_device_capability": lambda device=None: (8, 0),
            "get_amp_supported_dtype": lambda: [torch.float16, torch.bfloat16],
            "Stream": PretendStream,
            "stream": nullcontext,
            "current_stream": lambda device=None: PretendStream(),
        }

    def _memory(self) -> Functions:
        ledger = self.ledger
        return {
            "empty_cache": self._empty_cache,
            "mem_get_info": self._memory_info,
            "memory_allocated": lambda device=None: ledger(device).used,
            "memory_reserved": lambda device=None: ledger(device).reserved,
            "max_memory_allocated": lambda device=None: ledger(device).peak,
            "reset_peak_memory_stats": self._reset_peak,
            "set_per_process_memory_fraction": self._allow,
        }

    def _seeds(self) -> Functions:
        generators = self.generators
        return {
            "manual_seed": lambda seed: generators[self.current].manual_seed(seed),
            "manual_seed_all": lambda seed: [one.manual_seed(seed) for one in generators],
            "get_rng_state": lambda device=None: generators[self.index(device)].get_state(),
            "set_rng_state": lambda state, device=None: generators[self.index(device)].set_state(
                state
            ),
        }

    def _initialize(self) -> None:
        self._devices.is_initialized = True

    def _memory_info(self, device: Any = None) -> tuple[int, int]:
        self._initialize()
        ledger = self.ledger(device)
        return ledger.total - ledger.reserved, ledger.total

    def _set_device(self, device: Any) -> None:
        self._thread.index = self.index(device)

    def _exchange_device(self, index: int) -> int:
        before = self.current
        if index >= 0:
            self._set_device(index)
        return before

    def _empty_cache(self) -> None:
        for ledger in self._ledgers:
            ledger.reserved = ledger.used

    def _allow(self, fraction: float, device: Any = None) -> None:
        self._initialize()
        self.ledger(device).allowed = int(fraction * self.ledger(device).total)

    def _reset_peak(self, device: Any = None) -> None:
        if not self._devices.is_initialized:
            raise RuntimeError("Invalid device argument \0: did you call init?")
        self.ledger(device).peak = self.ledger(device).used

    def _properties(self, device: Any = None) -> Any:
        self._initialize()
        return SimpleNamespace(
            name="Pretend",
            total_memory=self.ledger(device).total,
            major=8,
            minor=0,
            multi_processor_count=1,
            gcnArchName="",
        )


class PretendStream:
    """A queue of work, all of which is done as soon as it is in there."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        pass

    def synchronize(self) -> None:
        """Wait for nothing."""


def tensor_methods() -> Functions:
    """Those of tensors that need an accelerator's driver: memory of the host is pinned already."""
    return {
        "pin_memory": lambda tensor, device=None: tensor,
        "is_pinned": lambda tensor, device=None: tensor.device.type == "cpu",
    }


def patched(module: Any, functions: Functions) -> Callable[[], None]:
    """Put functions into a module; gives what takes them out again."""
    missing = object()
    before = {name: vars(module).get(name, missing) for name in functions}
    for name, function in functions.items():
        setattr(module, name, function)

    def undo() -> None:
        for name, function in before.items():
            if function is missing:
                delattr(module, name)
            else:
                setattr(module, name, function)

    return undo


def lend_guard() -> None:
    """Let torch's C++ half find out the current device of CUDA, for ``cuda`` without a number.

    A guard made in Python can be registered for the private device only. It is told to call itself
    CUDA's, and its pointer is copied within the table that libc10 keeps of guards. It stays there:
    without pretend devices nobody asks it.
    """

    class Guard(torch._C._acc.DeviceGuard):  # type: ignore[name-defined,misc]
        def type_(self) -> Any:
            return torch._C._autograd.DeviceType.CUDA

    cuda, private, kinds = 1, 20, 21
    torch._C._acc.register_python_privateuseone_device_guard(Guard())
    c10 = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    table = (ctypes.c_void_p * kinds).in_dll(c10, "_ZN3c104impl26device_guard_impl_registryE")
    table[cuda] = table[private]
