"""The denoising loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypedDict

import torch
from torch import Tensor

from nodegraph.core.foreign_value import LentModel
from nodegraph.core.values import Conditioning, DiffusionModel, Latent, Leftover, Recipe
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import model_noise
from nodegraph.families.image_conditioning import with_first_frame
from nodegraph.families.model_step import Moment
from nodegraph.families.registry import get_family
from nodegraph.families.sampler_names import SAMPLER_PLUGINS, asks_unguided
from nodegraph.families.schedule_checks import check_churn, check_sampler_follows
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.guiders.methods import PluginGuidance
from nodegraph.sampling.initial_latent import (
    InitialLatent,
    JoinedLatent,
    check_initial_latent,
    check_seed,
    check_size,
    check_values,
    check_whole_sound,
    latent_shape,
    leftover_of,
    mask_in_cells,
    original_of,
)
from nodegraph.sampling.inpainting import KeptPart, noise_mask_tensors
from nodegraph.sampling.latent_noise import draw_sampling_noise
from nodegraph.sampling.padded_latent import PaddedLatent
from nodegraph.sampling.prompts import entries_of
from nodegraph.sampling.regions import step_mask
from nodegraph.sampling.sampler_options import SamplerOptions
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.sampling_parts import (
    LentGuider,
    LentSampler,
    SamplingParts,
    build_sampling_parts,
    drawn_noise,
)
from nodegraph.sampling.schedules import levels_for
from nodegraph.sampling.windowed_evaluation import shuffle_noise

if TYPE_CHECKING:
    from typing_extensions import NotRequired, Unpack

CHECK_EVERY = 8
"""Steps between two looks at whether all is finite: on an accelerator each look waits for it."""


_GUIDER = "guider."
"""Before the names of what guidance keeps, in a sampling's state."""


class SamplingOptions(TypedDict):
    """The numbers and names of a sampling; see `build_sampling_parts`."""

    seed: int
    steps: int
    cfg: float
    sampler: str
    schedule: str
    denoise: NotRequired[float]
    denoise_steps: NotRequired[str]
    draw: NotRequired[str]
    convention: NotRequired[str]
    sampler_options: NotRequired[SamplerOptions]


@dataclass(frozen=True, slots=True)
class StepInfo:
    """One completed step, for previews and progress.

    Attributes:
        step, total: Step `step` of `total` is done; counted from 1.
        sigma: Noise level that the step began at.
        timestep: Where the model was asked.
        latent: The noisy latent after the step, as the sampler keeps it; on the model's device
            and in its dtype, shape (batch, channels, height, width) in cells, or with frames.
        denoised: The clean latent that the model predicts by now; same shape.
        sound: The sound of the same prediction, shape (batch, channels, length, bands). None
            without sound.
    """

    step: int
    total: int
    sigma: float
    timestep: float
    latent: Tensor
    denoised: Tensor
    sound: Tensor | None = None


