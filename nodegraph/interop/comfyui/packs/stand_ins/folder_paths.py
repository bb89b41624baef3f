"""ComfyUI's module ``folder_paths``: folders of models, inputs, outputs and users.

Model kinds are folders in our models folders, as ComfyUI and A1111 name them. A pack may add kinds
and folders; what is listed there is found by its full path.
"""

from __future__ import annotations

import mimetypes
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nodegraph.core.context import Environment
from nodegraph.core.file_access import is_readable
from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.interop.comfyui.packs.model_handle import current_call, hook_environment
from nodegraph.packs.snapshot import FLAT

_EXTENSIONS = frozenset(
    (".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft", ".gguf")
)
_KINDS: Mapping[str, tuple[str, ...]] = {
    "checkpoints": ("checkpoints", "Stable-diffusion"),
    "configs": ("configs",),
    "loras": ("loras", "Lora"),
    "vae": ("vae", "VAE"),
    "text_encoders": ("text_encoders", "clip"),
    "diffusion_models": ("unet", "diffusion_models"),
    "clip_vision": ("clip_vision",),
    "style_models": ("style_models",),
    "embeddings": ("embeddings",),
    "diffusers": ("diffusers",),
    "vae_approx": ("vae_approx",),
    "controlnet": ("controlnet", "t2i_adapter", "ControlNet"),
    "gligen": ("gligen",),
    "upscale_models": ("upscale_models", "ESRGAN"),
    "latent_upscale_models": ("latent_upscale_models",),
    "hypernetworks": ("hypernetworks",),
    "photomaker": ("photomaker",),
    "classifiers": ("classifiers",),
    "model_patches": ("model_patches",),
    "audio_encoders": ("audio_encoders",),
    "ipadapter": ("ipadapter",),
    "background_removal": ("background_removal",),
    "frame_interpolation": ("frame_interpolation",),
}
"""Kinds of models, and their folders in a models folder."""
_OWN_EXTENSIONS: Mapping[str, frozenset[str]] = {
    "configs": frozenset((".yaml",)),
    "diffusers": frozenset(("folder",)),
    "classifiers": frozenset(("",)),
}
_LEGACY = {"unet": "diffusion_models", "clip": "text_encoders"}
_ANNOTATION = re.compile(r"(?s)(.+?) ?\[(input|output|temp)\]$")
_COUNTED = re.compile(r"_(\d+)_")
_CONTENT_TYPES = {"image", "video", "audio", "model"}


