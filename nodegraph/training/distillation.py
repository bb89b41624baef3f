"""Distillation of few-step students: a LoRA that predicts where trajectories end.

The teacher is the same network without the LoRA, asked with guidance, which the student thereby
learns to do without. Two kinds:

- ``trajectory``: the teacher walks a few guided steps from a noised image to the end, and the
  student learns where that is. Source: as Luhman & Luhman 2021, arXiv:2101.02388, from any point.
- ``consistency``: the teacher walks one guided step, and the student learns to say there and here
  the same. Source: Luo et al. 2023, arXiv:2310.04378, algorithm 1, and as a LoRA arXiv:2311.05556;
  without averaged weights for the target, as diffusers' scripts for LoRAs.

A place is one of the model's training timesteps, counted from the least noise, 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nodegraph.core.training_values import Dataset, TrainedWeights
from nodegraph.core.values import ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import FlowNoise, ModelNoise, model_noise
from nodegraph.families.model_step import Lead
from nodegraph.families.registry import get_family
from nodegraph.sampling.samplers.ddim import SIGMA_DATA
from nodegraph.training.denoising_task import (
    DenoisingTask,
    EncodedDataset,
    Measure,
    NoisyBatch,
    TrainingItem,
    drawn_noise_of,
    flow_levels,
)
from nodegraph.training.examples import generator_of
from nodegraph.training.loop import Parameters
from nodegraph.training.lora_training import LoraShape, train_lora
from nodegraph.training.options import DistillationKind, TrainingPlan, check_trainable
from nodegraph.training.training_run import PictureRequest, TrainingSetup, generate_pictures


@dataclass(frozen=True)
class TimestepTable:
    """The noise of each training timestep, and what answers mean there.

    Attributes:
        signal, noise: What image and noise are multiplied by; float32, shape (timesteps,).
        timesteps: What the model is told; same shape.
        kind: What it answers: ``epsilon``, ``v_prediction``, ``sample``, or ``flow``: the noise
            less the image.
        scaling: Of timesteps in the boundary condition; None for flows, which need none.
    """

    signal: Tensor
    noise: Tensor
    timesteps: Tensor
    kind: str
    scaling: float | None

    @classmethod
    def of(cls, noise: ModelNoise, device: torch.device) -> TimestepTable:
        """Those of what a model was trained on."""
        if isinstance(noise, FlowNoise):
            levels = flow_levels(noise).flip(0).to(device)
            return cls(1.0 - levels, levels, levels * noise.timesteps, "flow", None)
        table = noise.alphas_cumprod.to(device)
        timesteps = torch.arange(noise.timesteps, device=device)
        kind, scaling = noise.prediction_type, noise.timestep_scaling
        return cls(table**0.5, (1 - table) ** 0.5, timesteps, kind, scaling)

    @property
    def count(self) -> int:
        """Of the places."""
        return len(self.signal)

    def add_noise(self, clean: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """What lies at places; all shaped (examples, channels, …)."""
        return _wide(self.signal[places], clean) * clean + _wide(self.noise[places], noise) * noise

    def split_prediction(
        self, answer: Tensor, noisy: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Image and noise that an answer sees in what was seen; float32."""
        answer, noisy = answer.float(), noisy.float()
        signal, noise = (_wide(item[places], noisy) for item in (self.signal, self.noise))
        if self.kind == "flow":
            return noisy - noise * answer, noisy + signal * answer
        if self.kind == "v_prediction":
            return signal * noisy - noise * answer, signal * answer + noise * noisy
        if self.kind == "sample":
            return answer, (noisy - signal * answer) / noise
        return (noisy - noise * answer) / signal, answer

    def predict_endpoint(self, answer: Tensor, noisy: Tensor, places: Tensor) -> Tensor:
        """Where an answer says that the trajectory through what was seen ends; float32.

        At place 0 of a table it is what was seen, whatever the answer: as the sampler `lcm` has it.
        Source: Song et al. 2023, arXiv:2303.01469, appendix C.
        """
        clean, _ = self.split_prediction(answer, noisy, places)
        if self.scaling is None:
            return clean
        scaled = places.float() * self.scaling
        keep = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        take = scaled / (scaled**2 + SIGMA_DATA**2) ** 0.5
        return _wide(take, clean) * clean + _wide(keep, noisy) * noisy.float()


def _wide(numbers: Tensor, like: Tensor) -> Tensor:
    """Numbers of examples, to be multiplied with what they are of."""
    return numbers.view(-1, *(1,) * (like.ndim - 1))


SAMPLER = "lcm"
"""What students are sampled by."""
_USUAL_STEPS: Mapping[str, int] = {"trajectory": 4, "consistency": 50}
_AT_START = 0.1
"""Share of the examples at the last place, where every sampling begins."""


