"""Bria FIBO 2, which generates and edits images. Imports no torch.

Source: diffusers' pipeline ``BriaFibo2Pipeline`` and its transformer, by Bria AI. Of the original
names: diffusers' script ``convert_bria_fibo2_to_diffusers.py``

Source of what no tensor shows: the defaults of diffusers' classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.fibo2_captions import (
    NULL_CAPTION,
    Fibo2Prompt,
    caption_prompt,
    edit_prompt,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.flux2 import (
    BY_RECIPROCAL,
    FLUX2_LATENTS,
    check_references,
    patchify,
    unpatchify,
)
from nodegraph.families.layer_names import (
    REFINED_SIGN,
    REFINER_ATTENTION_SIGN,
    UNSPLIT_ATTENTION_SIGN,
    LoraSign,
)
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import reference_latents, reference_names
from nodegraph.families.position_limits import PositionLimits
from nodegraph.families.qwen_image_21 import SEEING_ENCODER, SEEING_PROCESSOR
from nodegraph.families.qwen_image_edit import check_no_picture, image_features, spread
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_LAYERS_READ = (
    *((9, 20, 31), (5, 16, 27), (7, 18, 29)),
    *((9, 20, 31), (11, 22, 33), (13, 24, 35)),
)
"""Layers of Qwen3-VL 4B for the resampler, then for each block that reads the prompt; layer 0 is
the embedding."""
_EPSILON = 1e-6
"""Keeps the norm of a state that is zero from dividing by zero."""
_TOKENS = 4096
"""Most tokens of a prompt, with those of its images."""
_TEMPLATE = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
"""Text around a prompt: Qwen3-VL's chat template for one question."""
_WITHOUT_DRAWN = "embeddings_without_drawn_texts"
"""Tensor of a prompt whose encoder saw drawn texts: its embeddings without them."""
_DRAWN_FROM = 0.9
"""Highest noise level at which a new image is guided by drawn texts."""
_MAX_IMAGES = 5
_AREA, _STEP, _LEAST_STEPS = 1024 * 1024, 16, 4
"""Pixels of an image in the training, what its sides are multiples of, and their least multiple."""
_SHOWN_SIDE = 768
"""Longest side in pixels of an image that the encoder sees."""
_SHOWN_PIXELS = {"shortest_edge": 4 * 28 * 28, "longest_edge": 2048 * 28 * 28}
"""Fewest and most pixels of such an image, as the published image processor has them."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["x_embedder.weight"]
    (head,) = shapes["layers.0.attention.norm_q.weight"]
    layers = count_of(shapes, r"layers\.(\d+)\.")
    reads = "layers.{}.cross_attention.to_k.weight"
    gists = shapes["perceiver.latent_queries"][0]
    return {
        "in_channels": patch // _PATCH**2,
        "patch_size": _PATCH,
        "dim": width,
        "n_layers": layers,
        "n_refiner_layers": count_of(shapes, r"noise_refiner\.(\d+)\."),
        "n_heads": width // head,
        "norm_eps": 1e-5,
        "cap_feat_dim": shapes["perceiver.layers.0.cross_attention.to_k.weight"][1],
        "injection_layer_ids": tuple(
            layer for layer in range(layers) if reads.format(layer) in shapes
        ),
        "perceiver_num_layers": count_of(shapes, r"perceiver\.layers\.(\d+)\."),
        # 256 to 512, in steps of 64
        "min_num_gist_tokens": gists // 2,
        "max_num_gist_tokens": gists,
        "gist_step": max(1, gists // 8),
        "gist_min_text_len": 256,
        "gist_max_text_len": 2048,
        "rope_theta": 256.0,
        "t_scale": 1000.0,
        # 32, 48 and 48 of 128
        "axes_dims": (head // 4, 3 * head // 8, 3 * head // 8),
        "axes_lens": (2048, 512, 512),
    }


_LAYERS: Table = (
    *(
        (f"{stack}.*.{kind}_attention.{here}", f"{stack}.*.{kind}_{original}")
        for stack, kind in (
            ("layers", "cross"),
            ("perceiver.layers", "cross"),
            ("perceiver.layers", "self"),
        )
        for here, original in (
            ("to_q", "q"),
            ("to_k", "k"),
            ("to_v", "v"),
            ("to_out.0", "out"),
            ("norm_q", "norm_q"),
            ("norm_k", "norm_k"),
        )
    ),
    ("x_embedder", "all_x_embedder.2-1"),
    ("final_layer.linear", "all_final_layer.2-1.linear"),
    ("final_layer.adaLN_modulation.1", "all_final_layer.2-1.adaLN_modulation.1"),
    # As files of Z-Image, whose blocks these are, have it
    *(
        (f"{stack}.*.attention.{here}", f"{stack}.*.attention.{joined}")
        for stack in ("layers", "noise_refiner")
        for here, joined in (
            ("{to_q,to_k,to_v}", "qkv"),
            ("to_out.0", "out"),
            ("norm_q", "q_norm"),
            ("norm_k", "k_norm"),
        )
    ),
)
_FILE = denoiser_layout(
    "fibo2-transformer",
    "the transformer of Bria FIBO 2",
    "BriaFibo2Transformer2DModel",
    marks=(
        ("perceiver.latent_queries", "x_embedder.weight"),
        ("perceiver.latent_queries", "all_x_embedder.2-1.weight"),
    ),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler=DYNAMIC_FLOW,
)


class Fibo2(Family):
    """A transformer like Z-Image's that reads prompts by six bundles of layers of Qwen3-VL.

    Prompts were JSON captions in the training. Texts of a caption's ``text_render`` are drawn for
    the encoder, with Pillow's own font; the transformer reads them from a noise level of 0.9 on.
    """

    def channels(self, config: Config) -> int:
        return int(config["in_channels"]) * _PATCH**2

    def position_limits(self, config: Config) -> PositionLimits:
        _, rows, columns = config["axes_lens"]
        # A latent cell is a patch.
        return PositionLimits(int(rows), int(columns))

    def context_width(self, config: Config) -> int | None:
        return int(config["cap_feat_dim"]) * _bundles(config)

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2]) * int(shape[-1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        check_no_picture(text)
        prompt = caption_prompt(text)
        entry = {"embeddings": _states(model, prompt.text, _drawn(prompt), warn)}
        if prompt.drawn:
            entry[_WITHOUT_DRAWN] = _states(model, prompt.plain, [], warn)
        return encoded(entry)

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        if not images:
            return self.encode(model, text, warn)
        check_no_picture(text)
        if len(images) > _MAX_IMAGES:
            raise InvalidValue(
                f"{self.title} edits few images at once",
                port="images",
                given=f"{len(images)} images",
                expected=f"1 to {_MAX_IMAGES}",
            )
        prompt = edit_prompt(text, len(images))
        shown = [*map(_shown, images), *_drawn(prompt)]
        return encoded({"embeddings": _states(model, prompt.text, shown, warn)})

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        return self.encode(model, NULL_CAPTION)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_references(entry.references, self.channels(model.config), request.side)
        return fitted | dict(zip(reference_names(), entry.references, strict=False))

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        states = batch["embeddings"]
        if moment.timestep_value / moment.training_timesteps > _DRAWN_FROM:
            states = batch.get(_WITHOUT_DRAWN, states)
        bundles = states.to(model.dtype).unflatten(-1, (_bundles(model.config), -1))
        references = [unpatchify(item).to(model.dtype) for item in reference_latents(batch)]
        output: Tensor = model.module(
            hidden_states=unpatchify(x).to(model.dtype),
            timestep=(moment.timestep / moment.training_timesteps).expand(len(x)),
            encoder_hidden_states=bundles.transpose(1, 2).contiguous(),
            context_latents=references or None,
            return_dict=False,
        )[0]
        return patchify(output.to(x.dtype))


def _bundles(config: Config) -> int:
    return 1 + len(config["injection_layer_ids"])


def _drawn(prompt: Fibo2Prompt) -> list[Any]:
    """Return PIL images of the texts of a prompt."""
    if not prompt.drawn:
        return []
    from diffusers.pipelines.bria_fibo2.text_images import draw_text_image

    return [draw_text_image(text) for text in prompt.drawn]


def _states(model: TextModel, text: str, shown: Sequence[Any], warn: Warn | None) -> Tensor:
    """Return the bundles of states of a prompt, each state with an RMS of 1.

    Args:
        shown: PIL images, one for each token of an image.
    Returns:
        Float32 on the CPU, shape (1, tokens, width); the bundles lie one after the other.
    """
    from nodegraph.families.text_encoders import layer_states, warn_of_cut

    encoder, tokenizer = model.modules["text_encoder"], model.tokenizers["processor"]
    prompt = _TEMPLATE.format(text)
    features: dict[str, Tensor] = {}
    if shown:
        features, counts = image_features(_image_processor(encoder), shown)
        prompt = spread(prompt, counts)
    if warn is not None:
        warn_of_cut(tokenizer, prompt, _TOKENS, warn)
    tokens = dict(tokenizer(prompt, truncation=True, max_length=_TOKENS, return_tensors="pt"))
    if shown:
        image_token = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        features["mm_token_type_ids"] = (tokens["input_ids"] == image_token).long()
    layers = sorted({layer for bundle in _LAYERS_READ for layer in bundle})
    states = layer_states(encoder, tokens | features, layers)
    normed = {
        layer: _unit_rms(state).to(encoder.dtype)
        for layer, state in zip(layers, states, strict=True)
    }
    return torch.cat([normed[layer] for bundle in _LAYERS_READ for layer in bundle], -1).float()


def _unit_rms(states: Tensor) -> Tensor:
    return states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + _EPSILON)


def trained_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height that images of these proportions had in the training.

    Among the sizes of about a megapixel, it is the one that crops the least, then the one of the
    nearest area.
    """
    least = _LEAST_STEPS * _STEP
    sizes = [
        (wide, high)
        for wide in range(least, 2 * _AREA // least, _STEP)
        for high in range(least, 2 * _AREA // wide, _STEP)
        if 0.9 * _AREA <= wide * high <= 1.1 * _AREA
    ]
    wanted = width / height

    def cost(size: tuple[int, int]) -> tuple[float, int, int]:
        ratio = size[0] / size[1]
        cropped = 1 - min(ratio / wanted, wanted / ratio)
        return round(cropped, 9), abs(size[0] * size[1] - _AREA), -size[0]

    return min(sizes, key=cost)


def crop_to_trained(picture: Any) -> Any:
    """Return a PIL image in RGB, scaled and cropped at its centre to its size in the training."""
    from PIL import Image

    width, height = trained_size(*picture.size)
    scale = max(height / picture.height, width / picture.width)
    wide, high = math.ceil(picture.width * scale), math.ceil(picture.height * scale)
    scaled = picture.convert("RGB").resize((wide, high), resample=Image.Resampling.LANCZOS)
    left, top = (wide - width) // 2, (high - height) // 2
    return scaled.crop((left, top, left + width, top + height))


def _shown(image: Tensor) -> Any:
    """Return an image as the encoder sees it.

    Args:
        image: Float32 in 0..1, shape (height, width, channels).
    """
    from nodegraph.media.images.images import to_pil

    picture = crop_to_trained(to_pil(image))
    picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    return picture


def _image_processor(encoder: Any) -> Any:
    """Return the image processor for a Qwen3-VL, with the limits that the model was trained on."""
    from nodegraph.weights.lazy import transformers

    vision = encoder.config.vision_config
    return transformers.Qwen2VLImageProcessorPil(
        patch_size=vision.patch_size,
        temporal_patch_size=vision.temporal_patch_size,
        merge_size=vision.spatial_merge_size,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
        size=_SHOWN_PIXELS,
    )


FIBO2 = Fibo2(
    "fibo2",
    "Bria FIBO 2",
    latent=FLUX2_LATENTS,
    pipelines=("BriaFibo2Pipeline",),
    denoisers=(Part("transformer", ("BriaFibo2Transformer2DModel",), files=(_FILE,)),),
    encoders=(SEEING_ENCODER,),
    tokenizers=(SEEING_PROCESSOR,),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    vae_config={BY_RECIPROCAL: True},
    multiple=16,
    # A token is a cell, as patches are. The prompt takes up to 512.
    held=TokenMemory(20, 512, patch=1),
    joint=False,
    wide=True,
    block_stacks=("layers",),
    block_outputs={"BriaFibo2TransformerBlock": (0, None)},
    resolutions={"fibo2": Resolutions(_AREA, _STEP)},
    image_inputs=frozenset({"references"}),
    lora_signs=(
        LoraSign(
            r"^perceiver_layers_\d+_|^layers_\d+_cross_(attention_|[qkv]$|out$)", "Bria FIBO 2"
        ),
        REFINER_ATTENTION_SIGN,
        UNSPLIT_ATTENTION_SIGN,
        REFINED_SIGN,
    ),
    comfyui_type="fibo2",
)
