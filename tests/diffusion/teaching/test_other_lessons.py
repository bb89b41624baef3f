"""Whole models, words, subjects and control networks learn as by plain loops of diffusers."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel, DDPMScheduler
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from nodegraph import InvalidValue, Preprocessor
from nodegraph.training.examples import generator_of
from nodegraph.training.lora_training import LoraShape, train_lora
from nodegraph.training.textual_inversion import train_word, with_trained_word
from nodegraph.training.trained_weights import apply_trained
from nodegraph.training.training_run import class_pictures, with_caption
from nodegraph.training.whole_networks import (
    control_recipe,
    new_control,
    train_control_net,
    train_whole_model,
    with_trained_model,
)
from tests.diffusion.conftest import one_thread  # noqa: F401 - a fixture
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.tiny_models import TINY
from tests.messages import raises

from .desk import Desk, dataset
from .test_lora_training import batch_of

ModelOf = Callable[[Callable[[], Any]], Pair]
Parts = tuple[Any, Desk]


@pytest.fixture
def parts(model_of: ModelOf, tmp_path: Path) -> Parts:  # noqa: F811
    pipeline, model = model_of(TINY["sd1"].build)
    return deepcopy(pipeline), Desk(tmp_path, model.folder)


def plain_steps(
    learning: list[nn.Parameter],
    loss_of: Callable[[int], Tensor],
    *,
    clip: float = 1.0,
    kept_rows: int = 0,
) -> None:
    before = learning[0].detach()[:kept_rows].clone()
    optimizer = torch.optim.AdamW(learning, lr=1e-2, weight_decay=0.01)
    for step in range(3):
        loss_of(step).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(learning, clip)
        optimizer.step()
        learning[0].data[:kept_rows] = before
        optimizer.zero_grad()


def noised(pipeline: Any, latents: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
    scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
    generator = generator_of(5, "noise", step)
    noise = torch.randn(latents.shape, generator=generator)
    timesteps = torch.randint(0, 1000, (len(latents),), generator=generator)
    return noise, timesteps, scheduler.add_noise(latents, noise, timesteps)


@pytest.mark.slow
def test_a_whole_model_learns_as_by_a_plain_loop(parts: Parts) -> None:
    pipeline, desk = parts
    given, unet = dataset(), deepcopy(pipeline.unet).requires_grad_(True)

    def loss(step: int) -> Tensor:
        latents, captions = batch_of(pipeline, given, step)
        said = pipeline.encode_prompt(captions, "cpu", 1, False)[0]
        noise, timesteps, noisy = noised(pipeline, latents, step)
        return functional.mse_loss(unet(noisy, timesteps, said).sample, noise)

    plain_steps(list(unet.parameters()), loss)
    weights = train_whole_model(desk.room(given))
    model = with_trained_model(weights, desk.recipes.model)
    with desk.weights.use(model, "cpu") as after:
        for name, item in after.module.state_dict().items():
            assert torch.equal(item, unet.state_dict()[name]), name
    assert apply_trained(weights, *desk.recipes[:2])[0] == model


@pytest.mark.slow
def test_kept_pictures_weigh_as_in_dreambooth(parts: Parts) -> None:
    pipeline, desk = parts
    given, kept = dataset(), dataset(2, said="a plain one")
    unet = deepcopy(pipeline.unet).requires_grad_(True)

    def loss(step: int) -> Tensor:
        batches = [batch_of(pipeline, item, step) for item in (given, kept)]
        latents = torch.cat([item[0] for item in batches])
        said = pipeline.encode_prompt(batches[0][1] + batches[1][1], "cpu", 1, False)[0]
        noise, timesteps, noisy = noised(pipeline, latents, step)
        answers, priors = unet(noisy, timesteps, said).sample.chunk(2)
        targets, prior_targets = noise.chunk(2)
        own = functional.mse_loss(answers, targets)
        return own + 0.5 * functional.mse_loss(priors, prior_targets)

    plain_steps(list(unet.parameters()), loss)
    found = load_file(train_whole_model(desk.room(given, kept, kept_weight=0.5)).files[0].path)
    for name, item in unet.state_dict().items():
        assert torch.equal(found[name], item), name


def test_a_word_is_learned_as_by_a_plain_loop(parts: Parts) -> None:
    pipeline, desk = parts
    given = dataset(said="a <fox>")
    tokenizer, encoder = deepcopy(pipeline.tokenizer), deepcopy(pipeline.text_encoder)
    tokenizer.add_tokens("<fox>")
    encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    table = encoder.get_input_embeddings().weight.requires_grad_(True)
    begun = tokenizer("red", add_special_tokens=False).input_ids[0]
    table.data[len(tokenizer) - 1] = table.data[begun]

    def loss(step: int) -> Tensor:
        latents, captions = batch_of(pipeline, given, step)
        each = [
            tokenizer(text, padding="max_length", truncation=True, return_tensors="pt").input_ids
            for text in captions
        ]
        said = torch.cat([encoder(ids)[0] for ids in each])
        noise, timesteps, noisy = noised(pipeline, latents, step)
        return functional.mse_loss(pipeline.unet(noisy, timesteps, said).sample, noise)

    # All other words have gradients there, which the length of all would be clipped by.
    plain_steps([table], loss, clip=0.0, kept_rows=len(tokenizer) - 1)
    weights = train_word(desk.room(given, clip=0.0), "<fox>", begin="red")
    [row] = load_file(weights.files[0].path).values()
    assert torch.equal(row[0], table[len(tokenizer) - 1])
    encoder_recipe = with_trained_word(weights, desk.recipes.text_encoder)
    with desk.weights.use(encoder_recipe, "cpu") as text_model:
        assert "<fox>" in text_model.tokenizers["tokenizer"].words


def test_the_stock_pipeline_reads_a_word(parts: Parts) -> None:
    pipeline, desk = parts
    weights = train_word(desk.room(dataset(), steps=1), "<fox>", vectors=2)
    pipeline.load_textual_inversion(weights.files[0].path)
    assert "<fox>" in pipeline.tokenizer.get_vocab()
    pipeline.unload_textual_inversion()


def bright(image: Tensor) -> Tensor:
    return (image.mean(-1, keepdim=True) > 0.5).float()


@pytest.mark.slow
def test_a_control_network_learns_as_by_a_plain_loop(parts: Parts) -> None:
    pipeline, desk = parts
    given = dataset()
    network = deepcopy(new_control(pipeline.unet))

    def loss(step: int) -> Tensor:
        from nodegraph.training.examples import BatchOrder

        latents, captions = batch_of(pipeline, given, step)
        _, visits = BatchOrder(given, 2, 5).batch(step)
        pictures = torch.stack([given.examples[place].picture for place, _ in visits])
        hints = bright(pictures).expand(-1, -1, -1, 3).movedim(-1, 1).contiguous()
        said = pipeline.encode_prompt(captions, "cpu", 1, False)[0]
        noise, timesteps, noisy = noised(pipeline, latents, step)
        down, mid = network(noisy, timesteps, said, hints, return_dict=False)
        answer = pipeline.unet(
            noisy,
            timesteps,
            said,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        ).sample
        return functional.mse_loss(answer, noise)

    plain_steps(list(network.parameters()), loss)
    weights = train_control_net(desk.room(given), Preprocessor(bright))
    with desk.weights.use(control_recipe(weights, "float32"), "cpu") as found:
        assert isinstance(found.module, ControlNetModel)
        for name, item in found.module.state_dict().items():
            assert torch.equal(item, network.state_dict()[name]), name


@pytest.mark.slow
def test_a_subject_is_learned_beside_pictures_of_its_class(parts: Parts) -> None:
    _, desk = parts
    room = desk.room(dataset(), steps=1)
    room = replace(room, dataset=with_caption(room.dataset, "a sks fox"))
    kept = class_pictures(room, "a fox", 2, steps=2)
    assert [item.caption for item in kept.examples] == ["a fox"] * 2
    assert kept.examples[0].size == (64, 64)
    weights = train_lora(replace(room, kept=kept), LoraShape(2), ("a sks fox",))
    assert weights.words == ("a sks fox",)


def test_what_a_family_can_not_learn_is_told(model_of: ModelOf, tmp_path: Path) -> None:  # noqa: F811
    _, model = model_of(TINY["sd3"].build)
    room = Desk(tmp_path, model.folder).room(dataset())
    with raises(InvalidValue, port="text_encoder"):
        train_word(room, "<fox>")
    with raises(InvalidValue, port="model"):
        train_control_net(room, Preprocessor(bright))
    with raises(InvalidValue, port="options", given="min_snr 5"):
        train_lora(replace(room, plan=desk_plan(min_snr=5.0)), LoraShape(2))


def desk_plan(**options: Any) -> Any:
    from nodegraph.training.options import TrainingOptions, TrainingPlan

    return TrainingPlan(1, 1, options=TrainingOptions(**options))


@pytest.mark.parametrize(
    ("word", "template"),
    [
        ("", "a {}"), (" x", "a {}"), ("<x>", "a photo"),
        ("(x:1.2)", "a {}"), ("[x]", "a {}"), ("x BREAK", "a {}"),
    ],
)  # fmt: skip
def test_words_that_are_none_are_told(parts: Parts, word: str, template: str) -> None:
    with pytest.raises(InvalidValue):
        train_word(parts[1].room(dataset()), word, template=template)


def test_weights_for_another_family_are_refused(parts: Parts) -> None:
    _, desk = parts
    weights = replace(train_lora(desk.room(dataset(), steps=1), LoraShape(1)), family="flux")
    with raises(InvalidValue, port="weights", given="weights for Flux.1"):
        apply_trained(weights, *desk.recipes[:2])
    # As they are taught: no model is of the classifier's family.
    classifier = replace(weights, kind="classifier", family="convnext")
    with raises(InvalidValue, port="weights", given="classifier"):
        apply_trained(classifier, *desk.recipes[:2])
