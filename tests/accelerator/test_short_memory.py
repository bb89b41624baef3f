"""Memory that ends: what is in the way goes, what doesn't fit is done with less."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest
import torch

from nodegraph import Workflow
from nodegraph.core.file_digests import FileDigests
from nodegraph.diffusion import (
    ModelRecipes,
    estimate_bytes,
    load_component,
    move_component,
    open_model,
    small_footprint,
)
from nodegraph.models.offloading import offload_component
from nodegraph.residency import ResidencyManager, measuring
from nodegraph.session.devices import matmul_seconds, resolve_device
from nodegraph.session.settings import Settings
from nodegraph.session.weights import device_weights_budget, residency_manager
from tests.accelerator.card import Card
from tests.accelerator.fixtures import MIB
from tests.accelerator.pictures import Painter, Pixels, workflow
from tests.accelerator.pretend import PretendAccelerator

OnCpu = Callable[..., Pixels]
NEAR = 12
"""How far the values of 0..255 of an image decoded in tiles may be off on average."""


@pytest.fixture(scope="module")
def recipes() -> ModelRecipes:
    return open_model("tiny", [], digests=FileDigests())


@pytest.mark.slow
def test_others_weights_go_before_work_runs_out_of_memory(
    painter: Painter, pretend: PretendAccelerator, on_cpu: OnCpu
) -> None:
    """All weights are there and hardly room for work: others' leave, and the pixels are equal."""
    painter.paint(workflow(seed=1))
    gc.collect()
    pretend.resize(pretend.used() + MIB // 4)
    document = workflow(seed=2)
    assert np.array_equal(painter.paint(document), on_cpu(document))
    assert painter.retries() == []
    assert painter.in_parts() == {}


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 20, 64])
def test_a_model_of_a_prompt_has_the_pixels_of_the_cpu(
    size: int, painter: Painter, pretend: PretendAccelerator, on_cpu: OnCpu
) -> None:
    """Its mix is as large as the model: in parts, in turn with the model, or both at once."""
    painter.session._weights.release_all()
    gc.collect()
    pretend.resize(size * MIB)
    document = workflow(seed=3, steps=2, positive={"from": "mix"})
    style = {"model": {"from": "load.model"}, "lora": "tiny/style_lora"}
    mix = {"conditioning": {"from": "prompt"}, "model": {"from": "other.model"}, "strength": 0.6}
    document["nodes"] |= {
        "other": {"type": "LoadLora", "inputs": style},
        "mix": {"type": "ModelConditioning", "inputs": mix},
    }
    assert np.array_equal(painter.paint(document), on_cpu(document))


