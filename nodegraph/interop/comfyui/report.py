"""Import reports: missing models, files and node types, and differences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodegraph.core.analysis import analyse
from nodegraph.core.catalog import Catalog, PackFinder, pack_finder_of
from nodegraph.core.context import Environment
from nodegraph.core.suggestions import NodeAliases
from nodegraph.errors import Problem
from nodegraph.interop.comfyui.foreign_workflow import CORE_PACK, TranslationOutcome
from nodegraph.interop.comfyui.importer import ImportedWorkflow
from nodegraph.interop.comfyui.known_packs import pack_of

IsThere = Callable[[str], bool]
"""Whether there is a model of a name."""

_FOLDERS = {
    "LoadModel": "checkpoints",
    "LoadDiffusionModel": "diffusion_models",
    "LoadTextEncoder": "text_encoders",
    "LoadVae": "vae",
    "LoadLora": "loras",
    "LoadTextualInversion": "embeddings",
    "LoadControlNet": "controlnet",
    "LoadImageEncoder": "clip_vision",
    "LoadIPAdapter": "ipadapter",
    "LoadGLIGEN": "gligen",
    "LoadUpscaleModel": "upscale_models",
    "LoadLatentUpscaleModel": "latent_upscale_models",
    "LoadFrameInterpolationModel": "frame_interpolation",
}
"""The folder of models that a native node's files lie in."""
_NO_MODEL = "model-not-found"
_NO_FILE = "there is no file "


@dataclass(frozen=True, slots=True)
class MissingModel:
    """A file of weights that isn't there.

    Attributes:
        folder: Of the models' folder, where it would go; empty if the file doesn't say.
        url: Where it can be had; empty if not told.
    """

    name: str
    folder: str = ""
    url: str = ""


def find_missing_models(
    imported: ImportedWorkflow, problems: Sequence[Problem], is_there: IsThere
) -> tuple[MissingModel, ...]:
    """Models that lack: those that nodes say they need, and those that they name all the same.

    Args:
        problems: Of the workflow.
    """
    declared = {
        model.name: MissingModel(model.name, model.folder, model.url)
        for fate in imported.outcomes
        for model in fate.models
    }
    lacking = {name: model for name, model in declared.items() if not is_there(name)}
    for problem in problems:
        if problem.code == _NO_MODEL and problem.given:
            lacking_model = MissingModel(
                problem.given, _FOLDERS.get(_native_type(problem, imported), "")
            )
            short = problem.given.rpartition("/")[2]
            lacking.setdefault(problem.given, declared.get(short, lacking_model))
    return tuple(dict.fromkeys(lacking.values()))


def _native_type(problem: Problem, imported: ImportedWorkflow) -> str:
    """The type of the node that a problem is about, be it one of a block that is given a value."""
    node_type, port = problem.node_type or "", problem.port or ""
    blocks = imported.workflow.subgraphs
    for _ in range(len(blocks)):
        block = blocks.get(node_type)
        if block is None or port not in block.inputs or not block.inputs[port].to:
            break
        inner, _, port = block.inputs[port].to[0].partition(".")
        node_type = block.nodes[inner].type
    return node_type


def is_about_missing_files(problem: Problem) -> bool:
    """Whether a problem is that a model, an image or a family isn't there."""
    return problem.code == _NO_MODEL or _is_of_file(problem) or _is_of_family(problem)


