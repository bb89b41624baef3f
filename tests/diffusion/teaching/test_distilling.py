"""Students are distilled as by plain loops of diffusers and peft, to the last bit, and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from safetensors.torch import load_file
from torch import Tensor

from nodegraph import Cancelled, InvalidValue
from nodegraph.training.distillation import DistillationPlan, distilled_lora, with_generated_dataset
from nodegraph.training.examples import generator_of
from nodegraph.training.options import TrainingSamples
from tests.diffusion.conftest import one_thread, sd1_folder  # noqa: F401 - fixtures
from tests.diffusion.families.conftest import model_of  # noqa: F401 - a fixture
from tests.messages import raises

from .desk import Desk, dataset, told
from .test_lora_training import (
    SHAPE,
    assert_file_holds,
    batch_of,
    desk_of,  # noqa: F401 - a fixture
    initial_of,
    plain_loop,
)
from .test_running import stopping_after

HUBER = 0.03


@pytest.fixture
def desk(tmp_path: Path, sd1_folder: Path) -> Desk:  # noqa: F811
    return Desk(tmp_path, sd1_folder)


def huber(given: Tensor, target: Tensor) -> Tensor:
    return (((given - target).square() + HUBER**2).sqrt() - HUBER).mean()


def boundary(times: Tensor) -> tuple[Tensor, Tensor]:
    """As diffusers' `LCMScheduler` has it: what of the input is kept, and of the guess taken."""
    scaled = times.float() * 10.0
    keep, take = 0.25 / (scaled**2 + 0.25), scaled / (scaled**2 + 0.25) ** 0.5
    return keep.view(-1, 1, 1, 1), take.view(-1, 1, 1, 1)


def sd1_loop(
    pipeline: Any, given: Any, target_of: Callable[..., tuple[Tensor, Tensor, Tensor]]
) -> Callable[[int], Tensor]:
    """A step's loss.

    Args:
        target_of: Of noisy latents' ingredients: places, what was seen, and what is to be said.
    """
    table = DDPMScheduler.from_config(pipeline.scheduler.config).alphas_cumprod
    unet = pipeline.unet

    def levels(times: Tensor) -> tuple[Tensor, Tensor]:
        return (table[times] ** 0.5).view(-1, 1, 1, 1), ((1 - table[times]) ** 0.5).view(
            -1, 1, 1, 1
        )

    def guessed(answer: Tensor, noisy: Tensor, times: Tensor) -> Tensor:
        signal, noise = levels(times)
        return (noisy - noise * answer) / signal

    def student(noisy: Tensor, times: Tensor, said: Tensor) -> Tensor:
        keep, take = boundary(times)
        answer = unet(noisy, times, said, return_dict=False)[0]
        return take * guessed(answer, noisy, times) + keep * noisy

    def teacher(noisy: Tensor, times: Tensor, said: Tensor, away: Tensor) -> tuple[Tensor, Tensor]:
        unet.disable_adapters()
        both = unet(torch.cat([noisy] * 2), torch.cat([times] * 2), torch.cat([said, away]), False)[
            0
        ]
        unet.enable_adapters()
        towards, unled = both.chunk(2)
        answer = unled + 4.0 * (towards - unled)
        return guessed(answer, noisy, times), answer

    def stepped(clean: Tensor, rest: Tensor, times: Tensor) -> Tensor:
        signal, noise = levels(times)
        return signal * clean + noise * rest

    def ask(step: int) -> Tensor:
        latents, captions = batch_of(pipeline, given, step)
        said = pipeline.encode_prompt(captions, "cpu", 1, False)[0]
        away = pipeline.encode_prompt("", "cpu", 1, False)[0].expand_as(said)
        generator = generator_of(5, "noise", step)
        noise = torch.randn(latents.shape, generator=generator)
        with torch.no_grad():
            times, noisy, target = target_of(
                generator,
                lambda at: stepped(latents, noise, at),
                lambda seen, at: teacher(seen, at, said, away),
                stepped,
                lambda seen, at: student(seen, at, said),
            )
        return huber(student(noisy, times, said), target)

    return ask


