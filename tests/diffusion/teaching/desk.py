"""A model to be taught in tests, a handful of images, and the context of a node that teaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodegraph import Dataset, Environment, Example
from nodegraph.core.events import Event, EventStream
from nodegraph.core.values import Recipe
from nodegraph.diffusion import open_model
from nodegraph.engine.checkpointing import Saver
from nodegraph.engine.node_context import NodeContext
from nodegraph.engine.options import CancelToken
from nodegraph.families.components import Component
from nodegraph.models.derived_components import derive
from nodegraph.models.loading import load_component
from nodegraph.training.options import TrainingOptions, TrainingPlan, TrainingSamples
from nodegraph.training.training_run import TrainingSetup
from tests.nodes.sampling_graphs import Weights as SharedWeights

KEY = "cd" * 32


def pictures(count: int, side: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand((side, side, 3), generator=generator) for _ in range(count)]


def dataset(count: int = 3, side: int = 64, said: str = "a red fox", **more: Any) -> Dataset:
    drawn = enumerate(pictures(count, side))
    return Dataset(tuple(Example(item, f"p{at}", f"{said} {at % 2}") for at, item in drawn), **more)


class LoadedWeights(SharedWeights):
    """Gives out what recipes describe, loaded once."""

    def __init__(self) -> None:
        self.known: dict[Recipe, Component] = {}

    @contextmanager
    def use(self, recipe: Recipe, device: str, *_: Any, **__: Any) -> Iterator[Any]:
        if recipe.base not in self.known:
            self.known[recipe.base] = load_component(recipe.base, device)
        base = self.known[recipe.base]
        yield derive(base, recipe) if recipe.is_derived else base


@dataclass
class Desk:
    """Trains again and again at one piece of work; remembers what was told."""

    folder: Path
    models: Path
    saver: Saver = field(default_factory=lambda: Saver(None, interval=0.0))
    weights: LoadedWeights = field(default_factory=LoadedWeights)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recipes = open_model(str(self.models), [])

    def forget(self) -> None:
        """No checkpoint is there any more, as after a call that ended."""
        self.saver = Saver(None, interval=0.0)

    def context(
        self, watch: Callable[[CancelToken, Event], object] = lambda token, event: None
    ) -> NodeContext:
        token = CancelToken()

        def listen(event: Event) -> None:
            self.events.append(event)
            watch(token, event)

        places = [self.folder / name for name in ("inputs", "outputs", "temporary")]
        return NodeContext(
            "teach",
            device="cpu",
            environment=Environment((), *places, trained=self.folder / "taught"),
            workflow={},
            events=EventStream(listen),
            cancel=token,
            weights=self.weights,
            files=[],
            checkpoints=self.saver.for_call(KEY),
        )

    def room(
        self,
        given: Dataset,
        kept: Dataset | None = None,
        *,
        watch: Callable[[CancelToken, Event], object] = lambda token, event: None,
        samples: TrainingSamples | None = None,
        steps: int = 3,
        batch: int = 2,
        learning_rate: float = 1e-2,
        seed: int = 5,
        **options: Any,
    ) -> TrainingSetup:
        plan = TrainingPlan(steps, batch, learning_rate, seed, TrainingOptions(**options))
        model, encoder, vae = self.recipes
        ctx = self.context(watch)
        return TrainingSetup(ctx, model, encoder, vae, given, kept, plan, samples)


def told(desk: Desk, kind: str) -> list[Event]:
    return [event for event in desk.events if event.kind == kind]


def with_model(room: TrainingSetup, **changes: Any) -> TrainingSetup:
    return replace(room, **changes)
