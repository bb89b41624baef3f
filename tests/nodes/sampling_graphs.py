"""Small graphs of sampling nodes, run by the real engine with a tiny random model."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from nodegraph import (
    Conditioning,
    ConditioningEntry,
    DiffusionModel,
    Environment,
    Latent,
    Mask,
    Recipe,
    RecipeFile,
    node,
)
from nodegraph.core.analysis import check_workflow
from nodegraph.core.context import Footprint, Peak
from nodegraph.core.events import Event
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.engine import Engine
from nodegraph.engine.options import RunOptions
from nodegraph.errors import ModelNotFound, NodegraphError, Problem
from nodegraph.families.components import Denoiser
from nodegraph.families.noise import draw_noise
from nodegraph.families.scheduler_file import scheduler_option
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from tests.diffusion.conftest import SD1_SCHEDULER

HERE = Path()
ENVIRONMENT = Environment((), HERE, HERE, HERE)


_TOLD = ("family", "format", "guides_itself", "needs_negative", "takes_scale")


@node(facts={"diffusion_model": {name: name for name in _TOLD}})
def Model(
    family: str = "sd1",
    format: str = "sd",
    guides_itself: bool = False,
    needs_negative: bool = True,
    takes_scale: bool = False,
) -> DiffusionModel:
    return DiffusionModel(
        family,
        (RecipeFile("unet", "nowhere", "0" * 64),),
        options=(scheduler_option(SD1_SCHEDULER),),
    )


@node
def Prompt(
    said: int = 1, empty: bool = True, end: float = 1.0, mask: Mask | None = None
) -> Conditioning:
    entry, nothing = (
        ConditioningEntry({"embeddings": draw_noise((7, 32), seed, [0])}) for seed in (said, 0)
    )
    entry = replace(entry, mask=mask, end=end)
    return Conditioning((entry,), "sd1", nothing if empty else None)


@node(facts={"latent": {"width": "width", "height": "height"}})
def Picture(batch: int = 1, width: int = 64, height: int = 64) -> Latent:
    return Latent(draw_noise((4, 8, 8), 3, range(batch)), width, height, batch, format="sd")


@node
def RightHalf(batch: int = 1) -> Mask:
    mask = torch.zeros(batch, 64, 64)
    mask[..., 32:] = 1
    return mask


SOURCES: dict[str, Any] = {
    "model": {"type": "Model"},
    "positive": {"type": "Prompt"},
    "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
    "picture": {"type": "Picture"},
    "mask": {"type": "RightHalf"},
}


@functools.cache
def denoiser() -> Denoiser:
    """The model behind every recipe: one level, as its layers take most of the tests' time."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32,),
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("UpBlock2D",),
        layers_per_block=1,
        attention_head_dim=2,
        cross_attention_dim=32,
        norm_num_groups=8,
    ).eval()
    torch.set_rng_state(state)
    return Denoiser({"unet": unet}, "sd1", SD1_SCHEDULER)


class Unmeasured:
    """Of memory that nobody looked at."""

    bytes: int | None = None


class Weights:
    """Gives out the one model."""

    @contextmanager
    def use(
        self,
        recipe: Recipe,
        device: str,
        footprint: Footprint = "full",
        *,
        calls_only: bool = False,
        work: int | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> Iterator[Denoiser]:
        assert (device, footprint) == ("cpu", "full")
        if not isinstance(recipe, DiffusionModel):
            raise ModelNotFound("the model has no decoder for previews")
        yield denoiser()

    def prefetch(self, recipe: Recipe, device: str) -> bool:
        return True

    def size(self, recipe: Recipe) -> int:
        return 0

    def relieve(self, device: str) -> int:
        return 0

    def capacity(self, device: str) -> int | None:
        return None

    def is_out_of_memory(self, error: BaseException) -> bool:
        return False

    def explain(self, error: BaseException, device: str) -> NodegraphError:
        return NodegraphError(str(error))

    @contextmanager
    def measuring(self, device: str) -> Iterator[Peak]:
        yield Unmeasured()


def link(output: str) -> dict[str, str]:
    return {"from": output}


def sampler(kind: str = "KSampler", **inputs: Any) -> dict[str, Any]:
    """A sampling node on the sources, of 3 steps unless said otherwise."""
    linked = {"model": link("model"), "positive": link("positive"), "latent": link("size")}
    return {"type": kind, "inputs": linked | {"steps": 3} | inputs}


def workflow(nodes: Mapping[str, Any]) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": SOURCES | dict(nodes)})


@functools.cache
def registry() -> Registry:
    """The nodes of nodegraph and those above, whose code is read once for all graphs."""
    made = Registry([pack for pack in installed_packs() if not pack.name])
    made.add(Model, Prompt, Picture, RightHalf)
    return made


def problems(nodes: Mapping[str, Any], *targets: str) -> list[Problem]:
    """What is found before anything runs."""
    return check_workflow(workflow(nodes), registry(), ENVIRONMENT, targets=list(targets))


def value(nodes: Mapping[str, Any], output: str, listener: Callable[[Event], None] = id) -> Any:
    """Run a workflow for one output, ``node.port``; what its node raises is raised."""
    engine = Engine(registry(), environment=ENVIRONMENT, weights=Weights())
    try:
        target = output.partition(".")[0]
        graph = build_graph(workflow(nodes), registry(), ENVIRONMENT, targets=[target])
        result = asyncio.run(engine.run(graph, RunOptions(listener=listener)))
        for problem in result.errors:
            raise AssertionError(str(problem))
        return result[output]
    finally:
        engine.close()
