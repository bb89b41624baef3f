"""Values on links: latents, audio, video, conditionings, model recipes.

Their tensors are on the CPU, and this module never imports torch. Values on links are shared and
read-only: make a changed copy with `dataclasses.replace`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nodegraph.core.digests import digest_value
from nodegraph.core.recipe_options import SPEED_PREFIX

if TYPE_CHECKING:
    from torch import Tensor


_NEAR = 3
"""Number of folders above a model's first file that may be the folder of the model."""
SPAN_TOLERANCE = 1e-8
"""Rounding tolerance of comparisons with the start of a range of the sampling."""
NOT_CONTENT: dict[str, Any] = {"content": False}
"""Field metadata: the field does not enter the value's digest."""


Form = Literal["exploding", "mixing"]
"""How noise is mixed into a latent; see `Leftover`."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Noise that remains in a latent after a sampling that stopped early.

    Attributes:
        sigma: Noise level, for an unscaled latent. For flow models, 0 to 1.
        form: ``exploding``: latent + sigma · noise; ``mixing``: alpha · latent + deviation · noise.
        original: Clean latent of the image that a mask keeps in part. None without a mask.
    """

    sigma: float
    form: Form
    original: Tensor | None = None


@dataclass(frozen=True, slots=True)
class FrameGuide:
    """Image or clip that guides a sampling at a frame of its video.

    Attributes:
        samples: Its clean latent, float32 on the CPU, shape (1, channels, latent frames,
            height / f, width / f).
        frame: Frame of the video that it begins at, from 0.
        count: Number of its frames. 1 for an image.
        strength: 1 keeps the guide free of noise and unchanged. Below, the sampling starts from
            the guide with a part of the noise, and changes it. 0 to 1.
        is_appended: Whether the model gets the guide as further tokens, which are not part of the
            video. If not, it takes the place of the first frames.
    """

    samples: Tensor
    frame: int = 0
    count: int = 1
    strength: float = 1.0
    is_appended: bool = False

    @property
    def latent_frames(self) -> int:
        """Number of latent frames."""
        return int(self.samples.shape[2])


