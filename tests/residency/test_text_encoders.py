"""Text encoders on an accelerator: kept while the budget holds the rest, else the first to go."""

from __future__ import annotations

import pytest

from nodegraph.core.values import RecipeFile, TextEncoder, Vae
from nodegraph.residency import ResidencyManager
from tests.residency.support import Machine, lying, manager_of, recipe_of, used

GPU = "cuda:0"
DENOISER, OTHER = recipe_of("denoiser", 10), recipe_of("other", 10)
_OPTIONS = (("seconds", "0"), ("size", "6"))
ENCODER = TextEncoder("sd1", (RecipeFile("", "/models/encoder", "encoder"),), options=_OPTIONS)
VAE = Vae("sd1", (RecipeFile("", "/models/vae", "vae"),), options=_OPTIONS)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def run(manager: ResidencyManager, prompts: int = 2) -> None:
    """The uses of a text-to-image workflow."""
    for _ in range(prompts):
        used(manager, ENCODER)
    used(manager, DENOISER)
    used(manager, VAE)


def test_all_is_kept_while_the_budget_holds_it(machine: Machine) -> None:
    manager = manager_of(machine, {GPU: 22})
    run(manager)
    run(manager)
    assert {*lying(manager, GPU)} == {"encoder", "denoiser", "vae"}
    assert machine.moved == []


def test_the_text_encoder_makes_room_for_the_rest_of_its_run(machine: Machine) -> None:
    """Not the VAE, which the run needs next, though it was not used for longer."""
    manager = manager_of(machine, {GPU: 22})
    run(manager)
    used(manager, ENCODER)
    # Another program took memory, or the sampling takes more than the last one.
    with manager.use(DENOISER, GPU, calls_only=True):
        manager._components.make_room(GPU, 4, 0)
    assert lying(manager, GPU) == ["vae", "denoiser"]
    assert lying(manager, "cpu") == ["encoder"]


def test_an_encoder_that_was_never_on_the_device_before_goes_first(machine: Machine) -> None:
    manager = manager_of(machine, {GPU: 16})
    used(manager, ENCODER)
    used(manager, DENOISER)
    used(manager, VAE)
    assert lying(manager, GPU) == ["denoiser", "vae"]


def test_what_no_run_used_since_goes_before_a_text_encoder_that_each_run_uses(
    machine: Machine,
) -> None:
    manager = manager_of(machine, {GPU: 32})
    used(manager, OTHER)
    run(manager)
    used(manager, ENCODER)
    manager._components.make_room(GPU, 10, 0)
    assert {*lying(manager, GPU)} == {"encoder", "denoiser", "vae"}


def test_a_pre_loaded_encoder_stays_until_it_has_read_a_prompt(machine: Machine) -> None:
    manager = manager_of(machine, {GPU: 22})
    used(manager, DENOISER)
    used(manager, VAE)
    assert manager.prefetch(ENCODER, GPU)
    manager._components.make_room(GPU, 4, 0)
    assert lying(manager, GPU) == ["vae", "encoder"]


def test_a_released_encoder_comes_back_from_the_host_without_being_read_again(
    machine: Machine,
) -> None:
    manager = manager_of(machine, {GPU: 16})
    run(manager)
    run(manager)
    assert [name for name, _ in machine.loaded] == ["encoder", "denoiser", "vae"]
