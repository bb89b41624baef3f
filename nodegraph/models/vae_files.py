"""VAEs and tiny preview decoders in files or folders: find, identify, build the recipe.

Imports no torch, and reads only the headers of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import DiffusionModel, Recipe, RecipeFile, Vae
from nodegraph.core.weight_files import HEADED, PICKLES, SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family
from nodegraph.families.checkpoint_parts import sound_parts, vae_part
from nodegraph.families.identification import identify_tensors
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.registry import (
    FAMILIES,
    call_family,
    format_release,
    get_family,
    get_latent_format,
)
from nodegraph.models.facts import model_facts, weight_bytes
from nodegraph.models.model_files import files_stamp, model_stamp, stored_precision
from nodegraph.models.model_recipes import open_model, vae_precision
from nodegraph.models.model_sources import find_path, locate_model, model_files
from nodegraph.weights.joined_files import header_of, joined_headers, joined_shapes
from nodegraph.weights.precision.storage import (
    STORAGE,
    StoredTensor,
    bytes_in_memory,
    storage_option,
)
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import HALVES, TINY, half_name
from nodegraph.weights.single_files.base import DAMAGED, FileLayout, fault_text, select_prefix

OF_USER = "decoder"
"""Role of a user's tiny decoder in a recipe."""

_ROLE = "vae"
"""Of an autoencoder in a recipe."""
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

    @property
    def weights(self) -> list[Path]:
        """Those of the files that hold tensors."""
        return [file for file in self.files if file.suffix != ".json"]

    def layouts(self, latents: LatentFormat) -> dict[str, FileLayout]:
        """The parts of a format in files without a configuration, by role: the autoencoder, and
        those for sound."""
        return _layouts_of(latents, joined_shapes(self.weights)) if self.is_bare else {}

    @property
    def is_bare(self) -> bool:
        """Whether no configuration lies beside the weights."""
        return len(self.weights) == len(self.files)


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
    if _is_whole(path, allow_pickle=allow_pickle):
        vae_format(name, folders, latents=latents, allow_pickle=allow_pickle)
        options = {"dtype": dtype, "device": str(device), "allow_pickle": allow_pickle}
        return open_model(name, folders, **options).vae  # type: ignore[arg-type]
    vae = _find_vae(path, allow_pickle=allow_pickle)
    chosen = _choose_format(name, vae, latents)
    precision = _precision(vae, chosen, dtype, device)
    files = (
        RecipeFile(role, str(file), FILE_DIGESTS.digest(file))
        for role in vae.layouts(chosen) or (_ROLE,)
        for file in vae.files
    )
    kept = tuple(sorted((*format_release(chosen), *_storage(vae, chosen))))
    return Vae(chosen.name, tuple(files), precision, kept)


def vae_bytes(
    name: str,
    folders: Sequence[Path],
    *,
    latents: str = AUTO,
    dtype: str = AUTO,
    device: str = "cpu",
    allow_pickle: bool = False,
) -> int | None:
    """Bytes that an autoencoder takes in memory, from the files' headers alone; arguments and
    errors as of `open_vae`. None of pickled ones, as reading those takes long."""
    path = find_path(name, folders)
    if _is_whole(path, allow_pickle=allow_pickle):
        source = locate_model(name, folders, allow_pickle=allow_pickle)
        known = weight_bytes(source, dtype=dtype, device=str(device), allow_pickle=allow_pickle)
        return known.get("vae")
    vae = _find_vae(path, allow_pickle=allow_pickle)
    if any(file_suffix(file) in PICKLES for file in vae.files):
        return None
    chosen = _choose_format(name, vae, latents)
    kept = dict(_storage(vae, chosen)).get(STORAGE, "")
    precision = _precision(vae, chosen, dtype, device)
    return bytes_in_memory(_own_tensors(vae, chosen), precision, kept)


def _storage(vae: FoundVae, chosen: LatentFormat) -> tuple[tuple[str, str], ...]:
    """What an autoencoder's weights are kept in, as an option of recipes."""
    if any(file_suffix(file) not in HEADED for file in vae.weights):
        return ()
    return storage_option(AUTO, {kind for _, _, kind in _own_tensors(vae, chosen)})


