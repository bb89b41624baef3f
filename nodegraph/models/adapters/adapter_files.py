"""Adapter files (LoRA kinds, textual inversions): locate, read headers, guess the model.

A textual inversion has one matrix for each text encoder that learned the word, with a row for each
token. Source: Gal et al. 2022, arXiv:2208.01618.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import TextEncoder
from nodegraph.core.weight_files import GGUF, LEFT_OUT, SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.families.embedded_models import EMBEDDED, embedded_folder
from nodegraph.families.identification import LOAD_MODEL, Identification, identify_tensors
from nodegraph.families.index import INDEX
from nodegraph.families.registry import family_of_text_width, get_family
from nodegraph.models.adapters.layer_matching import MatchResult, ModuleLayers, recipe_layers
from nodegraph.models.adapters.tensor_names import (
    ENCODERS,
    LayerParts,
    group_tensors,
    parse_layer_name,
)
from nodegraph.models.model_sources import KIND_FOLDERS
from nodegraph.weights.attached_models import find_remote, shown_folders
from nodegraph.weights.safetensors_header import read_header

INVERSION = "textual inversion"
"""Kind of an adapter that is a word in prompts."""

_MAX_TOKENS = 750
"""Ten windows of CLIP's: a word of more than one goes on in the next. What is longer is something
else."""
_NAMED = {"clip_l": ("text_encoder",), "clip_g": ("text_encoder_2",)}
"""Encoders that a tensor is for, by its name; any other is for the first of its width."""
_UNNAMED = "emb_params"
_EMBEDDING = "embeddings.token_embedding"


@dataclass(frozen=True, slots=True)
class InversionFile:
    """What is in a file.

    Attributes:
        widths: Of each tensor's rows, by its name.
        token: The word that it was learned as, or the file's name.
    """

    path: Path
    widths: Mapping[str, int]
    token: str


def read_inversion(path: Path) -> InversionFile:
    """What is in a file, by its header.

    Raises:
        InvalidFile: It can't be read, is damaged, or holds no textual inversion.
    """
    if file_suffix(path) != SAFETENSORS:
        raise InvalidFile(f"{path} is not a textual inversion", expected="a .safetensors file")
    shapes = read_header(path).shapes
    fits = all(
        len(shape) == 1 or (len(shape) == 2 and 0 < shape[0] <= _MAX_TOKENS)
        for shape in shapes.values()
    )
    known = shapes.keys() <= {_UNNAMED, *_NAMED}
    if not shapes or not fits or not (known or len(shapes) == 1):
        raise InvalidFile(
            f"{path} holds no textual inversion",
            given=f"tensors such as {min(shapes, default='none')}",
            expected=f"a tensor called {_UNNAMED}, {' and '.join(_NAMED)}, or a single tensor",
        )
    own = path.stem if known else next(iter(shapes))
    return InversionFile(path, {name: shape[-1] for name, shape in shapes.items()}, own)


def match_encoders(file: InversionFile, widths: Mapping[str, int]) -> dict[str, str]:
    """The tensor for each text encoder that one is for.

    Args:
        widths: Of the encoders' embeddings, by role.
    Raises:
        InvalidFile: None is for any of them.
    """
    tensors_by_role: dict[str, str] = {}
    for tensor, width in file.widths.items():
        for role in _NAMED.get(tensor, ENCODERS):
            if widths.get(role) == width and role not in tensors_by_role:
                tensors_by_role[role] = tensor
                break
    if not tensors_by_role:
        raise InvalidFile(
            f"nothing in {file.path} is for this text encoder",
            given=f"embeddings {' and '.join(map(str, file.widths.values()))} wide",
            expected=f"{' or '.join(map(str, widths.values())) or 'an encoder of the CLIP kind'}",
            hint="Use it with the model family that it was made for.",
        )
    return tensors_by_role


def embedding_widths(recipe: TextEncoder) -> dict[str, int] | None:
    """Widths of the embeddings of a recipe's CLIP encoders, by role, from headers.

    Returns:
        None where only loading it would tell.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    layers = recipe_layers(recipe)
    return (
        None
        if layers is None
        else {
            role: width
            for role, layer_shapes in layers.items()
            if (width := _width(layer_shapes)) is not None
        }
    )