class Denoising:
    """One sampling, a step at a time: iterate over it, then take the `result`.

    Between two steps, `state` saves and `restore` brings back all that decides how it continues.

    The steps, their noise and their arithmetic are those of StableDiffusionPipeline, or of its
    image-to-image pipeline where the latent isn't empty, with one generator for each item.

    - Noise is drawn on the CPU in float32, for item i with the seed + its batch index, or as
      `nodegraph.sampling.latent_noise` has it.
    - An empty latent starts from noise alone. With denoise below 1 it stands for zeros: an
      evenly gray image.
    - Any other latent gets noise to the level that sampling starts on: with denoise 1 to the
      highest, which leaves of it hardly more than its overall tone.
    - With a noise mask, the kept part is set back after each step to the original with the noise
      of that level; in the result it is the original. By ComfyUI's convention it is kept as
      `nodegraph.sampling.inpainting` has it.

    A part of a schedule is walked as a part of the whole: prompts apply where they would in it. The
    noise that is left after it comes along, so that the next part goes on to the same bits where
    the sampler looks at nothing but the latent.

    Args:
        model: The denoiser.
        latent: Where to start: empty, an image's latent, or one with noise left in it.
        parts: What leads it, by which method, over which noise levels.
        extra_models: What its guider wants in memory besides the model, by its recipe.
    Raises:
        InvalidValue: An argument is out of range, or two don't fit together.
    """

    def __init__(
        self,
        model: Denoiser,
        latent: Latent,
        parts: SamplingParts,
        extra_models: Mapping[Recipe, Any] | None = None,
    ) -> None:
        self._family = family = get_family(model.family)
        schedule, guider, sampler = parts.schedule, parts.guider, parts.sampler
        self._asks_unguided = asks_unguided(sampler.name)
        self._is_strong = guider.max_scale > 1
        self._plugin = ""
        if sampler.name in SAMPLER_PLUGINS:
            self._plugin = f"sampler {sampler.name}"
        elif isinstance(guider.method, PluginGuidance):
            self._plugin = f"guider {guider.method.name}"
        self._padded = padded = PaddedLatent.of(family, latent)
        if parts.noise.tensor is not None:
            tensor = padded.pad_cells(parts.noise.tensor)
            parts = replace(parts, noise=replace(parts.noise, tensor=tensor))
        shape = self._checked_shape(model, padded.latent, parts)
        first_prompt = entries_of("positive", parts.guider.positive)[0]
        joined = JoinedLatent.of(family, model, padded.latent, shape, first_prompt)
        self._joined, latent, shape, tokens = joined, joined.latent, joined.shape, joined.tokens
        self._sound = sound = joined.sound
        if sound is not None:
            check_whole_sound(parts.guider.tiling)
        noise = model_noise(model.scheduler_config, self._family)
        grid = SAMPLERS[sampler.name].grid_for(parts.convention)
        self._noise_levels = noise_levels = levels_for(schedule, noise, grid=grid, tokens=tokens)
        # Asked once: diffusers looks through all modules of a model to tell either.
        self._device = model.device
        self._dtype = torch.float32 if self._family.wide else model.dtype
        self._latent, self._training_timesteps = latent, noise.timesteps
        self._original = original_of(latent, shape, added=parts.noise.added)
        self._guidance = Guidance(
            model,
            guider,
            sampler=sampler.name,
            width=latent.width,
            height=latent.height,
            shape=shape,
            inpaint_tensors=noise_mask_tensors(family, latent, self._original, sound),
            extra_models=extra_models,
            sound=sound,
            guides=joined.guides,
            seed=(parts.noise.seed + latent.noise_indices[0]) % 2**64,
            padding=padded if padded.is_padded else None,
        )
        first = self._guidance.first_frame
        self._first_frame = None if first is None else first.expand(shape[0], *first.shape[1:])
        self._guidance.check(map(noise_levels.point, range(noise_levels.first, noise_levels.end)))
        self._drawn = drawn = draw_sampling_noise(parts.noise, latent, shape, sound, family.latent)
        self._sampler: Sampler = make_sampler(
            sampler.name,
            noise_levels,
            noise,
            drawn.generators,
            sampler.options,
            convention=parts.convention,
        )
        if drawn.brownian_seed is not None:
            self._sampler.use_brownian_noise(drawn.brownian_seed, shape)
        shuffled = shuffle_noise(drawn.first, guider.windows, family, parts.noise, latent)
        self._noise = self._placed(self._guidance.initial_noise(shuffled))
        self._added = parts.noise.added
        smooth = noise_levels.comfyui_progress is not None
        self._mask = mask_in_cells(latent, shape, smooth=smooth, sound=sound)
        self._finite = torch.ones(noise_levels.steps, dtype=torch.bool, device=self._device)
        self._looked_at = 0
        self._begin()

    def _checked_shape(
        self, model: Denoiser, latent: Latent, parts: SamplingParts
    ) -> tuple[int, ...]:
        """The shape that is sampled, once all is checked that its parts alone tell."""
        schedule, guider, sampler = parts.schedule, parts.guider, parts.sampler
        check_sampler_follows(
            sampler.name,
            schedule.spacings,
            self._family.noise,
            rises=schedule.rises,
            convention=parts.convention,
        )
        check_churn(sampler.options.s_churn, rises=schedule.rises)
        check_values(model, self._family, guider.prompts, latent)
        check_initial_latent(latent, added=parts.noise.added, rises=schedule.rises)
        shape = latent_shape(model, self._family, latent)
        is_guided = guider.is_guided or self._asks_unguided
        check_size(model, latent, shape, is_guided=is_guided, guider=guider)
        check_seed(parts.noise.seed, latent)
        return shape

    @classmethod
    def named(
        cls,
        model: Denoiser,
        positive: Conditioning,
        negative: Conditioning | None,
        latent: Latent,
        **options: Unpack[SamplingOptions],
    ) -> Denoising:
        """A sampling by the names of a sampler and a schedule; see `build_sampling_parts`."""
        return cls(model, latent, build_sampling_parts(positive, negative, **options))

    @property
    def step(self) -> int:
        """Steps completed so far."""
        return self._sampler.steps_done

    @property
    def total(self) -> int:
        """Steps to walk in all."""
        return self._noise_levels.steps

    def __iter__(self) -> Iterator[StepInfo]:
        """Run the remaining steps."""
        return self.steps()

    def steps(self, between_evaluations: Callable[[], object] = bool) -> Iterator[StepInfo]:
        """Run the remaining steps; see `advance`."""
        while not self._sampler.done:
            yield self.advance(between_evaluations)

    def advance(self, between_evaluations: Callable[[], object] = bool) -> StepInfo:
        """Run one step.

        Args:
            between_evaluations: Called between two evaluations of the model. An exception that it
                raises ends the sampling.
        Raises:
            NumericalError: It gave NaN or infinity.
        """
        sigma, timestep = float(self._sampler.sigma), float(self._sampler.timestep)
        self._walk(between_evaluations)
        self._note_finite()
        denoised = self._sampler.denoised
        assert denoised is not None
        # clones made out here are ordinary tensors, unlike those of inference mode
        return self._step_info(
            self.step, sigma, timestep, self._sampler.x.clone(), denoised.clone()
        )

    def _step_info(
        self, step: int, sigma: float, timestep: float, latent: Tensor, denoised: Tensor
    ) -> StepInfo:
        """A step of the joined tensors of video and sound."""
        predicted = self._with_kept(self._with_guides(denoised))
        (latent, _), (predicted, heard) = map(self._joined.split, (latent, predicted))
        crop = self._padded.crop_cells
        return StepInfo(
            step, self.total, sigma, timestep, crop(latent), crop(predicted), sound=heard
        )

    def result(self) -> Latent:
        """The latent as it is now: the result, once all steps are walked.

        Noise that is left comes along, and with a mask in the kept part, too.

        Raises:
            NumericalError: It has NaN or infinity.
        """
        self._check_finite()
        left = leftover_of(self._sampler, None if self._mask is None else self._original)
        return self._as_latent(self._sampler.x, left)

    def denoised(self, info: StepInfo) -> Latent:
        """A step's prediction of the clean latent, as a value of its own."""
        return self._as_latent(self._joined.join(self._padded.pad_cells(info.denoised), info.sound))

    def state(self) -> dict[str, Tensor]:
        """All that decides how sampling continues: tensors on the CPU, by name.

        Raises:
            NumericalError: A step gave NaN or infinity.
        """
        self._check_finite()
        kept = self._guidance.state()
        return self._sampler.state() | {
            f"{_GUIDER}{name}": tensor.to("cpu", copy=True) for name, tensor in kept.items()
        }

    @property
    def is_savable(self) -> bool:
        """Whether `state` is small enough to be worth saving: some step caches keep gigabytes."""
        return self._guidance.is_savable

    @property
    def reuse(self) -> str:
        """What a step cache has spared, in words; empty where there is nothing to tell."""
        return self._guidance.reuse

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue, to the same bits, from what `state` returned in a sampling of equal arguments.

        Raises:
            ValueError: The state is of another sampling.
        """
        own = {name: item for name, item in state.items() if not name.startswith(_GUIDER)}
        self._sampler.restore(own)
        self._guidance.restore(
            {name.removeprefix(_GUIDER): state[name] for name in state.keys() - own.keys()}
        )
        self._looked_at = self.step

    @torch.inference_mode()
    def _begin(self) -> None:
        guides = self._joined.guides
        begin = InitialLatent(self._latent, self._noise, self._added, self._drawn.resumes, guides)
        begin.start(self._sampler, self._placed)

    @torch.inference_mode()
    def _walk(self, between_evaluations: Callable[[], object]) -> None:
        """Evaluate the model as often as the sampler needs for one step."""
        sampler, step_index = self._sampler, self._sampler.step_index
        with self._guidance.calling_between_tiles(between_evaluations):
            sampler.feed(self._evaluate())
            while sampler.step_index == step_index:
                between_evaluations()
                sampler.feed(self._evaluate())
        if self._mask is not None and self._noise_levels.comfyui_progress is None:
            mask = self._placed(self._step_mask(step_index))
            sampler.x = (1 - mask) * self._noised(sampler.step_index) + mask * sampler.x

    def _evaluate(self) -> Tensor:
        """What the guided model says to what the sampler asks next; samplers that look at what it
        says without guidance are told of that, too."""
        sampler = self._sampler
        if self._mask is None or self._noise_levels.comfyui_progress is None:
            output = self._guidance(sampler.model_input(), self._moment())
            if self._asks_unguided:
                sampler.unguided = self._guidance.unguided
            return output
        mask = self._placed(self._step_mask(sampler.step_index))
        keeping = KeptPart(mask, self._placed(self._original), self._noise)
        shown = keeping.with_original(sampler)
        space, step_index = sampler.evaluation_point
        output = self._guidance(space.model_input(shown, step_index), self._moment())
        unguided = self._guidance.unguided
        if self._asks_unguided and unguided is not None:
            sampler.unguided = keeping.unguided(sampler, unguided, shown)
        return keeping.blend_output(sampler, output, shown)

    def _moment(self) -> Moment:
        sampler = self._sampler
        space, at = sampler.evaluation_point
        return Moment(
            timestep=sampler.model_timestep,
            following=sampler.next_timestep,
            training_timesteps=self._training_timesteps,
            progress=self._noise_levels.progress(sampler.step_index),
            timestep_value=float(sampler.timestep),
            step=self._noise_levels.walked(sampler.step_index),
            schedule_step=sampler.step_index,
            schedule_steps=self._noise_levels.level_count,
            progress_after=self._noise_levels.progress_after_step(sampler.step_index),
            min_progress=self._noise_levels.min_progress,
            sigma=float(space.noise_levels.sigmas[at]),
        )

    def _noised(self, step_index: int) -> Tensor:
        return self._sampler.add_noise(self._placed(self._original), self._noise, step_index)

    def _with_kept(self, samples: Tensor) -> Tensor:
        """Samples with the kept part of the original where there is a mask."""
        if self._mask is None:
            return samples
        mask = self._step_mask().to(samples.device, samples.dtype)
        return (1 - mask) * self._original.to(samples.device, samples.dtype) + mask * samples

    def _step_mask(self, step_index: int | None = None) -> Tensor:
        """What the step from a level changes where there is a mask; the last step, if none."""
        noise_levels = self._noise_levels
        begun = (
            max(noise_levels.first, self._sampler.step_index - 1)
            if step_index is None
            else step_index
        )
        assert self._mask is not None
        return step_mask(self._mask, self._latent.gradual, noise_levels.remaining_share(begun))

    def _as_latent(self, samples: Tensor, left: Leftover | None = None) -> Latent:
        samples = self._with_guides(samples.to("cpu", torch.float32, copy=True))
        if self._mask is not None and left is None:
            # set back once more, as the model's precision may be lower than the original's
            samples = torch.where(self._step_mask() == 0, self._original, samples)
        video, sound = self._joined.split(samples)
        whole = replace(self._latent, format=self._family.latent.name, leftover=left)
        return self._padded.crop(replace(whole, samples=video, sound=sound))

    def _with_guides(self, samples: Tensor) -> Tensor:
        """Samples with the first frame and the guides of full strength, if any."""
        samples = with_first_frame(samples, self._first_frame)
        guides = self._joined.guides
        return samples if guides is None else guides.restore(samples)

    def _placed(self, tensor: Tensor) -> Tensor:
        """On the model's device, in the latents' precision, and in memory in the usual order.

        A given latent's may be another, which would give other last bits.
        """
        return tensor.to(self._device, self._dtype).contiguous()

    def _note_finite(self) -> None:
        """Keep, where it computes, whether the step was finite; look at that now and then."""
        self._finite[self.step - 1] = torch.isfinite(self._sampler.x).all()
        is_due = self.step - self._looked_at >= CHECK_EVERY or self.step == self.total
        if is_due or self._device.type == "cpu":
            self._check_finite()

    def _check_finite(self) -> None:
        """Look at the steps since the last look.

        Raises:
            NumericalError: One of them wasn't finite.
        """
        since = self._finite[self._looked_at : self.step].tolist()
        if False in since:
            raise self._not_finite(self._looked_at + since.index(False) + 1)
        self._looked_at = self.step

    def _not_finite(self, step: int) -> NumericalError:
        dtype, hint = self._sampler.x.dtype, "The model's weights or its scheduler file are faulty."
        if dtype == torch.float16:
            hint = "Above 65504, float16 overflows: load the model with dtype float32 or bfloat16."
        elif plugin := self._plugin:
            hint = (
                f"The function of the {plugin} may produce them: test it with `nodegraph pack "
                "test`. If it does not, the model's weights or its scheduler file are faulty."
            )
        elif self._is_strong:
            hint = (
                "Lower cfg. If that does not help, the model's weights or its scheduler "
                "file are faulty."
            )
        return NumericalError(
            f"step {step} of {self.total} produced NaN or infinity",
            port="model",
            given=f"a model in {str(dtype).removeprefix('torch.')}",
            hint=hint,
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
        callback: Called after each step; an exception that it raises stops the sampling.
        options: seed, steps, cfg, sampler, schedule and, if not 1, denoise.
    Returns:
        The latent, samples in float32 on the CPU.
    Raises:
        InvalidValue: An argument is out of range, or two do not fit together.
        NumericalError: A step produced NaN or infinity.
    """
    denoising = Denoising.named(model, positive, negative, latent, **options)
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
    """Yield the model's prediction of the clean latent after each step.

    Arguments and errors are those of `sample`, which runs the same steps.
    """
    denoising = Denoising.named(model, positive, negative, latent, **options)
    for info in denoising:
        yield denoising.denoised(info)


