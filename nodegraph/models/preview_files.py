"""Tiny decoders for previews: their recipe, and those that users have under their models folders.

Imports no torch, and reads headers of files at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import DiffusionModel, Recipe, RecipeFile
from nodegraph.errors import NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.models.model_sources import model_files
from nodegraph.weights.file_kinds import SAFETENSORS, file_suffix
from nodegraph.weights.joined_files import joined_shapes
from nodegraph.weights.single_files.tiny_vae import TINY

OF_USER = "decoder"
"""Role of a user's tiny decoder in a recipe."""

_OF_MODEL = "model"
_OF_DIFFUSERS = "diffusion_pytorch_model"


@dataclass(frozen=True, slots=True)
class PreviewDecoder(Recipe):
    """Recipe of a small decoder: of what a model brings, by the model's folder and its denoiser's
    digest, or of a user's, by its file.

    Of what a model brings it doesn't say the files, which have no part in any result.
    """

    @classmethod
    def of(cls, model: DiffusionModel) -> PreviewDecoder:
        """The decoder that a model brings, if it brings one."""
        file = Path(model.files[0].path)
        path = file.parent.parent if file.name == layout.CONFIG else file
        return cls(model.family, (RecipeFile(_OF_MODEL, str(path), model.digest),), model.dtype)

    @classmethod
    def in_file(cls, path: Path, model: DiffusionModel) -> PreviewDecoder:
        """A user's decoder for what a model samples.

        Raises:
            InvalidFile: There is no such file any more.
        """
        file = RecipeFile(OF_USER, str(path), FILE_DIGESTS.digest(path))
        return cls(model.family, (file,), model.dtype)

    @property
    def file(self) -> Path | None:
        """The weights of a user's decoder; None of what a model brings."""
        return next(map(Path, self.paths(OF_USER)), None)


def find_preview_decoder(latents: LatentFormat, folders: Sequence[Path]) -> Path | None:
    """The weights of the first tiny autoencoder, or decoder alone, that reads a format's latents.

    As two formats have the same channels, it is the name that tells which: that of the file, or of
    the folder in the diffusers layout, begins with the published one, such as ``taesdxl``.

    Args:
        folders: Searched in this order, with all folders in them.
    """
    if not latents.tiny:
        return None
    paths = (path for folder in folders for path in model_files(folder))
    return next(
        (path for path in paths if _is_named(path, latents) and _reads(path, latents)), None
    )


def has_config(path: Path) -> bool:
    """Whether weights lie in a folder of the diffusers layout."""
    return path.name.startswith(_OF_DIFFUSERS)


def _is_named(path: Path, latents: LatentFormat) -> bool:
    name = (path.parent.name if has_config(path) else path.stem).lower()
    suffix = name.removeprefix(latents.tiny)
    return file_suffix(path) == SAFETENSORS and suffix != name and not suffix[:1].isalnum()


def _reads(path: Path, latents: LatentFormat) -> bool:
    """Whether it is a tiny autoencoder of the format's channels; true also of a damaged one, which
    is told when it is loaded."""
    try:
        if has_config(path):
            return layout.read_config(path.with_name(layout.CONFIG)).get("_class_name") == TINY
        shapes = joined_shapes([path])
    except NodegraphError:
        return True
    return any(item.class_name == TINY and item.matches(shapes) for item in latents.files)
