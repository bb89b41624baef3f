"""Workflows on the server: findings, plans, saved versions, templates and apps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from nodegraph.client.shapes.jobs import JobSummary, OutputFile
from nodegraph.client.shapes.schema import Finding, described, example, one_of

_DIGEST = "5cbdf0ea" * 8
Title = Annotated[str, example("Text to image")]
Description = Annotated[str, example("An image from a prompt.")]
Parameters = Annotated[tuple[str, ...], example(["prompt", "seed"])]


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a workflow can run, with all its problems."""

    __pydantic_config__ = described("Checked")

    valid: bool
    problems: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan of a run.

    Attributes:
        nodes: For each node, whether it runs or is cached, with the expected time, memory and
            weights. ``fit`` says how it fits on its device. ``whole``: it fits completely.
            ``parts``: its weights are loaded in parts (``transfer_seconds`` of its time).
            ``small``: its work is also done in tiles or one by one. ``none``: it is likely to run
            out of memory. Empty: not known. ``files`` lists the files of a cached node, as far as
            the caller has them.
        totals: Totals of the whole run; ``room``: available bytes by device.
        missing: Missing node types and models.
        targets: Nodes that a run would compute. If the workflow has problems, the nodes that they
            do not affect: a job may name these as its ``targets``.
        warnings: Problems that do not prevent the run.
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
    """A ComfyUI node without an equivalent, kept as a placeholder.

    Attributes:
        node: Name in the translated workflow; in a block, ``block/node``.
        type: Type in ComfyUI.
        pack: ComfyUI pack of the node; empty if the file does not name it.
        stand_ins: Node types of nodegraph that may replace it.
        reason: Why it is not translated.
        command: Command that installs its pack; empty if it is not known.
    """

    __pydantic_config__ = described("UntranslatedNode")

    node: Annotated[str, example("remap")]
    type: Annotated[str, example("FaceRemapper")]
    pack: Annotated[str, example("face-tools")] = ""
    stand_ins: tuple[str, ...] = ()
    reason: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class NeededModel:
    """A missing file of weights.

    Attributes:
        folder: Sub-folder of a models folder for the file; empty if it is not known.
        url: Download address from the workflow file; empty if the file has none.
    """

    __pydantic_config__ = described("NeededModel")

    name: Annotated[str, example("ae.safetensors")]
    folder: Annotated[str, example("vae")] = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between the translated workflow and ComfyUI.

    Attributes:
        node: Node that differs; empty if the difference is about the whole workflow.
    """

    __pydantic_config__ = described("Difference")

    node: str
    message: str


@dataclass(frozen=True, slots=True)
class Translated:
    """A translated ComfyUI workflow, or one made of the settings in an image.

    Attributes:
        workflow: Content of the workflow file.
        format: Format of the ComfyUI document: ``api``, ``0.4`` or ``1.0``; or the tool that saved
            the image, such as ``A1111``.
        nodes: Number of nodes that it had, those of blocks included.
        untranslated: Nodes that are kept as placeholders.
        models: Missing files of weights.
        files: Missing images and other files.
        families: Unknown model families.
        differences: Differences from the other tool.
        problems: Other problems that prevent a run.
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


PathSteps = Annotated[
    tuple[str | Mapping[str, str], ...], example(["nodes", "sample", "inputs", "seed"])
]
"""Keys of the file; in lists, ``{"id": …}`` of an object or ``{"is": …}`` for a text."""


@dataclass(frozen=True, slots=True)
class WorkflowChange:
    """One difference of two workflows.

    Attributes:
        change: What happened: ``added``, ``removed``, ``renamed`` or ``changed``.
        kind: What it is: ``node``, ``subgraph``, ``subgraph input``, ``subgraph output``,
            ``parameter``, ``type``, ``version``, ``input``, ``link``, ``mode``, ``label``,
            ``note``, ``comment``, ``layout``, ``requirement``, ``model``, ``metadata``, or the key
            of the file.
        path: Place in the file: of removed and renamed parts in the first workflow, of others in
            the second.
        before: Value in the first workflow; null if it is added.
        after: Value in the second workflow; null if it is removed.
        moved: Places that change with it, such as links to a removed node.
        quiet: Whether it concerns the layout only.
    """

    __pydantic_config__ = described("WorkflowChange", is_open=False)

    change: Annotated[str, one_of("added", "removed", "renamed", "changed")]
    kind: Annotated[str, example("input")]
    path: PathSteps
    before: Annotated[Any, example(1)] = None
    after: Annotated[Any, example(7)] = None
    moved: tuple[PathSteps, ...] = ()
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowComparison:
    """How two workflows differ.

    Attributes:
        changes: The changes that make the second workflow of the first.
        models: SHA-256 digests that the workflows state for models, by their names: of the
            ``first`` and of the ``second``.
    """

    __pydantic_config__ = described("WorkflowComparison", is_open=False)

    changes: tuple[WorkflowChange, ...]
    models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """What both sides of a merge changed, or what one removed and the other needs.

    Attributes:
        kind: What it is; see ``WorkflowChange``.
        reason: What the sides did.
        path: Place in the merged workflow.
        message: What the sides did and which of it the workflow keeps.
        base, ours, theirs: The three values; null where there is none.
        absent: Which of ``base``, ``ours`` and ``theirs`` have none.
        quiet: Whether it concerns the layout only.
        our_changes, their_changes: Indices of the changes of both sides that take part in it.
    """

    __pydantic_config__ = described("MergeConflict", is_open=False)

    kind: Annotated[str, example("input")]
    reason: Annotated[str, example("both-changed")]
    path: PathSteps
    message: Annotated[str, example("both sides changed it; ours stays")]
    base: Annotated[Any, example(1)] = None
    ours: Annotated[Any, example(7)] = None
    theirs: Annotated[Any, example(8)] = None
    absent: tuple[str, ...] = ()
    quiet: bool = False
    our_changes: Annotated[tuple[int, ...], example([0])] = ()
    their_changes: Annotated[tuple[int, ...], example([2])] = ()


