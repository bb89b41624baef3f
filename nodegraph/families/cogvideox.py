"""CogVideoX and CogVideoX 1.5: videos from prompts, first images, videos or control videos. Imports
no torch.

Source: Yang et al. 2024, arXiv:2408.06072; https://github.com/zai-org/CogVideo. What no tensor
shows is from diffusers' ``CogVideoXPipeline``, ``CogVideoXImageToVideoPipeline``,
``CogVideoXFunControlPipeline`` and ``CogVideoXTransformer3DModel``, and from the published
configurations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    FUSED,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.cogvideox_vae import COGVIDEOX_LATENTS
from nodegraph.families.image_conditioning import (
    CONDITION_CLIP,
    CONTROL_LATENTS,
    FILM_AND_MASK,
    REFERENCE_LATENT,
    VACE_CONTEXT,
    check_control_latents,
    check_reference,
    check_vace_context,
    check_video_size,
    missing_image_error,
    unused_image_error,
)
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import count_of
from nodegraph.weights.single_files.language import T5, T5_GGUF
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_TOKENS = 226
_PATCH = 2
_OFFSET = 2.0
"""What the image-to-video model of 1.5 gets beside the timestep, always the same."""
_HEADS_2B = 30
_PROJECTION = "patch_embed.proj.weight"
_POSITIONS = "patch_embed.pos_embedding"

_SCHEDULE = {
    "_class_name": "CogVideoXDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "set_alpha_to_one": True,
    "clip_sample": False,
    "snr_shift_scale": 1.0,
    "timestep_spacing": "trailing",
}
"""Of 5B and 1.5."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width = shapes[_PROJECTION][0]
    (head,) = shapes["transformer_blocks.0.attn1.norm_q.weight"]
    frames = _patch_frames(shapes)
    time_width = shapes["time_embedding.linear_1.weight"][0]
    offset = shapes.get("ofs_embedding.linear_1.weight", (None, None))[1]
    return {
        "num_attention_heads": width // head,
        "attention_head_dim": head,
        "in_channels": _input_channels(shapes),
        "out_channels": _output_channels(shapes),
        "time_embed_dim": time_width,
        "ofs_embed_dim": offset,
        "text_embed_dim": shapes["patch_embed.text_proj.weight"][1],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        # Positions of 1.5 are whole numbers below these.
        "sample_width": 90 if frames is None else 300,
        "sample_height": 60 if frames is None else 300,
        "sample_frames": 49 if frames is None else 81,
        "patch_size": _PATCH,
        "patch_size_t": frames,
        "patch_bias": frames is None,
        "max_text_seq_length": _TOKENS,
        "use_rotary_positional_embeddings": True,
        "use_learned_positional_embeddings": _POSITIONS in shapes,
    }


def _patch_frames(shapes: Shapes) -> int | None:
    """Latent frames in a token. 1.0 has but one, and embeds tokens by a convolution."""
    return None if len(shapes[_PROJECTION]) == 4 else 2


def _input_channels(shapes: Shapes) -> int:
    columns = shapes[_PROJECTION][1]
    frames = _patch_frames(shapes)
    return columns if frames is None else columns // (_PATCH**2 * frames)


def _output_channels(shapes: Shapes) -> int:
    return shapes["proj_out.weight"][0] // (_PATCH**2 * (_patch_frames(shapes) or 1))


def _is_known(shapes: Shapes) -> bool:
    """Whether it is a model of 5B or 1.5 for prompts, first images or control videos.

    Those for masked videos take more channels. 2B has another scale of latents and other noise,
    which only its folder says: a VAE's file would be read with the scale of 5B.
    """
    (head,) = shapes["transformer_blocks.0.attn1.norm_q.weight"]
    ratio = _input_channels(shapes) / _output_channels(shapes)
    return shapes[_PROJECTION][0] // head != _HEADS_2B and ratio in (1, 2)


