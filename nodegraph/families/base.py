"""Base class of model families, their parts, and the tensors that prompts may bring.

Loading, sampling, guidance and the checks before a run know no family by name: they ask this.
docs/families.md shows how to add one. Imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.errors import InvalidValue
from nodegraph.families.flow_shift import Mu
from nodegraph.families.image_conditioning import (
    CONDITION_VIDEO,
    FILM_AND_MASK,
    FIRST_FRAME,
    IMAGE_EMBEDS,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory, TokenMemory
from nodegraph.weights.single_files.base import FileLayout, SingleFile

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import ControlNetCall, Residuals
    from nodegraph.weights.safetensors_header import Shapes

Config = Mapping[str, Any]
"""A configuration file of diffusers or transformers."""

_TOKENS = TokenMemory(16, 256)
"""What transformers mostly hold."""

Warn = Callable[[str], None]

MASKED_IMAGE, INPAINT_MASK = "hole", "hole_mask"
"""Tensors of a prompt for models that fill masked images: the latent of the image's rest, and
what `Family.inpaint_mask` makes of the mask."""

CONTROL_IMAGE = "beside"
"""Tensor of a prompt for models that follow an image: its latent, (1, channels, height, width)."""

INDEXED_REFERENCES = "numbered"
"""Tensor of a prompt whose images to look at are told apart by numbers in place of where they
lie; (1,)."""

ZERO_TIMESTEP_REFERENCE = "still"
"""Tensor of a prompt whose images to look at are told to be without noise; (1,)."""

GUIDANCE = "guidance"
"""Tensor of a prompt: the scale that models are told which were distilled from guidance, (1,)."""

LATE_CFG = "late_cfg"
"""Tensor of a prompt: the guidance scale of the second of two experts, (1,)."""

CONTROLS = "controls"
"""Name in a batch of what control networks add inside the model, as `Family.controlled` gave it."""

RATE = "rate"
"""Tensor of a prompt: frames a second that a video is to have, as a fraction; int64, (1, 2)."""

GUIDANCE_SCALE, TIME_IDS = "guidance", "time_ids"
"""Tensors of a prompt: what models that were distilled from guidance are told of it, (1,); what
Stable Diffusion XL is told of sizes, (1, 6) or (1, 5)."""

ORIGINAL_SIZE, CROP, TARGET_SIZE, SCORE = "original_size", "crop", "target_size", "score"
"""Tensors of a prompt: what Stable Diffusion XL is to be told of an image, as height and width,
top and left; (1, 2), the score (1, 1)."""

SHARED = (
    *(MASKED_IMAGE, INPAINT_MASK, CONTROL_IMAGE, FIRST_FRAME, CONDITION_VIDEO, IMAGE_EMBEDS, RATE),
    *(ORIGINAL_SIZE, CROP, TARGET_SIZE, INDEXED_REFERENCES, ZERO_TIMESTEP_REFERENCE),
)
"""Tensors that go for prompts without such where the first positive prompt brings them."""

OVER_CELLS = (MASKED_IMAGE, INPAINT_MASK, CONTROL_IMAGE, FIRST_FRAME, FILM_AND_MASK)
"""Tensors of a fitted prompt that lie over the latent, cell by cell."""

CONDITION_TENSORS = (*SHARED, LATE_CFG, GUIDANCE_SCALE, TIME_IDS, SCORE)
"""Tensors of a prompt that aren't made of its text."""


def with_masked_image(
    tensors: Mapping[str, Tensor], request: SamplingRequest, *, fills: bool
) -> dict[str, Tensor]:
    """A prompt's tensors, without a masked image for models that fill none; for those that do,
    with the latent's own where the prompt brings none.

    Raises:
        InvalidValue: On the port of the side: the model fills such, and there is none.
    """
    if not fills:
        return {
            name: item for name, item in tensors.items() if name not in (MASKED_IMAGE, INPAINT_MASK)
        }
    if MASKED_IMAGE not in tensors and not request.masked_image:
        raise InvalidValue(
            "the model fills masked images, and the conditioning has none",
            port=request.side,
            hint="Put an InpaintConditioning between the prompts and the sampler, or sample an "
            "image's latent with a noise mask.",
        )
    return {**request.masked_image, **tensors}


