"""Which kind of input a parameter is: by annotation, and by name where that says little.

The rules are asked in order (`RULES`), and the first that knows decides.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nodegraph.interop.pipelines.classes import PipelineInput
from nodegraph.interop.pipelines.reading import tables
from nodegraph.interop.pipelines.reading.parameters import CallParameter, PipelineTraits

_ARRAYS = frozenset({"PIL", "Tensor", "ndarray"})
_ENCODED = frozenset({"Tensor", "ndarray", "Any"})
_NUMBERS = frozenset({"int", "float", "bool"})
_PLAIN = _NUMBERS | {"str", "dict", "Any", "Literal"}
_QUOTED = re.compile(r"[`\"']+([\w.+-]{2,40})[`\"']+")
_NO_CHOICE = ("torch", "PIL", "np.", "self", "str", "None", "True", "False")


def _seed(parameter: CallParameter, around: PipelineTraits) -> PipelineInput | None:
    kinds = parameter.annotation.kinds
    if tables.SEED.search(parameter.name) or kinds & {"Generator", "RandomState"}:
        return PipelineInput(parameter.name, "seed")
    if tables.PLAIN_SEED.search(parameter.name) and kinds <= {"int"}:
        return PipelineInput(parameter.name, "seed", advanced=parameter.name != "seed")
    return None


def _encoded(parameter: CallParameter, around: PipelineTraits) -> PipelineInput | str | None:
    """Latents, hidden where no other pipeline gives or takes them, and what encoders give."""
    name, annotation = parameter.name, parameter.annotation
    if tables.LATENTLIKE.search(name):
        open_ended = not annotation.kinds or annotation.kinds & _ARRAYS
        if parameter.has_default and open_ended and not _latents_shown(name, around):
            return tables.LATENTS
        if annotation.kinds & _ARRAYS:
            return _tensor(parameter, advanced=parameter.has_default and name not in around.main)
    picture = name.removesuffix("_embeds")
    if picture != name and picture in around.adapters and parameter.has_default:
        return tables.STOOD_FOR.format(picture)
    if tables.ENCODED.search(name) and annotation.kinds & {"Tensor", "ndarray"}:
        return _tensor(parameter)
    only = annotation.kinds and annotation.kinds <= {"Tensor", "ndarray"}
    if only and not _looks_like_media(name, around):
        return _tensor(parameter)
    return None


def _latents_shown(name: str, around: PipelineTraits) -> bool:
    return name in around.main or (around.latents_wanted and name in ("latents", "audio_latents"))


def _tensor(parameter: CallParameter, advanced: bool | None = None) -> PipelineInput:
    many = not parameter.annotation.single & _ENCODED and parameter.annotation.deepest > 0
    folded = parameter.has_default if advanced is None else advanced
    return PipelineInput(parameter.name, "tensor", many=many, advanced=folded)


def _looks_like_media(name: str, around: PipelineTraits) -> bool:
    patterns = [tables.AUDIO]
    if around.visual:
        patterns += [tables.MASK, tables.VIDEO, tables.PICTURE]
    return any(pattern.search(name) for pattern in patterns)


def _media(parameter: CallParameter, around: PipelineTraits) -> PipelineInput | None:
    """Sound, masks, videos and pictures, where the annotation lets them be given as such."""
    name, annotation = parameter.name, parameter.annotation
    kinds = annotation.kinds
    if not kinds & _ARRAYS and not (kinds <= {"Any"} and _looks_like_media(name, around)):
        return None
    if tables.AUDIO.search(name):
        return PipelineInput(name, "audio")
    pictures = around.visual or "PIL" in kinds
    if tables.MASK.search(name) and pictures:
        return PipelineInput(name, "mask")
    if pictures and _is_video(parameter, around):
        return PipelineInput(name, "video")
    if "PIL" in kinds or (around.visual and tables.PICTURE.search(name)):
        many = not annotation.single & (_ARRAYS | {"Any"}) and annotation.deepest > 0
        return PipelineInput(name, "image", many=many)
    if kinds <= {"Tensor", "ndarray"}:
        return _tensor(parameter)
    return None


def _is_video(parameter: CallParameter, around: PipelineTraits) -> bool:
    name = parameter.name
    if name in around.videos and not tables.PICTURE.search(name):
        return True
    if tables.VIDEO.search(name):
        if "PIL" in parameter.annotation.single and " image" in parameter.help[:40]:
            return False  # frames, but of one picture as well
        return around.visual or "video" in name
    nested = parameter.annotation.deepest >= 2 and not parameter.annotation.single
    return around.video and nested and "image" not in name


def _choice(parameter: CallParameter, around: PipelineTraits) -> PipelineInput | None:
    choices = parameter.annotation.choices or parameter.allowed
    if not choices or not parameter.annotation.kinds - {"None"}:
        return None
    if isinstance(parameter.default, str) and parameter.default not in choices:
        return None
    if not parameter.annotation.choices and parameter.annotation.kinds != {"str"}:
        return None
    return PipelineInput(parameter.name, "choice", choices=tuple(dict.fromkeys(choices)))


def _text(parameter: CallParameter, around: PipelineTraits) -> PipelineInput | None:
    annotation = parameter.annotation
    if annotation.kinds - {"Tensor", "ndarray"} != {"str"}:
        return None
    if annotation.deepest > 1 and not annotation.single:
        return None
    many = "str" not in annotation.single
    words = () if tables.PROMPT.search(parameter.name) else _suggestions(parameter)
    return PipelineInput(parameter.name, "text", many=many, choices=words)


def _suggestions(parameter: CallParameter) -> tuple[str, ...]:
    """Words that the documentation quotes, if the default is among them. No closed list, since it
    quotes names of other things too."""
    quoted = _QUOTED.findall(f"{parameter.documented} {parameter.help}")
    words = [word for word in dict.fromkeys(quoted) if not word.startswith(_NO_CHOICE)]
    return tuple(words) if parameter.default in words and len(words) > 1 else ()


def _number(parameter: CallParameter, around: PipelineTraits) -> PipelineInput | None:
    annotation = parameter.annotation
    kinds = annotation.kinds - {"Tensor", "ndarray"}
    if not kinds or not kinds <= _NUMBERS:
        return None
    single = bool(annotation.single & _NUMBERS)
    if not single and annotation.deepest > 1:
        return None
    many = not single or isinstance(parameter.default, list)
    if kinds == {"bool"}:
        return PipelineInput(parameter.name, "flag", many=many)
    real = "float" in kinds or isinstance(parameter.default, float)
    number = PipelineInput(parameter.name, "number" if real else "integer", many=many)
    return number if many else replace(number, **_limits(parameter, real))


def _limits(parameter: CallParameter, real: bool) -> dict[str, Any]:
    """Range by name, opened where the default lies outside; a divisor that is a plain number."""
    limits: dict[str, Any] = {}
    for rule in tables.RANGES:
        if rule.pattern.search(parameter.name):
            limits = {"minimum": rule.minimum, "maximum": rule.maximum, "step": rule.step}
            break
    value = parameter.default
    if isinstance(value, int | float) and not isinstance(value, bool):
        if limits.get("minimum") is not None and value < limits["minimum"]:
            limits["minimum"] = value
        if limits.get("maximum") is not None and value > limits["maximum"]:
            limits["maximum"] = None
    if not real and parameter.divisor.isdigit() and int(parameter.divisor) > 1:
        limits |= {"multiple_of": int(parameter.divisor), "step": int(parameter.divisor)}
        limits["minimum"] = int(parameter.divisor)
    return limits


def _structure(parameter: CallParameter, around: PipelineTraits) -> PipelineInput | str | None:
    """Dictionaries, nested lists and mixtures as JSON; dataclasses by their fields."""
    annotation = parameter.annotation
    classes = [source for source in annotation.classes.values() if is_record(source.node)]
    if classes:
        many = any(depth for name, depth in annotation.members if name == classes[0].name)
        return PipelineInput(
            parameter.name, "dataclass", many=many, dataclass=classes[0].name, advanced=False
        )
    kinds = annotation.kinds
    if kinds and kinds <= _PLAIN | {"Tensor", "ndarray"} and kinds != {"Any"}:
        return PipelineInput(parameter.name, "json", advanced=parameter.has_default)
    if kinds == {"Any"} and annotation.deepest:
        return PipelineInput(parameter.name, "json", many=False, advanced=parameter.has_default)
    if kinds - _PLAIN - _ARRAYS and parameter.has_default:
        return tables.FOREIGN.format(annotation.text)
    return None


def is_record(node: ast.ClassDef) -> bool:
    """Whether a class is a dataclass that is no output."""
    marks = {ast.unparse(mark).partition("(")[0].rpartition(".")[2] for mark in node.decorator_list}
    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    if bases & {"BaseOutput", "ModelOutput"}:
        return False
    return "dataclass" in marks


RULES: tuple[Callable[[CallParameter, PipelineTraits], PipelineInput | str | None], ...] = (
    _seed,
    _encoded,
    _media,
    _choice,
    _text,
    _number,
    _structure,
)
"""Each gives an input, the reason why it is hidden, or None if it doesn't know."""
