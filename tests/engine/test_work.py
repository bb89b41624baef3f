"""What decides how long a call takes, and how much of it there is to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from nodegraph.api import Estimate, HookInputs, Latent, Seed, node
from nodegraph.core.context import Environment
from nodegraph.core.graph import GraphNode, LinkSource
from nodegraph.core.node import definition_of
from nodegraph.core.values import RecipeFile, Vae
from nodegraph.engine.call_records import Work, loading_work, work_of
from nodegraph.engine.engine import Engine
from nodegraph.packs.registry import Registry


@node
def Empty(width: int, height: int, batch: int) -> Latent:
    """A latent."""
    raise NotImplementedError


@node
def Sample(
    latent: Latent,
    seed: Annotated[int, Seed()] = 0,
    steps: int = 20,
    cfg: float = 7.0,
    sampler: Literal["euler", "heun"] = "euler",
    tiled: bool = False,
    prompt: str = "",
) -> Latent:
    """Sample."""
    return latent


def evaluated(inputs: HookInputs) -> Estimate:
    return Estimate(work=3.0 * inputs.literals["steps"])


@node(estimate=evaluated)
def Estimated(latent: Latent, steps: int = 20) -> Latent:
    """Knows its own work."""
    return latent


def failing(inputs: HookInputs) -> Estimate:
    raise RuntimeError("no idea")


@node(estimate=failing)
def Failing(steps: int = 20) -> int:
    """Has an estimate that fails."""
    return steps


def work(kind: Any = Sample, batch: int = 2, mask: Mapping[str, Any] = {}, **literals: Any) -> Work:
    registry = Registry()
    registry.add(Empty, Sample, Estimated, Failing)
    spec = definition_of(kind).spec
    given = {port.name: port.default for port in spec.inputs if port.name != "latent"} | literals
    size = {"latent": {"width": 64, "height": 32, "batch": batch}}
    before = GraphNode("size", definition_of(Empty).spec, {}, {}, facts=size)
    links = {"latent": LinkSource("size", "latent")} if "latent" in spec.inputs_by_name else {}
    made = GraphNode("sample", spec, given, links, facts={"latent": mask} if mask else {})
    engine = Engine(registry, environment=Environment((), *[Path()] * 3))
    try:
        return work_of(made, {"size": before}, engine.shared)
    finally:
        engine.close()


def test_a_shape_names_what_decides_on_the_time() -> None:
    assert work().shape == (
        "batch=2 height=32 sampler=euler steps=20 tiled=False width=64 work=81920"
    )
    assert work().kind == "sampler=euler tiled=False"


@pytest.mark.parametrize("change", [{"seed": 5}, {"prompt": "a fox"}, {"cfg": 1.5}])
def test_seeds_texts_and_fractions_are_no_part_of_it(change: dict[str, Any]) -> None:
    assert work(**change) == work()


@pytest.mark.parametrize("change", [{"steps": 5}, {"sampler": "heun"}, {"tiled": True}])
def test_whole_numbers_choices_and_switches_are(change: dict[str, Any]) -> None:
    assert work(**change).shape != work().shape


def test_facts_that_differ_between_ports_are_told_apart() -> None:
    assert "latent.width=64" in work(mask={"width": 8}).shape


def test_the_amount_grows_with_pixels_pictures_and_steps() -> None:
    amount = work().amount
    assert amount == 64 * 32 * 2 * 20
    assert work(steps=40).amount == work(batch=4).amount == 2 * amount


def test_what_a_node_says_itself_goes_before() -> None:
    assert work(Estimated).amount == 60


def test_an_estimate_that_fails_tells_nothing() -> None:
    assert work(Failing).amount == 20


def test_other_weights_are_work_of_another_kind() -> None:
    one, other = (work().by({"model": digest * 64}) for digest in "ab")
    assert one.kind != other.kind
    assert one.shape != other.shape
    assert one.amount == other.amount == work().amount
    assert work().by({}) == work()


def test_loading_grows_with_the_size_of_weights() -> None:
    recipes = [Vae("sd1", (RecipeFile("", "/one", digest * 64),)) for digest in "ab"]
    one, other = (loading_work(recipe, 500) for recipe in recipes)
    assert one.shape != other.shape
    assert (one.kind, one.amount) == (other.kind, other.amount) == ("Vae", 500)