def with_control_image(
    tensors: Mapping[str, Tensor],
    entry: ConditioningEntry,
    request: SamplingRequest,
    *,
    follows: bool,
) -> dict[str, Tensor]:
    """A prompt's tensors, with its image to follow for models that follow one.

    Raises:
        InvalidValue: On the port of the side: the model follows one, and there is none, or it is
            of another size.
    """
    if not follows:
        return dict(tensors)
    picture = entry.tensors.get(CONTROL_IMAGE)
    if picture is None:
        raise InvalidValue(
            "the model needs a control image, and the conditioning has none",
            port=request.side,
            hint="Put an ImageConditioning between the prompts and the sampler.",
        )
    if picture.shape[-2:] != tuple(request.shape[-2:]):
        raise InvalidValue(
            "the control image and the latent differ in size",
            port=request.side,
            given=f"{tuple(picture.shape[-2:])} in latent cells",
            expected=str(tuple(request.shape[-2:])),
            hint="Sample the latent output of ImageConditioning.",
        )
    return {**tensors, CONTROL_IMAGE: picture}


ATTENTION_CACHES = frozenset({"taylorseer", "broadcast"})
"""Step caches by hooks on attention, which all networks of diffusers have; see
`Family.speedups`."""
BLOCK_CACHES = frozenset({"first_block", "mag"})
"""Step caches that skip blocks."""
LITE = frozenset({"lite"})
"""TaylorSeer's lite form."""
FUSED = frozenset({"fused"})
"""Fused projections of attention."""
CHANNELS_LAST = frozenset({"channels_last"})
"""Weights of convolutions with the channels last."""


def usual_pipelines(name: str) -> tuple[str, ...]:
    """The three pipeline classes of diffusers that most families have: text to image, image to
    image, inpainting.

    Args:
        name: How their names begin, such as ``Flux``.
    """
    return f"{name}Pipeline", f"{name}Img2ImgPipeline", f"{name}InpaintPipeline"


