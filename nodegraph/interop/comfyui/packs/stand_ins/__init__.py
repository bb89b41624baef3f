"""Modules that ComfyUI's packs import, served from modules of nodegraph.

`install` puts a finder first on `sys.meta_path` that answers for ComfyUI's module names. Three
kinds of names:

- Offered: a module whose names are those of `modules`; others are missing, as in a version of
  ComfyUI that has none, and importing one says so.
- Refused: internals of ComfyUI's engine, `REFUSED`, and other classes of offered modules. Importing
  them works, so that annotations, base classes and unused imports do no harm. What is called raises
  an error that names it.
- Anything else below ComfyUI's packages does not exist; importing it says so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from nodegraph.core.context import Environment
from nodegraph.interop.comfyui.packs.model_handle import current_call as current_call
from nodegraph.interop.comfyui.packs.model_handle import refused

_HERE = __name__
_SOURCES: Mapping[str, tuple[str, ...]] = {
    "folder_paths": ("folder_paths",),
    "comfy_utils": ("comfy.utils", "node_helpers", "comfy.checkpoint_pickle"),
    "devices": ("comfy.model_management", "comfy.cli_args", "comfy.options"),
    "host_modules": (
        *("comfy", "comfy.comfy_types", "comfy.comfy_types.node_typing", "server"),
        "comfyui_version",
        *("comfy_execution", "comfy_execution.graph", "comfy_execution.graph_utils"),
        *("comfy_execution.utils", "comfy_execution.progress", "comfy_execution.caching"),
        *("comfy_execution.validation", "comfy_api", "comfy_api.latest", "comfy_api.latest._io"),
        "comfy_api.latest._ui",
        *("comfy_api.v0_0_1", "comfy_api.v0_0_2", "comfy_api.input", "comfy_api.input_impl"),
        *("comfy_api.util", "comfy_api.util.video_types", "comfy_api.input.basic_types"),
        *("comfy_api.input.video_types", "comfy_api.input_impl.video_types"),
        *("comfy_api.version_list", "comfy_api.torch_helpers"),
    ),
    "sampling_modules": (
        *("comfy.samplers", "comfy.sample", "comfy.k_diffusion", "comfy.k_diffusion.sampling"),
        *("latent_preview", "comfy.latent_formats", "comfy.model_sampling", "comfy_extras"),
        "comfy_extras.nodes_custom_sampler",
    ),
    "core_nodes": (
        *("nodes", "comfy.sd", "comfy.controlnet", "comfy.clip_vision"),
        *("comfy_extras.nodes_mask", "comfy_extras.nodes_images", "comfy_extras.nodes_clip_sdxl"),
        *("comfy_extras.nodes_model_advanced", "comfy_extras.nodes_freelunch"),
        *("comfy_extras.nodes_differential_diffusion", "comfy_extras.nodes_flux"),
    ),
}
"""Our modules, and the modules of ComfyUI whose names they define. A source has a function
``modules(environment)`` that returns the names of each by name of the module."""

OFFERED: Mapping[str, str] = {name: source for source, names in _SOURCES.items() for name in names}
"""Source by name of an offered module."""

REFUSED = (
    *("comfy.ldm", "comfy.ops", "comfy.model_base", "comfy.model_detection", "comfy.cldm"),
    *("comfy.model_patcher", "comfy.patcher_extension", "comfy.hooks", "comfy.lora", "comfy.conds"),
    *("comfy.lora_convert", "comfy.supported_models", "comfy.supported_models_base"),
    *("comfy.sdxl_clip", "comfy.sd1_clip", "comfy.sd2_clip", "comfy.text_encoders", "comfy.gligen"),
    *("comfy.t2i_adapter", "comfy.sampler_helpers", "comfy.float", "comfy.rmsnorm"),
    *("comfy.weight_adapter", "comfy.diffusers_load", "comfy.diffusers_convert"),
    *("comfy.image_encoders", "comfy.clip_model", "comfy.taesd"),
    *("comfy.extra_samplers", "comfy.context_windows", "comfy.nested_tensor", "comfy.quant_ops"),
    *("comfy.k_diffusion.utils", "comfy.k_diffusion.sa_solver", "comfy.k_diffusion.deis"),
    *("comfy.conditioning_processing", "comfy.audio_encoders", "comfy.pixel_space_convert"),
    *(
        "comfy_extras.nodes_upscale_model",
        "comfy_extras.nodes_controlnet",
        "comfy_extras.chainner_models",
    ),
    *("execution", "app", "protocol", "api_server"),
    *("comfy.memory_management", "comfy.windows", "comfy.multigpu", "comfy.background_removal"),
)
"""Modules of ComfyUI's engine, with all below them."""

_PARTLY: Mapping[str, str] = {"comfy.model_patcher": "sampling_modules"}
"""Source by name of a refused module of which some names are offered."""

_PACKAGES = (
    *("comfy", "comfy_execution", "comfy_api", "comfy_extras", "comfy_config", "comfy_api_nodes"),
    *("custom_nodes", "alembic_db"),
)
"""Top packages of ComfyUI: names below them come from here, or do not exist."""

_CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9]*[a-z]")
_WHY = "it is a part of ComfyUI's engine, and models run in nodegraph's"
_HINT = "Use the nodes of nodegraph for this, or ask the author to use ComfyUI's public interfaces."