@dataclass(frozen=True, slots=True)
class MergedWorkflow:
    """A merge of two workflows with a common base.

    Attributes:
        workflow: Content of the merged file. Where there is a conflict, it has ours.
        conflicts: What could not be kept from both sides.
        ours, theirs: The changes of each side since the base.
        skipped_ours, skipped_theirs: Indices of changes that are left out: the requested ones, and
            those that cannot be kept without them.
    """

    __pydantic_config__ = described("MergedWorkflow", is_open=False)

    workflow: Mapping[str, Any]
    conflicts: tuple[MergeConflict, ...] = ()
    ours: tuple[WorkflowChange, ...] = ()
    theirs: tuple[WorkflowChange, ...] = ()
    skipped_ours: tuple[int, ...] = ()
    skipped_theirs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedVersion:
    """A version of a saved workflow.

    Attributes:
        version: Number of the version, from 1; increases with each change.
        digest: Digest of its text, which is its ETag; see `changes` of `Workflows.save`.
        saved: Unix time at which it was saved.
        size: Size of its text in bytes.
        href: Path of the version on the server.
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
        digest: Digest of its text, which is its ETag.
        saved: Unix time of the last change.
        parameters: Names of its parameters.
        nodes: Number of nodes.
        problem: Why its file cannot be read; None if it can.
        href: Path of the workflow on the server.
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
class TemplateLesson:
    """What a list says of the lesson about a template.

    Attributes:
        title: Its title by language, such as `en`.
        summary: A sentence by language.
        steps: Number of steps.
        order: Place in lists, from 0.
    """

    __pydantic_config__ = described("TemplateLesson", is_open=False)

    title: Annotated[Mapping[str, str], example({"en": "Forward diffusion"})]
    summary: Annotated[Mapping[str, str], example({"en": "How noise is added to an image."})]
    steps: Annotated[int, example(6)]
    order: Annotated[int, example(1)] = 0


@dataclass(frozen=True, slots=True)
class Template:
    """A workflow that ships with the server, as a starting point.

    Attributes:
        parameters: Names of its parameters.
        needs: Files that it reads and that must be uploaded; see `Templates.file`.
        types: Node types that it uses.
        picture: Path of an example image on the server; None if there is none.
        lesson: Title and length of the lesson about it; None if there is none.
        href: Path of the workflow on the server.
    """

    __pydantic_config__ = described("TemplateItem")

    name: Annotated[str, example("text_to_image")]
    title: Title
    description: Description
    parameters: Parameters
    needs: Annotated[tuple[str, ...], example(["apple.png"])]
    types: Annotated[tuple[str, ...], example(["LoadModel", "KSampler"])] = ()
    picture: Annotated[str | None, example("/api/v1/templates/text_to_image/picture")] = None
    lesson: TemplateLesson | None = None
    href: Annotated[str, example("/api/v1/templates/text_to_image")] = ""


@dataclass(frozen=True, slots=True)
class AppItem:
    """An app in a list: a saved workflow that can be run by its name.

    Attributes:
        parameters: Names of its parameters.
        href: Path of the app on the server.
    """

    __pydantic_config__ = described("AppItem")

    name: Annotated[str, example("apple")]
    title: Title
    description: Description
    parameters: Parameters
    href: Annotated[str, example("/api/v1/apps/apple")] = ""


@dataclass(frozen=True, slots=True)
class AppOutput:
    """A node of an app that outputs files.

    Attributes:
        label: Display name.
        type: Type of the node.
    """

    __pydantic_config__ = described("AppOutputEntry")

    node: Annotated[str, example("save")]
    label: Annotated[str, example("save")]
    type: Annotated[str, example("SaveImage")]


@dataclass(frozen=True, slots=True)
class App:
    """A saved workflow as an app.

    Attributes:
        version, digest: Version and digest of the saved workflow.
        parameters: JSON Schema of its parameter values.
        problems: Problems that prevent the use of parts of it.
        outputs: Nodes that output files.
        href: Path of the app on the server.
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
    """A run of an app.

    Attributes:
        outputs: Output files by node; None if the run has not finished.
    """

    __pydantic_config__ = described("AppAnswer", is_open=False)

    job: JobSummary
    outputs: Mapping[str, tuple[OutputFile, ...]] | None = None
