"""Tiny pipelines in folders, run by workflows and called plainly."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nodegraph_pipelines._signatures import pipeline_node
from nodegraph_pipelines.load import LoadPipeline, LoadPipelineLora
from PIL import Image as Pictures

from nodegraph import Session, Settings, Video, Workflow, node
from nodegraph.core.values import Recipe
from nodegraph.engine.options import CancelToken
from nodegraph.engine.result import RunResult
from nodegraph.errors import Cancelled, Problem
from nodegraph.interop.pipelines.classes import Pipeline, PipelineClass
from nodegraph.interop.pipelines.pipeline_recipes import open_pipeline
from nodegraph.interop.pipelines.source import pipeline_class
from tests.pipelines.run.plainly import plain_pipeline, structure
from tests.pipelines.tiny import saved

GIVEN: dict[str, dict[str, Any]] = {}
"""What nodes give that no workflow can hold, by class and port."""

SEED = 3


@node
def Given(name: str, port: str) -> Any:
    """An image, a video or numbers for a pipeline."""
    return GIVEN[name][port]


def as_on_links(value: Any) -> Any:
    """Images of PIL as links carry them; a list of them is a video."""
    if isinstance(value, Pictures.Image):
        return (torch.from_numpy(np.array(value)).float() / 255)[None]
    if isinstance(value, list) and value and isinstance(value[0], Pictures.Image):
        return Video(torch.cat([as_on_links(item) for item in value]), Fraction(8))
    return value


@cache
def class_named(name: str) -> PipelineClass:
    found = pipeline_class(name)
    assert found is not None
    return found


def link(output: str) -> dict[str, str]:
    return {"from": output}


def workflow(nodes: Any) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})


class Shelf:
    """Tiny pipelines in a models folder, and a session that runs them."""

    def __init__(self, folder: Path, names: Collection[str], **settings: Any) -> None:
        self.models = folder / "models"
        self.calls: dict[str, dict[str, Any]] = {}
        self.events: list[Any] = []
        given: dict[str, Any] = {"home": folder / "home", "models": (self.models,), "device": "cpu"}
        # Not as a pack, of which every class would be read.
        types = [pipeline_node(class_named(name), __name__) for name in names]
        self._opening = (
            Settings(**given | settings),
            [Given, LoadPipeline, LoadPipelineLora, *types],
        )
        self.session = self.another_session()

    def another_session(self) -> Session:
        """As another process would open it on the same folders."""
        settings, types = self._opening
        return Session(settings, nodes=types)

    def add(self, name: str) -> None:
        """The node type of one more class, which takes some tenths of a second to read."""
        self.session.registry.add(pipeline_node(class_named(name), __name__))

    def call(self, name: str) -> dict[str, Any]:
        """What to call a tiny pipeline with; it is there from then on."""
        if name not in self.calls:
            self.calls[name] = saved(name, self.models)
            GIVEN[name] = {port: as_on_links(value) for port, value in self.calls[name].items()}
        return self.calls[name]

    def given(self, name: str) -> dict[str, Any]:
        """The same as nodes are given it."""
        self.call(name)
        return GIVEN[name]

    def nodes(self, name: str, **more: Any) -> dict[str, Any]:
        """Nodes that run a tiny pipeline: `load` and `run`, and what gives the latter more."""
        inputs = {port: self._input(name, port) for port in self.call(name)}
        given = {
            f"given_{port}": {"type": "Given", "inputs": {"name": name, "port": port}}
            for port, value in inputs.items()
            if isinstance(value, dict)
        }
        seed = {} if name == "LLaDA2Pipeline" else {"seed": SEED}
        return {
            **given,
            "load": {"type": "LoadPipeline", "inputs": {"pipeline": name}},
            "run": {
                "type": name,
                "inputs": {"pipeline": {"from": "load.pipeline"}, **inputs, **seed, **more},
            },
        }

    def _input(self, name: str, port: str) -> Any:
        value = GIVEN[name][port]
        if isinstance(value, (str, int, float, bool, type(None))):
            return value
        if isinstance(value, list) and all(isinstance(item, int) for item in value):
            return value
        return {"from": f"given_{port}.output"}

    def run(self, name: str, *, cancel: CancelToken | None = None, **more: Any) -> RunResult:
        """What comes of a tiny pipeline's workflow."""
        return self.run_nodes(self.nodes(name, **more), cancel=cancel)

    def run_nodes(self, nodes: Any, *, cancel: CancelToken | None = None) -> RunResult:
        """What comes of nodes, the last of which is `run`."""
        self.events = []
        return self.session.run(
            workflow(nodes), targets=["run"], listener=self.events.append, cancel=cancel
        )

    def problems(self, nodes: Any) -> list[Problem]:
        """What is found before anything runs."""
        return self.session.check(workflow(nodes), targets=["run"])

    def pipeline(self, name: str) -> Pipeline:
        """What LoadPipeline gives for it."""
        self.call(name)
        return open_pipeline(name, [self.models])

    @contextmanager
    def plain(self, name: str, folder: str = "") -> Iterator[Any]:
        """The pipeline as diffusers makes it, of the very parts that the session holds."""
        pipeline = open_pipeline(folder, [self.models]) if folder else self.pipeline(name)
        with ExitStack() as held:
            live = {item: held.enter_context(self.weights(item)) for item in pipeline.recipes}
            yield plain_pipeline(pipeline, live)

    def weights(self, recipe: Recipe) -> AbstractContextManager[Any]:
        """What is in the session's memory for a recipe."""
        return self.session._weights.use(recipe, "cpu")

    def structures(self, name: str) -> dict[str, Any]:
        """What all modules of a pipeline are besides their weights."""
        found = {}
        for recipe in self.pipeline(name).recipes:
            with self.weights(recipe) as live:
                for role, module in getattr(live, "modules", {}).items():
                    found[role] = structure(module)
        return found


class Watched:
    """A context that counts what it is asked, and cancels the run at one of these.

    Args:
        shelf: Has the weights.
        at: Where to cancel: ``module`` at the call of one, ``callback`` or ``step`` at the first
            such; None for nowhere.
        calls: Of modules that are let pass.
    """

    device = "cpu"
    footprint = "full"

    def __init__(self, shelf: Shelf, at: str | None = None, calls: int = 0) -> None:
        self._shelf, self._at, self._pass = shelf, at, calls
        self.environment = shelf.session.environment
        self.modules = self.callbacks = 0
        self.steps: list[tuple[int, int]] = []
        self.is_cancelled = False
        self.after = 0
        """What was asked once the run was cancelled."""

    def check_cancelled(self) -> None:
        self.after += self.is_cancelled
        if sys._getframe(1).f_code.co_name == "before":
            self.modules += 1
            self._cancel_if(self._at == "module" and self.modules > self._pass)
        else:
            self.callbacks += 1
            self._cancel_if(self._at == "callback")

    def progress(self, step: int, total: int, *, preview: Any = None) -> None:
        self.after += self.is_cancelled
        self.steps.append((step, total))
        self._cancel_if(self._at == "step")

    def _cancel_if(self, is_due: bool) -> None:
        if is_due:
            self.is_cancelled = True
            raise Cancelled("the run was cancelled")

    def weights(self, recipe: Recipe, *, calls_only: bool = False) -> Any:
        return self._shelf.weights(recipe)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny layers are quicker so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shelf(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shelf]:
    """With node types of the classes that the module names."""
    made = Shelf(tmp_path_factory.mktemp("pipelines"), request.module.PIPELINES)
    yield made
    made.session.close()
