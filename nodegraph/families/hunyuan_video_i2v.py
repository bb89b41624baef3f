"""HunyuanVideo I2V: videos from a first image, which the prompt's encoder sees, too. Imports no
torch.

Source: https://github.com/Tencent-Hunyuan/HunyuanVideo-I2V. What no tensor shows is from diffusers'
``HunyuanVideoImageToVideoPipeline``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Part, Warn, encoded
from nodegraph.families.hunyuan_video import (
    CLIP_PART,
    COMMON,
    PROMPT_TOKENS,
    HunyuanVideo,
    pooled_prompt,
    transformer_layout,
)
from nodegraph.families.hunyuan_video_15 import clip_and_mask
from nodegraph.families.image_conditioning import (
    CONDITION_CLIP,
    FILM_AND_MASK,
    FIRST_FRAME,
    missing_image_error,
    with_first_frame,
)
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.qwen_image_edit import check_one_image
from nodegraph.weights.lazy import torch
from nodegraph.weights.single_files.clip import LLAVA_VISION
from nodegraph.weights.single_files.language import LLAVA_LLAMA3

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_IMAGE_MARK = "<image>"
_CHAT = (
    "<|start_header_id|>system<|end_header_id|>\n\n<image>\nDescribe the video by detailing the "
    "following aspects according to the reference image: 1. The main content and theme of the "
    "video."
    "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects."
    "3. Actions, events, behaviors temporal relationships, physical movement changes of the "
    "objects."
    "4. background environment, light, style and atmosphere."
    "5. camera angles, movements, and transitions used in the video:<|eot_id|>\n\n"
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
_BEFORE = 103
"""Tokens before a prompt in the template, in Llama 3's vocabulary."""
_IMAGE_AT, _IMAGE_TOKENS = 5, 576
"""Where the image is in the template, and its tokens: 24 x 24 patches."""
_HEADERS = 2
"""Headers of a template whose answer was cut off."""
_ANSWER = 4
"""Tokens from the prompt's end to the header of the answer, which are left out."""
_LAYER = -3

_VISION, _PROCESSOR = "vision_model", "image_processor"
"""Roles of LLaVA's vision model, if the text encoder is Llama alone, and of what prepares images
for it."""
_SIDE = 336
"""Pixels per side of an image for the vision model."""
_IMAGE_STATES, _STRIDE = "image_states", "image_stride"
"""Tensors of a prompt: the encoder's states of an image, (1, tokens, width), and of how many of
them one is used if that does not depend on the model, int64 of shape (1,)."""
_STRIDE_WITHOUT_IMAGE = 2
"""Of prompts without an image. The pipeline uses it for negative prompts of all models."""

_NOISE_SHARE = 0.999
"""Share of the noise that a video starts from; the first image has the rest."""


