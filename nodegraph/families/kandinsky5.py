"""Kandinsky 5: images, edited images and videos. Imports no torch.

Source: Kandinsky Lab 2025, arXiv:2511.14993, https://github.com/kandinskylab/kandinsky-5, and
diffusers' pipelines ``Kandinsky5T2IPipeline``, ``Kandinsky5I2IPipeline``, ``Kandinsky5T2VPipeline``
and ``Kandinsky5I2VPipeline``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import (
    ATTENTION_CACHES,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.hunyuan_video_vae import HUNYUAN_VIDEO as HUNYUAN_VIDEO_LATENTS
from nodegraph.families.image_conditioning import (
    FIRST_FRAME,
    REFERENCE_LATENT,
    check_video_size,
    unused_image_error,
    with_first_frame,
)
from nodegraph.families.kandinsky5_transformer import (
    BLOCK,
    EDIT_FILE,
    IMAGE_FILE,
    PATCH,
    VIDEO_FILE,
    is_sparse,
    nabla_parameters,
    sparse_attention,
)
from nodegraph.families.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.families.layer_names import LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import reference_tensors
from nodegraph.families.position_limits import PositionLimits, square_limits
from nodegraph.families.qwen_image import last_states
from nodegraph.families.qwen_image_edit import (
    PICTURE,
    check_no_picture,
    check_one_image,
    image_features,
    spread,
)
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory, TokenMemory
from nodegraph.weights.single_files.base import FileLayout
from nodegraph.weights.single_files.clip import clip_layout
from nodegraph.weights.single_files.language import QWEN25, QWEN25_GGUF, QWEN25_VL

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_POSITIONS = 128
"""That the transformer has along each axis: latent frames, and rows and columns of patches."""
_CLIP_TOKENS = 77

_IMAGE_TEMPLATE = (
    "<|im_start|>system\nYou are a prompt engineer. Describe the image by detailing the color, "
    "shape, size, texture, quantity, text, spatial relationships of the objects and background:"
    "<|im_end|>\n<|im_start|>user\n{}<|im_end|>"
)
"""Text around a prompt. The models were trained with such text, so each letter counts.

