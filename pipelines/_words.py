"""Labels and docstrings of pipeline nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from nodegraph.interop.pipelines.classes import PipelineClass, PipelineDataclass, PipelineInput

_WORDS = re.compile(r"(?<=[a-z0-9])(?<!Img2)(?<!Control)(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_COMMON_HELP = "This model inherits from"
_SEED = "Equal seeds give equal results."


def port_names(ports: Sequence[PipelineInput]) -> dict[str, str]:
    """Port names of inputs by their diffusers names. A generator becomes a seed."""
    taken = {port.name for port in ports}
    names = {}
    for port in ports:
        renamed = re.sub(r"(^|_)generator$", r"\1seed", port.name)
        names[port.name] = renamed if port.kind == "seed" and renamed not in taken else port.name
    return names


def label_of(name: str) -> str:
    """A class name in words: ``StableDiffusionXLPipeline`` is Stable Diffusion XL."""
    return _WORDS.sub(" ", name.removesuffix("Pipeline")) or name


def in_order(ports: Iterable[PipelineInput]) -> list[PipelineInput]:
    """Required inputs first, advanced ones last, else in the order of diffusers."""
    return sorted(ports, key=lambda port: (not port.required, port.advanced))


def docstring(
    source_class: PipelineClass | PipelineDataclass,
    summary: str,
    more: Mapping[str, str] | None = None,
) -> str:
    """Build a docstring: summary, details and inputs.

    Args:
        summary: Used if diffusers has none.
        more: Descriptions of inputs before those of the class.
    """
    summary = _line(source_class.summary or summary)
    about = [_line(part) for part in source_class.help.split("\n\n")]
    about = [part for part in about if part != summary and not part.startswith(_COMMON_HELP)]
    names = port_names(source_class.inputs)
    own = {names[port.name]: _help(port, names) for port in in_order(source_class.inputs)}
    inputs = {**(more or {}), **own}
    lines = [f"    {name}: {text}" for name, text in inputs.items() if text]
    arguments = "\n".join(["Args:", *lines]) if lines else ""
    return "\n\n".join(part for part in (summary, *about, arguments) if part)


def _help(port: PipelineInput, names: Mapping[str, str]) -> str:
    text = _SEED if names[port.name] != port.name else _line(port.help)
    if port.kind == "text" and port.choices:
        text += f" For example {', '.join(port.choices)}."
    return text.strip()


def _line(text: str) -> str:
    return " ".join(text.split())
