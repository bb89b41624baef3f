"""Samplings in the main worker in which a pack of ComfyUI has a part.

Its functions change guided predictions (`PackFunctions`) or masks, or it walks the noise levels
itself and asks for predictions (`PackDenoising.predict`), of several prompts apart (`PackSides`).

Source of the forms: https://github.com/comfyanonymous/ComfyUI (``comfy/samplers.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from nodegraph.core.foreign_value import unpatched
from nodegraph.core.values import Conditioning, DiffusionModel, Latent, Recipe
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import ModelNoise, model_noise
from nodegraph.families.model_step import Guider, Moment, Side
from nodegraph.isolation.runner import call_back
from nodegraph.sampling.composed_schedules import listed_schedule
from nodegraph.sampling.denoise import Denoising, StepInfo
from nodegraph.sampling.guiders import added_guidance
from nodegraph.sampling.guiders.base import (
    AddedGuidance,
    AddedTerm,
    ChangingScale,
    GuidanceMethod,
    GuidedModel,
    StatelessGuider,
)
from nodegraph.sampling.guiders.methods import Projected, Tangential, ZeroStar
from nodegraph.sampling.model_calls import ModelEvaluator
from nodegraph.sampling.samplers import SAMPLERS
from nodegraph.sampling.samplers.spaces import STRAIGHT, NoiseSpace, PreservingSpace
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    LentGuider,
    LentSampler,
    SamplingParts,
    drawn_noise,
)
from nodegraph.sampling.schedules import NoiseLevels, levels_for


@dataclass(frozen=True, slots=True)
class SigmaPoint:
    """Predictions of a model at one noise level, in the forms that ComfyUI's functions know.

    Attributes:
        space: Of euler, over that noise level alone.
    """

    space: NoiseSpace

    @classmethod
    def at(cls, noise: ModelNoise, sigma: float) -> SigmaPoint:
        """The point of a noise level."""
        levels = torch.tensor([sigma, 0.0])
        return cls(STRAIGHT[noise.kind](NoiseLevels(levels, levels[:1], 0, "linspace"), noise))

    def latent(self, x: Tensor) -> Tensor:
        """The noisy latent of what the model takes."""
        return x / self.space.model_input(torch.ones(()), 0).to(x.device)

    def clean(self, x: Tensor, output: Tensor) -> Tensor:
        """The clean latent that an output says is in a noisy one."""
        return self.space.to_denoised(output, x, 0)

    def output(self, x: Tensor, clean: Tensor) -> Tensor:
        """The output that says so: predictions are straight in it."""
        none = self.space.to_denoised(torch.zeros_like(clean), x, 0)
        slope = self.space.to_denoised(torch.ones(()), torch.zeros(()), 0)
        return (clean - none) / slope.to(clean.device)


@dataclass(frozen=True, slots=True)
class PackFunctions(AddedGuidance):
    """Functions of a pack that change a guided prediction, also outside of its guided part.

    Attributes:
        negative, always: Whether they get the negative prediction where the scale is not 1; always.
        call: Calls them; see `call_back`.
    """

    title: ClassVar[str] = "functions of a pack"

    negative: bool
    always: bool = False
    call: Callable[..., Any] = field(default=call_back, repr=False, compare=False)

    @property
    def needs_negative(self) -> bool:
        return self.negative

    def check(self, model: DiffusionModel) -> None:
        """Functions fit every model."""

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        model, family = guided_model.model, guided_model.family
        noise = model_noise(model.scheduler_config, family)
        return _FunctionsTerm(guided_model, noise, self)


@dataclass(frozen=True, slots=True)
class _FunctionsTerm:
    """What functions of a pack change of a guided output."""

    guided_model: GuidedModel
    noise: ModelNoise
    functions: PackFunctions

    @property
    def evaluators(self) -> Mapping[Side, ModelEvaluator]:
        return {}

    def applies(self, moment: Moment) -> bool:
        return True

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        is_guided = self.functions.always or self._scale(moment) != 1
        takes_both = self.functions.negative and is_guided
        return self.guided_model.both_sides() if takes_both else ("positive",)

    def _scale(self, moment: Moment) -> float:
        is_guided = moment.is_within(self.functions.start, self.functions.end)
        return float(self.guided_model.scale(moment)) if is_guided else 1.0

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        point = SigmaPoint.at(self.noise, moment.sigma)
        noisy = point.latent(x.float())
        shown = {
            side: _sent(point.clean(noisy, outputs[side].float()))
            for side in ("positive", "negative", "guided")
            if side in outputs
        }
        level = {"x": _sent(noisy), "sigma": moment.sigma, "scale": self._scale(moment)}
        changed = self.functions.call(function="guide", **level, **shown)
        guided = outputs["guided"]
        if changed is None:
            return torch.zeros_like(guided)
        output = point.output(noisy, changed.to(noisy.device, torch.float32))
        return output.to(guided.dtype) - guided


def _sent(tensor: Tensor) -> Tensor:
    """A tensor in the form in which it goes to a pack."""
    return tensor.detach().to("cpu", torch.float32).contiguous()


def patched_guider(choice: GuiderChoice, kind: str, numbers: Mapping[str, Any]) -> GuiderChoice:
    """A guider with one of ComfyUI's patches of guidance."""
    added: AddedGuidance
    match kind:
        case "CFGZeroStar" | "TCFG" | "APG" if not choice.method.is_default:
            raise InvalidValue(
                f"{kind} of a model and the guidance `{choice.method.title}` exclude each other",
                port="model",
                hint="Leave one of them out.",
            )
        case "CFGOverride" if choice.changing is not None:
            raise InvalidValue(
                "the scale of the guider changes already, and so it does by CFGOverride of a model",
                port="model",
                hint="Leave one of them out.",
            )
        case "RescaleCFG":
            return replace(choice, rescale=numbers["multiplier"], rescales_velocity=True)
        case "CFGNorm":
            return replace(choice, norm=numbers["strength"])
        case "CFGZeroStar":
            return replace(choice, method=ZeroStar(0))
        case "TCFG":
            return replace(choice, method=Tangential())
        case "APG":
            return replace(choice, method=Projected(**numbers))
        case "CFGOverride":
            span = numbers["start"], numbers["end"]
            return replace(choice, changing=ChangingScale(numbers["cfg"], "within", *span))
        case "PerturbedAttentionGuidance":
            added = added_guidance.PerturbedAttention(numbers["scale"], 0.0, 1.0)
        case "functions":
            added = PackFunctions(choice.cfg, 0.0, 1.0, numbers["negative"], always=True)
        case "SelfAttentionGuidance":
            added = added_guidance.SelfAttention(numbers["scale"], 0.0, 1.0, numbers["blur"])
        case _:
            raise InvalidValue("no guider knows this patch of a model", given=kind)
    return replace(choice, added=(*choice.added, added))