def _own_tensors(vae: FoundVae, chosen: LatentFormat) -> list[StoredTensor]:
    """The tensors of an autoencoder, in files that may hold others, too."""
    shapes = joined_shapes(vae.weights)
    layouts = vae.layouts(chosen).values()
    prefixes = tuple(layout.prefix(shapes) or "" for layout in layouts) or ("",)
    return [
        (f"{before}{name}", shape, header.dtypes.get(name, ""))
        for _, before, header in joined_headers(vae.weights)
        for name, shape in header.shapes.items()
        if f"{before}{name}".startswith(prefixes)
    ]


def _precision(vae: FoundVae, chosen: LatentFormat, dtype: str, device: str) -> str:
    stored = stored_precision(dtype, vae.weights, str(device))
    return vae_precision(stored, chosen, may_upcast=vae.may_upcast)


def vae_format(
    name: str, folders: Sequence[Path], *, latents: str = AUTO, allow_pickle: bool = False
) -> LatentFormat:
    """The latents of an autoencoder; arguments and errors as of `open_vae`."""
    path = find_path(name, folders)
    if _is_whole(path, allow_pickle=allow_pickle):
        source = locate_model(name, folders, allow_pickle=allow_pickle)
        own = get_family(source.family).latent
        return _choose_format(name, FoundVae((), (own,)), latents)
    return _choose_format(name, _find_vae(path, allow_pickle=allow_pickle), latents)


def vae_has_sound(
    name: str, folders: Sequence[Path], *, latents: str = AUTO, allow_pickle: bool = False
) -> bool | None:
    """Whether an autoencoder has parts for the sound of videos; None where its format has none, or
    where that is not known.

    Args and errors as of `open_vae`.
    """
    chosen = vae_format(name, folders, latents=latents, allow_pickle=allow_pickle)
    if not chosen.sound_parts:
        return None
    path = find_path(name, folders)
    roles = {part.role for part in chosen.sound_parts}
    if _is_whole(path, allow_pickle=allow_pickle):
        source = locate_model(name, folders, allow_pickle=allow_pickle)
        return model_facts(source).get("decodes_sound")
    # A folder of an autoencoder alone has that part, and none for sound.
    return not roles.isdisjoint(_find_vae(path, allow_pickle=allow_pickle).layouts(chosen))


