"""Numerics: what may change the last bits of a result besides its inputs."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from time import monotonic, thread_time
from typing import Any

from nodegraph.core.digests import digest_value

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


FASTER = 1.2
"""How many times as fast as float32 bfloat16 has to be, as it is less exact."""
_ROUNDS, _FEWEST_ROUNDS, _LONGEST = 24, 6, 2.0
"""Of a measurement, and seconds after which a busy machine gets no more than the fewest."""
_MEASURING = Lock()


def decided_precision(folder: Path, *, measures: bool) -> str:
    """What the dtype ``auto`` is for large models on this CPU: ``float32``, or ``mixed``.

    It is measured once for this processor, its threads and these libraries; see
    `core.context.CpuPrecision`. What is noted counts, so processes that measure at the same time
    agree.

    Args:
        folder: Where it is noted.
        measures: Whether to measure if nothing is noted; it takes half a second.
    Returns:
        An empty text if it is not known.
    """
    if not cpu_has_bfloat16():
        return "float32"
    with _MEASURING:
        speedup = noted_speedup(folder)
        if speedup is None and measures:
            speedup = _note_once(folder, bfloat16_speedup())
    if speedup is None:
        return ""
    return "mixed" if speedup >= FASTER else "float32"


def noted_speedup(folder: Path) -> float | None:
    """How many times as fast as float32 bfloat16 was measured to be; None if it wasn't."""
    path = _note_of(folder)
    try:
        speedup = float(json.loads(path.read_text(encoding="utf-8"))["speedup"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _UNWRITTEN.get(path)
    return speedup if 0 < speedup < float("inf") else _UNWRITTEN.get(path)


_UNWRITTEN: dict[Path, float] = {}
"""What could not be noted counts for the process."""


def _note_of(folder: Path) -> Path:
    return folder / f"precision-{digest_value(LibraryNumerics().profile('cpu'))[:16]}.json"


def _note_once(folder: Path, speedup: float) -> float:
    """Note a measurement, and return the one that counts: of several processes the first."""
    path = _note_of(folder)
    speedup = round(speedup, 2)
    note = {"profile": LibraryNumerics().profile("cpu"), "speedup": speedup}
    what = "the measured precision of the CPU cannot be noted: %s"
    write_first(path, note, lambda: noted_speedup(folder) is not None, what)
    known = noted_speedup(folder)
    return _UNWRITTEN.setdefault(path, speedup) if known is None else known


def write_first(
    path: Path, note: Mapping[str, object], is_noted: Callable[[], bool], failure: str
) -> None:
    """Write a note of a measurement; of several processes that do so at once, the first counts.

    Args:
        is_noted: Whether the file has a note that can be read.
        failure: What is logged if the note cannot be written, with a place for the error.
    """
    own = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(json.dumps(note), encoding="utf-8")
        try:
            os.link(own, path)
        except OSError:
            # Another process was first, the note is damaged, or the file system has no links.
            if not is_noted():
                own.replace(path)
        finally:
            own.unlink(missing_ok=True)
    except OSError as error:
        import logging  # a check that measures nothing has no use for it

        logging.getLogger(__name__).warning(failure, error)


def bfloat16_speedup() -> float:
    """The ratio of times that a convolution and a linear layer of Stable Diffusion's widths take.

    It counts the time of this thread on its core, where it computes its share of each, and of many
    turns it takes one of the fast ones, so other work on the machine hardly disturbs it.
    """
    import torch

    def layers(dtype: torch.dtype) -> list[Callable[[], object]]:
        rows, matrix = torch.ones((256, 1280), dtype=dtype), torch.ones((1280, 1280), dtype=dtype)
        pixels = torch.ones((1, 320, 16, 16), dtype=dtype)
        kernel = torch.ones((320, 320, 3, 3), dtype=dtype)
        return [
            lambda: torch.nn.functional.linear(rows, matrix),
            lambda: torch.nn.functional.conv2d(pixels, kernel, padding=1),
        ]

    actions = [*layers(torch.float32), *layers(torch.bfloat16)]
    rounds: list[list[float]] = []
    end = monotonic() + _LONGEST
    with torch.inference_mode():
        while len(rounds) < _ROUNDS and (len(rounds) < _FEWEST_ROUNDS or monotonic() < end):
            rounds.append([_seconds(action) for action in actions])
    fast = [sorted(times)[len(rounds) // 4] for times in zip(*rounds, strict=True)]
    ratio: float = sum(fast[:2]) / sum(fast[2:])
    return ratio


def _seconds(action: Callable[[], object]) -> float:
    start = thread_time()
    action()
    return thread_time() - start


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