COGVIDEOX_FILE = denoiser_layout(
    "cogvideox-transformer",
    "the transformer of CogVideoX 5B or 1.5",
    "CogVideoXTransformer3DModel",
    marks=(
        (
            "patch_embed.text_proj.weight",
            "norm_final.weight",
            "transformer_blocks.0.norm2.linear.weight",
        ),
    ),
    config=_config,
    scheduler=_SCHEDULE,
    fits=_is_known,
)


class CogVideoX(Family):
    """A transformer led by T5, without a mask of the padding. It predicts v.

    Latents of a first image lie beside the noise, with zeros after them, or those of a control
    video. Positions are sines in 2B, and rotate queries and keys in the others.
    """

    def channels(self, config: Config) -> int:
        return int(config["out_channels"])

    def leading_frames(self, config: Config, frames: int) -> int:
        # Tokens of 1.5 have two latent frames. The pipelines drop the first one of an odd number,
        # and so did the training.
        return frames % (config.get("patch_size_t") or 1)

    def trained_size(self, config: Config) -> tuple[int, int]:
        return (720, 480) if config.get("patch_size_t") is None else (1360, 768)

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        return encoded({"embeddings": t5_states(model.modules["text_encoder"], tokens)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted, config = super().fit(model, entry, request), model.config
        _check_pairs(config, request)
        _check_learned_size(config, request)
        check_video_size(fitted, request)
        check_vace_context(fitted.get(VACE_CONTEXT), request, takes_context=False)
        check_reference(fitted.get(REFERENCE_LATENT), request, takes_reference=False)
        first, control = (fitted.pop(name, None) for name in (CONDITION_CLIP, CONTROL_LATENTS))
        follows_video = _follows_video(config)
        _check_control_pairs(config, control, request)
        check_control_latents(control, request, takes_latents=follows_video)
        takes_image = "first image" in _video_inputs(config)
        if first is None and takes_image:
            raise missing_image_error(request)
        if first is not None and not takes_image:
            raise unused_image_error(request)
        if first is not None:
            missing = request.shape[2] - first.shape[2]
            fitted[FILM_AND_MASK] = torch.nn.functional.pad(first, (0, 0, 0, 0, 0, missing))
        if control is not None:
            fitted[FILM_AND_MASK] = control
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        config, hidden = model.config, x.to(model.dtype)
        if FILM_AND_MASK in batch:
            hidden = torch.cat([hidden, batch[FILM_AND_MASK].to(x.device, model.dtype)], 1)
        has_offset = config.get("ofs_embed_dim") is not None
        output: Tensor = model.module(
            # The transformer has frames before channels.
            hidden_states=hidden.transpose(1, 2).contiguous(),
            encoder_hidden_states=batch["embeddings"],
            timestep=moment.timestep.expand(len(x)).to(x.device),
            ofs=hidden.new_full((1,), _OFFSET) if has_offset else None,
            image_rotary_emb=_rotations(config, x),
            return_dict=False,
        )[0]
        # Guidance adds up in float32, as the pipelines do.
        return output.float().transpose(1, 2).contiguous()


def _video_inputs(config: Config) -> frozenset[str]:
    """Return what a model takes of `VIDEO_MEDIA`."""
    if _follows_video(config):
        return frozenset({"control video"})
    takes_image = config["in_channels"] > config["out_channels"]
    return frozenset({"first image"} if takes_image else ())


def _follows_video(config: Config) -> bool:
    """Whether it is a Fun control model.

    Those take as many channels as the models for first images. But they have neither the learned
    positions of 5B's, as they make videos of many sizes, nor the offset of 1.5's.
    """
    is_for_images = (
        config["use_learned_positional_embeddings"] or config.get("ofs_embed_dim") is not None
    )
    return config["in_channels"] > config["out_channels"] and not is_for_images


def _rotations(config: Config, x: Tensor) -> tuple[Tensor, Tensor] | None:
    """Cosines and sines of the positions of a latent's tokens, each float32, (tokens, width of a
    head). None for models whose positions are added."""
    if not config["use_rotary_positional_embeddings"]:
        return None
    from diffusers.models.embeddings import get_3d_rotary_pos_embed
    from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid

    patch, patch_frames = config["patch_size"], config.get("patch_size_t")
    grid = x.shape[3] // patch, x.shape[4] // patch
    trained = config["sample_height"] // patch, config["sample_width"] // patch
    if patch_frames is None:
        placed: dict[str, Any] = {
            # Other sizes are scaled into the trained one.
            "crops_coords": get_resize_crop_region_for_grid(grid, trained[1], trained[0]),
            "temporal_size": x.shape[2],
        }
    else:
        placed = {
            "crops_coords": None,
            "temporal_size": x.shape[2] // patch_frames,
            "grid_type": "slice",
            # Positions are whole numbers, so that a larger grid continues them.
            "max_size": (max(trained[0], grid[0]), max(trained[1], grid[1])),
        }
    cosines, sines = get_3d_rotary_pos_embed(
        embed_dim=config["attention_head_dim"], grid_size=grid, device=x.device, **placed
    )
    return cosines, sines


def _check_pairs(config: Config, request: SamplingRequest) -> None:
    """Refuse latent frames that do not fill the tokens of 1.5, which have two each.

    Whole videos do, as they are sampled with a leading frame: it is about context windows.

    Raises:
        InvalidValue: On the port of the side.
    """
    step, frames = config.get("patch_size_t") or 1, request.frames_at_once or request.shape[2]
    if frames % step:
        raise InvalidValue(
            "CogVideoX 1.5 evaluates latent frames in pairs",
            port=request.side,
            given=f"{frames} latent frames",
            expected=f"{frames - 1} or {frames + 1}",
            hint="Use context windows of an even number of latent frames.",
        )


def _check_control_pairs(config: Config, control: Tensor | None, request: SamplingRequest) -> None:
    """Refuse control videos of an odd number of latent frames for 1.5, as the pipeline does.

    Raises:
        InvalidValue: On the port of the side.
    """
    step = config.get("patch_size_t") or 1
    if control is None or control.shape[2] % step == 0:
        return
    raise InvalidValue(
        "CogVideoX 1.5 follows control videos of an even number of latent frames",
        port=request.side,
        given=f"{control.shape[2]} latent frames",
        expected=f"{control.shape[2] - 1} or {control.shape[2] + 1}",
        hint="Set `frames` of the ControlVideoConditioning to a multiple of 8.",
    )


def _check_learned_size(config: Config, request: SamplingRequest) -> None:
    """Refuse other sizes than the one whose positions a model has learned.

    Raises:
        InvalidValue: On port ``latent``.
    """
    wanted = config["sample_height"], config["sample_width"]
    if not config["use_learned_positional_embeddings"] or tuple(request.shape[3:]) == wanted:
        return
    raise InvalidValue(
        "the model has learned the positions of one size of video",
        port="latent",
        given=f"{request.width} x {request.height}",
        expected=f"{8 * wanted[1]} x {8 * wanted[0]}",
        hint="Use ResizeImage before ImageToVideoConditioning.",
    )


COGVIDEOX = CogVideoX(
    "cogvideox",
    "CogVideoX",
    latent=COGVIDEOX_LATENTS,
    pipelines=(
        "CogVideoXPipeline",
        "CogVideoXImageToVideoPipeline",
        "CogVideoXVideoToVideoPipeline",
        "CogVideoXFunControlPipeline",
    ),
    denoisers=(Part("transformer", ("CogVideoXTransformer3DModel",), files=(COGVIDEOX_FILE,)),),
    encoders=(Part("text_encoder", ("T5EncoderModel",), files=(T5, T5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    multiple=16,
    first_picture="clip",
    video_inputs=_video_inputs,
    needs_media=True,
    control_videos=True,
    held=TokenMemory(16, _TOKENS),
    speedups=ATTENTION_CACHES | BLOCK_CACHES | LITE | FUSED,
    lora_signs=(
        LoraSign(r"^transformer_blocks_\d+_norm2_linear(?!_\d)|^ofs_embedding_", "CogVideoX"),
        CROSS_ATTENTION_SIGN,
    ),
    resolutions={"cogvideox": Resolutions(720 * 480, 16, ((720, 480),))},
    comfyui_type="cogvideox",
)