def _width(layers: ModuleLayers) -> int | None:
    ends = (shape for path, shape in layers.shapes.items() if path.endswith(_EMBEDDING))
    return next((shape[1] for shape in ends), None)


@dataclass(frozen=True, slots=True)
class AdapterTarget:
    """What a file seems to be for.

    Attributes:
        title: In words.
        classes: Of the denoisers that it may be for.
        families: Names of those that differ in other ways; none if they don't.
    """

    title: str
    classes: frozenset[str]
    families: frozenset[str] = frozenset()


def guess_target(
    parts: Mapping[str, LayerParts], metadata: Mapping[str, str] = MappingProxyType({})
) -> AdapterTarget | None:
    """What the changes in a file seem to be for; None if nothing tells.

    Args:
        metadata: Of the file. Some trainers write the model's architecture into it.
    """
    stems = map(parse_layer_name, parts)
    flat = [stem.flat for stem in stems if not stem.is_of_encoder]
    shown = (names for sign, names in _signs() if any(map(sign.search, flat)))
    families = next(shown, None)
    if families is None:
        return None
    if all(INDEX[name].text_width for name in families.names):
        return _named_target(metadata) or _unet_target(parts, families)
    return AdapterTarget(families.title, _classes(families.names), frozenset(families.names))


_ARCHITECTURE = "modelspec.architecture"
_UNET_ARCHITECTURES = {
    "stable-diffusion-v1": "sd1",
    "stable-diffusion-v2": "sd2",
    "stable-diffusion-xl-v1-base": "sdxl",
    "stable-diffusion-xl-v1-refiner": "sdxl-refiner",
}
"""Families of UNets, by what an architecture begins with; see `SingleFile.architecture`. Attention
of Kolors is as wide as that of Stable Diffusion XL, so that layers do not tell them apart."""


def _named_target(metadata: Mapping[str, str]) -> AdapterTarget | None:
    """What a file is for by its metadata, of UNets."""
    named = metadata.get(_ARCHITECTURE, "")
    for beginning, name in _UNET_ARCHITECTURES.items():
        if named.startswith(beginning):
            return AdapterTarget(get_family(name).title, _classes([name]), frozenset([name]))
    return None


def _unet_target(parts: Mapping[str, LayerParts], families: _SignedFamilies) -> AdapterTarget:
    """Which of the families of one network a file is for, by the width of its text."""
    # kohya numbers text encoders only where there are two, which Kolors has not.
    encoders = ("lora_te1_", "lora_te2_", "text_encoder_2.")
    has_second = any(name.startswith(encoders) for name in parts)
    width = _TWO_ENCODERS_WIDTH if has_second else context_width(parts) or 0
    name = family_of_text_width(width)
    classes = _classes(families.names)
    if name is None:
        return AdapterTarget(families.title, classes, frozenset(families.names))
    # Of Kolors the attention is as wide as that of Stable Diffusion XL.
    alike = (each for each in families.names if INDEX[each].text_width == width)
    names = (name,) if has_second else alike
    return AdapterTarget(get_family(name).title, classes, frozenset(names))


def context_width(parts: Mapping[str, LayerParts]) -> int | None:
    """Width of the text that a UNet's changes take; None if they don't tell."""
    for name, part in parts.items():
        if (
            parse_layer_name(name).flat.endswith(("attn2_to_k", "attn2_to_v"))
            and part.size is not None
        ):
            return part.size[1]
    return None


_TWO_ENCODERS_WIDTH = 2048
"""Width of the text that the only UNet with two text encoders reads."""


class _SignedFamilies(NamedTuple):
    """The families that share a sign of LoRA files, by name."""

    title: str
    names: tuple[str, ...]


