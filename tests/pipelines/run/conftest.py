"""Tiny pipelines in folders, run by workflows and called plainly."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nodegraph_pipelines._signatures import pipeline_node
from nodegraph_pipelines.load import LoadPipeline
from PIL import Image as Pictures

from nodegraph import Session, Settings, Video, Workflow, node
from nodegraph.core.values import Recipe
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.result import RunResult
from nodegraph.pipelines.classes import PipelineClass
from nodegraph.pipelines.opening import open_pipeline
from nodegraph.pipelines.source import pipeline_class
from nodegraph.pipelines.values import Pipeline
from tests.pipelines.run.plainly import plain_pipeline
from tests.pipelines.tiny import TINY, saved

GIVEN: dict[str, dict[str, Any]] = {}
"""What nodes give that no workflow can hold, by class and port."""

SEED = 3


@node
def Given(name: str, port: str) -> Any:
    """A picture, a video or numbers for a pipeline."""
    return GIVEN[name][port]


def as_on_links(value: Any) -> Any:
    """Pictures of PIL as links carry them; a list of them is a video."""
    if isinstance(value, Pictures.Image):
        return (torch.from_numpy(np.array(value)).float() / 255)[None]
    if isinstance(value, list) and value and isinstance(value[0], Pictures.Image):
        return Video(torch.cat([as_on_links(item) for item in value]), Fraction(8))
    return value


def _class(name: str) -> PipelineClass:
    found = pipeline_class(name)
    assert found is not None
    return found


class Shelf:
    """Tiny pipelines in a models folder, and a session that runs them."""

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        self.models = folder / "models"
        self.calls: dict[str, dict[str, Any]] = {}
        self.events: list[Any] = []
        settings = Settings(home=folder / "home", models=(self.models,), device="cpu")
        # Not as a pack, of which every class would be read.
        types = [pipeline_node(_class(name), __name__) for name in names]
        self.session = Session(settings, nodes=[Given, LoadPipeline, *types])

    def call(self, name: str) -> dict[str, Any]:
        """What to call a tiny pipeline with; it is there from then on."""
        if name not in self.calls:
            self.calls[name] = saved(name, self.models)
            GIVEN[name] = {port: as_on_links(value) for port, value in self.calls[name].items()}
        return self.calls[name]

    def workflow(self, name: str, **more: Any) -> Workflow:
        """A workflow that runs a tiny pipeline; nodes `load` and `run`."""
        inputs = {port: self._input(name, port) for port in self.call(name)}
        given = {
            f"given_{port}": {"type": "Given", "inputs": {"name": name, "port": port}}
            for port, value in inputs.items()
            if isinstance(value, dict)
        }
        seed = {} if name == "LLaDA2Pipeline" else {"seed": SEED}
        nodes = {
            **given,
            "load": {"type": "LoadPipeline", "inputs": {"pipeline": name}},
            "run": {
                "type": name,
                "inputs": {"pipeline": {"from": "load.pipeline"}, **inputs, **seed, **more},
            },
        }
        return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})

    def _input(self, name: str, port: str) -> Any:
        value = GIVEN[name][port]
        if isinstance(value, (str, int, float, bool, type(None))):
            return value
        if isinstance(value, list) and all(isinstance(item, int) for item in value):
            return value
        return {"from": f"given_{port}.output"}

    def run(self, name: str, *, cancel: CancelToken | None = None, **more: Any) -> RunResult:
        """What comes of a tiny pipeline's workflow."""
        self.events = []
        return self.session.run(
            self.workflow(name, **more),
            targets=["run"],
            listener=self.events.append,
            cancel=cancel,
        )

    def pipeline(self, name: str) -> Pipeline:
        """What LoadPipeline gives for it."""
        self.call(name)
        return open_pipeline(name, [self.models])

    @contextmanager
    def plain(self, name: str) -> Iterator[Any]:
        """The pipeline as diffusers makes it, of the very parts that the session holds."""
        pipeline = self.pipeline(name)
        with ExitStack() as held:
            live = {item: held.enter_context(self._live(item)) for item in pipeline.recipes}
            yield plain_pipeline(pipeline, live)

    def _live(self, recipe: Recipe) -> Any:
        return self.session._weights.use(recipe, "cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny layers are quicker so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    made = Shelf(tmp_path_factory.mktemp("pipelines"), TINY)
    yield made
    made.session.close()
