"""`nodegraph doctor`: check libraries, devices, folders, packs and models."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import FAILED, FINE, echo, format_size, pluralize, print_json, print_table
from nodegraph.core.host_memory import host_memory
from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.isolation.sandbox import enforcement, sandbox_modes
from nodegraph.weights.numerics import FASTER, cpu_has_bfloat16, noted_speedup

if TYPE_CHECKING:
    from nodegraph.isolation.processes import ProcessState
    from nodegraph.packs.registry import Registry
    from nodegraph.session.session import Session
    from nodegraph.session.settings import Settings

_LITTLE_SPACE = 1 << 30
"""Bytes; less than this on a disk that is written to is worth a word."""


@dataclass(frozen=True)
class Library:
    """A library that nodegraph needs.

    Attributes:
        version: The installed one; None if it is missing.
        wanted: The versions that nodegraph works with.
        fits: Whether the installed one is among them.
    """

    name: str
    version: str | None
    wanted: str
    fits: bool


@dataclass(frozen=True)
class Device:
    """Something to compute on."""

    name: str
    title: str
    bytes: int | None = None


@dataclass(frozen=True)
class Folder:
    """A folder that nodegraph reads or writes.

    Attributes:
        writable: Whether it is, or can be made.
        free: Bytes free on its disk.
    """

    role: str
    path: str
    exists: bool
    writable: bool
    free: int | None


@dataclass
class Diagnosis:
    """Everything found.

    Attributes:
        cpu_precision: What the dtype `auto` is on the CPU, in words.
        sandbox: Rules for untrusted packs, and how this system enforces them; empty if it has no
            sandbox, and untrusted packs do not run.
        processes: Environment and state of the process of each isolated pack.
        problems: What keeps nodegraph from working.
        warnings: What may be worth a look.
        faults: How many of these are of packs and of model families that packages bring.
    """

    nodegraph: str = VERSION
    python: str = ""
    system: str = ""
    threads: int = 0
    memory: int | None = None
    memory_available: int | None = None
    libraries: list[Library] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    cpu_precision: str = ""
    folders: list[Folder] = field(default_factory=list)
    packs: dict[str, str] = field(default_factory=dict)
    sandbox: dict[str, str] = field(default_factory=dict)
    processes: dict[str, str] = field(default_factory=dict)
    node_types: int = 0
    models: int = 0
    usable_models: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    faults: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {"ok": not self.problems, **asdict(self)}


def diagnose(session: Session) -> Diagnosis:
    """Look at everything; what fails becomes a problem of the diagnosis."""
    diagnosis = Diagnosis(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        threads=_threads(),
    )
    diagnosis.memory, diagnosis.memory_available = _memory()
    _diagnose_libraries(diagnosis)
    _diagnose_devices(diagnosis, session.settings)
    diagnosis.cpu_precision = _cpu_precision(session.settings)
    _diagnose_folders(diagnosis, session.settings)
    _diagnose_packs(diagnosis, session)
    if sandbox_modes():
        diagnosis.sandbox = {rule.what: rule.how or "not enforced" for rule in enforcement()}
    _diagnose_models(diagnosis, session.settings)
    return diagnosis


def _threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> tuple[int | None, int | None]:
    """Bytes of memory, and how many of them are free; None where the system doesn't tell."""
    memory = host_memory()
    return (None, None) if memory is None else (memory.total, memory.free)


def _diagnose_libraries(diagnosis: Diagnosis) -> None:
    try:
        diagnosis.libraries = list(_libraries())
    except metadata.PackageNotFoundError:
        diagnosis.warnings.append(
            "nodegraph is importable but not installed; versions are not checked"
        )
    for library in diagnosis.libraries:
        if library.version is None:
            diagnosis.problems.append(f"{library.name} is not installed")
        elif not library.fits:
            diagnosis.warnings.append(
                f"{library.name} {library.version} is not a version that nodegraph supports "
                f"({library.wanted})"
            )