Source: diffusers' pipelines.
"""
_EDIT_TEMPLATE = (
    "<|im_start|>system\nYou are a prompt engineer. Based on the provided source image (first "
    "image) and target image (second image), create an interesting text prompt that can be used "
    "together with the source image to create the target image:<|im_end|><|im_start|>user{}"
    f"<|vision_start|>{PICTURE}<|vision_end|><|im_end|>"
)
_VIDEO_TEMPLATE = (
    "<|im_start|>system\nYou are a prompt engineer. Describe the video in detail.\n"
    "Describe how the camera moves or shakes, describe the zoom and view angle, whether it follows "
    "the objects.\n"
    "Describe the location of the video, main characters or objects and their action.\n"
    "Describe the dynamism of the video and presented actions.\n"
    "Name the visual style of the video: whether it is a professional footage, user generated "
    "content, some kind of animation, video game or scren content.\n"
    "Describe the visual effects, postprocessing and transitions if they are presented in the "
    "video.\n"
    "Pay attention to the order of key actions shown in the scene.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>"
)
_VIDEO_NEGATIVE = (
    "Static, 2D cartoon, cartoon, 2d animation, paintings, images, worst quality, low quality, "
    "ugly, deformed, walking backwards"
)


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """Text around a prompt for Qwen2.5-VL.

    Attributes:
        text: With ``{}`` for the prompt.
        skipped: Tokens before the prompt by Qwen's vocabulary, whose states the model doesn't get.
        most: Tokens behind those, at most.
        after: Tokens at the end that are not the prompt's.
    """

    text: str
    skipped: int
    most: int
    after: int


_OF_IMAGES = PromptTemplate(_IMAGE_TEMPLATE, 40, 512, 2)
_OF_EDITS = PromptTemplate(_EDIT_TEMPLATE, 54, 1024, 3)
_OF_VIDEOS = PromptTemplate(_VIDEO_TEMPLATE, 128, 512, 2)


class Kandinsky5(Family):
    """A transformer guided by Qwen2.5-VL, and by CLIP's pooled prompt."""

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        config = configs.get("transformer", {})
        if not config or bool(config.get("visual_cond")) == self.is_conditioned:
            return None
        takes = "an" if config.get("visual_cond") else "no"
        return f"a {self.title} whose transformer takes {takes} image beside the latent"

    @property
    def is_conditioned(self) -> bool:
        """Whether the transformer takes an image and a mask beside the latent."""
        return True

    def channels(self, config: Config) -> int:
        return int(config["out_visual_dim"])

    def context_width(self, config: Config) -> int | None:
        return int(config["in_text_dim"])

    def step_memory(self, config: Config) -> StepMemory:
        return self.held.of({**config, "hidden_size": config.get("model_dim")})

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_apart(model, [text, text], warn)

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        for_qwen, for_clip = texts
        states = _states(model, self.template, for_qwen, warn)
        return encoded({"embeddings": states, "pooled": _pooled(model, for_clip)})

    @property
    def template(self) -> PromptTemplate:
        """What stands around a prompt."""
        return _OF_IMAGES

    def position_limits(self, config: Config) -> PositionLimits:
        return square_limits(_POSITIONS * PATCH, _POSITIONS)

    def output(self, model: Denoiser, hidden: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """Return the transformer's output.

        Args:
            hidden: What it takes, shape (n, channels, frames, height, width).
        """
        states, timestep = batch["embeddings"], moment.timestep.expand(len(hidden))
        frames, height, width = hidden.shape[2:]
        sides = (frames, height // PATCH, width // PATCH)
        sparse = nabla_parameters(model.config, sides, hidden.device)
        blocks = model.module.visual_transformer_blocks
        with sparse_attention(blocks, enabled=sparse is not None), warnings.catch_warnings():
            # Norms of queries and keys compute in float32 in models of every precision.
            warnings.filterwarnings("ignore", "Mismatch dtype between input and weight")
            output: Tensor = model.module(
                hidden_states=hidden.permute(0, 2, 3, 4, 1).contiguous(),
                encoder_hidden_states=states,
                timestep=timestep.to(hidden.device, model.dtype),
                pooled_projections=batch["pooled"],
                visual_rope_pos=[torch.arange(side, device=hidden.device) for side in sides],
                text_rope_pos=torch.arange(states.shape[1], device=hidden.device),
                scale_factor=self.position_scale(height, width),
                sparse_params=sparse,
            ).sample
        return output

    def position_scale(self, height: int, width: int) -> tuple[float, float, float]:
        """Return what positions in time, height and width are divided by.

        Args:
            height, width: In cells.
        """
        return 1.0, 1.0, 1.0


class Kandinsky5Image(Kandinsky5):
    """Kandinsky 5 for images."""

    @property
    def is_conditioned(self) -> bool:
        return False

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output = self.output(model, x[:, :, None], moment, batch)
        return output[:, 0].permute(0, 3, 1, 2)


class Kandinsky5Edit(Kandinsky5):
    """Kandinsky 5 for edited images: the encoder and the transformer look at one image.

    Prompts without an image are read as those of Kandinsky 5 for images.
    """

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        if not images:
            return self.encode(model, text, warn)
        check_one_image(self.title, images)
        check_no_picture(text)
        states = _states(model, _OF_EDITS, text, warn, images[0])
        return encoded({"embeddings": states, "pooled": _pooled(model, text)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        references = reference_tensors(entry.references, request.side)
        # An odd one is sampled at the next even size, and so the reference has it, too.
        shapes = [tuple(item.shape[-2:]) for item in references.values()]
        if len(shapes) != 1:
            raise InvalidValue(
                "the model edits one image, and the conditioning has "
                + ("none" if not shapes else "several"),
                port=request.side,
                given=f"{len(shapes)} reference latents",
                expected="1",
                hint="Put one ReferenceLatents between each prompt and the sampler.",
            )
        if shapes[0] != tuple(request.shape[-2:]):
            raise InvalidValue(
                "the reference latent and the latent differ in size",
                port=request.side,
                given=f"{shapes[0]} in latent cells",
                expected=str(tuple(request.shape[-2:])),
                hint="Scale the image to the size of the latent before its VAEEncode.",
            )
        # Under this name, it is cropped with the latent where a part is sampled alone.
        (fitted[REFERENCE_LATENT],) = references.values()
        return fitted | references

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        reference = batch[REFERENCE_LATENT]
        hidden = torch.cat([x, reference.to(x.dtype), torch.ones_like(x[:, :1])], 1)
        output = self.output(model, hidden[:, :, None], moment, batch)
        return output[:, 0].permute(0, 3, 1, 2)


class Kandinsky5Video(Kandinsky5):
    """Kandinsky 5 for videos, which may begin with an image or with several frames.

    The pipeline of videos from images also changes the brightness of the first latent frames at
    the end, which is the node MatchFirstFrames here.
    """

    @property
    def template(self) -> PromptTemplate:
        return _OF_VIDEOS

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 768, 512

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        """The pipelines' own negative prompt."""
        return self.encode(model, _VIDEO_NEGATIVE)

    def position_scale(self, height: int, width: int) -> tuple[float, float, float]:
        sides = (height * self.latent.spatial, width * self.latent.spatial)
        scale = 2.0 if all(480 <= side <= 854 for side in sides) else 3.16
        return 1.0, scale, scale

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        if FIRST_FRAME in fitted and not model.config["visual_cond"]:
            raise unused_image_error(request)
        step = self.latent.spatial * PATCH * BLOCK
        if is_sparse(model.config) and (request.width % step or request.height % step):
            raise InvalidValue(
                f"sides of videos of this model are multiples of {step} pixels",
                port="latent",
                given=f"{request.width} x {request.height}",
            )
        return fitted

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        return None

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        first = batch.get(FIRST_FRAME)
        hidden = with_first_frame(x, first)
        if model.config["visual_cond"]:
            mask = torch.zeros_like(x[:, :1])
            if first is not None:
                mask[:, :, : first.shape[2]] = 1
            # The image is in the latent itself, and the channels for another one are empty.
            hidden = torch.cat([hidden, torch.zeros_like(x), mask], 1)
        return self.output(model, hidden, moment, batch).permute(0, 4, 1, 2, 3)


def _states(
    model: TextModel,
    template: PromptTemplate,
    text: str,
    warn: Warn | None,
    image: Tensor | None = None,
) -> Tensor:
    """Return the last hidden states of a prompt, and of an image behind it.

    Args:
        image: Float32 in 0..1, shape (height, width, channels).
    Returns:
        Float32 on the CPU, shape (1, tokens, width).
    """
    from nodegraph.families.text_encoders import plain_text

    tokenizer, features = model.tokenizers["tokenizer"], dict[str, Any]()
    whole, slots = template.text.format(plain_text(text)), 0
    if image is not None:
        features, (slots,) = image_features(_eye(), [_shown(image)])
        whole = spread(whole, [slots])
    most = template.skipped + template.most
    ids = tokenizer(whole)["input_ids"]
    if len(ids) > most:
        if warn is not None:
            warn(
                f"The prompt has {len(ids) - template.skipped} tokens. A text encoder takes "
                f"{template.most} and ignores the rest."
            )
        whole = _shortened(tokenizer, template, text, whole, slots)
    tokens = tokenizer(whole, max_length=most, truncation=True, return_tensors="pt")
    taken: dict[str, Any] = {"input_ids": tokens["input_ids"]}
    if image is not None:
        kinds = tokens["input_ids"] == tokenizer.convert_tokens_to_ids(PICTURE)
        # With these, tokens of an image have positions along its sides.
        taken |= {"mm_token_type_ids": kinds.int(), "attention_mask": tokens["attention_mask"]}
        taken |= features
    return last_states(model, taken)[:, template.skipped :]


def _shortened(tokenizer: Any, template: PromptTemplate, text: str, whole: str, slots: int) -> str:
    """Return a text that is too long without its last letters, or without those of the prompt.

    The pipelines cut as many letters from the end as there are in the tokens that are too many. Of
    a prompt with an image that takes away the image's own tokens, so here the prompt is cut.

    Args:
        whole: The prompt in its template.
        slots: Tokens of an image.
    """
    ids = tokenizer(whole)["input_ids"]
    if not slots:
        prompt = ids[template.skipped : -template.after]
        cut = tokenizer.decode(prompt[template.most - template.after :])
        return whole[: -len(cut)] if cut else whole
    surplus = len(ids) - template.skipped - template.most
    prompt = tokenizer(text)["input_ids"]
    kept = tokenizer.decode(prompt[: max(0, len(prompt) - surplus)])
    return spread(template.text.format(kept), [slots])


def _pooled(model: TextModel, text: str) -> Tensor:
    """Return CLIP's pooled prompt; float32 on the CPU, shape (1, width)."""
    from nodegraph.families.text_encoders import plain_text, tokenize_padded

    encoder = model.modules["text_encoder_2"]
    tokens = tokenize_padded(model.tokenizers["tokenizer_2"], plain_text(text), _CLIP_TOKENS)
    placed = {name: item.to(encoder.device) for name, item in tokens.items()}
    pooled: Tensor = encoder(**placed).pooler_output
    return pooled.to("cpu", torch.float32)


def _shown(image: Tensor) -> Any:
    """Return an image as the encoder sees it: in RGB, with half of its sides.

    Args:
        image: Float32 in 0..1, shape (height, width, channels).
    """
    from nodegraph.media.images.images import to_pil

    drawn = to_pil(image).convert("RGB")
    return drawn.resize((max(1, drawn.width // 2), max(1, drawn.height // 2)))


def _eye() -> Any:
    """Return the image processor of Qwen2.5-VL."""
    import transformers

    return transformers.Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=3584 * 3584)


def _encoders(*files: FileLayout) -> tuple[Part, ...]:
    return (
        Part("text_encoder", ("Qwen2_5_VLForConditionalGeneration",), files=files),
        Part("text_encoder_2", ("CLIPTextModel",), files=(clip_layout("CLIP-L"),)),
    )


def _denoiser(layout: FileLayout) -> tuple[Part, ...]:
    return (Part("transformer", ("Kandinsky5Transformer3DModel",), files=(layout,)),)


_COMMON: dict[str, Any] = {
    "tokenizers": (
        Part(
            "tokenizer",
            ("Qwen2Tokenizer",),
            vocabulary="qwen2.5-vl",
            processor="Qwen2VLProcessor",
        ),
        Part("tokenizer_2", ("CLIPTokenizer",), vocabulary="clip-l"),
    ),
    "noise": "flow",
    "multiple": 16,
    "held": TokenMemory(16, 256),
    "joint": False,
    "readers": ("qwen", "clip_l"),
    "block_stacks": ("visual_transformer_blocks",),
    "speedups": ATTENTION_CACHES,
    "lora_signs": (LoraSign(r"^(visual|text)_transformer_blocks_\d+_", "Kandinsky 5"),),
}
_AREA = 1024 * 1024
_BUCKETS = ((1024, 1024), (1408, 640), (1280, 768), (1152, 896))

_IMAGES: dict[str, Any] = {
    "latent": FLUX_LATENTS,
    # The pipelines scale latents, and leave out the shift of Flux.1.
    "vae_config": {"shift_factor": 0.0},
}

KANDINSKY5_IMAGE = Kandinsky5Image(
    "kandinsky5-image",
    "Kandinsky 5 Image",
    pipelines=("Kandinsky5T2IPipeline",),
    denoisers=_denoiser(IMAGE_FILE),
    encoders=_encoders(QWEN25_VL, QWEN25, QWEN25_GGUF),
    accepts_prompts_of=("kandinsky5-edit",),
    resolutions={"kandinsky5-image": Resolutions(_AREA, 16, _BUCKETS)},
    comfyui_type="kandinsky5_image",
    **_IMAGES,
    **_COMMON,
)
KANDINSKY5_EDIT = Kandinsky5Edit(
    "kandinsky5-edit",
    "Kandinsky 5 Edit",
    pipelines=("Kandinsky5I2IPipeline",),
    denoisers=_denoiser(EDIT_FILE),
    encoders=_encoders(QWEN25_VL),
    # The pipeline's empty prompt is read beside the image, too.
    needs_negative=False,
    needs_image=True,
    image_inputs=frozenset({"references"}),
    accepts_prompts_of=("kandinsky5-image",),
    **_IMAGES,
    **_COMMON,
)
KANDINSKY5_VIDEO = Kandinsky5Video(
    "kandinsky5-video",
    "Kandinsky 5 Video",
    latent=HUNYUAN_VIDEO_LATENTS,
    pipelines=("Kandinsky5T2VPipeline", "Kandinsky5I2VPipeline"),
    denoisers=_denoiser(VIDEO_FILE),
    encoders=_encoders(QWEN25_VL, QWEN25, QWEN25_GGUF),
    first_picture="frames",
    video_inputs=lambda config: frozenset({"first image"} if config["visual_cond"] else ()),
    resolutions={"kandinsky5-video": Resolutions(768 * 512, 16)},
    comfyui_type="kandinsky5",
    **_COMMON,
)
