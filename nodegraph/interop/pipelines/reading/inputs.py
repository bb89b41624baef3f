"""Convert call parameters to pipeline inputs, by annotation and name.

The rules in `RULES` are tried in order, and the first that applies decides.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nodegraph.interop.pipelines.classes import Kind, PipelineInput, PipelineOutput
from nodegraph.interop.pipelines.reading import tables
from nodegraph.interop.pipelines.reading.call_code import parse_axes
from nodegraph.interop.pipelines.reading.parameters import (
    CallParameter,
    PipelineTraits,
    first_sentences,
    fix_annotation,
)

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
    """Sound, masks, videos and images, where the annotation lets them be given as such."""
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
            return False  # frames, but of one image as well
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


def read_input(parameter: CallParameter, around: PipelineTraits) -> PipelineInput | str:
    """The input of a parameter, or the reason why it is hidden."""
    reason = _hidden(parameter, around)
    if reason:
        return reason
    parameter = fix_annotation(parameter)
    for rule in RULES:
        outcome = rule(parameter, around)
        if outcome is not None:
            return outcome if isinstance(outcome, str) else _finished(parameter, outcome)
    return _finished(parameter, PipelineInput(parameter.name, "any", advanced=True))


def sort_inputs(inputs: list[PipelineInput]) -> tuple[PipelineInput, ...]:
    """As people fill them in: what must be given, words, images and sound, then numbers; the seed
    last of what shows at once."""
    ranks: dict[Kind, int] = {"text": 0, "seed": 4, "tensor": 2, "dataclass": 2, "json": 3}
    ranks |= dict.fromkeys(("image", "mask", "video", "audio", "mesh", "points", "molecule"), 1)

    def sort_key(item: PipelineInput) -> tuple[bool, bool, int]:
        words = item.kind == "text" and not tables.PROMPT.search(item.name)
        return not item.required, item.advanced, 3 if words else ranks.get(item.kind, 3)

    return tuple(sorted(inputs, key=sort_key))


def summary_sentence(inputs: tuple[PipelineInput, ...], outputs: tuple[PipelineOutput, ...]) -> str:
    """What a pipeline takes and gives, for one that says nothing of itself."""
    nouns: dict[Kind, str] = {
        "text": "text",
        "image": "images",
        "mask": "a mask",
        "video": "video",
        "audio": "audio",
    }
    there = {item.kind for item in inputs if not item.advanced}
    taken = [word for kind, word in nouns.items() if kind in there] or ["noise"]
    source = " and ".join(filter(None, (", ".join(taken[:-1]), taken[-1])))
    product = nouns.get(outputs[0].kind, outputs[0].name or "a result")
    return f"{product[0].upper()}{product[1:]} from {source}."


def _hidden(parameter: CallParameter, around: PipelineTraits) -> str:
    """Why a parameter isn't shown, where its name and use alone say so."""
    name, kinds = parameter.name, parameter.annotation.kinds
    if parameter.is_keywords:
        taken = ", ".join(parameter.popped_keywords) or "none is taken"
        return tables.KEYWORDS.format(taken)
    for rule in tables.HIDDEN:
        if rule.fits(name):
            return rule.why
    if "Callable" in kinds:
        return "a function"
    if not parameter.is_read and not tables.SEED.search(name):
        # The rate of a video is told to whoever sees it all the same.
        is_shown = around.video and tables.FRAME_RATE.search(name)
        return "" if is_shown else tables.NEVER_READ
    rate = tables.RATE_OF_AUDIO.match(name)
    if rate and rate_source(name, around.names):
        return tables.RATE
    return ""


def rate_source(name: str, names: frozenset[str]) -> str:
    """The audio input that a parameter is the rate of; empty if it is none's."""
    if not tables.RATE_OF_AUDIO.match(name):
        return ""
    stem = re.sub(r"_?(sampling|sample)_rate$", "", name)
    for other in sorted(names):
        if tables.AUDIO.search(other) and stem and other.startswith(stem):
            return other
    return ""


def _finished(parameter: CallParameter, draft: PipelineInput) -> PipelineInput:
    """With what is said of every input, whichever rule made it."""
    folded = draft.advanced or any(rule.fits(parameter.name) for rule in tables.ADVANCED)
    return replace(
        draft,
        required=not parameter.has_default,
        default=parameter.default,
        advanced=folded and parameter.has_default,
        help=first_sentences(parameter.help, 2),
        forms=_forms(parameter, draft.kind),
        axes=_axes(parameter, draft.kind),
        as_tuple=parameter.annotation.outer == {"tuple"},
        annotation=parameter.annotation.text,
    )


def _forms(parameter: CallParameter, kind: Kind) -> tuple[str, ...]:
    """What can be handed over: images of PIL too where a processor sees to it."""
    forms = parameter.annotation.forms
    if kind not in ("image", "mask", "video") or not parameter.is_prepared:
        return forms
    if any("PIL" in form for form in forms):
        return forms
    return tuple(sorted((*forms, "list[PIL]" if kind == "video" else "PIL")))


def _axes(parameter: CallParameter, kind: Kind) -> str:
    """Order of axes, with the samples of a sound or the sides of an image among them."""
    needed = {"audio": "n", "image": "hw", "mask": "hw", "video": "fhw"}.get(kind)
    axes = parameter.axes or parse_axes(parameter.help)
    return axes if needed and set(needed) <= set(axes) else ""