def _libraries() -> Iterator[Library]:
    from packaging.requirements import Requirement

    for text in metadata.requires("nodegraph") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = str(requirement.specifier)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Library(requirement.name, None, wanted, fits=False)
        else:
            fits = requirement.specifier.contains(version, prereleases=True)
            yield Library(requirement.name, version, wanted, fits)


def _diagnose_devices(diagnosis: Diagnosis, settings: Settings) -> None:
    try:
        diagnosis.devices = list(_devices())
    except Exception as error:  # noqa: BLE001 - a broken torch may raise anything on import
        diagnosis.problems.append(f"torch cannot be used: {type(error).__name__}: {error}")
        return
    advice = torch_advice(find_cards(), _torch_build(), [item.name for item in diagnosis.devices])
    is_hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    if advice and not is_hidden:
        diagnosis.warnings.append(advice)
    wanted = settings.device
    names = [device.name for device in diagnosis.devices]
    if wanted not in ("auto", *names) and f"{wanted}:0" not in names:
        diagnosis.problems.append(
            f"the device `{wanted}` is set but does not exist; available: {', '.join(names)}"
        )


def _cpu_precision(settings: Settings) -> str:
    if settings.cpu_precision != "auto":
        return f"{settings.cpu_precision}, as set by cpu_precision"
    if not cpu_has_bfloat16():
        return "float32: this CPU does not compute in bfloat16"
    speedup = noted_speedup(settings.measurements_folder)
    if speedup is None:
        return "float32; the first large model measures whether bfloat16 is faster"
    ratio = f"bfloat16 was measured to be {speedup:.1f} times as fast"
    choice = "float32; bfloat16 for large models" if speedup >= FASTER else "float32"
    return f"{choice}: {ratio}"


def _devices() -> Iterator[Device]:
    import torch

    yield Device("cpu", f"{platform.processor() or platform.machine()}, {_threads()} threads")
    for at in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(at)
        yield Device(f"cuda:{at}", properties.name, properties.total_memory)
    if torch.backends.mps.is_available():
        yield Device("mps", "Apple GPU")


@dataclass(frozen=True)
class TorchBuild:
    """The installed torch.

    Attributes:
        version: Such as ``2.13.0+cpu``.
        cuda, hip: Versions of CUDA and ROCm that it is built for; None for neither.
    """

    version: str
    cuda: str | None = None
    hip: str | None = None


def _torch_build() -> TorchBuild:
    import torch

    return TorchBuild(torch.__version__, torch.version.cuda, torch.version.hip)


def find_cards(root: Path = Path("/"), system: str | None = None) -> set[str]:
    """Makers of the graphics cards that this machine has a driver for: ``NVIDIA``, ``AMD``.

    Only Linux and Windows are searched. torch for macOS always has support for Apple's GPUs.

    Args:
        root: Where the system's files are.
        system: As `platform.system` returns it.
    """
    system = system or platform.system()
    cards = set()
    if system == "Windows":
        tool = shutil.which("nvidia-smi", path=str(root / "Windows" / "System32"))
        return {"NVIDIA"} if tool is not None else set()
    if system == "Linux":
        gpus = root / "proc" / "driver" / "nvidia" / "gpus"
        windows_tool = root / "usr" / "lib" / "wsl" / "lib" / "nvidia-smi"
        if windows_tool.exists() or (gpus.is_dir() and any(gpus.iterdir())):
            cards.add("NVIDIA")
        nodes = root / "sys" / "class" / "kfd" / "kfd" / "topology" / "nodes"
        # The first node is the CPU, which has the id 0.
        if any(_read(path).strip() not in ("", "0") for path in nodes.glob("*/gpu_id")):
            cards.add("AMD")
    return cards


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""


_TORCH = '"torch>=2.8,<2.14"'
_INDEX = "https://download.pytorch.org/whl"