@cache
def _signs() -> list[tuple[re.Pattern[str], _SignedFamilies]]:
    """The signs of LoRA files; those that the fewest networks and families share come first, as the
    same file shows layers that more have."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, entry in INDEX.items():
        for sign in entry.lora_signs:
            names.setdefault(sign, []).append(name)
    by_networks = sorted(names.items(), key=lambda item: (len(_classes(item[1])), len(item[1])))
    return [
        (re.compile(pattern), _SignedFamilies(title, tuple(families)))
        for (pattern, title), families in by_networks
    ]


def _classes(families: Iterable[str]) -> frozenset[str]:
    """The networks of families."""
    return frozenset(kind for name in families for kind in INDEX[name].denoisers)


def may_fit(guessed: AdapterTarget, family: str, classes: Collection[str]) -> bool:
    """Whether a file may be for a model, as far as it can be told.

    Args:
        family: The model's, such as ``sd1``.
        classes: That its denoiser may be of.
    """
    known = _classes(name for name, entry in INDEX.items() if entry.lora_signs)
    if not known.intersection(classes):
        # Packages may bring others.
        return True
    if not guessed.classes.intersection(classes):
        return False
    return not guessed.families or family not in INDEX or family in guessed.families


PLAIN = "lora"
"""Kind of an adapter, of whatever sort, that is worked out in each call."""
FUSED = "fused lora"
"""Kind of an adapter that is added to copies of the weights."""
MIXED_MODEL = "fused model"
"""Kind of a `ModelAdapter`: copies of the weights are mixed with another model's."""

_COMPANIONS = f"{EMBEDDED}/"
_IN_FOLDER = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
"""Names that diffusers and peft give to the file where they write a folder."""


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """What is in an adapter file.

    Attributes:
        parts: The changes, by what the file calls the layers.
        others: Names of tensors that are no part of a change that is known here.
        metadata: The file's free text.
    """

    path: Path
    parts: Mapping[str, LayerParts]
    others: tuple[str, ...]
    metadata: Mapping[str, str]

    @property
    def title(self) -> str | None:
        """What kind of model it seems to be for, in words; None if that can't be told."""
        guessed = guess_target(self.parts, self.metadata)
        return None if guessed is None else guessed.title

    def bytes(self, *, of_encoders: bool) -> int:
        """What its tensors for text encoders, or for the denoiser, take in float32."""
        return 4 * sum(
            prod(shape)
            for name, part in self.parts.items()
            if parse_layer_name(name).is_of_encoder == of_encoders
            for shape in part.shapes.values()
        )