class _Cache:
    """ComfyUI's cache of file lists for a request: lists are always read here."""

    active = False

    def get(self, key: str, default: Any = None) -> Any:
        """Return nothing: there is no cache."""
        return default

    def set(self, key: str, value: Any) -> None:
        """Keep nothing."""

    def clear(self) -> None:
        """Do nothing."""

    def __enter__(self) -> _Cache:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class Folders:
    """The folders of a session under ComfyUI's names.

    Attributes:
        names: Folders and extensions by kind of model; packs add to it.
        watched: Folders that were listed.
    """

    def __init__(self, environment: Environment, pack: Path | None) -> None:
        roots = environment.models or (environment.temporary / "models",)
        self.environment = environment
        self.models = str(roots[0])
        self.base = str(environment.outputs.absolute().parent)
        self.directories = {
            "output": str(environment.outputs.absolute()),
            "input": str(environment.inputs.absolute()),
            "temp": str(environment.temporary.absolute()),
            "user": str((environment.temporary / "comfyui-user").absolute()),
        }
        self.names: dict[str, Any] = {
            kind: (
                [str(root.absolute() / folder) for root in roots for folder in folders],
                set(_OWN_EXTENSIONS.get(kind, _EXTENSIONS)),
            )
            for kind, folders in _KINDS.items()
        }
        self.names["custom_nodes"] = ([] if pack is None else [str(pack.parent)], set())
        self.watched: set[str] = set()

    def map_legacy(self, folder_name: str) -> str:
        """Return today's name of a kind."""
        return _LEGACY.get(folder_name, folder_name)

    def add_model_folder_path(
        self, folder_name: str, full_folder_path: str, is_default: bool = False
    ) -> None:
        """Add a folder for a kind of models; the default one comes first."""
        paths, _ = self.names.setdefault(self.map_legacy(folder_name), ([], set()))
        path = str(full_folder_path)
        if path in paths:
            if not is_default:
                return
            paths.remove(path)
        paths.insert(0 if is_default else len(paths), path)

    def get_folder_paths(self, folder_name: str) -> list[str]:
        """Return the folders of a kind."""
        return list(self._kind(folder_name)[0])

    def _kind(self, folder_name: str) -> tuple[list[str], Collection[str]]:
        name = self.map_legacy(folder_name)
        # Packs replace entries of the mapping, under either name.
        kind = self.names.get(name) or self.names[folder_name]
        return kind[0], kind[1]

    def get_filename_list(self, folder_name: str) -> list[str]:
        """Return the files of a kind, relative to their folders."""
        paths, extensions = self._kind(folder_name)
        files: set[str] = set()
        for path in paths:
            self.watched.add(str(Path(path).absolute()))
            names, _ = self.recursive_search(path, excluded_dir_names=[".git"])
            files.update(self.filter_files_extensions(names, extensions))
        return sorted(files)

    def recursive_search(
        self, directory: str, excluded_dir_names: Collection[str] | None = None
    ) -> tuple[list[str], dict[str, float]]:
        """Return the files below a folder, and the times of its folders."""
        files: list[str] = []
        times: dict[str, float] = {}
        skipped = set(excluded_dir_names or ())
        for folder, below, names in os.walk(directory, followlinks=True, topdown=True):
            below[:] = sorted(name for name in below if name not in skipped)
            times[folder] = Path(folder).stat().st_mtime
            inner = os.path.relpath(folder, directory)
            files += [str(Path(inner) / name) for name in sorted(names)]
        return files, times

    def filter_files_extensions(
        self, files: Collection[str], extensions: Collection[str]
    ) -> list[str]:
        """Return the files with one of some endings, all if there are none."""
        every = {ending.lower() for ending in extensions}
        return sorted(
            name
            for name in files
            if not every or Path(name).suffix.lower() in every or "folder" in every
        )

    def filter_files_content_types(self, files: list[str], content_types: list[str]) -> list[str]:
        """Return the files whose ending means a kind of content: image, video, audio or model."""
        wanted = set(content_types)
        if unknown := wanted - _CONTENT_TYPES:
            raise ValueError(f"there is no content type {unknown}: {sorted(_CONTENT_TYPES)}")
        return [name for name in files if _content_type(name) in wanted]

    def get_full_path(self, folder_name: str, filename: str) -> str | None:
        """Return the path of a file of a kind; None if there is none."""
        try:
            paths, _ = self._kind(folder_name)
        except KeyError:
            return None
        # A name never leaves its folder.
        inner = os.path.normpath(f"/{filename}").lstrip("/\\")
        candidates = (Path(path) / inner for path in paths)
        return next((str(candidate) for candidate in candidates if candidate.exists()), None)

    def get_full_path_or_raise(self, folder_name: str, filename: str) -> str:
        """Return the path of a file of a kind.

        Raises:
            ModelNotFound: There is none.
        """
        path = self.get_full_path(folder_name, filename)
        if path is None:
            raise ModelNotFound(
                f"there is no `{filename}` among the models of kind {folder_name}",
                given=filename,
                expected=", ".join(self.get_folder_paths(folder_name)),
            )
        return path

    def get_directory_by_type(self, type_name: str) -> str | None:
        """Return the folder of ``output``, ``input`` or ``temp``."""
        return self.directories.get(type_name) if type_name != "user" else None

    def annotated_filepath(self, name: str) -> tuple[str, str | None]:
        """Split a name from the folder that it ends with, such as ``a.png [output]``."""
        match = _ANNOTATION.match(name)
        if match is None:
            return name, None
        return match[1], self.directories[match[2]]

    def get_annotated_filepath(self, name: str, default_dir: str | None = None) -> str:
        """Return the path of a name that may end with its folder.

        A whole path, as that of an upload, is returned if the run may read it.

        Raises:
            InvalidFile: It leads out of the folder.
        """
        inner, directory = self.annotated_filepath(name)
        if directory is None and Path(inner).is_absolute() and self._may_read(inner):
            return inner
        base = directory or default_dir or self.directories["input"]
        whole = str(Path(base) / inner)
        if not _is_within(whole, base):
            raise InvalidFile(
                "the name of a file leads out of its folder", given=name, expected=f"below {base}"
            )
        return whole

    def _may_read(self, path: str) -> bool:
        call = current_call.get()
        running = hook_environment.get() if call is None else call.environment
        return is_readable(path, running or self.environment)

    def exists_annotated_filepath(self, name: str) -> bool:
        """Whether there is a file of a name that may end with its folder."""
        try:
            return Path(self.get_annotated_filepath(name)).exists()
        except InvalidFile:
            return False

    def get_save_image_path(
        self, filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
    ) -> tuple[str, str, int, str, str]:
        """Return where the next file of a prefix is written.

        Returns:
            Folder, beginning of the name, number of the file, sub-folder and the whole prefix.
        Raises:
            InvalidFile: The prefix leads out of the folder.
        """
        prefix = _filled(filename_prefix, image_width, image_height)
        subfolder, filename = os.path.split(os.path.normpath(prefix))
        folder = str(Path(output_dir) / subfolder)
        if not _is_within(folder, output_dir):
            raise InvalidFile(
                "a file would be saved outside of the folder for results",
                given=filename_prefix,
                expected=f"a name below {output_dir}",
            )
        Path(folder).mkdir(parents=True, exist_ok=True)
        return folder, filename, max(_numbers(folder, filename), default=0) + 1, subfolder, prefix

    def get_input_subfolders(self) -> list[str]:
        """Return the folders below the inputs folder."""
        base = self.directories["input"]
        return sorted(
            os.path.relpath(folder, base) for folder, _, _ in os.walk(base) if folder != base
        )


