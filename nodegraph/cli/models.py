"""`nodegraph models`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import StyledText, print_json, print_table, say, shown_path, shown_size

if TYPE_CHECKING:
    from nodegraph.diffusion.models import FoundModel


def models(common: Common, json: JsonOption = False) -> int:
    """List the models, and where to put more.

    A model is a folder in the diffusers layout or a single .safetensors file. Its name here is what
    `LoadModel` takes. Parts of models, which nodes of their own take, may be .gguf files, too.
    """
    from nodegraph.diffusion.models import list_models

    folders = common.settings().model_folders
    found = list_models(folders)
    if json:
        from nodegraph.diffusion.families import FAMILIES

        families = {family.name: family.title for family in FAMILIES.values()}
        documents = [_document(model) for model in found]
        print_json({"models": documents, "folders": folders, "families": families})
    else:
        _print(found, folders)
    return 0


def _document(model: FoundModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "family": model.family,
        "kind": model.kind,
        "bytes": model.bytes,
        "path": str(model.path),
        "problem": model.problem,
        "part": model.part,
        "node": model.node,
    }


def _print(found: Sequence[FoundModel], folders: Sequence[Path]) -> None:
    from nodegraph.diffusion.families.identified import supported

    if found:
        heads: tuple[StyledText, ...] = tuple(
            (head, "bold") for head in ("name", "family", "kind", "size", "where")
        )
        print_table([heads, *(_row(model) for model in found)])
    else:
        say("No models.")
    for model in found:
        if model.problem:
            say()
            say((model.name, "bold"), ": ", (model.problem, "yellow"))
        elif model.part:
            say()
            say((model.name, "bold"), f": {model.part}. {model.node} takes it.")
    say()
    say(f"What loads: {supported()}. docs/families.md says more.")
    say("Put models into one of these folders, or name another one with --models:")
    for folder in folders:
        say(f"  {shown_path(folder)}{'' if folder.is_dir() else '  (does not exist yet)'}")


def _row(model: FoundModel) -> tuple[StyledText, ...]:
    other: StyledText = ("unusable", "yellow") if model.problem else "several"
    family: StyledText = model.family or other
    place = "comes with nodegraph" if model.kind == "embedded" else shown_path(model.path)
    return model.name, family, model.kind, shown_size(model.bytes), place