@dataclass(frozen=True)
class DistillationPlan:
    """How a student is taught.

    Attributes:
        kind: See above.
        cfg: The teacher's guidance scale.
        negative: What the teacher is led away from; if empty, what stands for no prompt.
        teacher_steps: From any place to the end; of consistency: from noise to image, of which
            it walks one. 0: 4, of consistency 50.
        huber: Where the loss turns from squared to absolute, in units of latents.
    """

    kind: DistillationKind = "trajectory"
    cfg: float = 4.0
    negative: str = ""
    teacher_steps: int = 0
    huber: float = 0.03

    @property
    def steps(self) -> int:
        """The teacher's."""
        return self.teacher_steps or _USUAL_STEPS[self.kind]

    def to_settings(self) -> tuple[tuple[str, str], ...]:
        """As settings of what was taught."""
        return (
            *(("distilled", self.kind), ("cfg", f"{self.cfg:g}"), ("negative", self.negative)),
            *(("teacher_steps", str(self.steps)), ("huber", f"{self.huber:g}")),
        )


class DistillationTask(DenoisingTask):
    """A student that learns where its teacher's trajectories end.

    Args:
        teacher: The denoiser without what learns.
        model, parameters, datasets, prompts, plan: As of `DenoisingTask`.
        distillation: What it learns by.
        negative: What the teacher is led away from; None: it isn't guided.
    """

    def __init__(
        self,
        teacher: Denoiser,
        model: Denoiser,
        parameters: Parameters,
        datasets: Sequence[EncodedDataset],
        prompts: Mapping[str, ConditioningEntry],
        plan: TrainingPlan,
        *,
        distillation: DistillationPlan,
        negative: ConditioningEntry | None,
    ) -> None:
        super().__init__(model, parameters, datasets, prompts, plan)
        self._teacher, self._how, self._away = teacher, distillation, negative
        noise = model_noise(model.scheduler_config, self._family)
        self._places = TimestepTable.of(noise, model.device)
        if distillation.steps > self._places.count:
            raise InvalidValue(
                "the teacher takes more steps than the model has timesteps",
                port="teacher_steps",
                given=str(distillation.steps),
                expected=f"at most {self._places.count}",
            )

    @property
    def _measure(self) -> Measure:
        def measure(answer: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
            return huber_loss(answer, target, weights, self._how.huber)

        return measure

    def _predict(
        self, group: Sequence[TrainingItem], generator: torch.Generator
    ) -> tuple[Tensor, NoisyBatch]:
        latents = torch.stack([item.latent for item in group]).to(self.device)
        noise = drawn_noise_of(latents, generator, self._plan.options.noise_offset)
        places, following = self._drawn(len(group), generator)
        noisy = self._places.add_noise(latents, noise, places)
        with torch.no_grad(), self._computing():
            if self._how.kind == "trajectory":
                target = self._teacher_endpoint(group, noisy, places)
            else:
                reached = self._teacher_step(group, noisy, places, following)
                target = self._student_endpoint(group, reached, following)
        with self._computing():
            answer = self._student_endpoint(group, noisy, places)
        return answer, NoisyBatch(noisy, self._places.timesteps[places], target)

    def _drawn(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Where examples are, and where a step of the teacher leads to."""
        total, device = self._places.count, self.device
        if self._how.kind == "consistency":
            width = total // self._how.steps
            rungs = torch.randint(0, self._how.steps, (count,), generator=generator)
            places = (rungs + 1) * width - 1
            return places.to(device), (places - width).clamp(min=0).to(device)
        places = torch.randint(1, total, (count,), generator=generator)
        is_late = torch.rand((count,), generator=generator) < _AT_START
        places = torch.where(is_late, total - 1, places).to(device)
        return places, torch.zeros_like(places)

    def _teacher_endpoint(
        self, group: Sequence[TrainingItem], noisy: Tensor, places: Tensor
    ) -> Tensor:
        """Where the teacher's trajectory ends."""
        links = self._how.steps
        clean = noisy
        for left in range(links, 0, -1):
            here, to = places * left // links, places * (left - 1) // links
            clean, predicted_noise = self._places.split_prediction(
                self._guided(group, noisy, here), noisy, here
            )
            noisy = self._places.add_noise(clean, predicted_noise, to)
        return clean

    def _teacher_step(
        self, group: Sequence[TrainingItem], noisy: Tensor, places: Tensor, following: Tensor
    ) -> Tensor:
        """Where a step of the teacher leads to: of DDIM, of flows Euler's."""
        clean, predicted_noise = self._places.split_prediction(
            self._guided(group, noisy, places), noisy, places
        )
        return self._places.add_noise(clean, predicted_noise, following)

    def _student_endpoint(
        self, group: Sequence[TrainingItem], noisy: Tensor, places: Tensor
    ) -> Tensor:
        """Where the student says that the trajectory ends."""
        prompts = [item.prompt for item in group]
        answer = self._forward(self._model, noisy, places, prompts)
        return self._places.predict_endpoint(answer, noisy, places)

    def _guided(self, group: Sequence[TrainingItem], noisy: Tensor, places: Tensor) -> Tensor:
        """The teacher's answer, with guidance."""
        prompts = [item.prompt for item in group]
        if self._away is None:
            return self._forward(self._teacher, noisy, places, prompts)
        side: Lead = "negative"
        away = [self._fitted(self._away, item.latent, side) for item in group]
        if _shapes(prompts[0]) == _shapes(away[0]):
            twice = torch.cat([noisy, noisy]), torch.cat([places, places])
            both = self._forward(self._teacher, *twice, [*prompts, *away])
            towards, unled = both.float().chunk(2)
        else:
            towards = self._forward(self._teacher, noisy, places, prompts).float()
            unled = self._forward(self._teacher, noisy, places, away).float()
        return self._family.guided(towards, unled, self._how.cfg)

    def _forward(
        self,
        model: Denoiser,
        noisy: Tensor,
        places: Tensor,
        prompts: Sequence[Mapping[str, Tensor]],
    ) -> Tensor:
        batch = self._family.join(prompts, 1)
        moment = self._moment(self._places.timesteps[places])
        return self._family.predict(model, self._model_input(noisy), moment, batch)


def _shapes(prompt: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(item.shape) for name, item in prompt.items()}


def huber_loss(prediction: Tensor, target: Tensor, weights: Tensor | None, bend: float) -> Tensor:
    """Mean pseudo-Huber distance, sqrt(d² + bend²) - bend; float32, 0-dimensional."""
    off = prediction.float() - target.float()
    each = (off.square() + bend**2).sqrt() - bend
    if weights is None:
        return each.mean()
    return (each.mean(dim=list(range(1, each.ndim))) * weights).mean()


def with_generated_dataset(
    setup: TrainingSetup, texts: Sequence[str], count: int, cfg: float, *, steps: int = 25
) -> TrainingSetup:
    """A classroom whose dataset the model paints itself before it learns.

    Args:
        texts: Prompts.
        count: Images of each.
        cfg, steps: Guidance scale and steps that they are painted with.
    Raises:
        InvalidValue: There are no prompts, or the model can't be taught.
    """
    check_trainable(setup.model, setup.text_encoder, setup.vae)
    if not texts:
        raise InvalidValue(
            "there is nothing to distill with",
            port="prompts",
            given="no dataset and no prompts",
            hint="Link a dataset, or write prompts, one per line.",
        )
    drawn = torch.randint(
        2**62, (len(texts) * count,), generator=generator_of(setup.plan.seed, "prompts")
    ).tolist()
    wanted = [
        PictureRequest(f"image {at + 1}", texts[at % len(texts)], seed)
        for at, seed in enumerate(drawn)
    ]
    return replace(setup, dataset=Dataset(generate_pictures(setup, wanted, steps=steps, cfg=cfg)))


def distilled_lora(
    setup: TrainingSetup, shape: LoraShape, distillation: DistillationPlan
) -> TrainedWeights:
    """A few-step student as a LoRA.

    Raises:
        InvalidValue: Options don't go with distilling, and see `TrainingSetup.train`.
        NumericalError, OutputError: See there, and `write_trained`.
    """
    _check_options(setup.plan)
    setup.check()
    away = _encode_negative(setup, distillation)

    def maker(teacher: Denoiser) -> Callable[..., DistillationTask]:
        def make_task(
            model: Denoiser,
            parameters: Parameters,
            datasets: Sequence[EncodedDataset],
            prompts: Mapping[str, ConditioningEntry],
            plan: TrainingPlan,
        ) -> DistillationTask:
            return DistillationTask(
                teacher,
                model,
                parameters,
                datasets,
                prompts,
                plan,
                distillation=distillation,
                negative=away,
            )

        return make_task

    return train_lora(
        setup, shape, task_by_teacher=maker, sampler=SAMPLER, settings=distillation.to_settings()
    )


def _encode_negative(
    setup: TrainingSetup, distillation: DistillationPlan
) -> ConditioningEntry | None:
    """What the teacher is led away from, if it is guided."""
    from nodegraph.models.conditioning import encode_prompt

    if distillation.cfg == 1:
        return None
    family = get_family(setup.model.family)
    with setup.ctx.weights(setup.text_encoder, calls_only=True) as text_model, torch.no_grad():
        if distillation.negative:
            return encode_prompt(text_model, distillation.negative).entries[0]
        with text_model.turn:
            return family.unconditional(text_model)


def _check_options(plan: TrainingPlan) -> None:
    options = plan.options
    if options.min_snr or options.levels != "auto":
        raise InvalidValue(
            "trajectory distillation has no weighting and no distribution of noise levels",
            port="options",
            given=f"min_snr {options.min_snr:g}, levels {options.levels}",
            expected="min_snr 0, levels auto",
        )
