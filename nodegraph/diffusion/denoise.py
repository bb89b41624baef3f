"""The denoising loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion.components import Denoiser
from nodegraph.diffusion.guidance import Guidance
from nodegraph.diffusion.masks import mask_to_cells
from nodegraph.diffusion.names import check_combination
from nodegraph.diffusion.noise import NoiseSchedule, draw_from, item_generators
from nodegraph.diffusion.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.diffusion.schedules import sigmas_for
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.images.room import check_sampling_room

if TYPE_CHECKING:
    from typing_extensions import NotRequired, Unpack

CELL = 8
"""Pixels along a latent cell's side."""


class SamplingOptions(TypedDict):
    """The numbers and names of a sampling; see `Denoising`."""

    seed: int
    steps: int
    cfg: float
    sampler: str
    schedule: str
    denoise: NotRequired[float]


@dataclass(frozen=True, slots=True)
class StepInfo:
    """One completed step, for previews and progress.

    Attributes:
        step, total: Step `step` of `total` is done; counted from 1.
        sigma: Noise level that the step began at.
        timestep: Where the model was asked.
        latent: The noisy latent after the step, as the sampler keeps it; on the model's device
            and in its dtype, shape (batch, channels, height / 8, width / 8).
        denoised: The clean latent that the model predicts by now; same shape.
    """

    step: int
    total: int
    sigma: float
    timestep: float
    latent: Tensor
    denoised: Tensor


