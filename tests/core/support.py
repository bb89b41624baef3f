"""A catalog made of node functions, and node types much like the built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from nodegraph.api import (
    Conditioning,
    DiffusionModel,
    Environment,
    Facts,
    HookInputs,
    Image,
    Latent,
    MultipleOf,
    Range,
    Seed,
    TextEncoder,
    TypeInfo,
    Vae,
    node,
)
from nodegraph.core.analysis import check_workflow
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.node import NodeDefinition, definition_of
from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.core.types import TypeTable
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem

ENVIRONMENT = Environment((), Path("inputs"), Path("outputs"), Path("temporary"))


class Functions:
    """The node types of decorated functions; satisfies `core.catalog.Catalog`."""

    def __init__(self, *functions: Callable[..., Any], types: Iterable[TypeInfo] = ()) -> None:
        found = [definition_of(function) for function in functions]
        self.definitions: dict[str, NodeDefinition] = {item.spec.type: item for item in found}
        self.types = TypeTable(types)

    def spec(self, node_type: str) -> NodeSpec | None:
        found = self.definitions.get(node_type)
        return found.spec if found else None

    def node_types(self) -> list[str]:
        return sorted(self.definitions)

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        return self.definitions[node_type].hooks.get(name)

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        return dict(self.definitions[node_type].migrations)


class Loaded(NamedTuple):
    model: DiffusionModel
    text_encoder: TextEncoder
    vae: Vae


def _family(inputs: HookInputs) -> Mapping[str, Facts]:
    family = "sdxl" if inputs.literals["model"] == "xl" else "sd1"
    return {output: {"family": family} for output in Loaded._fields}


@node(infer=_family)
def LoadModel(model: str) -> Loaded: ...


@node(facts={"conditioning": {"family": "encoder.family"}})
def EncodePrompt(encoder: TextEncoder, text: str) -> Conditioning: ...


@node(facts={"latent": {"width": "width", "height": "height"}})
def EmptyLatent(
    width: Annotated[int, Range(16, 8192), MultipleOf(8)] = 64, height: int = 64
) -> Latent: ...


@node(facts={"latent": {"family": "model.family", "width": "latent.width"}})
def KSampler(
    model: DiffusionModel,
    positive: Conditioning,
    latent: Latent,
    seed: Annotated[int, Seed()],
    negative: Conditioning | None = None,
    steps: Annotated[int, Range(1, 100)] = 20,
    cfg: float = 4,
    sampler: Literal["euler", "heun", "dpmpp_2m"] = "euler",
) -> Latent: ...


@node(facts={"image": {"width": "latent.width"}})
def VAEDecode(vae: Vae, latent: Latent) -> Image: ...


@node(facts={"image": {"width": "image.width"}})
def Invert(image: Image) -> Image: ...


@node(output=True)
def SaveImage(image: Image, name: str = "image") -> None: ...


NODES = (LoadModel, EncodePrompt, EmptyLatent, KSampler, VAEDecode, Invert, SaveImage)
DIFFUSION = Functions(*NODES)


def text_to_image() -> Workflow:
    """A valid workflow of the node types above."""
    load = {"type": "LoadModel", "inputs": {"model": "tiny"}}
    words = {"encoder": {"from": "load.text_encoder"}, "text": "a red apple"}
    sampled = {
        "model": {"from": "load.model"},
        "positive": {"from": "positive"},
        "latent": {"from": "size"},
        "seed": 7,
    }
    decoded = {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}}
    nodes = {
        "load": load,
        "positive": {"type": "EncodePrompt", "inputs": words},
        "size": {"type": "EmptyLatent", "inputs": {"width": 64}},
        "sample": {"type": "KSampler", "inputs": sampled},
        "decode": {"type": "VAEDecode", "inputs": decoded},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}, "name": "apple"}},
    }
    return written(nodes, title="Text to image")


def written(nodes: Mapping[str, Any], **keys: Any) -> Workflow:
    """A workflow as a file would say it."""
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes), **keys})


def check(workflow: Workflow, *functions: Callable[..., Any], **options: Any) -> list[Problem]:
    """The problems of a workflow of these functions, or of the node types above."""
    catalog = Functions(*functions) if functions else DIFFUSION
    return check_workflow(workflow, catalog, ENVIRONMENT, **options)


def build(workflow: Workflow, *functions: Callable[..., Any], **options: Any) -> CheckedGraph:
    """The graph of a workflow of these functions, or of the node types above."""
    catalog = Functions(*functions) if functions else DIFFUSION
    return build_graph(workflow, catalog, ENVIRONMENT, **options)


def texts(problems: Iterable[Problem]) -> list[str]:
    return [str(problem) for problem in problems]