def locate_adapter(name: str, folders: Sequence[Path], *, title: str = "LoRA") -> Path:
    """The file that a name means.

    Args:
        name: Under a models folder (first hit wins; ``.safetensors`` may be left out), a path, or
            ``tiny/`` and the name of one that comes along with that model. Of a folder it is the
            file that diffusers or peft writes into one.
        title: What is looked for, in words.
    Raises:
        ModelNotFound: There is nothing of that name.
    """
    places = [folder / name for folder in folders] + [Path(name).expanduser()]
    places += [folder / kind / name for folder in folders for kind in KIND_FOLDERS]
    companions = embedded_folder().parent / "companions"
    if name.startswith(_COMPANIONS):
        places.insert(0, companions / name.removeprefix(_COMPANIONS))
    for candidate in places if name.strip() else ():
        longer = [candidate.with_name(candidate.name + end) for end in LEFT_OUT if end != GGUF]
        for path in (candidate, *longer, *(candidate / file for file in _IN_FOLDER)):
            if _is_file(path):
                return path
    remote = find_remote(name, folders)
    for path in () if remote is None else (remote, *(remote / file for file in _IN_FOLDER)):
        if _is_file(path):
            return path
    known = [path for folder in folders for path in _adapter_names(folder)]
    known += [_COMPANIONS + path for path in _adapter_names(companions)]
    searched = ", ".join(shown_folders(folders)) or "no models folder"
    raise ModelNotFound(
        f"there is no {title} `{name}`; searched {searched}",
        given=name,
        hint=did_you_mean(name, known) if name else f"Name a {title}.",
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # A name too long for the file system, or with a zero byte, names nothing.
        return False


def _adapter_names(folder: Path) -> list[str]:
    """Names of what may be adapters under a folder."""
    inside = sorted(folder.rglob("*")) if folder.is_dir() else []
    files = [path for path in inside if file_suffix(path) == SAFETENSORS]
    places = [path.parent if path.name in _IN_FOLDER else path.with_suffix("") for path in files]
    return [path.relative_to(folder).as_posix() for path in places]


def read_adapter(path: Path) -> AdapterFile:
    """What is in an adapter file, by its header.

    Raises:
        InvalidFile: It can't be read, is damaged, or holds no adapter.
    """
    if file_suffix(path) != SAFETENSORS:
        raise InvalidFile(f"{path} is not an adapter file", expected="a .safetensors file")
    header = read_header(path)
    parts, others = group_tensors(header.shapes)
    if any(map(_BORA.search, others)):
        _refuse_unread_kinds(path, header.shapes)
    if not parts:
        _refuse_unread_kinds(path, header.shapes)
        example = next(iter(sorted(header.shapes)), "nothing")
        raise InvalidFile(
            f"{path} holds no LoRA, LoHa, LoKr or DoRA",
            given=f"tensors such as {example}",
            expected="pairs of small matrices for a model's layers",
            hint=_loader_hint(identify_tensors(header.shapes)),
        )
    return AdapterFile(path, parts, tuple(others), header.metadata)


_UNREAD = {
    kind: re.compile(rf"\.(?:{parts})(?:\.|$)")
    for kind, parts in {
        "BOFT": r"boft_[A-Za-z]\w*",
        "OFT": r"oft_(?:blocks|diag|[Rr])",
        "GLoRA": r"[ab][12]\.weight",
        "IA3": r"on_input|ia3_l",
        "VeRA": r"vera_\w+",
        "LoRA-XS": r"M_xs",
        "BoRA": r"magnitude_[rc]",
    }.items()
}
"""By kind of adapter that isn't read here: what peft, LyCORIS and the trainer of Stable Audio 3
call its tensors, behind the layer's name."""
_BORA = _UNREAD["BoRA"]
"""Its matrices are those of a LoRA, which alone would be another change."""
_OF_BUTTERFLIES = 4
"""Axes of LyCORIS' ``oft_blocks`` where it is BOFT; OFT has one less."""


def _refuse_unread_kinds(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Name the kind of an adapter that isn't read here.

    Raises:
        InvalidFile: It is one.
    """
    for kind, pattern in _UNREAD.items():
        name = next(filter(pattern.search, shapes), None)
        if name is None:
            continue
        is_boft = name.endswith(".oft_blocks") and len(shapes[name]) == _OF_BUTTERFLIES
        raise InvalidFile(
            f"{path} is an adapter of an unsupported kind",
            given=f"{'BOFT' if is_boft else kind}, with tensors such as {name}",
            expected="a LoRA, LoHa, LoKr or DoRA",
            hint="Merge it with its model in the tool that made it, then load the whole model.",
        )


def _loader_hint(identified: Identification) -> str:
    """Which node takes what is no adapter."""
    if identified.family is None and identified.node is None:
        return f"If it is a whole model, load it with {LOAD_MODEL}."
    return f"It is {identified.title}: load it with {identified.node or LOAD_MODEL}."


def no_match_error(file: AdapterFile, matched: MatchResult) -> InvalidFile:
    """The refusal of a file of which nothing is for a model."""
    first = next(iter(matched.misfits or matched.unknown or matched.elsewhere), "")
    hint = "Use it with the model family that it was made for."
    if matched.misfits:
        reason = f"its {len(matched.misfits)} layers have other sizes, for example {first}"
    elif matched.unknown:
        reason = f"the model has none of its {len(matched.unknown)} layers, for example {first}"
    elif parse_layer_name(first).is_of_encoder:
        reason = (
            f"its {len(matched.elsewhere)} layers belong to the text encoder, for example {first}"
        )
        hint = "Link the model's text encoder, too."
    else:
        reason = f"its {len(matched.elsewhere)} layers belong to the denoiser, for example {first}"
    title = file.title
    return InvalidFile(
        f"nothing in {file.path} is for this model: {reason}",
        given=None if title is None else f"probably one for {title}",
        hint=hint,
    )
