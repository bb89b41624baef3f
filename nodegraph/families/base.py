"""Base class of model families, their parts, and the names of tensors in prompts.

Loading, sampling, guidance and the checks before a run use this interface and never the name of a
family. docs/families.md shows how to add a family. Imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.errors import InvalidValue
from nodegraph.families.flow_shift import Mu
from nodegraph.families.image_conditioning import (
    CONTROL_IMAGE,
    INPAINT_MASK,
    MASKED_IMAGE,
    NO_STAGE_TENSORS,
    STAGE_TENSORS,
    VIDEO_CONDITIONS,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest, SoundPlacement
from nodegraph.families.needed_media import MediaNeeds
from nodegraph.families.position_limits import PositionLimits
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory, TokenMemory
from nodegraph.weights.single_files.base import FileLayout, SingleFile

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import ControlNetCall, Residuals
    from nodegraph.families.prompts import MusicPrompt
    from nodegraph.weights.safetensors_header import Shapes

Config = Mapping[str, Any]
"""Content of a configuration file of diffusers or transformers."""

_TOKENS = TokenMemory(16, 256)
"""Default memory per token of a transformer."""

Warn = Callable[[str], None]

INDEXED_REFERENCES, ZERO_TIMESTEP_REFERENCE = "numbered", "still"
"""Tensors of a prompt whose reference images are distinguished by index instead of by position, and
of one whose reference images get timestep 0, that is, no noise; each of shape (1,)."""

GUIDANCE, LATE_CFG, TIME_IDS = "guidance", "late_cfg", "time_ids"
"""Tensors of a prompt: the guidance scale as an input of guidance-distilled models, and that of the
second of two experts, each of shape (1,); the size conditioning of Stable Diffusion XL, shape
(1, 6) or (1, 5)."""

CONTROLS = "controls"
"""Name in a batch of the residuals of control networks, as returned by `Family.controlled`."""

RATE = "rate"
"""Tensor of a prompt: frames per second of the video as a fraction, int64, shape (1, 2)."""

ORIGINAL_SIZE, CROP, TARGET_SIZE, SCORE = "original_size", "crop", "target_size", "score"
"""Tensors of a prompt: size conditioning of Stable Diffusion XL, as height and width, top and left,
height and width, each of shape (1, 2), and the aesthetic score, shape (1, 1)."""

SILENCE, NULL_EMBEDDING = "silence", "null_embedding"
"""Tensors of a prompt for music: latents of silence, shape (1, frames, features), and the learned
embedding of no prompt, shape (1, 1, width)."""

SOURCE_SOUND, GENERATED_FRAMES = "source_sound", "generated_frames"
"""Tensors of a prompt that edits sound: its latents, shape (1, frames, features), and 1 for frames
that are generated, 0 for those that are kept, shape (1, frames, 1)."""

SECONDS = "seconds"
"""Tensor of a prompt for sound: when it starts and ends, in seconds, shape (1, 2)."""

SHARED = (
    *(MASKED_IMAGE, INPAINT_MASK, CONTROL_IMAGE, RATE, *VIDEO_CONDITIONS),
    *(ORIGINAL_SIZE, CROP, TARGET_SIZE, INDEXED_REFERENCES, ZERO_TIMESTEP_REFERENCE),
    *(SOURCE_SOUND, GENERATED_FRAMES, SILENCE, SECONDS, *NO_STAGE_TENSORS),
)
"""Tensors that prompts without them take from the first positive prompt."""

CONDITION_TENSORS = (*SHARED, LATE_CFG, GUIDANCE, TIME_IDS, SCORE, NULL_EMBEDDING, *STAGE_TENSORS)
"""Tensors of a prompt that do not come from its text."""

ATTENTION_CACHES = frozenset({"taylorseer", "broadcast"})
"""Step caches that hook into attention, which all networks of diffusers have; see
`Family.speedups`."""
BLOCK_CACHES = frozenset({"first_block", "mag"})
"""Step caches that skip blocks."""
LITE, FUSED, CHANNELS_LAST = (frozenset({name}) for name in ("lite", "fused", "channels_last"))
"""TaylorSeer's lite mode, fused attention projections, and convolution weights in channels-last
memory format."""


def usual_pipelines(name: str) -> tuple[str, ...]:
    """Return diffusers' usual pipeline classes: text-to-image, image-to-image and inpainting.

    Args:
        name: Prefix of their names, such as ``Flux``.
    """
    return f"{name}Pipeline", f"{name}Img2ImgPipeline", f"{name}InpaintPipeline"


def encoded(tensors: Mapping[str, Tensor]) -> ConditioningEntry:
    """Return a conditioning entry of the tensors of a text encoder, as `Family.encode` does."""
    # Only a family that computes needs it.
    from nodegraph.core.values import ConditioningEntry

    return ConditioningEntry(tensors)


@dataclass(frozen=True, slots=True)
class Part:
    """Component of a model. In a model folder, it has a subfolder.

    Attributes:
        role: Name of the subfolder, such as ``text_encoder_2``.
        classes: Classes of diffusers or transformers that it may have. The first is used if the
            files do not name a class.
        module: Import name of the module with these classes, if another package defines them.
        processor: Class that its folder holds, if only its tokenizer or its image processor is
            used. Else empty.
        optional: Whether models may lack it.
        apart: Whether model folders may lack it, as prompts get it from a separate loader.
        padding: Padding token of a CLIP tokenizer, if the files do not name one.
        files: Layouts of the component in a file without a configuration, alone or with others.
            The first layout that matches is used. Empty if such files are not supported.
        vocabulary: A name in `nodegraph.families.vocabulary`, for files without a tokenizer.
        only_embeds: Whether it is a language model that was trained to embed text, and writes none.
        conditioner: Whether it reads prompts for the denoiser beside it, and denoises nothing.
    """

    role: str
    classes: tuple[str, ...]
    optional: bool = False
    padding: str = "<|endoftext|>"
    files: tuple[FileLayout, ...] = ()
    vocabulary: str = ""
    apart: bool = False
    module: str = ""
    processor: str = ""
    only_embeds: bool = False
    conditioner: bool = False

    @property
    def may_lack(self) -> bool:
        """Whether a model folder is complete without it."""
        return self.optional or self.apart


@dataclass(frozen=True, slots=True)
class Resolutions:
    """Image sizes that a model was trained on.

    Attributes:
        area: Number of pixels of an image or a frame.
        multiple: Sides are multiples of this number of pixels.
        buckets: Widths and heights in pixels, if the training used a list; also with sides swapped.
    """

    area: int
    multiple: int
    buckets: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Family(MediaNeeds, ABC):
    """Model architecture that can be loaded and sampled. Subclasses define how to call it.

    Attributes:
        name: Name in recipes and prompts, such as ``sd1``.
        title: Display name.
        latent: Its latent format.
        pipelines: The diffusers pipeline classes whose folders hold it.
        denoisers: The denoising network, and its second expert if there is one.
        encoders: The text encoders.
        tokenizers: The tokenizers, in the order of the encoders.
        vae: The autoencoder's role.
        vae_config: Entries that the pipeline overrides in the configuration of a model's own
            autoencoder.
        preconditioned: Whether `predict` takes latent + sigma · noise at any noise level and
            returns the clean latent; its ``noise`` is then ``discrete``.
        needs_image: Whether its prompts need an image, which training has none of.
        needs_seed: Whether its prompts depend on a sampling's seed. Training and tiles have none.
        noise: Its noise process: ``discrete`` variances, or a ``flow`` from noise to latent.
        scheduler: Entries that the pipeline overrides in the scheduler's configuration.
        published_scheduler: Entries of its published scheduler file that `scheduler` replaces.
        spread: How the pipeline spreads a flow's noise levels; one of `flow_noise.SPREADS`.
        mu: How the latent's size shifts them; see `flow_shift`.
        settings: Entries of ``model_index.json`` that its denoiser uses, with their defaults.
        encoder_settings: Entries that its text encoder uses, with their defaults.
        extra_configs: Further configurations, as paths inside the model's folder, if
            ``model_index.json`` names them. They become settings under their folder's name.
        multiple: Pixels that sides must be multiples of.
        size: Pixels per side of the images that it was trained on, if its files do not say.
        needs_negative: Whether the empty prompt replaces a missing negative prompt. If not, a
            missing negative prompt disables guidance.
        joint: Whether all prompts of a step are evaluated in one batch if they fit.
        positive_first: Whether the positive prompts come first in that batch.
        weighs_words: Whether ``(words:1.2)`` sets a weight in prompts. Else brackets are text.
        first_picture: How image-to-video models get the first image: as the first latent
            ``frame``, as the first ``frames`` of a video that may have several, as a ``clip``
            beside the noise that may be as long as the video, or a ``still``, which is one frame,
            as a ``film`` that is gray after it, or as a ``keyframes`` condition. Empty for none.
        inpaint_models: Whether some models of a family with a first ``frame`` take a ``film``.
        control_videos: Whether some of its models take control videos, as Wan VACE.
        image_inputs: What prompts may have: ``references`` (``same images``: encoders read them,
            too), ``control`` (``paired``: beside the model's own, not by channels), ``driving``.
        video_inputs: Of its videos: what a model takes by its configuration, of `VIDEO_MEDIA`.
        needs_media: Whether a prompt must have one of these `video_inputs`.
        wide: Whether latents stay in float32 between steps for models of every precision.
            `predict` then receives float32 latents.
        single_file: Its layout as a single file, if the layouts of its parts do not tell it.
        held: Memory that its transformer needs during a step.
        control: Its control networks. None if there are none.
        controlled_by_positive: Whether a control network reads the positive prompt for both sides.
        control_sees_latents: Whether control networks read latents instead of pixels.
        control_mask_channels: Entry of a control network's configuration; 0 if it reads no mask.
        control_keeps_masked: Classes of masked control networks that see masked pixels, not black.
        control_modes: The modes of a union ControlNet: the name of each mode, and its number.
        aligned: Its ten timesteps of Align Your Steps, the highest first; empty if unpublished.
        lengthens: Whether its models accept concatenated tokens of two prompts.
        readers: Names of its encoders (for example ``clip_l``), in their order, if each can read
            a separate text; see `encode_apart`.
        clip_layer: CLIP layer of its prompts, counted from the last, 1. 0 if there is no choice.
        tells_sizes: Whether its models have size and crop conditioning.
        takes_text_boxes: Whether its models take GLIGEN layers for phrases in boxes.
        follows_unscaled: Whether models with a control image receive its latent unscaled, as
            the VAE returns it.
        accepts_prompts_of: Names of other families whose prompts also work with its models.
        speedups: The speed options tested with its network: `ATTENTION_CACHES` and others.
        has_mag_ratios: Whether diffusers ships the ratios that MagCache needs for it.
        perturbs_attention: Whether guiders may replace its self-attention.
        skips_blocks: Whether guiders may skip its blocks.
        block_stacks: Attributes of its network that list its blocks, and those of a second kind.
            Empty if they have a standard name that guiders find.
        block_outputs: By class of a block that diffusers' `TransformerBlockRegistry` misses:
            positions of the image and of the prompt in its output.
        guides_clean: Whether its pipeline guides clean latents instead of outputs.
        takes_guides: Whether images and clips can guide frames of its videos.
        sound: Places the sound of videos in the sampled tensor. None for families without sound.
        records_attention: Whether its cross-attention maps per prompt token can be recorded.
        text_width: Width of text embeddings that identifies adapters for its UNet, or else 0.
        lora_signs: Tensor names that identify its LoRA files. If empty, every file is tried.
        comfyui_type: Its type in ComfyUI's text encoder loaders. Empty if it has none.
        resolutions: The sizes offered for its images or videos, by the name of the choice.
    """

    name: str
    title: str
    latent: LatentFormat
    pipelines: tuple[str, ...]
    denoisers: tuple[Part, ...]
    encoders: tuple[Part, ...]
    tokenizers: tuple[Part, ...]
    vae: str = "vae"
    vae_config: Config = field(default_factory=dict)
    noise: Literal["discrete", "flow"] = "discrete"
    preconditioned: bool = False
    needs_image: bool = False
    needs_seed: bool = False
    scheduler: Config = field(default_factory=dict)
    published_scheduler: Config = field(default_factory=dict)
    spread: str = "own"
    mu: Mu | None = None
    settings: Config = field(default_factory=dict)
    encoder_settings: Config = field(default_factory=dict)
    extra_configs: tuple[str, ...] = ()
    multiple: int = 8
    size: int = 1024
    needs_negative: bool = True
    joint: bool = True
    positive_first: bool = False
    weighs_words: bool = False
    first_picture: Literal["", "frame", "frames", "clip", "still", "film", "keyframes"] = ""
    inpaint_models: bool = False
    control_videos: bool = False
    image_inputs: frozenset[str] = frozenset()
    video_inputs: Callable[[Config], frozenset[str]] | None = None
    needs_media: bool = False
    wide: bool = False
    single_file: SingleFile | None = None
    held: TokenMemory = _TOKENS
    control: Part | None = None
    controlled_by_positive: bool = False
    control_sees_latents: bool = False
    control_mask_channels: str = ""
    control_keeps_masked: frozenset[str] = frozenset()
    control_modes: Mapping[str, int] = field(default_factory=dict)
    aligned: tuple[int, ...] = ()
    lengthens: bool = False
    readers: tuple[str, ...] = ()
    clip_layer: int = 0
    tells_sizes: bool = False
    takes_text_boxes: bool = False
    follows_unscaled: bool = False
    accepts_prompts_of: tuple[str, ...] = ()
    speedups: frozenset[str] = ATTENTION_CACHES
    has_mag_ratios: bool = False
    perturbs_attention: bool = True
    skips_blocks: bool = True
    block_stacks: tuple[str, ...] = ()
    block_outputs: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    guides_clean: bool = False
    takes_guides: bool = False
    sound: SoundPlacement | None = None
    records_attention: bool = False
    text_width: int = 0
    lora_signs: tuple[LoraSign, ...] = ()
    comfyui_type: str = ""
    resolutions: Mapping[str, Resolutions] = field(default_factory=dict)

    # Recognizing it.

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        """Return the title of the other model in a pipeline folder, or None for this family.

        Args:
            configs: The configuration of each part in the folder, by role.
        """
        return None

    def recognises(self, shapes: Shapes) -> bool:
        """Return whether a single file has a whole model, by names and shapes of its tensors."""
        if self.single_file is None:
            needed = [part.files for part in self.encoders if not part.optional]
            parts = [self.denoisers[0].files, *needed, self.latent.files]
            return all(
                any(layout.prefix(shapes) is not None for layout in files) for files in parts
            )
        prefixes = self.single_file.prefixes.values()
        return all(any(name.startswith(prefix) for name in shapes) for prefix in prefixes)

    # Its numbers.

    def channels(self, config: Config) -> int:
        """Return the channels of its latents: the denoiser's, or those of the latent format."""
        return int(config.get("in_channels", self.latent.channels))

    def trained_size(self, config: Config) -> tuple[int, int]:
        """Return the width and height in pixels that it was trained on."""
        size = config.get("sample_size")
        if not size:
            return self.size, self.size
        height, width = (size, size) if isinstance(size, int) else size
        return int(width) * self.latent.spatial, int(height) * self.latent.spatial

    def context_width(self, config: Config) -> int | None:
        """Return the width of the embeddings that its denoiser takes, or None if unknown."""
        return None

    def adjust_schedule(self, schedule: Config, index: Config) -> Config:
        """Return a scheduler file as the pipeline uses it; `index` is ``model_index.json``."""
        return schedule

    def step_memory(self, config: Config) -> StepMemory:
        """Return the memory of a step without the weights, by the denoiser's configuration."""
        return self.held.of(config)

    def position_limits(self, config: Config) -> PositionLimits | None:
        """Return the largest latent that its network has positions for, or None if any fits."""
        return None

    def leading_frames(self, config: Config, frames: int) -> int:
        """Return how many latent frames are sampled before those of a video, and dropped."""
        return 0

    def tokens(self, shape: Sequence[int]) -> int:
        """Return the tokens of a latent, for the schedule shift; shape as in `SamplingRequest`."""
        return int(shape[-2] // 2) * int(shape[-1] // 2)

    def sound_scale(self, model: Denoiser) -> float:
        """Return the factor of the sound's latents in the sampled tensor."""
        return 1.0

    # Prompts.

    @abstractmethod
    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        """Encode a prompt; see `nodegraph.models.conditioning.encode_prompt`."""

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        """Encode a prompt with a separate text for each encoder, in the order of `readers`."""
        raise InvalidValue(
            f"the text encoders of {self.title} read one text",
            port="encoder",
            hint="Use an EncodePrompt instead.",
        )

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        """Encode a prompt with images; see `nodegraph.models.conditioning.encode_edit`."""
        raise InvalidValue(
            f"the text encoder of {self.title} takes no images",
            port="encoder",
            expected="the text encoder of Qwen-Image-Edit",
            hint="Use an EncodePrompt instead.",
        )

    def encode_music(
        self,
        model: TextModel,
        prompt: MusicPrompt,
        warn: Warn | None = None,
        source: Tensor | None = None,
        reference: Tensor | None = None,
        silence: Tensor | None = None,
    ) -> ConditioningEntry:
        """Encode a prompt for music; see `nodegraph.models.conditioning.encode_music`.

        Args:
            source, reference, silence: Latents of sound, from `LatentFormat.encode_sound`.
        """
        raise InvalidValue(
            f"{self.title} generates no music",
            port="encoder",
            expected="the text encoder of ACE-Step 1.5",
            hint="Use an EncodePrompt instead.",
        )

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        """Return the replacement for a missing negative prompt, or None if there is none."""
        return self.encode(model, "") if self.needs_negative else None

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        """Return the tensors of a prompt for one item, each with a first dimension of 1.

        A family with reference images passes those of the entry with
        `patches.reference_tensors`, and a family with a control image with
        `with_control_image`. Other families reject them.

        Raises:
            InvalidValue: They do not fit the model.
        """
        embeddings = entry.embeddings
        wanted = self.context_width(model.config)
        if embeddings.ndim != 3 or (wanted is not None and embeddings.shape[-1] != wanted):
            raise InvalidValue(
                "the prompt's embeddings do not fit the model",
                port=request.side,
                given=f"shape {tuple(embeddings.shape)}",
                expected=f"shape (1, tokens, {wanted})",
                hint="Encode the prompt with the text encoder of the same LoadModel.",
            )
        return {name: item for name, item in entry.tensors.items() if name != CONTROL_IMAGE}

    def matched(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Pad the token tensors of two prompts to one length with zeros at the end.

        Args:
            first, second: Tensors of one name, each of shape (1, tokens, …).
        """
        tokens = max(first.shape[1], second.shape[1])

        def padded(item: Tensor) -> Tensor:
            missing = item.new_zeros(item.shape[0], tokens - item.shape[1], *item.shape[2:])
            return torch.cat([item, missing], 1)

        return padded(first), padded(second)

    def inpaint_mask(self, mask: Tensor) -> Tensor:
        """Return the mask in the form that inpainting models take with the masked image.

        Args:
            mask: 1 is inpainted, 0 is kept; shape (n, 1, height, width) in pixels.
        Returns:
            The mask, shape (n, channels, height, width) in cells.
        """
        cells = self.latent.cells(mask.shape[-2]), self.latent.cells(mask.shape[-1])
        return torch.nn.functional.interpolate(mask, size=cells)

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        """Return groups of prompts, by index, that share a batch: all in one, if they fit."""
        shapes = [{name: item.shape[1:] for name, item in prompt.items()} for prompt in prompts]
        if self.joint and all(shape == shapes[0] for shape in shapes):
            return [list(range(len(prompts)))]
        return [[index] for index in range(len(prompts))]

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        """Join the prompts of a group, each for all items of a batch, one after the other."""
        names = prompts[0]
        return {
            name: torch.cat(
                [prompt[name].expand(batch, *prompt[name].shape[1:]) for prompt in prompts]
            )
            for name in names
        }

    # The model.

    @property
    def row_names(self) -> tuple[str, ...]:
        """Names of the tensors in a batch that `predict` takes per row, with a timestep per row.

        Samplings that need no other tensors may share a batch. Empty if no batch can be shared.
        """
        return ()

    def initial_noise(self, noise: Tensor, first: ConditioningEntry) -> Tensor:
        """Return the noise that a sampling starts from; `first` is the first positive prompt."""
        return noise

    @abstractmethod
    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """Return the model's output: noise, velocity or another prediction type of its schedule.

        Args:
            x: The latent as the model takes it, (n, channels, …) for n = prompts · items.
            batch: The result of `join`.
        Returns:
            The output, of the same shape as `x`.
        """

    def leads(self, class_name: str, config: Config) -> bool:
        """Return whether a control network fits models of this family.

        Args:
            class_name: Diffusers class of the control network.
            config: Configuration of the control network.
        """
        return self.control is not None and class_name in self.control.classes

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        """Return the residuals of a control network; `predict` gets their sum as `CONTROLS`.

        Args:
            x, moment, batch: The same as in `predict`.
        Raises:
            InvalidValue: The family has no control networks.
        """
        raise InvalidValue(
            f"{self.title} does not support control networks",
            port="positive",
            hint="Remove the node that adds them.",
        )

    def control_is_unshifted(self, config: Config) -> bool:
        """Return whether a control network was trained on latents without the shift."""
        return False

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine two outputs by classifier-free guidance.

        Source: Ho & Salimans 2022, arXiv:2207.12598, equation 6, with cfg = w + 1.
        """
        return away + cfg * (towards - away)

    def scale(self, model: Denoiser, entry: ConditioningEntry, cfg: float, moment: Moment) -> float:
        """Return the guidance scale at a moment; the first positive prompt may override it."""
        return cfg

    def guider_config(
        self, model: Denoiser, prompts: Sequence[Mapping[str, Tensor]]
    ) -> Config | None:
        """Return the configuration of the model's own guider, as in diffusers' guider files.

        None if the model has none: `guided` then combines a positive and a negative side.

        Args:
            prompts: The positive ones, as returned by `fit`.
        """
        return None

    def takes_scale(self, config: Config) -> bool:
        """Return whether the model has a guidance scale input, by the denoiser's configuration."""
        width = config.get("time_cond_proj_dim")
        return bool(config.get("guidance_embeds")) or width is not None

    def guides_itself(self, config: Config, settings: Config) -> bool:
        """Return whether the model is guidance-distilled, so that only one prompt is evaluated.

        Such a model takes the scale as an input, or has a fixed scale.

        Args:
            config: The denoiser's configuration.
            settings: The entries of ``model_index.json`` that it uses.
        """
        return False
