"""Parameters of a pipeline's call to inputs: which are hidden, and what is said of the others."""

from __future__ import annotations

import re
from dataclasses import replace

from nodegraph.interop.pipelines.classes import Kind, PipelineInput, PipelineOutput
from nodegraph.interop.pipelines.reading import tables
from nodegraph.interop.pipelines.reading.code import parse_axes
from nodegraph.interop.pipelines.reading.docstrings import first_sentences
from nodegraph.interop.pipelines.reading.kinds import RULES
from nodegraph.interop.pipelines.reading.parameters import (
    CallParameter,
    PipelineTraits,
    fix_annotation,
)


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
    """As people fill them in: what must be given, words, pictures and sound, then numbers; the seed
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
    """What can be handed over: pictures of PIL too where a processor sees to it."""
    forms = parameter.annotation.forms
    if kind not in ("image", "mask", "video") or not parameter.is_prepared:
        return forms
    if any("PIL" in form for form in forms):
        return forms
    return tuple(sorted((*forms, "list[PIL]" if kind == "video" else "PIL")))


def _axes(parameter: CallParameter, kind: Kind) -> str:
    """Order of axes, with the samples of a sound or the sides of a picture among them."""
    needed = {"audio": "n", "image": "hw", "mask": "hw", "video": "fhw"}.get(kind)
    axes = parameter.axes or parse_axes(parameter.help)
    return axes if needed and set(needed) <= set(axes) else ""