class ModelPatches(Protocol):
    """What a pack set on samplings of a model."""

    def applied(self, latent: Latent, parts: SamplingParts) -> tuple[Latent, SamplingParts]:
        """Return a sampling with the patches.

        Raises:
            InvalidValue: They do not fit its guider.
        """

    def begin(
        self,
        denoiser: Denoiser,
        latent: Latent,
        parts: SamplingParts,
        extra_models: Mapping[Recipe, Any] | None = None,
    ) -> Denoising:
        """Begin a sampling that `applied` returned; see `Denoising`."""


class PatchedSampling(NamedTuple):
    """A sampling with what packs lend for it.

    Attributes:
        model: The model without patches.
        begin: Begins the sampling: `Denoising`, or what takes its place.
    """

    model: DiffusionModel
    latent: Latent
    parts: SamplingParts
    begin: Callable[..., Denoising]


def apply_patches(
    model: DiffusionModel | None, latent: Latent, parts: SamplingParts
) -> PatchedSampling:
    """Apply what a pack set on samplings of a model, and draw noise of a pack.

    A sampling without anything of a pack stays as it is.

    Args:
        model: None for the model of a pack's guider.
    Raises:
        InvalidValue: The patches do not fit the guider, or the model is not that of a pack's
            guider.
    """
    if type(parts.guider) is LentGuider:
        walk = parts.guider.walk
        own, parts = walk.applied(model, latent, parts)
        return PatchedSampling(own, latent, parts, walk.begin)
    if model is None:
        raise InvalidValue(
            "is not linked",
            port="model",
            hint="Link the model to sample. Only a guider of a pack brings one.",
        )
    patches: ModelPatches | None = None
    begin: Callable[..., Denoising] = Denoising
    if type(model) is LentModel:
        patched: ModelPatches = model.patches
        latent, parts = patched.applied(latent, parts)
        model, patches, begin = model.plain, patched, patched.begin
    parts = replace(parts, noise=drawn_noise(parts.noise, model, latent))
    if type(parts.sampler) is LentSampler:
        begin = partial(parts.sampler.walk.begin, model, patches)
    return PatchedSampling(model, latent, parts, begin)
