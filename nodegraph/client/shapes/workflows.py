"""Workflows on the server: findings, plans, saved versions, templates and apps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from nodegraph.client.shapes.jobs import JobSummary, OutputFile
from nodegraph.client.shapes.schema import Finding, described, example

_DIGEST = "5cbdf0ea" * 8
Title = Annotated[str, example("Text to image")]
Description = Annotated[str, example("An image from a prompt.")]
Parameters = Annotated[tuple[str, ...], example(["prompt", "seed"])]


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a workflow can run, and everything that is wrong with it."""

    __pydantic_config__ = described("Checked")

    valid: bool
    problems: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes:
        nodes: What would become of each node: whether it runs or is in the cache, with the expected
            time, memory and weights, and how it has room on its device: ``fit`` is ``whole``,
            ``parts`` if its weights come in parts (``transfer_seconds`` of its time), ``small`` if
            its work is done in tiles or one by one too, ``none`` if it is likely to run out of
            memory, and empty if that isn't known; of a hit that wrote files also these, in
            ``files``, as far as the caller has them.
        totals: Of the whole run; ``room``: bytes that there are for it, by device.
        missing: Nodes and models that there aren't.
        targets: Nodes that a run would compute; of a workflow that something is wrong with, those
            that it leaves alone: what a job may name as its ``targets``.
        warnings: What doesn't keep it from running, but is worth knowing.
    """

    __pydantic_config__ = described("PlanEntry", is_open=True)

    valid: bool
    nodes: Mapping[str, Any]
    totals: Mapping[str, Any]
    missing: Mapping[str, Any]
    problems: tuple[Finding, ...]
    targets: tuple[str, ...] = ()
    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class UntranslatedNode:
    """A node of ComfyUI that nothing here stands for, and that is kept as a placeholder.

    Attributes:
        node: Its name here; in a block, after the block's and a slash.
        type: ComfyUI's.
        pack: What brings it there; empty if the file doesn't say.
        stand_ins: Types here that may do what it does.
        reason: Why it isn't translated.
    """

    __pydantic_config__ = described("UntranslatedNode")

    node: Annotated[str, example("remap")]
    type: Annotated[str, example("FaceRemapper")]
    pack: Annotated[str, example("face-tools")] = ""
    stand_ins: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NeededModel:
    """A file of weights that isn't there.

    Attributes:
        folder: Of a models folder, where it would go; empty if that isn't known.
        url: Where it can be had, as the workflow's file says it; empty if it doesn't.
    """

    __pydantic_config__ = described("NeededModel")

    name: Annotated[str, example("ae.safetensors")]
    folder: Annotated[str, example("vae")] = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is another way here than in ComfyUI.

    Attributes:
        node: That it is about; empty if it is about all.
    """

    __pydantic_config__ = described("Difference")

    node: str
    message: str


@dataclass(frozen=True, slots=True)
class Translated:
    """A workflow of ComfyUI, as it is here.

    Attributes:
        workflow: As its file would say it.
        format: What it was: ``api``, ``0.4`` or ``1.0``.
        nodes: How many it had, those of blocks included.
        untranslated: Nodes that are kept as placeholders.
        models: Files of weights that aren't there.
        files: Images and the like that aren't there.
        families: Kinds of models that aren't known here.
        differences: What isn't as it was.
        problems: What else keeps it from running.
    """

    __pydantic_config__ = described("Translated")

    workflow: Mapping[str, Any]
    format: str
    nodes: int
    untranslated: tuple[UntranslatedNode, ...] = ()
    models: tuple[NeededModel, ...] = ()
    files: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    problems: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedVersion:
    """A state of a saved workflow.

    Attributes:
        version: 1 is the first; grows with each change.
        digest: Of its text; its ETag, and what a change is made to, see `Workflows.save`.
        saved: Unix time.
        size: Bytes of its text.
        href: Where the server has it.
    """

    __pydantic_config__ = described("SavedVersion", is_open=False)

    version: Annotated[int, example(3)]
    digest: Annotated[str, example(_DIGEST)]
    saved: Annotated[float, example(1.76e9)]
    size: Annotated[int, example(1253)]
    href: Annotated[str, example("/api/v1/workflows/apple/versions/3")] = ""


@dataclass(frozen=True, slots=True)
class SavedItem:
    """A saved workflow in a list.

    Attributes:
        digest: Of its text; its ETag.
        saved: Unix time of the last change.
        parameters: Names of what people vary.
        nodes: How many there are.
        problem: Why its file can't be read; None if it can.
        href: Where the server has it.
    """

    __pydantic_config__ = described("SavedItem", is_open=False)

    name: Annotated[str, example("apple")]
    title: Title
    description: str
    digest: Annotated[str, example(_DIGEST)]
    saved: Annotated[float, example(1.76e9)]
    parameters: Parameters
    nodes: Annotated[int, example(6)]
    problem: str | None = None
    href: Annotated[str, example("/api/v1/workflows/apple")] = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A workflow that comes with the server, to start from.

    Attributes:
        parameters: Names of what people vary.
        needs: Files that it reads, which have to be brought along; see `Templates.file`.
        types: Node types that it uses.
        picture: Where the server has an image of what it makes; None if there is none.
        href: Where the server has it.
    """

    __pydantic_config__ = described("TemplateItem")

    name: Annotated[str, example("text_to_image")]
    title: Title
    description: Description
    parameters: Parameters
    needs: Annotated[tuple[str, ...], example(["apple.png"])]
    types: Annotated[tuple[str, ...], example(["LoadModel", "KSampler"])] = ()
    picture: Annotated[str | None, example("/api/v1/templates/text_to_image/picture")] = None
    href: Annotated[str, example("/api/v1/templates/text_to_image")] = ""


@dataclass(frozen=True, slots=True)
class AppItem:
    """An app in a list: a saved workflow that can be run by its name.

    Attributes:
        parameters: Names of what people vary.
        href: Where the server has it.
    """

    __pydantic_config__ = described("AppItem")

    name: Annotated[str, example("apple")]
    title: Title
    description: Description
    parameters: Parameters
    href: Annotated[str, example("/api/v1/apps/apple")] = ""


@dataclass(frozen=True, slots=True)
class AppOutput:
    """A node of an app that gives files.

    Attributes:
        label: For people.
        type: The node's.
    """

    __pydantic_config__ = described("AppOutputEntry")

    node: Annotated[str, example("save")]
    label: Annotated[str, example("save")]
    type: Annotated[str, example("SaveImage")]


@dataclass(frozen=True, slots=True)
class App:
    """A saved workflow as an app.

    Attributes:
        version, digest: Of the saved workflow.
        parameters: JSON Schema of the values that it takes.
        problems: Why some of it can't be used.
        outputs: The nodes that give files.
        href: Where the server has it.
    """

    __pydantic_config__ = described("AppDetail")

    name: Annotated[str, example("apple")]
    title: Title
    description: str
    version: Annotated[int, example(3)]
    digest: str
    parameters: Mapping[str, Any]
    problems: tuple[Finding, ...] = ()
    outputs: tuple[AppOutput, ...] = field(default=(), kw_only=True)
    href: Annotated[str, example("/api/v1/apps/apple")] = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class AppRun:
    """What became of a run of an app.

    Attributes:
        outputs: Files by the node that gave them; None if it hasn't finished.
    """

    __pydantic_config__ = described("AppAnswer", is_open=False)

    job: JobSummary
    outputs: Mapping[str, tuple[OutputFile, ...]] | None = None
