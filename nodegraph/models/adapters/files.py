"""Adapter files: finding them, and what can be told of them by their headers. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.families.alone import LOAD_MODEL
from nodegraph.families.embedded_models import EMBEDDED, embedded_folder
from nodegraph.families.identified import Identification
from nodegraph.families.identify import identify_tensors
from nodegraph.models.adapters.guessing import guess_target
from nodegraph.models.adapters.matching import MatchResult
from nodegraph.models.adapters.parts import LayerParts, group_tensors
from nodegraph.models.adapters.stems import parse_layer_name
from nodegraph.models.model_sources import KIND_FOLDERS
from nodegraph.weights.attached_models import find_remote, shown_folders
from nodegraph.weights.file_kinds import GGUF, LEFT_OUT, SAFETENSORS, file_suffix
from nodegraph.weights.safetensors_header import read_header

PLAIN = "lora"
"""Kind of an adapter, of whatever sort, that is worked out in each call."""
FUSED = "fused lora"
"""Kind of an adapter that is added to copies of the weights."""

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
        guessed = guess_target(self.parts)
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
        f"there is no {title} `{name}`; searched {searched}.",
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
    return [place.relative_to(folder).as_posix() for place in places]


def read_adapter(path: Path) -> AdapterFile:
    """What is in an adapter file, by its header.

    Raises:
        InvalidFile: It can't be read, is damaged, or holds no adapter.
    """
    if file_suffix(path) != SAFETENSORS:
        raise InvalidFile(f"{path} is no adapter file.", expected="a .safetensors file")
    header = read_header(path)
    parts, others = group_tensors(header.shapes)
    if not parts:
        _refuse_unread_kinds(path, header.shapes)
        example = next(iter(sorted(header.shapes)), "nothing")
        raise InvalidFile(
            f"{path} holds no LoRA, LoHa, LoKr or DoRA.",
            given=f"tensors such as {example}",
            expected="pairs of small matrices for the layers of a model",
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
    }.items()
}
"""By kind of adapter that isn't read here: what peft and LyCORIS call its tensors, behind the
layer's name."""
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
            f"{path} is an adapter of a kind that isn't read here.",
            given=f"{'BOFT' if is_boft else kind}, with tensors such as {name}",
            expected="a LoRA, LoHa, LoKr or DoRA",
            hint="Merge it with its model in the tool that made it, and open the whole model.",
        )


def _loader_hint(identified: Identification) -> str:
    """Which node takes what is no adapter."""
    if identified.family is None and identified.node is None:
        return f"If it is a whole model, open it with {LOAD_MODEL}."
    return f"It is {identified.title}: open it with {identified.node or LOAD_MODEL}."


def no_match_error(file: AdapterFile, matched: MatchResult) -> InvalidFile:
    """The refusal of a file of which nothing is for a model."""
    first = next(iter(matched.misfits or matched.unknown or matched.elsewhere), "")
    hint = "Use it with the kind of model that it was made for."
    if matched.misfits:
        reason = f"its {len(matched.misfits)} layers are of another size, such as {first}"
    elif matched.unknown:
        reason = f"the model has none of its {len(matched.unknown)} layers, such as {first}"
    elif parse_layer_name(first).is_of_encoder:
        reason = f"its {len(matched.elsewhere)} layers are of the text encoder, such as {first}"
        hint = "Link the model's text encoder as well."
    else:
        reason = f"its {len(matched.elsewhere)} layers are of the denoiser, such as {first}"
    title = file.title
    return InvalidFile(
        f"nothing in {file.path} is for this model: {reason}.",
        given=None if title is None else f"what seems to be for {title}",
        hint=hint,
    )