class Denoising:
    """One sampling, a step at a time: iterate over it, then take the `result`.

    Between two steps, `state` saves and `restore` brings back all that decides how it goes on.

    The steps, their noise and their arithmetic are those of StableDiffusionPipeline, or of its
    image-to-image pipeline where the latent isn't empty, with one generator for each item.

    - Noise is drawn on the CPU in float32, for item i with the seed + its batch index.
    - An empty latent starts from noise alone. With denoise below 1 it stands for zeros: an
      evenly grey picture.
    - Any other latent gets noise to the level that sampling starts on: with denoise 1 to the
      highest, which leaves of it hardly more than its overall tone.
    - With a noise mask, the kept part is set back after each step to the original with the noise
      of that level; in the result it is the original.

    Args:
        model: The denoiser.
        positive, negative: What to lead to and away from; negative None stands for the empty
            prompt.
        latent: Where to start: empty, or a picture's latent.
        seed: Of item 0's noise, 0 to 2**64 - 1.
        steps: Steps of the whole schedule, 1 to 10000.
        cfg: Guidance scale; up to 1 the negative prompt is not looked at.
        sampler, schedule: Names in `nodegraph.diffusion.names`.
        denoise: Part of the schedule that is walked, above 0 to 1: int(steps · denoise) steps.
    Raises:
        InvalidValue: An argument is out of range, or two don't fit together.
    """

    def __init__(
        self,
        model: Denoiser,
        positive: Conditioning,
        negative: Conditioning | None,
        latent: Latent,
        *,
        seed: int,
        steps: int,
        cfg: float,
        sampler: str,
        schedule: str,
        denoise: float = 1.0,
    ) -> None:
        check_combination(sampler, schedule)
        _check_families(model, positive, negative, latent)
        shape = _latent_shape(model, latent)
        _check_size(model, latent, is_guided=cfg > 1)
        _check_seed(seed, latent)
        noise = NoiseSchedule.from_config(model.scheduler_config)
        ladder = sigmas_for(schedule, noise, steps, denoise, grid=SAMPLERS[sampler].grid)
        self._model = model
        self._latent = latent
        self._guidance = Guidance(model, positive, negative, cfg, shape)
        self._guidance.check(step / ladder.steps for step in range(ladder.steps))
        generators = item_generators(seed, latent.noise_indices)
        self._sampler: Sampler = make_sampler(sampler, ladder, noise, generators)
        self._noise = self._placed(draw_from(generators, shape[1:]))
        self._original = torch.zeros(shape) if latent.samples is None else latent.samples
        self._mask = _mask_in_cells(latent, shape)
        self._begin()

    @property
    def step(self) -> int:
        """Steps completed so far."""
        return self._sampler.steps_done

    @property
    def total(self) -> int:
        """Steps to walk in all."""
        return self._sampler.ladder.steps

    def __iter__(self) -> Iterator[StepInfo]:
        """Walk the remaining steps."""
        while not self._sampler.done:
            yield self.advance()

    def advance(self) -> StepInfo:
        """Walk one step.

        Raises:
            NumericalError: It gave NaN or infinity.
        """
        sigma, timestep = float(self._sampler.sigma), float(self._sampler.timestep)
        self._walk()
        self._check_finite()
        denoised = self._sampler.denoised
        assert denoised is not None
        # clones made out here are ordinary tensors, unlike those of inference mode
        return StepInfo(
            step=self.step,
            total=self.total,
            sigma=sigma,
            timestep=timestep,
            latent=self._sampler.x.clone(),
            denoised=self._with_kept(denoised.clone()),
        )

    def result(self) -> Latent:
        """The latent as it is now: the result, once all steps are walked."""
        return self._as_latent(self._sampler.x)

    def denoised(self, info: StepInfo) -> Latent:
        """A step's prediction of the clean latent, as a value of its own."""
        return self._as_latent(info.denoised)

    def state(self) -> dict[str, Tensor]:
        """All that decides how sampling goes on: tensors on the CPU, by name."""
        return self._sampler.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on, to the same bits, from what `state` returned in a sampling of equal arguments.

        Raises:
            ValueError: The state is of another sampling.
        """
        self._sampler.restore(state)

    @torch.inference_mode()
    def _begin(self) -> None:
        sampler = self._sampler
        if self._latent.samples is None and sampler.ladder.first == 0:
            sampler.start(sampler.pure_noise(self._noise))
        else:
            sampler.start(self._noised(sampler.ladder.first))

    @torch.inference_mode()
    def _walk(self) -> None:
        """Evaluate the model as often as the sampler needs for one step."""
        sampler, rung = self._sampler, self._sampler.rung
        progress = self.step / self.total
        while sampler.rung == rung:
            output = self._guidance(sampler.model_input(), sampler.model_timestep, progress)
            sampler.feed(output)
        if self._mask is not None:
            mask = self._placed(self._mask)
            sampler.x = (1 - mask) * self._noised(sampler.rung) + mask * sampler.x

    def _noised(self, rung: int) -> Tensor:
        return self._sampler.noised(self._placed(self._original), self._noise, rung)

    def _with_kept(self, samples: Tensor) -> Tensor:
        """Samples with the kept part of the original where there is a mask."""
        if self._mask is None:
            return samples
        mask = self._mask.to(samples.device, samples.dtype)
        return (1 - mask) * self._original.to(samples.device, samples.dtype) + mask * samples

    def _as_latent(self, samples: Tensor) -> Latent:
        samples = samples.to("cpu", torch.float32, copy=True)
        if self._mask is not None:
            # set back once more, as the model's precision may be lower than the original's
            samples = torch.where(self._mask == 0, self._original, samples)
        return replace(self._latent, samples=samples, family=self._model.family)

    def _placed(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._model.unet.device, self._model.unet.dtype)

    def _check_finite(self) -> None:
        if bool(torch.isfinite(self._sampler.x).all()):
            return
        dtype = self._sampler.x.dtype
        raise NumericalError(
            f"step {self.step} of {self.total} gave NaN or infinity",
            port="model",
            given=f"a model in {str(dtype).removeprefix('torch.')}",
            hint=(
                "float16 overflows above 65504: load the model with dtype float32 or bfloat16."
                if dtype == torch.float16
                else "Lower cfg; if it stays, the model's weights or its scheduler file are faulty."
            ),
        )


def sample(
    model: Denoiser,
    positive: Conditioning,
    negative: Conditioning | None,
    latent: Latent,
    *,
    callback: Callable[[StepInfo], None] | None = None,
    **options: Unpack[SamplingOptions],
) -> Latent:
    """Denoise a latent from the first step to the last.

    Args:
        model, positive, negative, latent: See `Denoising`.
        callback: Called after each step; what it raises ends the sampling.
        options: seed, steps, cfg, sampler, schedule and, if not 1, denoise.
    Returns:
        The latent, samples in float32 on the CPU.
    Raises:
        InvalidValue: An argument is out of range, or two don't fit together.
        NumericalError: A step gave NaN or infinity.
    """
    denoising = Denoising(model, positive, negative, latent, **options)
    for info in denoising:
        if callback is not None:
            callback(info)
    return denoising.result()


def sample_steps(
    model: Denoiser,
    positive: Conditioning,
    negative: Conditioning | None,
    latent: Latent,
    **options: Unpack[SamplingOptions],
) -> Iterator[Latent]:
    """What the model takes the clean latent to be, after each step.

    Arguments and errors are those of `sample`, which walks the same steps.
    """
    denoising = Denoising(model, positive, negative, latent, **options)
    for info in denoising:
        yield denoising.denoised(info)


def _check_families(
    model: Denoiser, positive: Conditioning, negative: Conditioning | None, latent: Latent
) -> None:
    values = {"positive": positive, "negative": negative, "latent": latent}
    for port, value in values.items():
        if value is not None and value.family not in (None, model.family):
            raise InvalidValue(
                f"the model is of family {model.family}, the {port} of {value.family}",
                port=port,
                given=value.family,
                expected=model.family,
                hint="Take model, prompts and latents from the same LoadModel.",
            )


def _latent_shape(model: Denoiser, latent: Latent) -> tuple[int, int, int, int]:
    """Batch, channels, height and width in latent cells, once they are found to fit."""
    if latent.width < CELL or latent.height < CELL or latent.width % CELL or latent.height % CELL:
        raise InvalidValue(
            f"width and height must be multiples of {CELL} pixels",
            port="latent",
            given=f"{latent.width} x {latent.height}",
            expected=f"such as {_nearest(latent.width)} x {_nearest(latent.height)}",
        )
    channels = int(model.unet.config.in_channels)
    shape = (latent.batch_size, channels, latent.height // CELL, latent.width // CELL)
    if latent.samples is not None and tuple(latent.samples.shape) != shape:
        raise InvalidValue(
            "the latent doesn't fit the model, or its size is not what it says",
            port="latent",
            given=f"shape {tuple(latent.samples.shape)}",
            expected=f"shape {shape}",
            hint="Encode the picture with the VAE of the same LoadModel.",
        )
    if latent.batch_size < 1 or len(latent.noise_indices) != latent.batch_size:
        raise InvalidValue(
            "a latent needs at least one item and a batch index for each",
            port="latent",
            given=f"{latent.batch_size} items, {len(latent.noise_indices)} indices",
        )
    return shape


def _nearest(pixels: int) -> int:
    return max(CELL, round(pixels / CELL) * CELL)


def _check_size(model: Denoiser, latent: Latent, *, is_guided: bool) -> None:
    size, device = (latent.width, latent.height), model.unet.device.type
    check_sampling_room(size, latent.batch_size, device, is_guided=is_guided, port="latent")


def _check_seed(seed: int, latent: Latent) -> None:
    if min(latent.noise_indices) < 0 or not 0 <= seed < 2**64:
        raise InvalidValue(
            "the seed is out of range", port="seed", given=str(seed), expected="0 to 2**64 - 1"
        )


def _mask_in_cells(latent: Latent, shape: tuple[int, int, int, int]) -> Tensor | None:
    """What is denoised anew: float32 on the CPU, (1 or batch, 1, height, width) in cells."""
    mask = latent.noise_mask
    if mask is None:
        return None
    batch, _, height, width = shape
    if mask.ndim != 3 or mask.shape[0] not in (1, batch):
        raise InvalidValue(
            "the latent's noise mask is of another batch",
            port="latent",
            given=f"shape {tuple(mask.shape)}",
            expected=f"shape (1 or {batch}, height, width)",
        )
    return mask_to_cells(mask.to(torch.float32), height, width)