def find_missing_files(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Names of images and the like that aren't there."""
    return tuple(dict.fromkeys(_file_names(problems)))


def unknown_families(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Kinds of models that aren't known, as they are asked for."""
    names = ((problem.given or "").strip('"') for problem in filter(_is_of_family, problems))
    return tuple(dict.fromkeys(names))


def _is_of_file(problem: Problem) -> bool:
    return problem.code == "invalid-file" and problem.message.startswith(_NO_FILE)


def _is_of_family(problem: Problem) -> bool:
    return problem.code == "not-a-choice" and problem.port == "family"


def _file_names(problems: Sequence[Problem]) -> Iterator[str]:
    for problem in filter(_is_of_file, problems):
        name = problem.message.removeprefix(_NO_FILE).partition(". ")[0]
        yield name.rstrip(".").rpartition("/")[2]


_UNKNOWN_TYPE = "unknown-node-type"


@dataclass(frozen=True, slots=True)
class MissingNodeType:
    """A node that stays a placeholder.

    Attributes:
        node: Its name.
        type: ComfyUI's.
        pack: What brings it there; empty if the file doesn't say.
        alternatives: Native types that may do what it does.
        reason: Why it isn't translated.
        command: Command that installs its pack; empty if it is not known.
    """

    node: str
    type: str
    pack: str
    alternatives: tuple[str, ...]
    reason: str
    command: str = ""


@dataclass(frozen=True)
class ImportReport:
    """One file.

    Attributes:
        format: See `foreign.ForeignWorkflow`; empty if it couldn't be read.
        nodes: How many it has, blocks' nodes beside the others.
        files: Images and the like that aren't where its inputs are.
        families: Kinds of models that aren't known here.
        differences: What differs, each with the native node that it is about, or nothing.
        problems: What else keeps it from running.
        error: Why it couldn't be read, or its workflow not be written; empty if all went well.
    """

    file: str
    format: str = ""
    nodes: int = 0
    types: tuple[MissingNodeType, ...] = ()
    models: tuple[MissingModel, ...] = ()
    files: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    differences: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    error: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it imports without a placeholder."""
        return not self.error and not self.types

    @property
    def is_valid(self) -> bool:
        """Whether nothing but files that lack keeps it from running."""
        return self.is_whole and not self.families and not self.problems

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "format": self.format,
            "nodes": self.nodes,
            "translated": self.nodes - len(self.types),
            "without_placeholder": self.is_whole,
            "valid": self.is_valid,
            "placeholders": [
                {
                    "node": lacking.node,
                    "type": lacking.type,
                    "pack": lacking.pack,
                    "stand_ins": list(lacking.alternatives),
                    "reason": lacking.reason,
                    "command": lacking.command,
                }
                for lacking in self.types
            ],
            "missing_models": [
                {"name": model.name, "folder": model.folder, "url": model.url}
                for model in self.models
            ],
            "missing_files": list(self.files),
            "unknown_families": list(self.families),
            "told": [{"node": node, "message": message} for node, message in self.differences],
            "problems": [problem.as_dict() for problem in self.problems],
            **({"error": self.error} if self.error else {}),
        }


def import_report(
    file: str,
    imported: ImportedWorkflow,
    catalog: Catalog,
    environment: Environment,
    is_there: IsThere,
) -> ImportReport:
    """What came of importing a file.

    Args:
        environment: Handed to the packs' own checks.
        is_there: Asked for files of weights that nodes say they need.
    """
    stand_ins = NodeAliases(catalog)
    finder = pack_finder_of(catalog)
    types = tuple(_missing_node_type(fate, stand_ins, finder) for fate in imported.placeholders)
    all_problems = analyse(imported.workflow, catalog, environment).problems
    problems = tuple(problem for problem in all_problems if not _is_told_elsewhere(problem))
    return ImportReport(
        file,
        imported.format,
        len(imported.outcomes),
        types,
        find_missing_models(imported, all_problems, is_there),
        find_missing_files(all_problems),
        unknown_families(all_problems),
        imported.differences,
        problems,
    )


def _is_told_elsewhere(problem: Problem) -> bool:
    """Whether another part of a report tells of it."""
    return problem.code == _UNKNOWN_TYPE or is_about_missing_files(problem)


def _missing_node_type(
    fate: TranslationOutcome, stand_ins: NodeAliases, finder: PackFinder | None
) -> MissingNodeType:
    is_core = fate.pack == CORE_PACK
    pack = "" if is_core else fate.pack or pack_of(fate.type)
    return MissingNodeType(
        fate.name,
        fate.type,
        pack,
        stand_ins.of(fate.type),
        fate.untranslated_reason,
        "" if is_core else _pack_command(fate.type, pack, finder),
    )


def _pack_command(node_type: str, pack: str, finder: PackFinder | None) -> str:
    """Return the command that installs the pack of a node type; empty if it is not known.

    Args:
        pack: Its name, or the owner and the name of its repository on GitHub; empty if the file
            does not say.
    """
    known = finder and finder.type_command(node_type)
    if not known and finder and pack:
        known = finder.pack_command(pack)
    if not known and _REPOSITORY.fullmatch(pack):
        known = f"nodegraph pack add https://github.com/{pack}.git"
    return known or ""


_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class ImportTotals:
    """Several files.

    Attributes:
        whole: Files that import without a placeholder.
        valid: Those of them that only files of models or images keep from running.
        complete: Those of them that nothing keeps from running.
        nodes: How many all files have, and how many of these are translated.
        types: Node types that lack, with how many files each keeps from being whole.
        packs: What brings these types, of those of which it is known.
        commands: Commands that install these packs, by type, likewise.
        missing_packs: Packs whose types lack, likewise.
        families: Kinds of models that aren't known, likewise.
        models: Models that lack, likewise.
        problems: Codes of problems, with the files that have such.
    """

    files: int
    unreadable: int
    whole: int
    valid: int
    complete: int
    nodes: tuple[int, int]
    types: Mapping[str, int]
    packs: Mapping[str, str]
    commands: Mapping[str, str]
    missing_packs: Mapping[str, int]
    models: Mapping[str, int]
    families: Mapping[str, int]
    problems: Mapping[str, int]

    @property
    def whole_share(self) -> float:
        """Share of the files that import without a placeholder, 0 to 1."""
        return self.whole / max(1, self.files)

    @property
    def translated_share(self) -> float:
        """Share of the nodes of all files that are translated, 0 to 1."""
        return self.nodes[1] / max(1, self.nodes[0])

    def as_dict(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "unreadable": self.unreadable,
            "without_placeholder": self.whole,
            "share_without_placeholder": round(self.whole_share, _DIGITS),
            "share_translated": round(self.translated_share, _DIGITS),
            "valid": self.valid,
            "complete": self.complete,
            "nodes": self.nodes[0],
            "translated": self.nodes[1],
            "missing_types": dict(self.types),
            "packs_of_types": dict(self.packs),
            "commands_of_types": dict(self.commands),
            "missing_packs": dict(self.missing_packs),
            "missing_models": dict(self.models),
            "unknown_families": dict(self.families),
            "problems": dict(self.problems),
        }


_DIGITS = 4
"""Of shares."""


def totals(reports: Sequence[ImportReport]) -> ImportTotals:
    """What came of all files together."""
    return ImportTotals(
        len(reports),
        sum(bool(report.error) for report in reports),
        sum(report.is_whole for report in reports),
        sum(report.is_valid for report in reports),
        sum(report.is_valid and not report.models and not report.files for report in reports),
        (
            sum(report.nodes for report in reports),
            sum(report.nodes - len(report.types) for report in reports),
        ),
        _counted({lacking.type for lacking in report.types} for report in reports),
        {
            lacking.type: lacking.pack
            for report in reports
            for lacking in report.types
            if lacking.pack
        },
        {
            lacking.type: lacking.command
            for report in reports
            for lacking in report.types
            if lacking.command
        },
        _counted({each.pack for each in report.types if each.pack} for report in reports),
        _counted({model.name for model in report.models} for report in reports),
        _counted(set(report.families) for report in reports),
        _counted({problem.code for problem in report.problems} for report in reports),
    )


def _counted(sets: Any) -> dict[str, int]:
    counts = Counter(name for names in sets for name in names)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def as_markdown(reports: Sequence[ImportReport]) -> str:
    """Tables of files, of node types that lack and of models that do."""
    sums = totals(reports)
    lines = [
        "# Import of ComfyUI files",
        "",
        (
            f"{sums.files} files: {sums.whole} import without a placeholder "
            f"({sums.whole_share:.1%}), {sums.valid} of "
            f"them run once their files are there, {sums.complete} have them all; "
            f"{sums.unreadable} cannot be read. {sums.nodes[1]} of {sums.nodes[0]} nodes are "
            f"translated ({sums.translated_share:.1%})."
        ),
        "",
        "| file | nodes | placeholders | valid | unknown families | missing models | differs |",
        "|---|---|---|---|---|---|---|",
        *(_row(report) for report in reports),
    ]
    if sums.types:
        lines += ["", "## Missing node types", "", *_PACK_HELP]
        lines += ["| | pack | files | command |", "|---|---|---|---|"]
        lines += [_type_row(name, count, sums) for name, count in sums.types.items()]
    for title, counts in (
        ("Missing packs", sums.missing_packs),
        ("Missing models", sums.models),
        ("Unknown families", sums.families),
        ("Other problems", sums.problems),
    ):
        if counts:
            lines += ["", f"## {title}", "", "| | files |", "|---|---|"]
            lines += [f"| {_cell(name)} | {count} |" for name, count in counts.items()]
    return "\n".join(lines) + "\n"


_PACK_HELP = (
    "The most wanted come first. A node type without a pack is ComfyUI's own, or its file does",
    "not name the pack. Without a command, install the pack from the address of its git",
    "repository: `nodegraph pack add ADDRESS`.",
    "",
)


def _type_row(name: str, count: int, sums: ImportTotals) -> str:
    command = sums.commands.get(name, "")
    shown = f"`{_cell(command)}`" if command else ""
    return f"| {_cell(name)} | {_cell(sums.packs.get(name, ''))} | {count} | {shown} |"


def _row(report: ImportReport) -> str:
    if report.error:
        return f"| {_cell(report.file)} | | | | | | {_cell(report.error)} |"
    types = ", ".join(dict.fromkeys(lacking.type for lacking in report.types))
    models = ", ".join(model.name for model in report.models)
    valid = "yes" if report.is_valid else "no"
    families = ", ".join(report.families)
    message_count = str(len(report.differences) or "")
    cells = (report.file, str(report.nodes), types, valid, families, models, message_count)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
