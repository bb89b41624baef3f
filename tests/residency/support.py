"""Components that take the bytes and the seconds that their recipe says, on devices of any name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from nodegraph.core.values import Adapter, DiffusionModel, Recipe, RecipeFile
from nodegraph.residency import ResidencyManager

DERIVING = 0.25
"""Seconds that putting adapters on takes."""


@dataclass
class Component:
    """What a recipe becomes; `place` is where it was loaded or moved to last."""

    module: nn.Module
    recipe: Recipe
    place: str


class Machine:
    """Loads, moves and derives components, counts that, and keeps the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.loaded: list[tuple[str, str]] = []
        self.moved: list[tuple[str, str]] = []
        self.derived: list[str] = []
        self.emptied: list[str] = []

    def clock(self) -> float:
        return self.now

    def load(self, recipe: Recipe, device: str) -> Component:
        self.loaded.append((recipe.digest, device))
        self.now += float(recipe.option("seconds", "0"))
        return Component(_module(int(recipe.option("size"))), recipe, device)

    def move(self, component: Component, device: str) -> Component:
        self.moved.append((component.recipe.digest, device))
        component.place = device
        return component

    def derive(self, base: Component, recipe: Recipe) -> Component:
        self.derived.append(name_of(recipe))
        self.now += DERIVING
        module = _module(sum(int(item.strength) for item in recipe.adapters))
        module.shared = base.module
        return Component(module, recipe, base.place)


def manager_of(machine: Machine, budgets: dict[str, int], **options: Any) -> ResidencyManager:
    """A manager with all tiers, without regard to the memory that there really is."""
    given = {
        "move": machine.move,
        "derive": machine.derive,
        "clock": machine.clock,
        "free": lambda device: None,
        "empty_reserves": machine.emptied.append,
    }
    return ResidencyManager(machine.load, budgets, **given | options)


def recipe_of(name: str, size: int = 10, seconds: float = 0.0) -> DiffusionModel:
    options = (("seconds", str(seconds)), ("size", str(size)))
    return DiffusionModel("sd1", (RecipeFile("", f"/models/{name}", name),), options=options)


def adapted(recipe: DiffusionModel, adapter: str, size: int = 2) -> DiffusionModel:
    """The recipe with an adapter that adds some bytes."""
    return replace(recipe, adapters=(Adapter("lora", f"/loras/{adapter}", adapter, float(size)),))


def name_of(recipe: Recipe) -> str:
    """``a``, or ``a+x`` with adapter x."""
    return "+".join([recipe.digest, *(item.digest for item in recipe.adapters)])


def lying(manager: ResidencyManager, device: str) -> list[str]:
    """Names of what lies on a device, least recently used first."""
    return [name_of(item.recipe) for item in manager.resident() if item.device == device]


def used(
    manager: ResidencyManager,
    recipe: Recipe,
    device: str = "cuda:0",
    *,
    calls_only: bool = True,
) -> Component:
    """Use a component for a moment."""
    with manager.use(recipe, device, calls_only=calls_only) as component:
        found: Component = component
    return found


def _module(size: int) -> nn.Module:
    module = nn.Module()
    weight = torch.zeros(size, dtype=torch.int8)
    module.weight = nn.Parameter(weight, requires_grad=False)
    return module
