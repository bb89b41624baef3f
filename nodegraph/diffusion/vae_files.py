"""Autoencoders by themselves: a file, a folder in the diffusers layout, or that of a whole model.

Nothing here imports torch or reads weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import RecipeFile, Vae
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.families import FAMILIES, family_named, format_named
from nodegraph.diffusion.latent_formats import LatentFormat
from nodegraph.diffusion.model_files import stored_precision
from nodegraph.diffusion.models import SAFETENSORS, find_path, locate_model
from nodegraph.diffusion.opening import files_stamp, model_stamp, open_model, vae_precision
from nodegraph.diffusion.safetensors_header import read_header
from nodegraph.diffusion.single_files.kl_vae import vae_channels, vae_prefix
from nodegraph.errors import InvalidFile, InvalidValue

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class FoundVae:
    """An autoencoder that was found.

    Attributes:
        files: That it is made of.
        latents: The formats that its latents may be of.
        may_upcast: Whether it is to be computed in float32 where its format says that it overflows.
    """

    files: tuple[Path, ...]
    latents: tuple[LatentFormat, ...]
    may_upcast: bool = True


def open_vae(
    name: str,
    folders: Sequence[Path],
    *,
    latents: str = AUTO,
    dtype: str = AUTO,
    device: str = "cpu",
    allow_pickle: bool = False,
) -> Vae:
    """The recipe of an autoencoder; nothing is loaded yet.

    Args:
        name: A file or folder under the models folders, or a path; of a whole model its own.
        latents: Name of its latent format; ``auto`` where only one fits.
        dtype, device: As for `open_model`.
    Raises:
        InvalidValue: There is no such format, it doesn't fit, or several do.
        NodegraphError: See `locate_model`.
    """
    path = find_path(name, folders)
    if _is_whole(path):
        options = {"dtype": dtype, "device": device, "allow_pickle": allow_pickle}
        return open_model(name, folders, **options).vae  # type: ignore[arg-type]
    found = _found(path)
    chosen = _chosen(name, found, latents)
    weights = [file for file in found.files if file.suffix == SAFETENSORS]
    precision = vae_precision(
        stored_precision(dtype, weights, device), chosen, may_upcast=found.may_upcast
    )
    files = (RecipeFile("vae", str(file), FILE_DIGESTS.digest(file)) for file in found.files)
    return Vae(chosen.name, tuple(files), precision)


def vae_format(
    name: str, folders: Sequence[Path], *, latents: str = AUTO, allow_pickle: bool = False
) -> LatentFormat:
    """The latents of an autoencoder; arguments and errors as of `open_vae`."""
    path = find_path(name, folders)
    if _is_whole(path):
        source = locate_model(name, folders, allow_pickle=allow_pickle)
        return family_named(source.family).latent
    return _chosen(name, _found(path), latents)


def vae_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_vae` would give something else for the same name.

    Raises:
        NodegraphError: See `locate_model`.
    """
    path = find_path(name, folders)
    if _is_whole(path):
        return model_stamp(name, folders, allow_pickle=allow_pickle, device=device)
    return files_stamp(_found(path).files, device)


def _is_whole(path: Path) -> bool:
    if path.is_dir():
        return (path / layout.INDEX).is_file()
    if path.suffix != SAFETENSORS:
        return True
    return any(name.startswith("model.diffusion_model.") for name in read_header(path).shapes)


def _found(path: Path) -> FoundVae:
    if path.is_dir():
        config = layout.read_config(path / layout.CONFIG)
        weights = layout.find_weights(path.parent, path.name)
        index = [weights.index] if weights.index else []
        files = (path / layout.CONFIG, *weights.files, *index)
        return FoundVae(files, _fitting_config(config), bool(config.get("force_upcast", True)))
    shapes = read_header(path).shapes
    prefix = vae_prefix(shapes)
    channels = 0 if prefix is None else vae_channels(shapes, prefix)
    fitting = [item for item in _formats() if item.scaling and item.channels == channels]
    if not fitting:
        raise InvalidFile(
            f"{path} holds no autoencoder that is known here.",
            expected="a VAE of Stable Diffusion or Flux.1, alone or in a whole model",
        )
    return FoundVae((path,), tuple(fitting))


def _fitting_config(config: dict[str, object]) -> tuple[LatentFormat, ...]:
    kind, factor = config.get("_class_name"), config.get("scaling_factor")
    of_class = [item for item in _formats() if kind in item.autoencoders]
    scaled = [item for item in of_class if item.scaling and item.scaling[0] == factor]
    return tuple(scaled or of_class)


def _formats() -> list[LatentFormat]:
    return list({family.latent.name: family.latent for family in FAMILIES.values()}.values())


def _chosen(name: str, found: FoundVae, latents: str) -> LatentFormat:
    names = [item.name for item in found.latents]
    if latents != AUTO:
        format_named(latents)
        if latents in names:
            return format_named(latents)
    elif len(names) == 1:
        return found.latents[0]
    raise InvalidValue(
        f"{name} doesn't say which latents it reads"
        if latents == AUTO
        else f"{name} doesn't read latents of format {latents}",
        port="latents",
        given=latents,
        expected=" or ".join(names),
        hint=did_you_mean(latents, names) if latents != AUTO else "Choose the one of its model.",
    )