def vae_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_vae` would give something else for the same name.

    Raises:
        NodegraphError: See `locate_model`.
    """
    path = find_path(name, folders)
    if _is_whole(path, allow_pickle=allow_pickle):
        return model_stamp(name, folders, allow_pickle=allow_pickle, device=str(device))
    vae = _find_vae(path, allow_pickle=allow_pickle)
    return files_stamp(vae.files, str(device), map(format_release, vae.latents))


def _is_whole(path: Path, *, allow_pickle: bool) -> bool:
    if path.is_dir():
        return layout.is_whole_model(path)
    _check_kind(path, allow_pickle=allow_pickle)
    return identify_tensors(header_of(path).shapes).family is not None


def _find_vae(path: Path, *, allow_pickle: bool) -> FoundVae:
    if path.is_dir():
        return _in_folder(path, allow_pickle=allow_pickle)
    files = _with_other_half(path)
    shapes = joined_shapes(files)
    families = _by_format()
    layouts = {
        name: call_family(family, lambda each: _main_layout(each.latent, shapes), None)
        for name, family in families.items()
    }
    fitting = tuple(families[name].latent for name, item in layouts.items() if item is not None)
    if not fitting:
        identified = identify_tensors(shapes)
        raise InvalidFile(
            f"{path} is {identified.instead_of('a supported VAE')}",
            expected="the VAE of a supported model or a tiny VAE for it, alone or in a whole model",
            hint=f"Load it with {identified.node}." if identified.node else None,
        )
    _check_whole(path, layouts[fitting[0].name], shapes)
    may_upcast = all(item is None or item.class_name != TINY for item in layouts.values())
    return FoundVae(files, fitting, may_upcast)


def _check_whole(path: Path, layout: FileLayout | None, shapes: Shapes) -> None:
    """Tell of tensors that are missing, as far as sizes are read from them."""
    assert layout is not None
    own = select_prefix(shapes, layout.prefix(shapes) or "")
    try:
        layout.config(own)
    except DAMAGED as error:
        halves = [half for half in HALVES if any(name.startswith(f"{half}.") for name in own)]
        if len(halves) == 1:
            raise InvalidFile(
                f"{path} holds only the {halves[0]} of {layout.title}",
                expected=f"{' and '.join(HALVES)} in one file",
                hint="Use the complete file.",
            ) from error
        raise InvalidFile(
            f"{path} is {layout.title}, but it is damaged: {fault_text(error)}",
            hint="Copy the file again.",
        ) from error


def _main_layout(latents: LatentFormat, shapes: Shapes) -> FileLayout | None:
    """How a file's autoencoder of a format lies in it, or else its first part for sound; None where
    there is none."""
    return next(iter(_layouts_of(latents, shapes).values()), None)


def _layouts_of(latents: LatentFormat, shapes: Shapes) -> dict[str, FileLayout]:
    """See `FoundVae.layouts`."""
    parts = (vae_part(_ROLE, latents), *sound_parts(latents))
    return {
        part.role: layout
        for part in parts
        if (layout := next((item for item in part.files if item.prefix(shapes) is not None), None))
    }


def _check_kind(path: Path, *, allow_pickle: bool) -> None:
    if file_suffix(path) in PICKLES and not allow_pickle:
        raise layout.unsafe(path)
    if file_suffix(path) not in {SAFETENSORS, *PICKLES}:
        raise InvalidFile(
            f"{path} is not a model file", expected="a .safetensors file or a diffusers folder"
        )


def _with_other_half(path: Path) -> tuple[Path, ...]:
    """The file, and before an encoder or behind a decoder the other half of a tiny autoencoder."""
    half = half_name(header_of(path).shapes)
    if half is None:
        return (path,)
    other = ({*HALVES} - {half}).pop()
    partner = path.with_name(path.name.replace(half, other))
    if half not in path.name or not partner.is_file():
        raise InvalidFile(
            f"{path} holds only the {half} of a tiny VAE",
            expected=f"{partner.name} in the same folder"
            if half in path.name
            else f"names that contain {half} and {other}",
            hint="A decoder without its encoder is used for previews only.",
        )
    return (path, partner)


def _in_folder(path: Path, *, allow_pickle: bool) -> FoundVae:
    if not (path / layout.CONFIG).is_file():
        raise InvalidFile(
            f"{path} is not the folder of a VAE: it has no {layout.CONFIG}",
            expected="a .safetensors file, or the folder of a VAE or of a whole model",
        )
    config = layout.read_config(path / layout.CONFIG)
    weights = layout.find_weights(path.parent, path.name, allow_pickle=allow_pickle)
    index = [weights.index] if weights.index else []
    files = (path / layout.CONFIG, *weights.files, *index)
    fitting = _fitting_config(config)
    if not fitting:
        raise InvalidFile(
            f"{path} holds a {config.get('_class_name')}, which is not a supported VAE",
            expected="the VAE of a supported model, or a tiny VAE for it",
        )
    return FoundVae(files, fitting, bool(config.get("force_upcast", True)))


def _fitting_config(config: dict[str, object]) -> tuple[LatentFormat, ...]:
    """The formats of a configuration's class; of those, the ones with its scale and channels, if
    there are any."""
    kind, factor = config.get("_class_name"), config.get("scaling_factor")
    fitting = [each for each in _by_format().values() if kind in each.latent.autoencoders]
    tests: tuple[Callable[[Family], bool], ...] = (
        lambda each: each.latent.scaling is not None and each.latent.scaling[0] == factor,
        lambda each: each.latent.latent_channels(config) == each.latent.channels,
        lambda each: each.latent.fits_config(config),
    )
    for test in tests:
        fitting = [each for each in fitting if call_family(each, test, otherwise=False)] or fitting
    return tuple(each.latent for each in fitting)


def _by_format() -> dict[str, Family]:
    """A family of each latent format, by its name."""
    families: dict[str, Family] = {}
    for family in FAMILIES.values():
        families.setdefault(family.latent.name, family)
    return families


def _choose_format(name: str, vae: FoundVae, latents: str) -> LatentFormat:
    names = [item.name for item in vae.latents]
    if latents != AUTO:
        get_latent_format(latents)
        if latents in names:
            return get_latent_format(latents)
    elif len(names) == 1:
        return vae.latents[0]
    raise InvalidValue(
        f"{name} does not say which latent format it reads"
        if latents == AUTO
        else f"{name} does not read latents of format {latents}",
        port="latents",
        given=latents,
        expected=" or ".join(names),
        hint=did_you_mean(latents, names) if latents != AUTO else "Choose the format of its model.",
    )
