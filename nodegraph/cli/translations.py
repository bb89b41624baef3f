"""What the command line says of workflows of ComfyUI's that it has translated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.cli.output import echo, echo_stderr, pluralize

if TYPE_CHECKING:
    from nodegraph.interop.comfyui.importing import ImportedWorkflow
    from nodegraph.interop.comfyui.missing import MissingModel
    from nodegraph.interop.comfyui.report import ImportReport, MissingNodeType

_MOST = 20


def print_translation(imported: ImportedWorkflow, name: str) -> None:
    """Say that a workflow was translated on the way, and what differs, a line each."""
    lost = len(imported.placeholders)
    lost_text = f", {pluralize(lost, 'node')} of it couldn't be" if lost else ""
    echo_stderr(
        f"{name} is ComfyUI's and was translated{lost_text}. `nodegraph import` keeps the result."
    )
    lines = [_difference_text(*each) for each in imported.differences]
    for line in lines[:_MOST]:
        echo_stderr(f"  differs: {line}")
    if len(lines) > _MOST:
        echo_stderr(
            f"  differs: and {len(lines) - _MOST} more; `nodegraph import --json` lists all"
        )


def print_report(report: ImportReport, written: str) -> None:
    """Print what came of one file."""
    if report.error:
        echo((report.file, "bold"), ": ", ("not imported", "red"), f": {report.error}")
        return
    done = report.nodes - len(report.types)
    target = f" → {written}" if written else ""
    echo((report.file, "bold"), f"{target}: {done} of {pluralize(report.nodes, 'node')} translated")
    _print_some([_type(lacking) for lacking in report.types], "placeholder")
    _print_some([_model(model) for model in report.models], "missing model")
    _print_some(list(report.files), "missing file")
    _print_some(list(report.families), "unknown family of models")
    _print_some([str(problem) for problem in report.problems], "problem")
    _print_some([_difference_text(*each) for each in report.told], "differs")


def _print_some(lines: list[str], kind: str) -> None:
    for line in lines[:_MOST]:
        echo("  ", (f"{kind}: ", "yellow"), line)
    if len(lines) > _MOST:
        echo("  ", (f"{kind}: ", "yellow"), f"and {len(lines) - _MOST} more; --json lists all")


def _type(lacking: MissingNodeType) -> str:
    pack = f" of the pack `{lacking.pack}`" if lacking.pack else ""
    names = " or ".join(f"`{name}`" for name in lacking.alternatives)
    instead = f". What may stand for it: {names}" if names else ""
    return f"`{lacking.node}` ({lacking.type}{pack}): {lacking.reason}{instead}"


def _model(model: MissingModel) -> str:
    folder = f", into the folder `{model.folder}` of models" if model.folder else ""
    url = f", from {model.url}" if model.url else ""
    return f"{model.name}{folder}{url}"


def _difference_text(node: str, message: str) -> str:
    return f"`{node}`: {message}" if node else message
