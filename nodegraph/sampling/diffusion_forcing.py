"""Diffusion forcing: blocks of a video's frames are denoised at noise levels of their own.

Source: Chen et al. 2025, arXiv:2504.13074; diffusers,
``pipelines/skyreels_v2/pipeline_skyreels_v2_diffusion_forcing.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import model_noise
from nodegraph.families.frame_steps import check_forces_frames
from nodegraph.families.image_conditioning import FIRST_FRAME, LAST_LATENT
from nodegraph.families.model_step import FrameSteps, Moment
from nodegraph.families.noise import draw_batch, item_generators
from nodegraph.families.registry import get_family
from nodegraph.sampling.denoise import StepInfo
from nodegraph.sampling.forcing_plan import (
    ForcingOptions,
    ForcingWindow,
    check_evaluations,
    plan_forcing,
)
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.initial_latent import check_seed, check_size, check_values, latent_shape
from nodegraph.sampling.prompts import entries_of
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.sampling_parts import GuiderChoice, SamplingParts
from nodegraph.sampling.schedules import levels_for

_FRAMES = 2
"""The axis of frames."""
KNOWN_NOISE_SEED = 0x9E3779B9
"""Added to the seed for the noise of known frames, which is not that of the video."""
_BLOCK = "block."
"""Before the names of what the sampler of a block keeps, in a sampling's state."""
_NOISE_OF_TIMESTEP = 0.001
"""Share of noise in known frames that are shown at a timestep of 1."""


@dataclass
class _Block:
    """Latent frames that are denoised together.

    Attributes:
        start, end: Latent frames of the window.
        begins: Evaluation of the window at which its first step is.
    """

    start: int
    end: int
    begins: int
    sampler: Sampler

    def is_active(self, evaluation: int) -> bool:
        """Return whether an evaluation of the window is one of its steps."""
        return evaluation >= self.begins and not self.sampler.done