def encoded(tensors: Mapping[str, Tensor]) -> ConditioningEntry:
    """What a text encoder gave for a prompt, by name; `Family.encode` is made of it."""
    # Only a family that computes needs it.
    from nodegraph.core.values import ConditioningEntry

    return ConditioningEntry(tensors)


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a model, in a folder of its own where the model is a folder.

    Attributes:
        role: Name of the folder, such as ``text_encoder_2``.
        classes: Of diffusers or transformers, that may fill it; the first where files don't say.
        module: Import name of the module that has them, where a package brings its own.
        optional: Whether models may come without it.
        apart: Whether folders may come without it, and another gives it then: nothing is encoded
            without.
        padding: Of a tokenizer of CLIP's words: the word that prompts are padded with, where files
            don't say.
        files: How it lies in a file without a configuration, alone or with others; the first that
            matches. Empty where such files aren't read.
        vocabulary: Of a tokenizer: its name in `nodegraph.families.vocabulary`, by which one is
            found for files that hold none; empty where none is looked for.
    """

    role: str
    classes: tuple[str, ...]
    optional: bool = False
    padding: str = "<|endoftext|>"
    files: tuple[FileLayout, ...] = ()
    vocabulary: str = ""
    apart: bool = False
    module: str = ""

    @property
    def may_lack(self) -> bool:
        """Whether a folder without it is whole."""
        return self.optional or self.apart


@dataclass(frozen=True, slots=True)
class Resolutions:
    """Sizes that a model was trained on.

    Attributes:
        area: Pixels of an image or a frame.
        multiple: Pixels that sides are multiples of.
        buckets: Widths and heights in pixels of which each is at least as wide as high, where the
            training used a list; the same turned by 90 degrees are meant, too.
    """

    area: int
    multiple: int
    buckets: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Family(ABC):
    """A model architecture that can be loaded and sampled. Subclasses define how to call it.

    Attributes:
        name: As in recipes and prompts, such as ``sd1``.
        title: Display name.
        latent: Its latent format.
        pipelines: The diffusers pipeline classes whose folders hold it.
        denoisers: The denoising network, and its second expert if there is one.
        encoders: The text encoders.
        tokenizers: The tokenizers, in the order of the encoders.
        vae: The autoencoder's role.
        noise: Its noise process: ``discrete`` variances, or a ``flow`` from noise to latent.
        scheduler: Entries that the pipeline overrides in the scheduler's configuration.
        spread: How the pipeline spreads a flow's noise levels; one of `flow_noise.SPREADS`.
        mu: How the latent's size shifts them; see `flow_shift`.
        settings: Entries of ``model_index.json`` that its denoiser uses, with their defaults.
        encoder_settings: The same for its text encoder.
        extra_configs: Further configurations that it uses if ``model_index.json`` names their
            folders, as paths inside the model's folder. They become settings under the folder's
            name.
        multiple: Pixels that sides must be multiples of.
        size: Pixels per side of the images that it was trained on, if its files do not say.
        needs_negative: Whether the empty prompt replaces a missing negative prompt. If not, a
            missing negative prompt disables guidance.
        joint: Whether all prompts of a step are evaluated in one batch if they fit.
        positive_first: Whether the positive prompts come first in that batch.
        weighs_words: Whether ``(words:1.2)`` sets a weight in prompts. Else brackets are text.
        first_picture: How image-to-video models receive the first image: as the first latent
            ``frame``, or as a ``film`` that is gray after it. Empty if not supported.
        wide: Whether latents stay in float32 between steps for models of every precision.
            `predict` then receives float32 latents.
        single_file: Its layout as a single file, if the layouts of its parts do not distinguish
            it from other families.
        held: What its transformer keeps in memory during a step.
        control: Its control networks. None if there are none.
        controlled_by_positive: Whether a control network reads the positive prompt for both sides.
        control_sees_latents: Whether control networks read latents instead of pixels.
        control_mask_channels: Entry of a control network's configuration that is not 0 if the
            network reads a mask in addition to a latent.
        control_modes: The modes of a union ControlNet: the name of each mode, and its number.
        aligned: Its ten timesteps of Align Your Steps, the highest first. Empty if none were
            published.
        lengthens: Whether its models accept concatenated tokens of two prompts.
        readers: Names of its encoders (for example ``clip_l``), in their order, if each can read
            a separate text; see `encode_apart`.
        clip_layer: CLIP layer that prompts are taken from, counted from the last, 1. 0 if the
            family has no CLIP layer to choose.
        tells_sizes: Whether its models have size and crop conditioning.
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
        records_attention: Whether its cross-attention maps per prompt token can be recorded.
        text_width: Width of the text embeddings, which identifies LoRAs and IP-Adapters for its
            UNet. 0 if it does not.
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
    noise: Literal["discrete", "flow"] = "discrete"
    scheduler: Config = field(default_factory=dict)
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
    first_picture: Literal["", "frame", "film"] = ""
    wide: bool = False
    single_file: SingleFile | None = None
    held: TokenMemory = _TOKENS
    control: Part | None = None
    controlled_by_positive: bool = False
    control_sees_latents: bool = False
    control_mask_channels: str = ""
    control_modes: Mapping[str, int] = field(default_factory=dict)
    aligned: tuple[int, ...] = ()
    lengthens: bool = False
    readers: tuple[str, ...] = ()
    clip_layer: int = 0
    tells_sizes: bool = False
    follows_unscaled: bool = False
    accepts_prompts_of: tuple[str, ...] = ()
    speedups: frozenset[str] = ATTENTION_CACHES
    has_mag_ratios: bool = False
    perturbs_attention: bool = True
    skips_blocks: bool = True
    block_stacks: tuple[str, ...] = ()
    block_outputs: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    records_attention: bool = False
    text_width: int = 0
    lora_signs: tuple[LoraSign, ...] = ()
    comfyui_type: str = ""
    resolutions: Mapping[str, Resolutions] = field(default_factory=dict)

    # Recognizing it.

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        """The title of what a pipeline folder holds instead, or None if it holds this family.

        Args:
            configs: The configuration of each part in the folder, by role.
        """
        return None

    def recognises(self, shapes: Shapes) -> bool:
        """Whether a single file holds a whole model, by the names and shapes of its tensors."""
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
        """Channels of its latents, by the denoiser's configuration."""
        return int(config["in_channels"])

    def trained_size(self, config: Config) -> tuple[int, int]:
        """Width and height in pixels that it was trained on."""
        size = config.get("sample_size")
        if not size:
            return self.size, self.size
        height, width = (size, size) if isinstance(size, int) else size
        return int(width) * self.latent.spatial, int(height) * self.latent.spatial

    def context_width(self, config: Config) -> int | None:
        """Width of the embeddings that its denoiser takes. None if it is not known."""
        return None

    def step_memory(self, config: Config) -> StepMemory:
        """Memory of a step in addition to the weights, by the denoiser's configuration."""
        return self.held.of(config)

    def tokens(self, shape: Sequence[int]) -> int:
        """Tokens of a latent, that schedules are shifted by; shape as in `SamplingRequest`."""
        return int(shape[-2] // 2) * int(shape[-1] // 2)

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

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        """The replacement for a missing negative prompt, or None if there is none."""
        return self.encode(model, "") if self.needs_negative else None

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        """The tensors of a prompt for one item, each with a first dimension of 1.

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
            first, second: Tensors of a name, each (1, tokens, …).
        """
        tokens = max(first.shape[1], second.shape[1])

        def padded(item: Tensor) -> Tensor:
            missing = item.new_zeros(item.shape[0], tokens - item.shape[1], *item.shape[2:])
            return torch.cat([item, missing], 1)

        return padded(first), padded(second)

    def inpaint_mask(self, mask: Tensor) -> Tensor:
        """The mask in the form that inpainting models take, together with the masked image.

        Args:
            mask: 1 is inpainted; 0 or 1, shape (n, 1, height, width) in pixels.
        Returns:
            Shape (n, channels, height, width) in cells.
        """
        cells = self.latent.cells(mask.shape[-2]), self.latent.cells(mask.shape[-1])
        return torch.nn.functional.interpolate(mask, size=cells)

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        """Indices of the prompts that are evaluated in one batch: all in one, if they fit."""
        shapes = [{name: item.shape[1:] for name, item in prompt.items()} for prompt in prompts]
        if self.joint and all(shape == shapes[0] for shape in shapes):
            return [list(range(len(prompts)))]
        return [[index] for index in range(len(prompts))]

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        """The prompts of one group, each for all items of a batch, one prompt after the other."""
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

    @abstractmethod
    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """The model's output: noise, velocity or another prediction type of its noise schedule.

        Args:
            x: The latent as the model takes it, (n, channels, …) for n = prompts · items.
            batch: The result of `join`.
        Returns:
            Shaped as x.
        """

    def leads(self, class_name: str, config: Config) -> bool:
        """Whether a control network fits models of this family.

        Args:
            class_name: Its diffusers class.
            config: Its configuration.
        """
        return self.control is not None and class_name in self.control.classes

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        """The residuals that a control network adds; `predict` receives their sum as `CONTROLS`.

        Args:
            x, moment, batch: As of `predict`.
        Raises:
            InvalidValue: The family has no control networks.
        """
        raise InvalidValue(
            f"{self.title} does not support control networks",
            port="positive",
            hint="Remove the node that adds them.",
        )

    def control_is_unshifted(self, config: Config) -> bool:
        """Whether a control network was trained on latents without the shift."""
        return False

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine two outputs by classifier-free guidance.

        Source: Ho & Salimans 2022, arXiv:2207.12598, equation 6, with cfg = w + 1.
        """
        return away + cfg * (towards - away)

    def scale(self, model: Denoiser, entry: ConditioningEntry, cfg: float, moment: Moment) -> float:
        """The guidance scale at a moment; the first positive prompt may override it."""
        return cfg

    def guider_config(
        self, model: Denoiser, prompts: Sequence[Mapping[str, Tensor]]
    ) -> Config | None:
        """The configuration of the model's own guider, as in diffusers' guider files.

        None if the model has none: `guided` then combines a positive and a negative side.

        Args:
            prompts: The positive ones, as returned by `fit`.
        """
        return None

    def takes_scale(self, config: Config) -> bool:
        """Whether the model takes a guidance scale as an input, by the denoiser's configuration."""
        width = config.get("time_cond_proj_dim")
        return bool(config.get("guidance_embeds")) or width is not None

    def guides_itself(self, config: Config, settings: Config) -> bool:
        """Whether the model is guidance-distilled, so that only one prompt is evaluated.

        Such a model takes the scale as an input, or has a fixed scale.

        Args:
            config: The denoiser's.
            settings: The entries of ``model_index.json`` that it uses.
        """
        return False
