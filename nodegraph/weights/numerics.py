"""Numerics: what may change the last bits of a result besides its inputs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

_LIBRARIES = ("torch", "diffusers", "transformers")
_KERNELS = (
    *("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_tile"),
    *("asimd", "asimdhp", "sve"),
)
"""Instructions by which libraries choose how to compute; virtual machines may hide some."""
_VARIABLES = (
    *("ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "DNNL_MAX_CPU_ISA", "MKL_CBWR"),
    *("MKL_ENABLE_INSTRUCTIONS", "NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE"),
    "ONEDNN_MAX_CPU_ISA",
)
"""By which they are told how."""


def cpu_has_float16() -> bool:
    """Whether this machine's CPU computes in float16; others take hundreds of times as long."""
    return bool(_cpu_flags() & {"avx512_fp16", "asimdhp"})


def cpu_has_bfloat16() -> bool:
    """Whether this machine's CPU computes in bfloat16; others may take 60 times as long."""
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


@lru_cache
def _cpu_flags() -> frozenset[str]:
    """What the CPU can do. Asks the system, not torch; where that doesn't say, it is little."""
    if sys.platform == "darwin":
        return frozenset({"asimdhp"} if platform.machine() == "arm64" else ())
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    return frozenset(text.split())


def compute_threads() -> int:
    """How many threads torch computes with on the CPU; before it is loaded, how many it will.

    See `nodegraph.session.devices.share_cores`, which sees to that.
    """
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "get_num_threads"):
        return int(torch.get_num_threads())
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        first = os.environ.get(name, "").partition(",")[0].strip()
        if first.isdigit() and int(first):
            return int(first)
    return _cores()


def _cores() -> int:
    """Cores that this process may use, each counted once however many threads it runs."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return _cores_of(frozenset(os.sched_getaffinity(0)))


@lru_cache
def _cores_of(places: frozenset[int]) -> int:
    topology = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(topology.format(cpu)).read_text() for cpu in places})
    except OSError:
        return len(places)


class LibraryNumerics:
    """Describes device, libraries, threads and settings; satisfies `core.context.Numerics`.

    Args:
        is_merged: Whether samplings may share batches that change last bits.
    """

    def __init__(self, *, is_merged: bool = False) -> None:
        self._is_merged = is_merged

    def profile(self, device: str) -> str:
        """Such as ``cpu, torch 2.9.0, diffusers 0.36.0, AMD EPYC avx2 fma, 2 threads``.

        Settings of torch follow where they aren't its defaults. It imports no library, so it is
        quick; before torch is there, it tells what will be, if `share_cores` was called.
        """
        kind = device.partition(":")[0]
        # A GPU's results don't depend on the threads beside it, but noise is drawn on the CPU.
        where = _threads() if kind == "cpu" else _gpus()
        merged = "steps merged within a tolerance" if self._is_merged else ""
        parts = [kind, *_libraries(), _cpu(), where, *_variables(), *_settings(), merged]
        return ", ".join(part for part in parts if part)


def _threads() -> str:
    number = compute_threads()
    return "1 thread" if number == 1 else f"{number} threads"


@lru_cache
def _libraries() -> tuple[str, ...]:
    from importlib.metadata import version  # a check has no use for it

    return tuple([f"{name} {version(name)}" for name in _LIBRARIES])


@lru_cache
def _cpu() -> str:
    """The processor's name and what it can do, as far as the system tells without a library."""
    fields: dict[str, str] = {}
    try:
        with Path("/proc/cpuinfo").open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if not name.strip():
                    break  # the others are alike
                fields[name.strip()] = value.strip()
    except OSError:
        return _plain(platform.processor() or platform.machine())
    can = {*fields.get("flags", "").split(), *fields.get("Features", "").split()}
    name = fields.get("model name") or fields.get("CPU part") or platform.machine()
    return _plain(" ".join([name, *(kernel for kernel in _KERNELS if kernel in can)]))


@lru_cache
def _gpus() -> str:
    """Names of the graphics cards, as far as the driver tells them without starting it."""
    names = set()
    for path in Path("/proc/driver/nvidia/gpus").glob("*/information"):
        try:
            text = path.read_text()
        except OSError:
            continue
        names |= {line.partition(":")[2] for line in text.splitlines() if line.startswith("Model:")}
    return " + ".join(sorted(map(_plain, names)))


def _plain(text: str) -> str:
    """A name without the commas that part one from another."""
    return " ".join(text.replace(",", " ").split())


def _variables() -> Iterator[str]:
    for name in _VARIABLES:
        if value := os.environ.get(name):
            yield f"{name}={_plain(value)}"


def _settings() -> Iterator[str]:
    """What was set of torch, if it is loaded; a fresh one has its defaults."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "backends"):  # or is just being loaded
        return
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    settings = {
        "default dtype float32": torch.get_default_dtype() == torch.float32,
        "deterministic algorithms off": not torch.are_deterministic_algorithms_enabled(),
        "float32 matmul precision highest": torch.get_float32_matmul_precision() == "highest",
        "mkldnn on": torch.backends.mkldnn.enabled,
        "cudnn on": cudnn.enabled,
        "cudnn benchmark off": not cudnn.benchmark,
        "cudnn deterministic off": not cudnn.deterministic,
        "cudnn tf32 on": cudnn.allow_tf32,
        "fp16 reduction on": cuda.matmul.allow_fp16_reduced_precision_reduction,
        "bf16 reduction on": cuda.matmul.allow_bf16_reduced_precision_reduction,
        "flash attention on": cuda.flash_sdp_enabled(),
        "memory-efficient attention on": cuda.mem_efficient_sdp_enabled(),
        "plain attention on": cuda.math_sdp_enabled(),
        "cudnn attention on": cuda.cudnn_sdp_enabled(),
    }
    for what, is_default in settings.items():
        if not is_default:
            yield f"not {what}"