def test_the_text_encoder_goes_first_once_it_has_read_the_prompt(
    painter: Painter, pretend: PretendAccelerator, on_cpu: OnCpu
) -> None:
    """With room, all stays there. Where sampling needs more, the VAE stays for its turn."""

    def there() -> set[str]:
        resident = painter.session._weights.resident()
        return {type(item.recipe).__name__ for item in resident if item.device == "cuda:0"}

    painter.paint(workflow(seed=1, steps=1))
    assert there() >= {"TextEncoder", "DiffusionModel", "Vae"}
    document = workflow(seed=2, steps=1)
    document["nodes"]["prompt"]["inputs"]["text"] = "a blue pear"
    painter.run(document, targets=["prompt"])
    gc.collect()
    pretend.resize(pretend.used() + MIB // 4)
    painter.run(document, targets=["sample"])
    assert there() >= {"DiffusionModel", "Vae"}
    assert "TextEncoder" not in there()
    assert np.array_equal(painter.paint(document), on_cpu(document))
    assert painter.retries() == []


def test_weights_that_never_fit_come_in_parts_to_the_same_picture(
    painter: Painter, pretend: PretendAccelerator, on_cpu: OnCpu
) -> None:
    """The UNet alone is larger than the device. No try fails before; with room, it is whole."""
    pretend.resize(12 * MIB)
    for seed in range(2):
        document = workflow(seed=seed, steps=2)
        plan = painter.session.plan(Workflow.from_dict(document))
        assert [plan.nodes[name].fit for name in ("sample", "decode")] == ["parts", "whole"]
        assert np.array_equal(painter.paint(document), on_cpu(document))
        assert painter.retries() == []
        assert painter.in_parts() == {"sample": "layer by layer"}
        gc.collect()
        there = [item for item in painter.session._weights.resident() if item.device == "cuda:0"]
        names = {type(item.recipe).__name__ for item in there}
        assert names <= {"TextEncoder", "PreviewDecoder", "Vae"}
        assert pretend.used() < 1.1 * sum(item.bytes for item in there)
    pretend.resize(64 * MIB)
    document = workflow(seed=5, steps=2)
    assert np.array_equal(painter.paint(document), on_cpu(document))
    assert painter.in_parts() == {}
    painter.session._weights.release_all()
    gc.collect()
    assert pretend.used() == 0


def test_a_large_picture_is_decoded_in_tiles(
    painter: Painter, pretend: PretendAccelerator, on_cpu: OnCpu
) -> None:
    document = workflow(size=256, steps=1)
    painter.run(document, targets=["sample"])
    painter.session._weights.release_all()
    pretend.resize(20 * MIB)
    apart = np.abs(painter.paint(document).astype(int) - on_cpu(document))
    assert painter.retries() == [("decode", "small")]
    assert 0 < apart.mean() < NEAR


def test_tiles_are_chosen_before_a_try_that_is_expected_to_fail(
    painter: Painter, pretend: PretendAccelerator
) -> None:
    """Nothing is tried in full where the estimate is far above the memory of the device."""
    document = workflow(size=384, steps=1)
    painter.run(document, targets=["sample"])
    painter.session._weights.release_all()
    gc.collect()
    pretend.resize(20 * MIB)
    painter.run(document, targets=["decode"])
    retried = [event.data for event in painter.events if event.kind == "node.retried"]
    assert [data["reason"] for data in retried] == ["too little memory"]
    assert "tiled VAE" in retried[0]["measure"]


@pytest.mark.slow
@pytest.mark.gpu
def test_two_models_take_turns_where_both_have_no_room(
    painter_in: Callable[[int], Painter], card: Card, on_cpu: OnCpu
) -> None:
    """Of one in float32 and one in float16, each has room alone."""
    painter = painter_in(48 * MIB)
    for seed in (1, 2):
        document = workflow(seed=seed)
        card.assert_pixels_of_cpu(painter.paint(document), on_cpu(document))
        assert painter.retries() == []
        painter.run(workflow("float16", seed=seed))
        assert painter.retries() == []
        held = [item.bytes for item in painter.session._weights.resident() if item.device != "cpu"]
        assert sum(held) <= 36 * MIB, "a quarter is left for work"


def test_a_failure_says_who_has_the_memory_and_keeps_none(
    painter: Painter, pretend: PretendAccelerator
) -> None:
    others = torch.empty(40 * MIB, dtype=torch.uint8, device="cuda:0")
    pretend.resize(40 * MIB + 64 * 1024)
    result = painter.run(workflow())
    message = str(result.errors[0])
    assert "out of memory on cuda:0: 1.7 MB more were needed" in message
    assert "64.5 kB of 42.0 MB are free, weights hold 0 B, other tensors 41.9 MB" in message
    del others
    painter.session._weights.release_all()
    gc.collect()
    assert pretend.used() == 0, "the error is kept, and none of what its frames held"


@pytest.mark.parametrize(
    ("total", "setting", "kept"),
    [(1024 * MIB, None, 2), (1024 * MIB, 30 * MIB, 1), (40 * MIB, None, 1)],
)
def test_a_device_keeps_three_quarters_of_its_memory_as_weights_unless_told(
    pretend: PretendAccelerator, recipes: ModelRecipes, total: int, setting: int | None, kept: int
) -> None:
    pretend.resize(total)
    manager = residency_manager(Settings(weights_budget=setting), "cuda:0")
    for recipe in (recipes.model, recipes.vae):
        with manager.use(recipe, "cuda:0"):
            pass
    assert len([item for item in manager.resident() if item.device == "cuda:0"]) == kept
    manager.release_all()


def test_of_a_large_device_eight_gibibytes_are_enough_for_work(pretend: PretendAccelerator) -> None:
    pretend.resize(80 * 2**30)
    assert device_weights_budget("cuda:0") == 72 * 2**30
    assert device_weights_budget("cuda:1") == 24 * MIB
    assert device_weights_budget("cpu") is None


@pytest.mark.gpu
def test_a_device_has_one_name(
    card: Card, painter_on: Callable[..., Painter], recipes: ModelRecipes
) -> None:
    assert resolve_device("cuda") == "cuda:0"
    assert painter_on("cuda").session.environment.device == "cuda:0"
    manager = ResidencyManager(
        load_component, {"cuda": 2**34}, move=move_component, lean=offload_component
    )
    with manager.use(recipes.vae, "cuda") as one, manager.use(recipes.vae, "cuda:0") as other:
        assert one is other
        with small_footprint(one, "cuda") as small:
            assert small.module is one.module, "it is there already"
    assert manager.relieve("cuda") >= estimate_bytes(recipes.vae)
    assert card.used() == 0


@pytest.mark.gpu
@pytest.mark.usefixtures("card")
def test_peaks_that_overlap_are_told_by_whatever_name() -> None:
    with measuring("cuda:0") as outer:
        torch.empty(4 * MIB, dtype=torch.uint8, device="cuda:0")
        with measuring("cuda") as inner:
            torch.empty(MIB, dtype=torch.uint8, device="cuda:0")
    assert (outer.bytes, inner.bytes) == (4 * MIB, MIB)


def test_how_fast_a_full_device_is_stays_unknown(pretend: PretendAccelerator) -> None:
    pretend.resize(16 * MIB)
    assert matmul_seconds("cuda:0") is None
