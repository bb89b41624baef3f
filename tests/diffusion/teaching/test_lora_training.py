"""A LoRA is taught as by a plain loop of diffusers and peft, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from peft import LoraConfig
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from nodegraph import Dataset, TrainedWeights
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import FAMILIES
from nodegraph.training.examples import BatchOrder, generator_of
from nodegraph.training.files import WEIGHTS
from nodegraph.training.lora_training import (
    LoraShape,
    lora_parameters,
    lora_targets,
    train_lora,
    with_lora,
    with_trained_lora,
)
from tests.diffusion.conftest import one_thread  # noqa: F401 - a fixture
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.tiny_models import TINY
from tests.messages import raises

from .desk import Desk, dataset

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")
ModelOf = Callable[[Callable[[], Any]], Pair]
SHAPE = LoraShape(rank=2, layers="attention")


@pytest.fixture
def desk_of(model_of: ModelOf, tmp_path: Path) -> Callable[[str], tuple[Any, Desk]]:  # noqa: F811
    def made(family: str) -> tuple[Any, Desk]:
        pipeline, model = model_of(TINY[family].build)
        return pipeline, Desk(tmp_path, model.folder)

    return made


def plain_loop(
    network: Any, initial: dict[str, Tensor], ask: Callable[[int], Tensor], steps: int = 3
) -> dict[str, Tensor]:
    """AdamW on peft's layers as diffusers' scripts have it."""
    targets = ["to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj"]
    targets += ["to_add_out"]
    network.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=targets))
    learning = {name: item for name, item in network.named_parameters() if item.requires_grad}
    assert learning.keys() == initial.keys()
    for name, item in learning.items():
        item.data.copy_(initial[name])
    optimizer = torch.optim.AdamW(learning.values(), lr=1e-2, weight_decay=0.01)
    for step in range(steps):
        loss = ask(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    found = {name: item.detach().clone() for name, item in learning.items()}
    network.delete_adapters("default")
    network.requires_grad_(False)
    return found


def initial_of(desk: Desk) -> dict[str, Tensor]:
    with desk.weights.use(desk.recipes.model, "cpu") as shared:
        twin = with_lora(shared.module, rank=2, alpha=2, layers="attention", seed=5)
    return {name: item.detach() for name, item in lora_parameters(twin).items()}


def batch_of(pipeline: Any, given: Dataset, step: int) -> tuple[Tensor, list[str]]:
    """Latents and captions of a step's batch, by the stock VAE."""
    _, visits = BatchOrder(given, 2, 5).batch(step)
    pictures = [given.examples[place].picture.movedim(-1, 0) for place, _ in visits]
    config = pipeline.vae.config
    shift = getattr(config, "shift_factor", None) or 0.0
    with torch.no_grad():
        each = [pipeline.vae.encode(item[None] * 2 - 1).latent_dist.mode() for item in pictures]
    captions = [given.examples[place].caption for place, _ in visits]
    return (torch.cat(each) - shift) * config.scaling_factor, captions


@pytest.mark.slow
def test_a_step_is_that_of_a_plain_loop_of_diffusers(desk_of: Any) -> None:
    stock, desk = desk_of("sd1")
    pipeline = deepcopy(stock)
    given = dataset()
    scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)

    def ask(step: int) -> Tensor:
        latents, captions = batch_of(pipeline, given, step)
        said = pipeline.encode_prompt(captions, "cpu", 1, False)[0]
        generator = generator_of(5, "noise", step)
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = torch.randint(0, 1000, (2,), generator=generator)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        given_back = pipeline.unet(noisy, timesteps, said, return_dict=False)[0]
        return functional.mse_loss(given_back.float(), noise.float(), reduction="mean")

    expected = plain_loop(pipeline.unet, initial_of(desk), ask)
    assert_file_holds(train_lora(desk.room(given), SHAPE), expected, "unet")