def torch_advice(cards: set[str], torch: TorchBuild, devices: Sequence[str]) -> str:
    """Return what to do so that torch computes on this machine's card; empty if it does.

    Args:
        cards: See `find_cards`.
        devices: Those that torch has, such as ``cuda:0``.
    """
    if any(name != "cpu" for name in devices) or not cards:
        return ""
    install = f"{sys.executable} -m pip install --force-reinstall {_TORCH}"
    if "NVIDIA" in cards and torch.cuda is None:
        return (
            f"this machine has an NVIDIA card, and torch {torch.version} has no support for CUDA. "
            f"Run `{install} --index-url {_INDEX}/cu128`."
        )
    if "NVIDIA" in cards:
        return (
            f"this machine has an NVIDIA card, and torch {torch.version} cannot use it. Its driver "
            f"may be older than CUDA {torch.cuda}: update the driver, or run "
            f"`{install} --index-url {_INDEX}/cu126`."
        )
    if torch.hip is None:
        return (
            f"this machine has an AMD card, and torch {torch.version} has no support for ROCm. "
            f"Run `{install} --index-url {_INDEX}/rocm6.4`."
        )
    return (
        f"this machine has an AMD card, and torch {torch.version} cannot use it. Add your user to "
        "the groups `render` and `video`, and log in again. See ROCm's list of supported cards."
    )


def _diagnose_folders(diagnosis: Diagnosis, settings: Settings) -> None:
    environment = settings.environment()
    places = [
        ("data", settings.data_folder, True),
        ("cache", settings.cache_folder, True),
        ("outputs", environment.outputs, True),
        *(("models", path, False) for path in settings.model_folders),
        *(("packs", path, False) for path in settings.pack_folders),
    ]
    for role, path, is_written in places:
        folder = _folder(role, path)
        diagnosis.folders.append(folder)
        if is_written and not folder.writable:
            diagnosis.problems.append(f"the {role} folder {path} not writable")
        elif is_written and folder.free is not None and folder.free < _LITTLE_SPACE:
            diagnosis.warnings.append(f"there is little free space for the {role} folder {path}")


def _folder(role: str, path: Path) -> Folder:
    there = _nearest(path)
    is_folder = there.is_dir()
    writable = is_folder and os.access(there, os.W_OK | os.X_OK)
    try:
        free: int | None = shutil.disk_usage(there).free
    except OSError:
        free = None
    return Folder(role, str(path), path.is_dir(), writable, free)


def _nearest(path: Path) -> Path:
    """The path, or the nearest one above it that exists."""
    absolute = path.absolute()
    return next(
        (candidate for candidate in (absolute, *absolute.parents) if candidate.exists()), absolute
    )


def _diagnose_packs(diagnosis: Diagnosis, session: Session) -> None:
    from nodegraph.families.registry import rejected_families

    try:
        registry = session.registry
    except NodegraphError as error:
        diagnosis.problems.append(str(error))
        return
    diagnosis.node_types = len(registry.node_types())
    diagnosis.packs = {pack.name or "built in": str(pack.root) for pack in registry.packs}
    states = {state.pack: state for state in session.node_types.isolated.states()}
    diagnosis.processes = {
        pack.name: f"{pack.isolation.python}: {_in_words(states.get(pack.name))}"
        for pack in registry.packs
        if pack.isolation is not None
    }
    if "built in" not in diagnosis.packs:
        diagnosis.problems.append("the built-in nodes cannot be loaded")
    faults = [*registry.problems, *_script_problems(registry), *rejected_families()]
    diagnosis.warnings += faults
    diagnosis.faults = len(faults)


def _in_words(state: ProcessState | None) -> str:
    """What the process of a pack does."""
    if state is None:
        return "not needed yet"
    running = f"process {state.number}, {state.calls} calls" if state.number else "not running"
    crashes = f"; failed {state.crashes} times" if state.crashes else ""
    return f"{running}{crashes}{'; ' if state.problem else ''}{state.problem}"


def _script_problems(registry: Registry) -> Iterator[str]:
    for script in registry.scripts():
        try:
            script.check()
        except InvalidFile as error:
            yield str(error)