@dataclass(frozen=True)
class HunyuanVideoI2V(HunyuanVideo):
    """A model that gets the first image: as its first latent frame, or beside the noise.

    Attributes:
        condition: The entry ``image_condition_type`` of the transformer's configuration.
        stride: Of how many of the image's tokens in the prompt one is used.
    """

    condition: str = "token_replace"
    stride: int = 4

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        condition = configs.get("transformer", {}).get("image_condition_type")
        if condition in (None, self.condition):
            return None
        return f"a HunyuanVideo I2V whose transformer takes images by {condition}"

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_apart(model, [text, text], warn)

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        """Encode a prompt beside a black image, as the pipeline encodes negative ones."""
        if not _sees(model):
            return super().encode_apart(model, texts, warn)
        for_llama, for_clip = texts
        black = torch.zeros(_SIDE, _SIDE, 3)
        states = _prompt_states(model, for_llama, black, warn)
        stride = torch.tensor([_STRIDE_WITHOUT_IMAGE])
        return encoded({**states, _STRIDE: stride, "pooled": pooled_prompt(model, for_clip)})

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        if not images:
            return self.encode(model, text, warn)
        check_one_image(self.title, images)
        states = _prompt_states(model, text, images[0], warn)
        return encoded({**states, "pooled": pooled_prompt(model, text)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        image, stride = fitted.pop(_IMAGE_STATES, None), fitted.pop(_STRIDE, None)
        if image is None:
            return fitted
        shown = image[:, :: self.stride if stride is None else int(stride)]
        mask = fitted["mask"]
        return {
            **fitted,
            "embeddings": torch.cat([shown, fitted["embeddings"]], 1),
            "mask": torch.cat([mask.new_ones(shown.shape[:2]), mask], 1),
        }

    def with_image(
        self, model: Denoiser, fitted: dict[str, Tensor], request: SamplingRequest
    ) -> dict[str, Tensor]:
        if self.condition == "token_replace":
            if FIRST_FRAME not in fitted:
                raise self._missing_image(CONDITION_CLIP in fitted, request)
            return fitted
        first = fitted.pop(CONDITION_CLIP, None)
        if first is None:
            raise self._missing_image(FIRST_FRAME in fitted, request)
        return {**fitted, FILM_AND_MASK: clip_and_mask(first, request)}

    def _missing_image(self, has_other: bool, request: SamplingRequest) -> InvalidValue:
        """The refusal of a prompt without an image, or with that of another version."""
        if not has_other:
            return missing_image_error(request)
        return InvalidValue(
            f"{self.title} takes the first image in another way than the family of the prompt",
            port=request.side,
            expected=f"a prompt of {self.name}",
            hint="Encode the prompt with the text encoder of the model. In LoadTextEncoder, choose "
            f"{self.name} as the family.",
        )

    def initial_noise(self, noise: Tensor, first: ConditioningEntry) -> Tensor:
        image = first.tensors.get(FIRST_FRAME, first.tensors.get(CONDITION_CLIP))
        if image is None:
            return noise
        share = torch.tensor(_NOISE_SHARE, device=noise.device)
        repeated = image[:, :, :1].to(noise.device, torch.float32)
        return (noise * share + repeated * (1 - share)).to(noise.dtype)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        return super().predict(model, with_first_frame(x, batch.get(FIRST_FRAME)), moment, batch)


def _sees(model: TextModel) -> bool:
    """Return whether a text encoder comes with LLaVA's vision model."""
    return _VISION in model.modules or _is_llava(model)


def _is_llava(model: TextModel) -> bool:
    return hasattr(model.modules["text_encoder"].config, "vision_config")


def _prompt_states(
    model: TextModel, text: str, image: Tensor, warn: Warn | None
) -> dict[str, Tensor]:
    """Return the states of a prompt and of its image: ``embeddings``, ``mask`` and the image's.

    Args:
        image: Float32 in 0..1, shape (height, width, channels).
    Raises:
        InvalidValue: The encoder sees no images, or the text has the mark of one.
    """
    from nodegraph.families.text_encoders import layer_states, tokenize_padded

    if not _sees(model):
        raise InvalidValue(
            "the text encoder has no vision model, and the prompt has an image",
            port="encoder",
            hint="Choose llava_llama3_vision in LoadTextEncoder, too.",
        )
    if _IMAGE_MARK in text:
        raise InvalidValue(f"the prompt has the mark of an image: {_IMAGE_MARK}", port="text")
    tokenizer = model.tokenizers["tokenizer"]
    most = PROMPT_TOKENS + _BEFORE
    tokens = tokenize_padded(tokenizer, _CHAT.format(text), most, warn)
    taken = {name: _with_image_tokens(item) for name, item in tokens.items()}
    mask = taken["attention_mask"]
    taken["position_ids"] = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 1)
    (states,) = layer_states(
        model.modules["text_encoder"], _with_image(model, taken, image), [_LAYER]
    )
    kept = _prompt_places(tokens["input_ids"][0], tokenizer)
    return {
        "embeddings": states[:, kept + _IMAGE_TOKENS - 1],
        "mask": tokens["attention_mask"][:, kept],
        _IMAGE_STATES: states[:, _IMAGE_AT : _IMAGE_AT + _IMAGE_TOKENS],
    }


def _with_image_tokens(item: Tensor) -> Tensor:
    """Return tokens, or their mask, with the image's mark once for each token of the image."""
    mark = item[:, _IMAGE_AT : _IMAGE_AT + 1].expand(-1, _IMAGE_TOKENS)
    return torch.cat([item[:, :_IMAGE_AT], mark, item[:, _IMAGE_AT + 1 :]], 1)


def _prompt_places(ids: Tensor, tokenizer: Any) -> Tensor:
    """Return the places of a prompt's tokens, and of the padding after the answer's header."""
    header = tokenizer.convert_tokens_to_ids("<|end_header_id|>")
    ends = (ids == header).nonzero().flatten().tolist()
    end = len(ids) - 1 if len(ends) == _HEADERS else ends[-1]
    places = torch.arange(_BEFORE, len(ids))
    return places[(places <= end - _ANSWER) | (places > end)]


def _with_image(model: TextModel, taken: dict[str, Tensor], image: Tensor) -> dict[str, Tensor]:
    """Return the inputs of the language model, with an image."""
    from nodegraph.media.images.images import to_pil

    drawn = to_pil(image).convert("RGB")
    processor = model.tokenizers.get(_PROCESSOR) or _image_processor()
    pixels = processor(drawn, return_tensors="pt")["pixel_values"]
    if _is_llava(model):
        return {**taken, "pixel_values": pixels}
    encoder = model.modules["text_encoder"]
    ids = taken.pop("input_ids").to(encoder.device)
    eyes = model.modules[_VISION]
    features = eyes(pixels.to(eyes.device)).to(encoder.device, encoder.dtype)
    embeds = encoder.get_input_embeddings()(ids)
    embeds[:, _IMAGE_AT : _IMAGE_AT + _IMAGE_TOKENS] = features
    return {**taken, "inputs_embeds": embeds}


def _image_processor() -> Any:
    """Return the published image processor, for text encoders from a part of a folder."""
    import transformers

    size = {"height": _SIDE, "width": _SIDE}
    return transformers.CLIPImageProcessor(size={"shortest_edge": _SIDE}, crop_size=size)


def _family(
    name: str, title: str, condition: str, stride: int, channels: int, **more: Any
) -> HunyuanVideoI2V:
    layout = transformer_layout(f"{name}-transformer", title, condition, (channels,))
    return HunyuanVideoI2V(
        name,
        title,
        pipelines=("HunyuanVideoImageToVideoPipeline",),
        denoisers=(Part("transformer", ("HunyuanVideoTransformer3DModel",), files=(layout,)),),
        encoders=(
            Part(
                "text_encoder",
                ("LlavaForConditionalGeneration", "LlamaModel"),
                files=(LLAVA_LLAMA3,),
            ),
            CLIP_PART,
            Part(_VISION, ("LlavaVisionModel",), optional=True, files=(LLAVA_VISION,)),
        ),
        tokenizers=(
            Part("tokenizer", ("PreTrainedTokenizerFast",), vocabulary="llava-llama3"),
            Part("tokenizer_2", ("CLIPTokenizer",), vocabulary="clip-l"),
            Part(
                _PROCESSOR,
                ("CLIPImageProcessor",),
                optional=True,
                vocabulary="clip-336-pictures",
            ),
        ),
        condition=condition,
        stride=stride,
        needs_image=True,
        video_inputs=lambda config: frozenset({"first image"}),
        needs_media=True,
        **more,
        **COMMON,
    )


HUNYUAN_VIDEO_I2V = _family(
    "hunyuan-video-i2v",
    "HunyuanVideo I2V",
    "token_replace",
    4,
    16,
    first_picture="frame",
    accepts_prompts_of=("hunyuan-video", "hunyuan-video-i2v-v1"),
)
HUNYUAN_VIDEO_I2V_V1 = _family(
    "hunyuan-video-i2v-v1",
    "HunyuanVideo I2V v1",
    "latent_concat",
    2,
    33,
    first_picture="still",
    accepts_prompts_of=("hunyuan-video", "hunyuan-video-i2v"),
)