@dataclass(frozen=True, slots=True)
class PackSides(GuidanceMethod):
    """Several prompts, each predicted on its own; a pack puts the predictions together.

    Attributes:
        others: Prompts besides the positive and the negative one, by side.
    """

    title: ClassVar[str] = "predictions of a pack's prompts"

    others: Mapping[Side, Conditioning]

    @property
    def prompts(self) -> Mapping[Side, Conditioning]:
        return self.others

    @property
    def always(self) -> bool:
        return True

    def begin(self, guided_model: GuidedModel) -> Guider:
        return _SidesGuider(guided_model, tuple(self.others))


@dataclass(frozen=True, slots=True)
class _SidesGuider(StatelessGuider):
    guided_model: GuidedModel
    others: tuple[Side, ...]

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        return (*self.guided_model.both_sides(), *self.others)

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        return outputs["positive"]


class PackDenoising(Denoising):
    """A sampling in which a pack has a part.

    Attributes:
        asks_mask: Whether a function of the pack changes the noise mask at each noise level.
        call: Calls functions of the pack; see `call_back`.
    """

    asks_mask = False
    call: Callable[..., Any] = staticmethod(call_back)
    _masked_at: tuple[int | None, Tensor] | None = None

    def _step_mask(self, step_index: int | None = None) -> Tensor:
        mask = super()._step_mask(step_index)
        if not self.asks_mask:
            return mask
        if self._masked_at is None or self._masked_at[0] != step_index:
            levels = self._noise_levels
            at = (
                max(levels.first, self._sampler.step_index - 1)
                if step_index is None
                else step_index
            )
            sigma = float(levels.sigmas[at])
            self._masked_at = step_index, self.call(function="mask", mask=_sent(mask), sigma=sigma)
        return self._masked_at[1]

    @property
    def sigmas(self) -> Tensor:
        """Noise levels that are walked, with the last."""
        levels = self._noise_levels
        return _sent(levels.sigmas[levels.first : levels.end + 1])

    @property
    def noisy(self) -> Tensor:
        """The noisy latent of the next step, in the scale of ComfyUI's samplers."""
        sampler = self._sampler
        space = sampler.space
        is_scaled = isinstance(space, PreservingSpace)
        return _sent(
            sampler.x / space.alpha_deviation(sampler.step_index)[0] if is_scaled else sampler.x
        )

    @torch.inference_mode()
    def predict(
        self, x: Tensor, sigma: float, *, apart: bool, with_sides: bool = False
    ) -> dict[Side, Tensor]:
        """Predict the clean latent at any noise level.

        Args:
            x: The noisy latent.
            apart: Return the prediction of each prompt; else the guided one alone.
            with_sides: Return both.
        Returns:
            By side, or as ``guided``; float32 on the CPU.
        """
        noise = self._noise_kind
        grid = SAMPLERS["euler"].grid_for("comfyui")
        levels = levels_for(listed_schedule((sigma, 0.0)), noise, grid=grid)
        space = STRAIGHT[noise.kind](levels, noise)
        placed = self._placed(x)
        shown, moment = space.model_input(placed, 0), self._moment_at(levels)
        evaluate = self._guidance.evaluate_sides if apart else self._guidance.evaluate
        outputs = evaluate(shown, moment)
        if not apart and not with_sides:
            outputs = {"guided": outputs["guided"]}
        return {
            side: _sent(space.to_denoised(output, placed, 0)) for side, output in outputs.items()
        }

    @property
    def is_flat(self) -> bool:
        """Whether its latents have no axis of frames."""
        return not self._family.latent.temporal

    def without_sound(self, joined: Tensor) -> Tensor:
        """The video of the joined latent of video and sound."""
        return joined if self._sound is None else self._sound.split(self._placed(joined))[0]

    @property
    def _noise_kind(self) -> ModelNoise:
        noise: ModelNoise = self._sampler.space.noise
        return noise

    def _moment_at(self, levels: NoiseLevels) -> Moment:
        own, sigma = self._noise_levels, float(levels.sigmas[0])
        at = int((own.sigmas[: own.level_count] - sigma).abs().argmin())
        timestep = levels.timesteps[0].to(self._device)
        return Moment(
            timestep=timestep,
            following=torch.zeros_like(timestep),
            training_timesteps=self._training_timesteps,
            progress=levels.progress(0),
            timestep_value=float(levels.timesteps[0]),
            step=own.walked(at),
            schedule_step=at,
            schedule_steps=own.level_count,
            progress_after=levels.progress_after_step(0),
            min_progress=levels.min_progress,
            sigma=sigma,
        )