def _diagnose_models(diagnosis: Diagnosis, settings: Settings) -> None:
    from nodegraph.families.embedded_models import EMBEDDED
    from nodegraph.families.identification import LOAD_DENOISER, LOAD_MODEL, LOAD_PIPELINE
    from nodegraph.models.model_sources import list_models

    models = list_models(settings.model_folders)
    # What goes beside models, such as LoRAs and control networks, is none, and no model that can't
    # be used either.
    sampled = (LOAD_MODEL, LOAD_DENOISER, LOAD_PIPELINE, None)
    whole = [model for model in models if model.node in sampled]
    diagnosis.models = len(whole)
    diagnosis.usable_models = sum(1 for model in whole if model.problem is None)
    if not any(model.name == EMBEDDED and model.problem is None for model in models):
        diagnosis.warnings.append(
            f"the model that comes with nodegraph, `{EMBEDDED}`, cannot be used"
        )


def doctor(common: CommonOptions, json: JsonOption = False) -> int:
    """Check the installation: libraries, devices, folders, packs.

    Exits with 1 if something essential is broken.
    """
    diagnosis = diagnose(common.session())
    if json:
        print_json(diagnosis.as_dict())
    else:
        _print(diagnosis)
    return FAILED if diagnosis.problems else FINE


def _print(diagnosis: Diagnosis) -> None:
    echo(
        ("nodegraph", "bold"),
        f" {diagnosis.nodegraph}, Python {diagnosis.python} at {sys.executable}",
    )
    memory = f", {format_size(diagnosis.memory)} of memory" if diagnosis.memory else ""
    free = (
        f" ({format_size(diagnosis.memory_available)} free)" if diagnosis.memory_available else ""
    )
    echo(f"{diagnosis.system}, {pluralize(diagnosis.threads, 'thread')}{memory}{free}")
    libraries = [(item.name, item.version or "missing") for item in diagnosis.libraries]
    _print_section("Libraries", libraries)
    devices = [
        (item.name, item.title + (f", {format_size(item.bytes)}" if item.bytes else ""))
        for item in diagnosis.devices
    ]
    _print_section("Devices", [*devices, ("precision on the CPU", diagnosis.cpu_precision)])
    _print_section("Folders", [(item.role, item.path, _state(item)) for item in diagnosis.folders])
    _print_section("Packs", list(diagnosis.packs.items()))
    no_sandbox = [("none", "they do not run: install bubblewrap, or trust them")]
    _print_section("Sandbox of untrusted packs", list(diagnosis.sandbox.items()) or no_sandbox)
    if diagnosis.processes:
        _print_section("Packs with their own process", list(diagnosis.processes.items()))
    unusable = diagnosis.models - diagnosis.usable_models
    echo()
    echo(
        f"{pluralize(diagnosis.node_types, 'node type')}, "
        f"{pluralize(diagnosis.usable_models, 'model')}"
        + (f", and {unusable} that cannot be used: see `nodegraph models`" if unusable else "")
    )
    _print_findings(diagnosis)


def _print_section(title: str, rows: Sequence[Sequence[str]]) -> None:
    if rows:
        echo()
        echo((title, "bold"))
        print_table(rows, indent=2)


def _state(folder: Folder) -> str:
    parts = [
        "" if folder.exists else "not created yet",
        "" if folder.writable else "not writable",
        f"{format_size(folder.free)} free" if folder.free is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _print_findings(diagnosis: Diagnosis) -> None:
    echo()
    for text in diagnosis.warnings:
        echo(("warning: ", "yellow"), text)
    for text in diagnosis.problems:
        echo(("problem: ", "red"), text)
    if not diagnosis.problems:
        faults = pluralize(diagnosis.faults, "fault") if diagnosis.faults else ""
        ending = f"; {faults} in packs or model families: see above." if faults else "."
        echo((f"All required parts work{ending}", "green"))
