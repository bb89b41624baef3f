"""What a translated workflow lacks to run: models, pictures, families of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nodegraph.errors import Problem
from nodegraph.interop.comfyui.importing import ImportedWorkflow

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
    "LoadUpscaleModel": "upscale_models",
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
    """Whether a problem is that a model, a picture or a family isn't there."""
    return problem.code == _NO_MODEL or _is_of_file(problem) or _is_of_family(problem)


def find_missing_files(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Names of pictures and the like that aren't there."""
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
