"""Find the models that an image names in the models folders, by hash or by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.weight_files import HEADED, file_suffix
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.families.embedded_models import EMBEDDED
from nodegraph.families.identification import (
    LOAD_CONTROL,
    LOAD_DENOISER,
    LOAD_ENCODER,
    LOAD_INVERSION,
    LOAD_LORA,
    LOAD_MODEL,
    LOAD_UPSCALER,
    LOAD_VAE,
    LOAD_VISION,
)
from nodegraph.interop.image_metadata.generation import ModelReference, shorten
from nodegraph.models.model_hashes import ModelHashCache, find_by_hash
from nodegraph.models.model_sources import (
    KIND_FOLDERS,
    FoundModel,
    describe_model,
    find_path,
    model_files,
)
from nodegraph.weights.attached_models import find_remote_store

_MAX_NAME = 200
MODEL_ENDINGS = re.compile(r"\.(safetensors|sft|gguf|ckpt|pt|pth|bin)$", re.IGNORECASE)
_PRECISION = re.compile(r"(_(f16|f32|bf16|fp16|fp32|q\dp|i8x|exact|svd))+$", re.IGNORECASE)
"""What Draw Things appends to the names of models that it has converted."""
UPSCALER_FILES = {
    "r-esrgan 4x+": "RealESRGAN_x4plus",
    "r-esrgan 4x+ anime6b": "RealESRGAN_x4plus_anime_6B",
    "r-esrgan 2x+": "RealESRGAN_x2plus",
    "r-esrgan general 4xv3": "realesr-general-x4v3",
    "r-esrgan animevideo": "realesr-animevideov3",
    "swinir 4x": "SwinIR_4x",
    "esrgan_4x": "ESRGAN",
}
"""Names of upscalers in A1111, and of the published files."""


class ModelFinder:
    """Finds models in folders.

    Args:
        folders: The models folders; those of remote stores are searched by name only.
        cache_folder: Where hashes are kept that were computed before. None keeps none.
        budget: Bytes that may be read to find hashes, of all models together. None for any number.
        on_read: Called with each file before it is read as a whole.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        cache_folder: Path | None,
        *,
        budget: int | None = None,
        on_read: Callable[[Path], None] | None = None,
    ) -> None:
        self._folders = folders
        self._cache = ModelHashCache(cache_folder)
        self._budget = budget
        self._on_read = on_read

    def find(self, reference: ModelReference, folder: str = "") -> tuple[str, str]:
        """Return the name of a model here, and what is to say about it.

        A file whose hash is known counts before one of the same name. If there is none, the name is
        that of the other tool.

        Args:
            folder: Folder of models of that kind, such as ``loras``. Of several files of one name,
                one in such a folder counts.
        """
        name = plain_name(reference.name)
        match = find_by_hash(reference.hashes, self._files.values(), self._cache, budget=0)
        if match.path is not None:
            return self._name(match.path), ""
        by_name = self._by_name(name, folder) if name else ""
        if by_name:
            return by_name, self._difference(by_name, reference)
        match = find_by_hash(
            reference.hashes,
            self._files.values(),
            self._cache,
            budget=self._budget,
            on_read=self._note_reading,
        )
        if match.path is not None:
            return self._name(match.path), ""
        shown = name or (f"model {reference.hashes[0][:12]}" if reference.hashes else "")
        if not reference.hashes:
            return shown, ""
        message = f"`{shorten(shown)}` is not here. Its hash is {reference.hashes[0][:12]}."
        if match.unread:
            message += (
                f" {match.unread} model files were too large to search for it: `nodegraph import` "
                "searches all."
            )
        return shown, message

    def _note_reading(self, path: Path) -> None:
        if self._budget is not None:
            self._budget = max(0, self._budget - path.stat().st_size)
        if self._on_read is not None:
            self._on_read(path)

    def part(self, name: str) -> FoundModel | None:
        """Return what a file here is, if it is only the diffusion model of a whole one."""
        path = self._files.get(name)
        if path is None:
            return None
        model = describe_model(name, path, "checkpoint")
        return model if model.node == LOAD_DENOISER else None

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Local files by their names."""
        return {
            path.relative_to(folder).as_posix(): path
            for folder in reversed(self._folders)
            if find_remote_store(folder) is None
            for path in model_files(folder)
        }

    def _name(self, path: Path) -> str:
        return next(name for name, file in self._files.items() if file == path)

    def _by_name(self, name: str, folder: str) -> str:
        """The name here of a model, without folders and endings; empty if there is none."""
        plain = MODEL_ENDINGS.sub("", name)
        wanted = {plain.lower(), _PRECISION.sub("", plain).lower()}
        wanted.add(UPSCALER_FILES.get(plain.lower(), plain).lower())
        matches = [
            each
            for each in self._files
            if MODEL_ENDINGS.sub("", each).rpartition("/")[2].lower() in wanted
        ]
        exact = [each for each in matches if Path(each).name.lower() == name.lower()]
        if matches:
            return min(exact or matches, key=lambda each: _preference(each, folder))
        if plain == EMBEDDED or plain.startswith(f"{EMBEDDED}/"):
            return ""
        try:
            find_path(name, self._folders)  # a remote one, or a folder
        except NodegraphError:
            return ""
        is_outside = Path(name).exists() and not any(
            (folder / sub / name).exists()
            for folder in self._folders
            for sub in ("", *KIND_FOLDERS)
        )
        return "" if is_outside else name

    def _difference(self, name: str, reference: ModelReference) -> str:
        path = self._files.get(name)
        known = None if path is None else self._cache.known(path)
        if known is None or not reference.hashes or any(map(known.matches, reference.hashes)):
            return ""
        return (
            f"`{shorten(name)}` has the name of the model in the image and another hash "
            f"({known.autov2}, expected {reference.hashes[0][:12]})."
        )


def _preference(name: str, folder: str) -> tuple[bool, bool, int]:
    """Files of the right kind come first, then those that cannot run code."""
    path = Path(name)
    return folder not in path.parts, file_suffix(path) not in HEADED, len(name)


def plain_name(name: str) -> str:
    """Return the last part of a file name of any system, in a form that names a model."""
    text = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    text = re.sub(r"\[[0-9a-fA-F]{8,12}\]$", "", text).rstrip()  # A1111 appends the hash
    return "".join(sign for sign in text if sign.isprintable())[:_MAX_NAME].strip().lstrip(".")


_FEWEST_DIGITS = 6
_LOADERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "checkpoints": ("model", (LOAD_MODEL, LOAD_DENOISER)),
    "loras": ("LoRA", (LOAD_LORA,)),
    "vae": ("VAE", (LOAD_VAE,)),
    "text_encoders": ("text encoder", (LOAD_ENCODER,)),
    "controlnet": ("ControlNet", (LOAD_CONTROL,)),
    "upscale_models": ("upscale model", (LOAD_UPSCALER,)),
    "embeddings": ("textual inversion", (LOAD_INVERSION,)),
}
"""Folders of models: what is in them, and the nodes that load it."""
_HASH = re.compile(r"\s*\[([0-9a-fA-F]{6,64})\]\s*\Z")


class ListedModels:
    """Finds models by the names that A1111's API gives them: titles, names, hashes.

    Args:
        models: All models of the server.
        hashes: SHA-256 by name, as far as it is known.
    """

    def __init__(self, models: Sequence[FoundModel], hashes: Mapping[str, str]) -> None:
        # Embedded models without text encoders make no images.
        self._models = {
            model.name: model
            for model in models
            if model.problem is None and (model.kind, model.node) != ("embedded", LOAD_DENOISER)
        }
        self._hashes = hashes

    def of(self, folder: str) -> list[FoundModel]:
        """Return the models of a kind, by its folder."""
        _, nodes = _LOADERS[folder]
        return [model for model in self._models.values() if model.node in nodes]

    def vision(self, pattern: re.Pattern[str]) -> FoundModel | None:
        """Return the first vision model whose kind fits a pattern; None if there is none."""
        fitting = (
            model
            for model in self._models.values()
            if model.node == LOAD_VISION and pattern.search(model.part or "")
        )
        return next(fitting, None)

    def default(self) -> str:
        """Return the name of the model that is used if none is chosen."""
        names = [
            model.name
            for model in self.of("checkpoints")
            if model.node == LOAD_MODEL and model.name != EMBEDDED
        ]
        return names[0] if names else EMBEDDED

    def sha256(self, name: str) -> str:
        """Return the hash of a model; empty if it is not known."""
        return self._hashes.get(name, "")

    def hash10(self, name: str) -> str:
        """Return the short hash of a model; empty if it is not known."""
        return self.sha256(name)[:10]

    def title(self, name: str) -> str:
        """Return the title of a model in A1111's API."""
        short = self.hash10(name)
        return f"{name} [{short}]" if short else name

    def find(self, reference: ModelReference, folder: str = "") -> tuple[str, str]:
        """Return the name of a model.

        Raises:
            InvalidValue: There is none of that name.
        """
        kind, _ = _LOADERS[folder]
        models = [model.name for model in self.of(folder)]
        match = next(iter(self._matches(reference, models)), None)
        if match is None:
            names = [stem(name) for name in models]
            raise InvalidValue(
                f"there is no {kind} of this name",
                given=shorten(reference.name),
                expected=None if names else f"a {kind} in the models folder",
                hint=did_you_mean(reference.name, names) if names else None,
            )
        return match, ""

    def has(self, name: str, folder: str) -> bool:
        """Return whether there is a model of a name among those of a kind."""
        models = [model.name for model in self.of(folder)]
        return next(self._matches(ModelReference(name), models), None) is not None

    def part(self, name: str) -> FoundModel | None:
        """Return what a model is, if it is only the diffusion model of a whole one."""
        model = self._models.get(name)
        return model if model is not None and model.node == LOAD_DENOISER else None

    def _matches(self, reference: ModelReference, names: Sequence[str]) -> Iterator[str]:
        text = reference.name.strip().replace("\\", "/")
        digits = [match[1].lower()] if (match := _HASH.search(text)) else []
        digits += [each for each in reference.hashes if each]
        plain = _HASH.sub("", text).strip()
        yield from (name for name in names if name == plain)
        hashes = [each for each in digits if len(each) >= _FEWEST_DIGITS]
        for name in names:
            if any(self._hashes.get(name, "").startswith(each) for each in hashes):
                yield name
        wanted = stem(plain).lower()
        alias = UPSCALER_FILES.get(wanted, wanted).lower()
        yield from (name for name in names if stem(name).lower() in (wanted, alias))


def stem(name: str) -> str:
    """Return the name of a model without folders and file ending."""
    return MODEL_ENDINGS.sub("", plain_name(name))
