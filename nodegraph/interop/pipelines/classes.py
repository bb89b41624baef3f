"""Signatures of diffusers pipeline classes: inputs, outputs and parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nodegraph.core.ports import port_type
from nodegraph.core.values import Recipe

if TYPE_CHECKING:
    from torch import Tensor as _Tensor

    Tensor: TypeAlias = _Tensor | list[_Tensor]
    """Of any shape and kind, or a list of such, on the CPU: embeddings, masks of text, latents."""
else:

    @port_type(name="Tensor", color="#90a4ae")
    class Tensor:
        """Numbers for another pipeline: embeddings, masks of text, latents."""


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
        many: A list of them is what is taken, such as the frames of a video given as images.
        required: It has no default. One whose default is None may be left out.
        default: As in the signature. None means left out: whoever calls the pipeline hands nothing
            over, which is right also where the source's default is no plain value. The input
            ``output_type`` is there only where outputs have a `PipelineOutput.word`; its default
            stands for whatever form suits the caller.
        advanced: Seldom changed, or to be linked from another node only.
        help: From the docstring.
        minimum, maximum, step: Of numbers, both ends included; None for none.
        multiple_of: Of a size that is refused otherwise; None where that depends on the models.
        choices: Of a ``choice``; for ``text``, suggestions.
        dataclass: Name of diffusers' class, for that kind.
        forms: What the annotation allows, aliases followed: ``PIL``, ``list[PIL]``, ``Tensor``,
            ``ndarray``, ``list[int]``. A tuple counts as a list here. ``PIL`` is there too where
            the code prepares whatever comes.
        axes: Order of the axes of a tensor, where the source says it: ``b`` batch, ``f`` frames,
            ``c`` channels, ``h`` height, ``w`` width, ``n`` samples; empty where it doesn't.
        as_tuple: A list of it has to be handed over as a tuple.
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
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    dataclass: str = ""
    forms: tuple[str, ...] = ()
    axes: str = ""
    as_tuple: bool = False
    annotation: str = ""


@dataclass(frozen=True, slots=True)
class PipelineOutput:
    """A field of what a pipeline's call returns.

    Attributes:
        name: As diffusers calls it; empty where it returns a plain value or tuple. ``latents`` and
            ``mesh`` may be no fields: see `word`.
        many: It is a list of them, such as one flag for each image.
        word: The `output_type` with which the call gives this; empty for what every result has.
        field: Where the result has it if there is a `word`: the field of another output, which is
            empty then.
    """

    name: str
    kind: Kind
    many: bool = False
    help: str = ""
    annotation: str = ""
    word: str = ""
    field: str = ""


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
class PipelineDataclass:
    """A class of diffusers that an input is made of, field by field, such as an image with the
    place in a video that it is for.

    Attributes:
        name, module: To import it by.
        inputs: Its fields, as the inputs of a pipeline are.
        hidden: Fields that aren't shown, and why.
    """

    name: str
    module: str
    summary: str = ""
    help: str = ""
    inputs: tuple[PipelineInput, ...] = ()
    hidden: dict[str, str] = field(default_factory=dict)


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
        needs: Packages, by the name that they are imported by, without which it can't be imported
            or fails in the middle of a call; those that diffusers always needs aren't said.
        settings: Facts of the source for whoever runs it; what is empty or false isn't there:

            - ``output_types``: words that the code compares `output_type` with.
            - ``output_type``: its default.
            - ``callbacks``: step callbacks that are really called.
            - ``tensor_inputs``: names that the step callback may ask for.
            - ``bar``: it shows `progress_bar`; ``tqdm``: it draws one of its own.
            - ``steps``: parameters that count steps.
            - ``generators``: parameters for which a generator is made of the seed, each ``torch``
              or ``numpy``.
            - ``rates``: parameters that take the rate of an audio input, with that input's name.
            - ``divisors``: sizes and what they must divide by, as written.
            - ``one_of``: inputs of which at least one must be given.
            - ``first``: a method that has to be called before, which no node does.
            - ``pipelines``: attributes that hold pipelines of their own.
            - ``swaps``: what a call changes on the pipeline: ``attention``, ``hooks``, or the
              names of components. To be put back after it was stopped in the middle.
            - ``global_seed``: it sets the seed of the whole process.
            - ``deprecated``: diffusers will drop it.
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


_KINDS = (PipelineClass, PipelineDataclass, PipelineInput, PipelineOutput, PipelinePart)
_BY_NAME = {kind.__name__: kind for kind in _KINDS}


def to_stored(value: Any) -> Any:
    """A signature, or a part of one, as JSON values; `from_stored` returns an equal one.

    Tuples and dictionaries are tagged, because JSON has neither tuples nor dataclasses.
    """
    if isinstance(value, tuple):
        return {"tuple": [to_stored(item) for item in value]}
    if isinstance(value, list):
        return [to_stored(item) for item in value]
    if isinstance(value, dict):
        return {"dict": {name: to_stored(item) for name, item in value.items()}}
    if isinstance(value, _KINDS):
        kind: Any = type(value)
        required = _required(kind)
        values = {item.name: getattr(value, item.name) for item in fields(value)}
        plain = kind(**{name: values[name] for name in required})
        return {
            kind.__name__: {
                name: to_stored(item)
                for name, item in values.items()
                if name in required or item != getattr(plain, name)
            }
        }
    return value


def from_stored(document: Any) -> Any:
    """The value of a document from `to_stored`."""
    if isinstance(document, list):
        return [from_stored(item) for item in document]
    if not isinstance(document, dict):
        return document
    ((tag, content),) = document.items()
    if tag == "tuple":
        return tuple(map(from_stored, content))
    values = {name: from_stored(item) for name, item in content.items()}
    return values if tag == "dict" else _BY_NAME[tag](**values)


@cache
def _required(kind: Any) -> tuple[str, ...]:
    """The fields of a dataclass without defaults."""
    return tuple(
        item.name
        for item in fields(kind)
        if item.default is MISSING and item.default_factory is MISSING
    )


@port_type(name="Pipeline", color="#c0a16b")
@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline of diffusers: what it is made of, not its weights.

    Attributes:
        class_name: Of diffusers, such as ``StableAudioPipeline``.
        parts: Recipes by the names of its parts; several share one where a native family has them
            in one component.
        schedulers: Configurations by the names of its schedulers, with their ``_class_name``.
        config: Plain values that its constructor takes.
    """

    class_name: str
    parts: Mapping[str, Recipe] = field(default_factory=dict)
    schedulers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recipes(self) -> list[Recipe]:
        """Of its parts, each once."""
        return list(dict.fromkeys(self.parts.values()))

    @property
    def names(self) -> frozenset[str]:
        """Of all that it has, schedulers included."""
        return frozenset({*self.parts, *self.schedulers})