@pytest.mark.slow
def test_a_step_of_a_flow_is_that_of_a_plain_loop(desk_of: Any) -> None:
    stock, desk = desk_of("sd3")
    pipeline = deepcopy(stock)
    given = dataset()
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(pipeline.scheduler.config)

    def ask(step: int) -> Tensor:
        latents, captions = batch_of(pipeline, given, step)
        # One by one, as the bits of a prompt may depend on the others of its batch.
        encoded = [
            pipeline.encode_prompt(text, text, text, do_classifier_free_guidance=False)
            for text in captions
        ]
        said, pooled = (torch.cat([item[at] for item in encoded]) for at in (0, 2))
        generator = generator_of(5, "noise", step)
        noise = torch.randn(latents.shape, generator=generator)
        drawn = torch.sigmoid(torch.normal(0.0, 1.0, (2,), generator=generator))
        places = (drawn * 1000).long()
        timesteps = scheduler.timesteps[places]
        sigmas = scheduler.sigmas[places].view(-1, 1, 1, 1)
        noisy = (1.0 - sigmas) * latents + sigmas * noise
        given_back = pipeline.transformer(
            hidden_states=noisy,
            timestep=timesteps,
            encoder_hidden_states=said,
            pooled_projections=pooled,
            return_dict=False,
        )[0]
        return functional.mse_loss(given_back.float(), (noise - latents).float())

    expected = plain_loop(pipeline.transformer, initial_of(desk), ask)
    assert_file_holds(train_lora(desk.room(given), SHAPE), expected, "transformer")


def assert_file_holds(weights: TrainedWeights, expected: dict[str, Tensor], role: str) -> None:
    found = load_file(weights.files[0].path)
    assert len(found) == len(expected) > 0
    for name, tensor in expected.items():
        assert torch.equal(found[f"{role}.{name.replace('.default', '')}"], tensor), name


QUICK = ("flux",)
"""Of variances and of flows, of images and of videos; one whose model is asked apart."""
UNTRAINABLE = [
    name
    for name in TINY
    if FAMILIES[name].preconditioned or FAMILIES[name].needs_image or FAMILIES[name].needs_seed
]


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in TINY
        if name not in UNTRAINABLE
    ],
)
def test_every_family_learns(desk_of: Any, family: str) -> None:
    _, desk = desk_of(family)
    weights = train_lora(desk.room(dataset(2), steps=2, saves_memory=True), SHAPE)
    model, _ = with_trained_lora(weights, desk.recipes.model, None)
    with desk.weights.use(desk.recipes.model, "cpu") as before:
        assert not any(item.requires_grad for item in before.module.parameters())
        layers = len(lora_targets(before.module, "attention"))
    with desk.weights.use(model, "cpu") as after:
        changed = [layer for layer in after.module.modules() if hasattr(layer, "adapter_changes")]
    assert len(changed) == layers > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", UNTRAINABLE)
def test_a_family_that_cannot_learn_is_refused(desk_of: Any, family: str) -> None:
    _, desk = desk_of(family)
    with raises(InvalidValue, port="model", given=family):
        train_lora(desk.room(dataset(2)), SHAPE)


@pytest.mark.slow
def test_the_stock_pipeline_reads_the_file(desk_of: Any) -> None:
    stock, desk = desk_of("sd1")
    pipeline = deepcopy(stock)
    weights = train_lora(desk.room(dataset()), LoraShape(2, 4.0, "all"))
    model, _ = with_trained_lora(weights, desk.recipes.model, None)
    x, said = torch.randn(1, 4, 8, 8), torch.randn(1, 7, pipeline.unet.config.cross_attention_dim)
    with desk.weights.use(model, "cpu") as ours, torch.no_grad():
        expected = ours.module(x, 500, said).sample
    pipeline.load_lora_weights(str(Path(weights.files[0].path).parent), weight_name=WEIGHTS)
    with torch.no_grad():
        found = pipeline.unet(x, 500, said).sample
        pipeline.unload_lora_weights()
        plain = pipeline.unet(x, 500, said).sample
    assert not torch.allclose(found, plain, atol=1e-4)
    assert torch.allclose(found, expected, atol=1e-5)
