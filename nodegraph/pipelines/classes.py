"""What a pipeline class of diffusers takes and gives, as its source says it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "text",
    "integer",
    "number",
    "flag",
    "choice",
    "seed",
    "image",
    "mask",
    "video",
    "audio",
    "mesh",
    "points",
    "molecule",
    "tensor",
    "json",
    "dataclass",
    "any",
]
"""What a value is to whoever draws a graph. ``tensor``: to be linked only, such as embeddings;
``dataclass``: one of diffusers' own, made from its fields; ``any``: nothing is known of it."""

Makes = Literal["image", "video", "audio", "3d", "text", "other"]

Follows = Literal["callback_on_step_end", "callback", "progress", "modules"]
"""What tells of a call's steps best: the step callback, the older one, the progress bar, or
nothing but the calls of its modules."""


@dataclass(frozen=True, slots=True)
class PipelineInput:
    """A parameter of a pipeline's call that people see.

    Attributes:
        name: As diffusers calls it.
        many: A list of them is what is taken, such as the frames of a video given as pictures.
        required: It has no default. One whose default is None may be left out.
        advanced: Seldom changed, or to be linked from another node only.
        help: From the docstring.
        minimum, maximum, step: Of numbers, both ends included; None for none.
        choices: Of a ``choice``; for ``text``, suggestions.
        dataclass: Name of diffusers' class, for that kind.
        annotation: As written in the source.
    """

    name: str
    kind: Kind
    many: bool = False
    required: bool = False
    default: Any = None
    advanced: bool = False
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    dataclass: str = ""
    annotation: str = ""


@dataclass(frozen=True, slots=True)
class PipelineOutput:
    """A field of what a pipeline's call returns.

    Attributes:
        name: As diffusers calls it; empty where it returns a plain value or tuple.
        many: It is a list of them, such as one flag for each picture.
    """

    name: str
    kind: Kind
    many: bool = False
    help: str = ""
    annotation: str = ""


@dataclass(frozen=True, slots=True)
class PipelinePart:
    """A component that a pipeline is made of.

    Attributes:
        name: Of the constructor's parameter, and of the folder that it lies in.
        classes: Names that its annotation allows; empty if it has none.
        optional: The pipeline does without.
    """

    name: str
    classes: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class PipelineClass:
    """A pipeline class.

    Attributes:
        name: Such as ``StableAudioPipeline``.
        module: Where it is defined, to import it from.
        makes: What it is there for.
        summary: One sentence.
        help: The whole of the class's docstring, without its parts.
        inputs: In the order in which people fill them in, what is required first.
        hidden: Parameters that aren't shown, and why: none is lost silently.
        config: Names of the constructor's parameters that are plain values, no components.
        needs: Packages without which it can't be imported or fails in the middle of a call.
        settings: Facts of the source for whoever runs it, such as the words of `output_type`.
    """

    name: str
    module: str
    makes: Makes
    follows: Follows
    summary: str = ""
    help: str = ""
    inputs: tuple[PipelineInput, ...] = ()
    outputs: tuple[PipelineOutput, ...] = ()
    hidden: dict[str, str] = field(default_factory=dict)
    parts: tuple[PipelinePart, ...] = ()
    config: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