class LentDenoising(PackDenoising):
    """A sampling of a native node whose model has functions of a pack. It keeps no checkpoints:
    functions may have a state that a checkpoint does not hold."""

    @property
    def is_savable(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class PackPatches:
    """What a pack set on samplings of a model that a native node uses; satisfies `ModelPatches`.

    Attributes:
        guidance: Kinds and numbers of `GUIDANCE`, without ``functions``.
        guides: Whether functions change guided predictions.
        masks: Whether a function changes the noise mask at each noise level.
        always_negative: Whether functions get the negative prediction at a scale of 1, too.
        gradual: `Latent.gradual` of what is sampled; None: as it is.
        noise_scale: What the initial noise is multiplied by.
        call: Calls the functions.
    """

    guidance: Sequence[tuple[str, Mapping[str, Any]]]
    guides: bool
    masks: bool
    always_negative: bool
    gradual: float | None
    noise_scale: float
    call: Callable[..., Any]

    def applied(self, latent: Latent, parts: SamplingParts) -> tuple[Latent, SamplingParts]:
        """See `ModelPatches.applied`."""
        guider = parts.guider
        for kind, numbers in self.guidance:
            guider = patched_guider(guider, kind, numbers)
        if self.guides:
            self._check_functions(guider)
            is_guided = guider.cfg != 1.0 or guider.is_guided or self.always_negative
            span, always = (guider.start, guider.end), self.always_negative
            functions = PackFunctions(guider.cfg, *span, is_guided, always, self.call)
            guider = replace(guider, added=(*guider.added, functions))
        if self.gradual is not None:
            latent = replace(latent, gradual=self.gradual)
        noise = replace(parts.noise, strength=parts.noise.strength * self.noise_scale)
        return latent, replace(parts, guider=guider, noise=noise)

    def _check_functions(self, guider: GuiderChoice) -> None:
        if guider.method.prompts:
            raise InvalidValue(
                f"functions of a pack know a positive and a negative prompt, and the guidance "
                f"`{guider.method.title}` has more",
                port="model",
                hint="Use a CFGGuider, or link the model as it was before the pack's node.",
            )
        late = "rescale" if guider.rescale else "norm" if guider.norm is not None else ""
        if late:
            raise InvalidValue(
                f"{late} comes after all other guidance, so functions of a pack cannot follow it",
                port="model",
                hint=f"Leave {late} out, or link the model as it was before the pack's node.",
            )

    def begin(
        self,
        denoiser: Denoiser,
        latent: Latent,
        parts: SamplingParts,
        extra_models: Mapping[Recipe, Any] | None = None,
    ) -> Denoising:
        """See `ModelPatches.begin`."""
        if not self.guides and not self.masks:
            return Denoising(denoiser, latent, parts, extra_models)
        denoising = LentDenoising(denoiser, latent, parts, extra_models)
        self.introduce(denoising, parts.guider)
        return denoising

    def introduce(self, denoising: PackDenoising, guider: GuiderChoice) -> None:
        """Tell the functions which sampling begins."""
        denoising.call, denoising.asks_mask = self.call, self.masks
        if self.guides or self.masks:
            self.call(function="begin", sigmas=denoising.sigmas, **_prompts(guider))


def _prompts(guider: GuiderChoice) -> dict[str, Conditioning | None]:
    """The prompts of a guider; without a negative one, the empty prompt, as far as it is known."""
    negative = guider.negative
    if negative is None and guider.empty is not None:
        negative = Conditioning((guider.empty,))
    return {"positive": guider.positive, "negative": negative}


class WalkedDenoising(LentDenoising):
    """A sampling of a native node whose noise levels a sampler of a pack walks in its process."""

    walk: PackWalk
    model: DiffusionModel
    parts: SamplingParts
    _ended: Tensor | None = None

    def check(self) -> None:
        """Check that the pack samples from the first noise to the last.

        Raises:
            InvalidValue: The schedule leaves noise, or the latent has some.
        """
        if float(self.sigmas[-1]) > 0 or self._latent.leftover is not None:
            raise InvalidValue(
                "a sampler or guider of a pack samples from the first noise to the last here",
                port="schedule",
                expected="a schedule that ends at 0, and a latent without leftover noise",
                hint="Use native ones for a part of a schedule.",
            )

    def steps(self, between_evaluations: Callable[[], object] = bool) -> Iterator[StepInfo]:
        """Walk all levels, and yield the last step; the pack's process reports the others."""
        answer = self._answer(_sent(self._noise if self._added else torch.zeros_like(self._noise)))
        self._ended, denoised = (self._placed(answer[name]) for name in ("samples", "denoised"))
        if self._ended.shape != self._noise.shape or not bool(torch.isfinite(self._ended).all()):
            raise NumericalError("the sampler of the pack returned no finite latent of its size")
        yield self._step_info(self.total, float(self.sigmas[-2]), 0.0, self._ended, denoised)

    def _answer(self, noise: Tensor) -> Mapping[str, Tensor]:
        """What the pack returns: ``samples`` and ``denoised``, the last prediction."""
        mask = None if self._mask is None else _sent(self._step_mask())
        with self.walk.offering(self, self.model) as token:
            answer: Mapping[str, Tensor] = self.walk.call(
                function="sample",
                model=self.model,
                token=token,
                noise=noise,
                latent=_sent(self._original),
                sigmas=self.sigmas,
                mask=mask,
                cfg=float(self.parts.guider.cfg),
                seed=self.parts.noise.seed,
                **_prompts(self.parts.guider),
            )
        return answer

    def result(self) -> Latent:
        """The latent at the end of the schedule."""
        assert self._ended is not None
        return self._as_latent(self._ended)


@dataclass(frozen=True, slots=True)
class PackWalk:
    """The sampler of a pack for samplings of native nodes; see `LentSampler`.

    Attributes:
        call: Calls the sampler in the pack's process.
        offering: Offers predictions of a sampling to the pack's process, by a token.
        token: Stands for the sampler in that process.
    """

    call: Callable[..., Any]
    offering: Callable[[WalkedDenoising, DiffusionModel], AbstractContextManager[str]]
    token: str = ""

    def begin(
        self,
        model: DiffusionModel,
        patches: PackPatches | None,
        denoiser: Denoiser,
        latent: Latent,
        parts: SamplingParts,
        extra_models: Mapping[Recipe, Any] | None = None,
    ) -> Denoising:
        """Begin a sampling; see `WalkedDenoising.check`.

        Raises:
            InvalidValue: A function of a pack changes the noise mask: only native samplers ask it.
        """
        denoising = WalkedDenoising(denoiser, latent, parts, extra_models)
        denoising.check()
        if patches is not None and patches.masks:
            raise InvalidValue(
                "a sampler of a pack cannot be used with a function that changes the noise mask",
                port="model",
                hint="Use a native sampler, or a node of the pack that samples.",
            )
        denoising.walk, denoising.model, denoising.parts = self, model, parts
        if patches is not None:
            patches.introduce(denoising, parts.guider)
        return denoising


class GuidedDenoising(WalkedDenoising):
    """A sampling of a native node that a guider of a pack does in the pack's process."""

    guide: Callable[..., Any]

    def check(self) -> None:
        super().check()
        if self._sound is not None:
            message = "a guider of a pack cannot sample video with sound"
            raise InvalidValue(message, port="guider", hint="Use a native guider.")

    def _answer(self, noise: Tensor) -> Mapping[str, Tensor]:
        sampler = self.parts.sampler
        token = sampler.walk.token if type(sampler) is LentSampler else ""
        answer: Mapping[str, Tensor] = self.guide(
            function="guide",
            noise=noise,
            latent=self._latent,
            sigmas=self.sigmas,
            sampler=None if token else sampler,
            token=token,
            seed=self.parts.noise.seed,
        )
        return answer


@dataclass(frozen=True, slots=True)
class PackGuider:
    """The guider of a pack for samplings of native nodes; see `LentGuider`.

    Attributes:
        call: Calls the guider in the pack's process.
    """

    call: Callable[..., Any]

    def applied(
        self, model: DiffusionModel | None, latent: Latent, parts: SamplingParts
    ) -> tuple[DiffusionModel, SamplingParts]:
        """Return the model of the guider, and a sampling with drawn noise.

        Raises:
            InvalidValue: Another model is linked.
        """
        assert isinstance(parts.guider, LentGuider)
        own = parts.guider.model
        assert own is not None
        if model is not None and unpatched(model) != own:
            raise InvalidValue(
                "the guider of a pack samples another model",
                port="model",
                expected="the model that the guider was made with",
                hint="Unlink the model: the guider brings its own.",
            )
        return own, replace(parts, noise=drawn_noise(parts.noise, own, latent))

    def begin(
        self,
        denoiser: Denoiser,
        latent: Latent,
        parts: SamplingParts,
        extra_models: Mapping[Recipe, Any] | None = None,
    ) -> Denoising:
        """Begin a sampling; see `WalkedDenoising.check`."""
        denoising = GuidedDenoising(denoiser, latent, parts, extra_models)
        denoising.check()
        denoising.guide, denoising.parts = self.call, parts
        return denoising