def _content_type(name: str) -> str | None:
    ending = Path(name).suffix.lower()
    if ending in (".gltf", ".glb", ".obj", ".fbx", ".stl", ".usdz", ".ply", ".splat"):
        return "model"
    known, _ = mimetypes.guess_type(f"a{ending}", strict=False)
    kind = "image/webp" if ending == ".webp" and known is None else known
    return None if kind is None else kind.partition("/")[0]


def _is_within(path: str, base: str) -> bool:
    real, root = os.path.realpath(path), os.path.realpath(base)
    return real == root or real.startswith(f"{root}{os.sep}")


def _filled(prefix: str, width: int, height: int) -> str:
    """A prefix with its date and size."""
    now = time.localtime()
    values = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    return re.sub(r"%(\w+)%", lambda match: values.get(match[1], match[0]), prefix)


def _numbers(folder: str, filename: str) -> Iterator[int]:
    """Numbers of the files of a prefix."""
    for name in (path.name for path in Path(folder).iterdir()):
        if os.path.normcase(name).startswith(os.path.normcase(f"{filename}_")):
            match = _COUNTED.match(name[len(filename) :])
            if match is not None:
                yield int(match[1])


def modules(environment: Environment, pack: Path | None) -> dict[str, dict[str, Any]]:
    """The names of ComfyUI's ``folder_paths``."""
    folders = Folders(environment, pack)
    directories = folders.directories

    def setter(kind: str) -> Any:
        def set_directory(directory: str) -> None:
            directories[kind] = str(directory)

        return set_directory

    def getter(kind: str) -> Any:
        def get_directory() -> str:
            # ComfyUI's folders are there, so packs list them without a look. A sandbox forbids it.
            with suppress(OSError):
                Path(directories[kind]).mkdir(parents=True, exist_ok=True)
            # Inputs list the files in it, which people bring while the pack is in use.
            if kind == "input" and current_call.get() is None and hook_environment.get() is None:
                folders.watched.add(f"{Path(directories[kind]).absolute()}{FLAT}")
            return directories[kind]

        return get_directory

    own = (
        *("map_legacy", "add_model_folder_path", "get_folder_paths", "get_filename_list"),
        *("recursive_search", "filter_files_extensions", "filter_files_content_types"),
        *("get_full_path", "get_full_path_or_raise", "get_directory_by_type"),
        *("annotated_filepath", "get_annotated_filepath", "exists_annotated_filepath"),
        *("get_save_image_path", "get_input_subfolders"),
    )
    names: dict[str, Any] = {name: getattr(folders, name) for name in own}
    for kind in directories:
        names |= {f"get_{kind}_directory": getter(kind), f"set_{kind}_directory": setter(kind)}
        names[f"{kind}_directory"] = directories[kind]
    names |= {
        "base_path": folders.base,
        "models_dir": folders.models,
        "folder_names_and_paths": folders.names,
        "supported_pt_extensions": set(_EXTENSIONS),
        "cache_helper": _Cache(),
        "filename_list_cache": {},
        "extension_mimetypes_cache": {},
        "get_filename_list_": lambda name: (folders.get_filename_list(name), {}, time.time()),
        "cached_filename_list_": lambda name: None,
        "nodegraph_watched": folders.watched,
    }
    return {"folder_paths": names}