def by_trajectory(
    generator: torch.Generator, begin: Any, teacher: Any, stepped: Any, student: Any
) -> tuple[Tensor, Tensor, Tensor]:
    times = torch.randint(1, 1000, (2,), generator=generator)
    times = torch.where(torch.rand((2,), generator=generator) < 0.1, 999, times)
    noisy = begun = begin(times)
    for here, to in ((times, times // 2), (times // 2, times * 0)):
        clean, rest = teacher(noisy, here)
        noisy = stepped(clean, rest, to)
    return times, begun, clean


def by_consistency(
    generator: torch.Generator, begin: Any, teacher: Any, stepped: Any, student: Any
) -> tuple[Tensor, Tensor, Tensor]:
    times = torch.randint(0, 50, (2,), generator=generator) * 20 + 19
    begun = begin(times)
    before = (times - 20).clamp(min=0)
    return times, begun, student(stepped(*teacher(begun, times), before), before)


@pytest.mark.parametrize(
    ("kind", "steps", "target_of"),
    [
        ("trajectory", 2, by_trajectory),
        pytest.param("consistency", 0, by_consistency, marks=pytest.mark.slow),
    ],
)
def test_a_step_is_that_of_a_plain_loop(
    desk_of: Any,  # noqa: F811
    kind: Any,
    steps: int,
    target_of: Any,
) -> None:
    pipeline, desk = desk_of("sd1")
    given = dataset()
    expected = plain_loop(pipeline.unet, initial_of(desk), sd1_loop(pipeline, given, target_of))
    how = DistillationPlan(kind, cfg=4.0, teacher_steps=steps, huber=HUBER)
    weights = distilled_lora(desk.room(given), SHAPE, how)
    assert_file_holds(weights, expected, "unet")
    assert dict(weights.settings)["distilled"] == kind


@pytest.mark.slow
def test_a_step_of_a_flow_is_that_of_a_plain_loop(desk_of: Any) -> None:  # noqa: F811
    pipeline, desk = desk_of("sd3")
    given = dataset()
    # as it was made: sampling sets it to its own steps
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    levels = scheduler.sigmas[:1000].flip(0)

    def ask(step: int) -> Tensor:
        latents, captions = batch_of(pipeline, given, step)
        encoded = [
            pipeline.encode_prompt(text, text, text, do_classifier_free_guidance=False)
            for text in captions
        ]
        said, pooled = (torch.cat([item[at] for item in encoded]) for at in (0, 2))
        generator = generator_of(5, "noise", step)
        noise = torch.randn(latents.shape, generator=generator)
        places = torch.randint(0, 50, (2,), generator=generator) * 20 + 19

        def velocity(noisy: Tensor, at: Tensor) -> Tensor:
            answer: Tensor = pipeline.transformer(
                hidden_states=noisy,
                timestep=levels[at] * 1000,
                encoder_hidden_states=said,
                pooled_projections=pooled,
                return_dict=False,
            )[0]
            return answer

        here = levels[places].view(-1, 1, 1, 1)
        to = levels[(places - 20).clamp(min=0)].view(-1, 1, 1, 1)
        noisy = (1.0 - here) * latents + here * noise
        with torch.no_grad():
            pipeline.transformer.disable_adapters()
            led = velocity(noisy, places)
            pipeline.transformer.enable_adapters()
            reached = (1.0 - to) * (noisy - here * led) + to * (noisy + (1.0 - here) * led)
            target = reached - to * velocity(reached, (places - 20).clamp(min=0))
        return huber(noisy - here * velocity(noisy, places), target)

    expected = plain_loop(pipeline.transformer, initial_of(desk), ask)
    how = DistillationPlan("consistency", cfg=1.0, huber=HUBER)
    assert_file_holds(distilled_lora(desk.room(given), SHAPE, how), expected, "transformer")


@pytest.mark.slow
def test_a_distillation_by_prompts_goes_on_to_the_same_bits_and_is_watched(desk: Desk) -> None:
    samples = TrainingSamples(("a fox",), every=2, steps=2, cfg=1.0, width=64, height=64)
    how = DistillationPlan(teacher_steps=2, negative="blue")

    def student(**more: Any) -> Any:
        room = desk.room(dataset(), steps=4, samples=samples, **more)
        return distilled_lora(
            with_generated_dataset(room, ["a fox", "an owl"], 1, 2.0, steps=2), SHAPE, how
        )

    whole = student()
    desk.forget()
    with pytest.raises(Cancelled):
        student(watch=stopping_after(2))
    desk.events.clear()
    resumed = student()
    assert told(desk, "node.restored")
    assert told(desk, "node.preview")
    assert whole == resumed
    assert any(item.any() for item in load_file(whole.files[0].path).values())


def test_what_does_not_go_is_refused(desk: Desk) -> None:
    with raises(InvalidValue, port="prompts", given="no dataset and no prompts"):
        with_generated_dataset(desk.room(dataset()), [], 1, 2.0)
    with raises(InvalidValue, port="options", given="min_snr 5, levels auto"):
        distilled_lora(desk.room(dataset(), min_snr=5.0), SHAPE, DistillationPlan())
    with raises(InvalidValue, port="teacher_steps", given="1001"):
        distilled_lora(desk.room(dataset()), SHAPE, DistillationPlan(teacher_steps=1001))