class Refusal(type):
    """Class of the names in refused modules: they can be named and inherited from, not used."""

    def __call__(cls, *values: Any, **named: Any) -> Any:
        raise refused(cls.__qualname__, _WHY, _HINT)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return refusal(f"{cls.__qualname__}.{name}")

    def __instancecheck__(cls, value: Any) -> bool:
        # Packs tell models apart by their classes there.
        known = getattr(type(value), "comfy_class", None) or vars_of(value).get("comfy_class")
        return known is not None and known == cls.__name__


def vars_of(value: Any) -> Mapping[str, Any]:
    """Return the attributes of an object that has a dict of them."""
    attributes: Mapping[str, Any] = getattr(value, "__dict__", {})
    return attributes


def refusal(name: str) -> Any:
    """Return the stand-in for a name of ComfyUI that is refused once it is used."""
    return Refusal(name.rpartition(".")[2], (), {"__qualname__": name, "__module__": _HERE})


def is_refused(name: str) -> bool:
    """Whether a module is one of `REFUSED`, or below one."""
    return any(name == top or name.startswith(f"{top}.") for top in REFUSED)


class _Module(ModuleType):
    """A module that says which of its names do not exist here."""

    def __getattr__(self, name: str) -> Any:
        whole = f"{self.__name__}.{name}"
        if name.startswith("__"):
            raise AttributeError(name)
        if is_refused(self.__name__):
            return refusal(whole)
        if whole in OFFERED or is_refused(whole):
            # ComfyUI's own start imports its modules, so packs reach them without an import.
            return import_module(whole)
        raise AttributeError(f"nodegraph does not offer ComfyUI's `{whole}`")


class _RefusalLoader(Loader):
    """Answers ``from module import Class`` with a class that is refused once it is used."""

    def create_module(self, spec: ModuleSpec) -> Any:
        return refusal(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__name__ = module.__name__.rpartition(".")[2]


class _Loader(Loader):
    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(self._names)


class StandInFinder(MetaPathFinder):
    """Serves ComfyUI's module names.

    Args:
        environment: Folders of the session.
        pack: Folder of the pack that runs here.
    """

    def __init__(self, environment: Environment, pack: Path | None = None) -> None:
        self.environment = environment
        self.pack = pack
        self._served: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def names(self, module: str) -> Mapping[str, Any]:
        """Return the names of an offered module."""
        source = OFFERED.get(module) or _PARTLY.get(module, "")
        if not source:
            return {}
        if source not in self._served:
            defined = import_module(f"{_HERE}.{source}")
            self._served[source] = defined.modules(self.environment, self.pack)
        return self._served[source].get(module, {})

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, _ = fullname.partition(".")
        if fullname in OFFERED:
            return ModuleSpec(fullname, _Loader(self.names(fullname)), is_package=True)
        if is_refused(fullname):
            return ModuleSpec(fullname, _Loader(self.names(fullname)), is_package=True)
        parent, _, name = fullname.rpartition(".")
        # Without `name`, else Python replaces the message of a failed `from … import …`.
        if parent in OFFERED and parent.startswith("comfy.") and _CLASS_NAME.match(name):
            # Only imported by name, and mostly for annotations; `hasattr` stays False before.
            return ModuleSpec(fullname, _RefusalLoader())
        if parent in OFFERED and self.names(parent):
            raise ImportError(
                f"nodegraph does not offer `{name}` of ComfyUI's module `{parent}`: {_WHY}. "
                "docs/comfyui.md lists what it offers."
            )
        if top in _PACKAGES:
            raise ModuleNotFoundError(
                f"nodegraph does not offer ComfyUI's module `{fullname}`. docs/comfyui.md lists "
                "the modules that it offers."
            )
        return None


def install(environment: Environment, pack: Path | None = None) -> StandInFinder:
    """Serve ComfyUI's modules in this process from now on.

    Args:
        environment: Folders of the session.
        pack: Folder of the pack that runs here.
    """
    finder = StandInFinder(environment, pack)
    for name in [name for name in sys.modules if _is_served(name)]:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    return finder


@contextmanager
def installed(environment: Environment, pack: Path | None = None) -> Iterator[StandInFinder]:
    """Serve ComfyUI's modules inside the `with`; modules of the same names come back after it."""
    before = {name: module for name, module in sys.modules.items() if _is_served(name)}
    finder = install(environment, pack)
    try:
        yield finder
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_served(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_served(name: str) -> bool:
    top = name.partition(".")[0]
    return top in _PACKAGES or name in OFFERED or (top in OFFERED and top != name)


def watched_paths() -> tuple[str, ...]:
    """Folders that the pack's lists of files depend on, as far as it has read them."""
    module = sys.modules.get("folder_paths")
    return () if module is None else tuple(sorted(module.nodegraph_watched))


def offered_rows(finder: StandInFinder) -> list[str]:
    """Return the rows of the table in docs/comfyui.md: offered modules and their names.

    Modules with the same names share a row; functions of samplers are one name.
    """
    by_names: dict[tuple[str, ...], list[str]] = {}
    for module in sorted(OFFERED):
        shown = (
            "sample_*" if name.startswith("sample_") and "k_diffusion" in module else name
            for name in finder.names(module)
            if not name.startswith(("_", "nodegraph_"))
        )
        names = tuple(sorted(set(shown)))
        if names:
            by_names.setdefault(names, []).append(module)
    return [f"| {_code(modules)} | {_code(names)} |" for names, modules in by_names.items()]


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