@dataclass(frozen=True, slots=True)
class Latent:
    """Batch of latents, or the size of an empty batch.

    Attributes:
        samples: The latents, float32 on the CPU, shape (batch, channels, height / f, width / f),
            where f is the format's spatial factor. Videos have the frames before the height. None
            for an empty latent: the model that samples it then sets channels and factors.
        width, height: Size in pixels. For items that are not images, their features and tokens.
        batch_size: Number of images, videos or items.
        noise_mask: float32 in 0..1, shape (1 or batch, height, width) in pixels. 1 is denoised, 0
            is kept.
        format: Name of the latent format of the samples, such as ``sd`` or ``flux``. It determines
            which VAE can decode them and which models can sample them. None for an empty latent.
        batch_index: Index of each item in its original batch: item i draws its noise from a
            generator seeded with seed + batch_index[i]. None means 0, 1, 2, ….
        frames: Number of frames of a video. 1 for an image.
        leftover: Noise that remains in the samples. None for clean samples.
        gradual: How much the mask works as a threshold, 0 to 1. At 1, a cell with mask 0.3 changes
            only during the last 0.3 of the timesteps. At 0, the mask is the share of each step that
            is applied. Values between mix the two.
        sound: Latents of the sound that belongs to a video, float32 on the CPU, shape (batch,
            channels, latent frames of the sound, mel bands), scaled as in the model's training.
            None for no sound, or for a sound as long as the video that the model makes anew.
        guides: Images and clips that guide the sampling at frames of the video.
        sound_mask: float32 in 0..1, shape (1 or batch, latent frames of the sound). 1 is denoised,
            0 is kept. None denoises all of the sound.
        any_size: Whether a size that the model cannot split into whole patches is sampled at the
            next larger one, and cropped. Else such a size is refused.
    """

    samples: Tensor | None
    width: int
    height: int
    batch_size: int = 1
    noise_mask: Tensor | None = None
    format: str | None = None
    batch_index: tuple[int, ...] | None = None
    frames: int = 1
    leftover: Leftover | None = None
    gradual: float = 0.0
    sound: Tensor | None = None
    guides: tuple[FrameGuide, ...] = ()
    sound_mask: Tensor | None = None
    any_size: bool = False

    @property
    def is_masked(self) -> bool:
        """Whether a mask keeps a part of the latent or its sound."""
        return self.noise_mask is not None or self.sound_mask is not None

    @property
    def noise_indices(self) -> tuple[int, ...]:
        """Numbers that are added to the seed, one per item."""
        if self.batch_index is not None:
            return self.batch_index
        return tuple(range(self.batch_size))


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio as a waveform.

    Attributes:
        waveform: float32 on the CPU, shape (channels, samples). Files store the range -1..1.
        rate: Samples per second.
    """

    waveform: Tensor
    rate: int

    @property
    def seconds(self) -> Fraction:
        """Duration in seconds."""
        return Fraction(self.waveform.shape[1], self.rate)


@dataclass(frozen=True, slots=True)
class Video:
    """Video frames with optional audio.

    Attributes:
        frames: The frames, float32 in 0..1 on the CPU, sRGB, shape (frames, height, width, 3).
        rate: Frames per second as an exact fraction: 24000/1001, not 23.976.
        audio: The audio, which starts with the first frame. None for no audio.
    """

    frames: Tensor
    rate: Fraction
    audio: Audio | None = None

    @property
    def seconds(self) -> Fraction:
        """Duration of the frames in seconds."""
        return self.frames.shape[0] / self.rate


@dataclass(frozen=True, slots=True)
class Control:
    """Control image and the control network that applies it: a ControlNet or T2I adapter.

    Attributes:
        model: Recipe of the control network.
        hint: The control image, float32. For networks that read pixels: in 0..1, shape (1 or
            batch, height, width, channels). For networks that read latents: scaled as in the
            model's training, shape (1 or batch, channels, height, width) in cells; of videos
            (1, channels, frames, height, width).
        strength: Strength of the control. 1 is the strength of its training.
        start, end: Range of the sampling in which it applies, 0 (first step) to 1 (last step).
        mode: Mode of a union ControlNet, which selects the kind of control image. None for other
            networks.
        faint: Whether the first blocks get less control than the last ones (guess mode).
        mask: Mask for inpainting networks that read pixels, in 0..1, shape (1 or batch, height,
            width). The control image is hidden where the mask is 0.5 or more.
    """

    model: Recipe
    hint: Tensor
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    mode: int | None = None
    faint: bool = False
    mask: Tensor | None = None

    def applies(self, begin: float, end: float) -> bool:
        """Return whether the control applies to a step.

        Args:
            begin, end: Completed fraction of the sampling at the begin and the end of the step, 0
                to 1. By ComfyUI's convention, both are that of the begin.
        """
        return self.start - SPAN_TOLERANCE <= begin and end <= self.end


@dataclass(frozen=True, slots=True)
class StepSpan:
    """Selection of steps of a sampling, counted from 0 in the whole schedule.

    Attributes:
        first: First selected step.
        end: Step after the last selected one. None for the end of the sampling.
        every, phase: Only the steps with step % every == phase are selected.
    """

    first: int = 0
    end: int | None = None
    every: int = 1
    phase: int = 0

    def holds(self, step: int) -> bool:
        """Return whether a step is selected."""
        is_between = self.first <= step and (self.end is None or step < self.end)
        return is_between and step % self.every == self.phase


@dataclass(frozen=True, slots=True)
class Area:
    """Rectangle of an image in which a prompt applies.

    Attributes:
        x, y: Position of the upper left corner.
        width, height: Size. A part outside the image is ignored.
        unit: Unit of position and size: ``shares`` for fractions of the image's width or height,
            or ``pixels``.
        feather: Width of the fade-in from the sides that are not sides of the image: a fraction of
            the image's shorter side, or pixels. See `sampled`.
        sampled: Latent that the model receives for the prompt: that of the whole ``picture``, or
            only that of the ``area``. The ``area`` consists of whole latent cells. Its feather is
            always in pixels and fades cell by cell, but only if the prompt has no mask.
    """

    x: float
    y: float
    width: float
    height: float
    unit: Literal["shares", "pixels"] = "shares"
    feather: float = 0.0
    sampled: Literal["picture", "area"] = "picture"


@dataclass(frozen=True, slots=True)
class ConditioningEntry:
    """One encoded prompt, and where and when it applies.

    Attributes:
        tensors: Tensors by name, on the CPU, each with a first dimension of 1: ``embeddings``
            (1, tokens, width), and others that the family needs, such as ``pooled`` (1, width) or
            ``mask`` (1, tokens).
        strength: Weight among the entries that apply at the same position and step.
        mask: Where the entry applies, float32 in 0..1, shape (1, height, width) in pixels. None
            for everywhere.
        start, end: Range of the sampling in which it applies, 0 (first step) to 1 (last step).
        controls: Control images that apply together with the prompt.
        references: Latents of reference images for editing models, each of shape
            (1, channels, height, width), scaled as in the model's training.
        steps: Steps at which it applies, in addition to `start` and `end`. None for all steps.
        areas: Areas in which it applies, in addition to `mask`. It applies only where all of them
            overlap.
        adapters: Adapters that the model has, in addition to its own, while it is evaluated.
        is_fallback: Whether it applies only as far as the other entries of its side leave weight:
            its weight is multiplied by 1 minus the sum of theirs, at least 0.
        grounding: Phrases in boxes of the image, for GLIGEN. None for none.
    """

    tensors: Mapping[str, Tensor]
    strength: float = 1.0
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0
    controls: tuple[Control, ...] = ()
    references: tuple[Tensor, ...] = ()
    steps: StepSpan | None = None
    areas: tuple[Area, ...] = ()
    adapters: tuple[ScheduledAdapter, ...] = ()
    is_fallback: bool = False
    grounding: Grounding | None = None

    @property
    def embeddings(self) -> Tensor:
        """Token embeddings of the prompt, shape (1, tokens, width)."""
        return self.tensors["embeddings"]


@dataclass(frozen=True, slots=True)
class Conditioning:
    """Encoded prompts: at least one entry, all of one model family.

    Attributes:
        entries: The prompts.
        family: Name of the model family, such as ``sd1``. None if it is not known.
        unconditional: The empty prompt of the same encoder, for guidance that needs a negative
            prompt when none is given. None for families that do not use it.
    """

    entries: tuple[ConditioningEntry, ...]
    family: str | None = None
    unconditional: ConditioningEntry | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """Adapter weights that are applied on top of a model, such as a LoRA.

    Attributes:
        kind: Kind of the adapter, such as ``lora``.
        source: Path of the file with the weights.
        digest: blake3 digest of the file's content, hexadecimal.
        strength: Strength of the adapter. 1 is the strength of its training.
        modules: Roles of the modules that it applies to, such as ``transformer_2``. Empty for all.
        token: Word in prompts that stands for a textual inversion embedding. Empty for others.
    """

    kind: str
    source: str = field(metadata=NOT_CONTENT)
    digest: str
    strength: float = 1.0
    modules: tuple[str, ...] = ()
    token: str = ""


@dataclass(frozen=True, slots=True)
class ModelAdapter(Adapter):
    """Another model to mix with: strength 0 is the model alone, 1 the other one alone.

    Attributes:
        model: The other model, of the same architecture.
    """

    model: DiffusionModel | None = None


@dataclass(frozen=True, slots=True)
class ScheduledAdapter:
    """Adapter whose strength changes during a sampling.

    Attributes:
        adapter: The adapter.
        keyframes: Start and factor of each keyframe, sorted by start. A start is a fraction of the
            sampling, 0 (first step) to 1 (last step). The adapter's strength is multiplied by the
            factor of the last keyframe that has begun, or of the first one before that. Empty for
            a constant strength.
        end: Fraction of the sampling, 0 to 1, that the adapter is limited to. A step counts if it
            lies completely inside.
    """

    MOST_FACTOR: ClassVar[float] = 20.0
    """Largest factor, in either direction."""

    adapter: Adapter
    keyframes: tuple[tuple[float, float], ...] = ()
    end: float = 1.0

    def at(self, begun: float, after: float = 0.0) -> Adapter:
        """Return the adapter at its strength in the step between two fractions of the sampling."""
        if after > self.end + SPAN_TOLERANCE:
            return replace(self.adapter, strength=0.0)
        if not self.keyframes:
            return self.adapter
        factor = self.keyframes[0][1]
        for start, value in self.keyframes:
            if start - SPAN_TOLERANCE <= begun:
                factor = value
        return replace(self.adapter, strength=self.adapter.strength * factor)


@dataclass(frozen=True, slots=True)
class TextBox:
    """Phrase and the rectangle of an image that shows it.

    Attributes:
        area: The rectangle. A part outside the image is ignored, and so is `Area.feather`.
        embedding: Pooled embedding of the phrase, float32, shape (1, width).
    """

    area: Area
    embedding: Tensor


@dataclass(frozen=True, slots=True)
class Grounding:
    """Text boxes of a prompt, and the GLIGEN layers that read them.

    Attributes:
        layers: The layers, an adapter of kind ``gligen``, and the part of the sampling in which
            the model has them.
        boxes: The text boxes, up to `MOST_BOXES`.
        guides_negative: Whether negative prompts without boxes have these, as in ComfyUI. If not,
            they are evaluated without boxes, as in diffusers.
    """

    MOST_BOXES: ClassVar[int] = 30
    """Boxes that GLIGEN was trained with."""

    layers: ScheduledAdapter
    boxes: tuple[TextBox, ...]
    guides_negative: bool = False


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """File of a model component.

    Attributes:
        role: Part that the file belongs to, named as in model folders: ``unet``,
            ``text_encoder_2``, ``tokenizer``, …. ``checkpoint`` for a file with several parts.
        path: Path of the file.
        digest: blake3 digest of its content, hexadecimal.
    """

    role: str
    path: str = field(metadata=NOT_CONTENT)
    digest: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """Immutable description of a model component, without its weights.

    A residency manager loads the module when a node needs it. Two recipes with the same content
    give the same weights, even if the paths of their files differ.

    Attributes:
        family: Model family (architecture), such as ``sd1``.
        files: Files of the component, at least one.
        dtype: Precision of the weights in memory: ``float32``, ``float16``, ``bfloat16``.
        options: Other settings that change the module, as sorted (name, value) pairs.
        adapters: Adapters that are applied to the weights, in this order. Recipes share weights if
            they differ only in adapters and in options whose names begin with ``speed.``.
    """

    family: str
    files: tuple[RecipeFile, ...]
    dtype: str = "float32"
    options: tuple[tuple[str, str], ...] = ()
    adapters: tuple[Adapter, ...] = ()

    @property
    def is_derived(self) -> bool:
        """Whether the component is derived from that of `base` by adapters or speed options."""
        return bool(self.adapters) or any(name.startswith(SPEED_PREFIX) for name, _ in self.options)

    @property
    def base(self) -> Recipe:
        """The recipe of the shared weights, without adapters and speed options."""
        if not self.is_derived:
            return self
        kept = tuple(item for item in self.options if not item[0].startswith(SPEED_PREFIX))
        return replace(self, adapters=(), options=kept)

    @property
    def source(self) -> str:
        """Path of the component: the common folder of its files, or its first file.

        It is the first file if there is only one, or if other files are far from it, such as a
        tokenizer that ships with nodegraph.
        """
        first = self.files[0].path
        shared = Path(os.path.commonpath([file.path for file in self.files]))
        is_own = shared.name != "" and shared in list(Path(first).parents)[:_NEAR]
        return str(shared) if is_own else first

    @property
    def digest(self) -> str:
        """Digest of the contents of the files, independent of their paths.

        It is the digest of the file if there is only one.
        """
        if len(self.files) == 1:
            return self.files[0].digest
        return digest_value([(file.role, file.digest) for file in self.files])

    def paths(self, role: str) -> list[str]:
        """Return the paths of the files of a part."""
        return [file.path for file in self.files if file.role == role]

    def option(self, name: str, default: str = "") -> str:
        """Return the value of an option, or `default`."""
        return dict(self.options).get(name, default)


class DiffusionModel(Recipe):
    """Recipe of a denoiser: a UNet or transformer with its noise schedule."""

    __slots__ = ()


class TextEncoder(Recipe):
    """Recipe of a text encoder with its tokenizer."""

    __slots__ = ()


class Vae(Recipe):
    """Recipe of a variational autoencoder between pixels and latents."""

    __slots__ = ()


class ControlNet(Recipe):
    """Recipe of a control network for a denoiser: a ControlNet or T2I adapter."""

    __slots__ = ()


class ImageEncoder(Recipe):
    """Recipe of an image encoder, such as CLIP's vision model."""

    __slots__ = ()


class PipelineComponent(Recipe):
    """Recipe of one component of a diffusers pipeline; its family is the name of its class in
    diffusers or transformers, which loads it."""

    __slots__ = ()


class VisionNetwork(Recipe):
    """Recipe of a vision network that nodegraph implements; its family is its architecture."""

    __slots__ = ()