class ForcedSampling:
    """One sampling by diffusion forcing: iterate over it, then take the `result`.

    A step is one evaluation of the model. Item i of a batch draws noise from seed + its batch
    index, one window after the other.

    The first frames of the video may be known, and its last one: they are those of the first
    positive prompt, `FIRST_FRAME` and `LAST_LATENT`.

    Args:
        model: The denoiser; of a family with timesteps for each frame.
        latent: An empty latent of the video.
        parts: Prompts, sampler, schedule and seed. The sampler evaluates the model once per step.
        options: How blocks and windows follow each other.
    Raises:
        InvalidValue: An argument is out of range, or two do not fit together.
    """

    def __init__(
        self, model: Denoiser, latent: Latent, parts: SamplingParts, options: ForcingOptions
    ) -> None:
        family = get_family(model.family)
        check_forces_frames(family)
        check_values(model, family, parts.guider.prompts, latent)
        check_seed(parts.noise.seed, latent)
        _check_empty(latent)
        check_evaluations(parts.sampler.name)
        # Its steps are not those of other samplings.
        self._model, self._family = replace(model, seat=None), family
        self._latent, self._parts, self._options = latent, parts, options
        self._shape = latent_shape(model, family, latent)
        self._noise = model_noise(model.scheduler_config, family)
        grid = SAMPLERS[parts.sampler.name].grid_for(parts.convention)
        tokens = family.tokens(self._shape)
        self._levels = levels_for(parts.schedule, self._noise, grid=grid, tokens=tokens)
        first = entries_of("positive", parts.guider.positive)[0].tensors
        self._known = self._placed_first(first.get(FIRST_FRAME))
        known = 0 if self._known is None else self._known.shape[_FRAMES]
        self._has_last = LAST_LATENT in first
        if self._has_last and options.causal_block_size > 1:
            raise InvalidValue(
                "a last image stands behind the blocks of frames, which have no room for it",
                port="causal_block_size",
                given=str(options.causal_block_size),
                expected="1",
                hint="Set causal_block_size to 1, or remove the last image.",
            )
        self._windows = plan_forcing(self._shape[_FRAMES], known, options, family.latent.temporal)
        self._check_memory()
        indices = latent.noise_indices
        self._generators = item_generators(parts.noise.seed, indices)
        self._known_generators = item_generators(parts.noise.seed + KNOWN_NOISE_SEED, indices)
        self._named_generators = {"generator": self._generators, "known": self._known_generators}
        self._samples: Tensor | None = None
        self._blocks: list[_Block] = []
        self._done = self._index = self._evaluation = 0

    @property
    def total(self) -> int:
        """Evaluations of the model in all windows."""
        steps = self._levels.steps
        return sum(self._options.evaluations(item.blocks, steps) for item in self._windows)

    @property
    def step(self) -> int:
        """Evaluations so far."""
        return self._done

    def steps(self, between_evaluations: Callable[[], object] = bool) -> Iterator[StepInfo]:
        """Run the remaining steps.

        Args:
            between_evaluations: Called before each evaluation but the first. An exception that it
                raises ends the sampling.
        Raises:
            NumericalError: It gave NaN or infinity.
        """
        for window in self._windows[self._index :]:
            yield from self._window_steps(window, between_evaluations)

    def state(self) -> dict[str, Tensor]:
        """Return all that decides how sampling continues: tensors on the CPU, by name."""
        state = {"step": torch.tensor([self._done, self._index, self._evaluation])}
        if self._samples is not None:
            state["samples"] = self._samples.to("cpu", copy=True)
        for name, generators in self._named_generators.items():
            state |= {f"{name}.{at}": item.get_state() for at, item in enumerate(generators)}
        for at, block in enumerate(self._blocks):
            own = block.sampler.state().items()
            state |= {f"{_BLOCK}{at}.{name}": item for name, item in own}
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue, to the same bits, from what `state` returned in a sampling of equal arguments.

        Raises:
            ValueError: The state is of another sampling.
        """
        try:
            done, index, evaluation = state["step"].tolist()
            window, samples = self._windows[index], state.get("samples")
            shape = *self._shape[:_FRAMES], window.frames, *self._shape[_FRAMES + 1 :]
            x = torch.zeros(shape, device=self._model.device)
            # A window that has not begun draws its noise from the generators.
            blocks = self._new_blocks(window, x) if evaluation else []
            for at, block in enumerate(blocks):
                start = f"{_BLOCK}{at}."
                own = {name: state[name] for name in state if name.startswith(start)}
                block.sampler.restore({name.removeprefix(start): own[name] for name in own})
            for name, generators in self._named_generators.items():
                for at, generator in enumerate(generators):
                    generator.set_state(state[f"{name}.{at}"])
        except (KeyError, IndexError, RuntimeError) as error:
            raise ValueError(f"the saved state is of another sampling: {error}") from error
        self._done, self._index, self._evaluation, self._blocks = done, index, evaluation, blocks
        self._samples = None if samples is None else samples.to(self._model.device)

    def result(self) -> Latent:
        """The latent of the whole video, once all steps are walked; float32 on the CPU."""
        assert self._samples is not None
        samples = self._samples.to("cpu", torch.float32)
        return replace(self._latent, samples=samples, format=self._family.latent.name)

    def denoised(self, info: StepInfo) -> Latent:
        """A step's prediction of the clean latent, of its window alone."""
        samples = info.denoised.to("cpu", torch.float32)
        frames = self._family.latent.pixel_frames(samples.shape[_FRAMES]) or 1
        name = self._family.latent.name
        return replace(self._latent, samples=samples, frames=frames, format=name)

    def _window_steps(
        self, window: ForcingWindow, between_evaluations: Callable[[], object]
    ) -> Iterator[StepInfo]:
        shape = *self._shape[:_FRAMES], window.frames, *self._shape[_FRAMES + 1 :]
        with torch.inference_mode():
            guidance, known = self._guidance(window, shape), self._known_frames(window)
            if not self._blocks:
                x = draw_batch(self._generators, shape).to(self._model.device, torch.float32)
                self._blocks = self._new_blocks(window, x)
        total = self._options.evaluations(window.blocks, self._levels.steps)
        for _ in range(self._evaluation, total):
            if self._done:
                between_evaluations()
            with torch.inference_mode():
                info = self._advance(guidance, known, total)
            self._done, self._evaluation = self._done + 1, self._evaluation + 1
            if self._evaluation == total:
                self._end(window, known)
            yield replace(info, step=self._done, total=self.total)

    def _end(self, window: ForcingWindow, known: Tensor | None) -> None:
        """Add the frames of a window to the video, and go on to the next one."""
        parts = [] if known is None else [known]
        parts += [block.sampler.x for block in self._blocks]
        own = torch.cat(parts, _FRAMES)[:, :, window.kept :].clone()
        earlier = [] if self._samples is None else [self._samples]
        self._samples = torch.cat([*earlier, own], _FRAMES)
        self._blocks, self._index, self._evaluation = [], self._index + 1, 0

    def _advance(self, guidance: Guidance, known: Tensor | None, total: int) -> StepInfo:
        """Evaluate the model once, for a step of each block that is under way.

        Args:
            total: Evaluations of the window.
        """
        blocks, evaluation = self._blocks, self._evaluation
        active = [block for block in blocks if block.is_active(evaluation)]
        sampler = active[0].sampler
        parts, timesteps = [], []
        if known is not None:
            parts.append(self._shown(known))
            timesteps += [self._options.addnoise_condition] * known.shape[_FRAMES]
        for block in blocks:
            parts.append(block.sampler.x)
            timesteps += [self._timestep(block, evaluation)] * (block.end - block.start)
        moment = Moment(
            timestep=sampler.model_timestep,
            following=sampler.next_timestep,
            training_timesteps=self._noise.timesteps,
            progress=evaluation / total,
            timestep_value=float(sampler.timestep),
            step=evaluation,
            schedule_step=evaluation,
            schedule_steps=total,
            progress_after=(evaluation + 1) / total,
            sigma=float(sampler.sigma),
            frames=FrameSteps(
                torch.tensor(timesteps, device=self._model.device),
                self._options.causal_block_size,
            ),
        )
        x = torch.cat(parts, _FRAMES)
        output = guidance(x, moment)
        sigma = moment.sigma
        for block in active:
            block.sampler.feed(output[:, :, block.start : block.end])
            if not torch.isfinite(block.sampler.x).all():
                raise NumericalError(
                    f"evaluation {evaluation + 1} of {total} produced NaN or infinity",
                    port="model",
                    given=f"a model in {str(self._model.dtype).removeprefix('torch.')}",
                    hint="Lower cfg. If that does not help, the model's weights or its scheduler "
                    "file are faulty.",
                )
        clean = [block.sampler.denoised for block in blocks]
        shown = [
            block.sampler.x if item is None else item
            for block, item in zip(blocks, clean, strict=True)
        ]
        latents = [block.sampler.x for block in blocks]
        before = [] if known is None else [known]
        return StepInfo(
            step=evaluation + 1,
            total=total,
            sigma=sigma,
            timestep=moment.timestep_value,
            latent=torch.cat([*before, *latents], _FRAMES),
            denoised=torch.cat([*before, *shown], _FRAMES),
        )

    def _timestep(self, block: _Block, evaluation: int) -> float:
        """The timestep of a block: the greatest one before its first step, 0 after its last."""
        if block.sampler.done:
            return 0
        if evaluation < block.begins:
            return self._noise.timesteps - 1
        return block.sampler.timestep.item()

    def _shown(self, known: Tensor) -> Tensor:
        """Known frames with the noise that they are shown with, drawn anew for each evaluation."""
        share = _NOISE_OF_TIMESTEP * self._options.addnoise_condition
        if not share:
            return known
        noise = draw_batch(self._known_generators, known.shape).to(known.device, known.dtype)
        return known * (1.0 - share) + noise * share

    def _new_blocks(self, window: ForcingWindow, x: Tensor) -> list[_Block]:
        size, blocks = self._options.causal_block_size, []
        lag = self._options.lag(self._levels.steps)
        for index in range(window.blocks):
            start = window.known + index * size
            sampler = make_sampler(
                self._parts.sampler.name,
                self._levels,
                self._noise,
                self._generators,
                self._parts.sampler.options,
                convention=self._parts.convention,
            )
            sampler.start(sampler.pure_noise(x[:, :, start : start + size]))
            blocks.append(_Block(start, start + size, index * lag, sampler))
        return blocks

    def _known_frames(self, window: ForcingWindow) -> Tensor | None:
        """The frames that a window begins with: of the prompt, or of the window before."""
        if self._samples is None:
            return self._known
        known = self._samples[:, :, window.start : window.start + window.known]
        # In the model's precision, as it sees them.
        return known.to(self._model.dtype).to(torch.float32)

    def _placed_first(self, first: Tensor | None) -> Tensor | None:
        if first is None:
            return None
        if first.shape[_FRAMES + 1 :] != tuple(self._shape[_FRAMES + 1 :]):
            raise InvalidValue(
                "the first image was encoded for a video of another size",
                port="positive",
                given=f"{tuple(first.shape[3:])} in latent cells",
                expected=str(tuple(self._shape[3:])),
                hint="Sample the latent output of ImageToVideoConditioning.",
            )
        placed = first.to(self._model.device, self._model.dtype).to(torch.float32)
        return placed.expand(self._shape[0], *placed.shape[1:])

    def _guidance(self, window: ForcingWindow, shape: tuple[int, ...]) -> Guidance:
        """The guided model of a window: its prompts have no first frames, which lie in the latent,
        and those of the last window alone have the last one."""
        hidden = {FIRST_FRAME} if window.is_last else {FIRST_FRAME, LAST_LATENT}
        choice = self._parts.guider
        negative = None if choice.negative is None else _without(choice.negative, hidden)
        choice = replace(choice, positive=_without(choice.positive, hidden), negative=negative)
        return Guidance(
            self._model,
            choice,
            sampler=self._parts.sampler.name,
            width=self._latent.width,
            height=self._latent.height,
            shape=shape,
            seed=(self._parts.noise.seed + self._latent.noise_indices[0]) % 2**64,
        )

    def _check_memory(self) -> None:
        largest = max(
            window.frames + (self._has_last and window.is_last) for window in self._windows
        )
        shape = *self._shape[:_FRAMES], largest, *self._shape[_FRAMES + 1 :]
        guider: GuiderChoice = self._parts.guider
        check_size(self._model, self._latent, shape, is_guided=guider.is_guided, guider=guider)


def _check_empty(latent: Latent) -> None:
    if latent.samples is not None or latent.noise_mask is not None or latent.guides:
        raise InvalidValue(
            "diffusion forcing starts from an empty latent without a mask",
            port="latent",
            hint="Link an EmptyVideoLatent, or the latent output of ImageToVideoConditioning. To "
            "continue a video, link its last frames to the latter.",
        )


def _without(conditioning: Conditioning, hidden: set[str]) -> Conditioning:
    """Prompts without some tensors, the empty one as well."""

    def plain(entry: ConditioningEntry) -> ConditioningEntry:
        kept = {name: item for name, item in entry.tensors.items() if name not in hidden}
        return replace(entry, tensors=kept)

    empty = conditioning.unconditional
    return replace(
        conditioning,
        entries=tuple(map(plain, conditioning.entries)),
        unconditional=None if empty is None else plain(empty),
    )
