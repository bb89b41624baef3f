"""Wan 2.1 and 2.2: videos from prompts, first images, control videos or poses. Imports no torch.

Source: Wan Team 2025, arXiv:2503.20314; https://github.com/Wan-Video/Wan2.2; of VACE, Jiang et al.
2025, arXiv:2503.07598. What no tensor shows
is from ``wan/configs`` there and in Wan2.1; the shift is the one for videos of 480 lines, the
families' default size.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    FUSED,
    LATE_CFG,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.image_conditioning import (
    FIRST_FRAME,
    IMAGE_EMBEDS,
    LAST_FRAME,
    VACE_CONTEXT,
    check_vace_context,
    check_video_size,
    with_first_frame,
)
from nodegraph.families.layer_names import BLOCK_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.position_limits import PositionLimits
from nodegraph.families.wan_animate import (
    ANIMATE_LAYERS,
    BLUR_KERNELS,
    CLASS_NAME,
    MARK,
    ORIGINAL_MARK,
    animate_config,
    animation_inputs,
    fit_animation,
    flat_biases,
    is_animate,
)
from nodegraph.families.wan_inputs import (
    by_image,
    check_embeddings,
    fit_film,
    fit_references,
    token_timesteps,
    vace_inputs,
    wan22_5b_video_inputs,
    wan_video_inputs,
    with_conditions,
)
from nodegraph.families.wan_vae import WAN as WAN_LATENTS
from nodegraph.families.wan_vae import WAN22 as WAN22_LATENTS
from nodegraph.weights.memory import StepMemory, TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, OriginalNames, Table, count_of
from nodegraph.weights.single_files.clip import CLIP_VISION
from nodegraph.weights.single_files.language import UMT5, UMT5_GGUF, UMT5_ORIGINAL
from nodegraph.weights.single_files.renamed_layouts import HEAD_WIDTH, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_CELL = 4
"""Numbers of a channel in a patch of 1 x 2 x 2 cells."""


_IMAGE_POSITIONS = "condition_embedder.image_embedder.pos_embed"
"""Of models between two images: tells the tokens of one from those of the other."""


def wan_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of a transformer without further layers, by its own names."""
    width, taken, *patch = shapes["patch_embedding.weight"]
    sees = shapes.get("condition_embedder.image_embedder.norm1.weight", (None,))[0]
    return {
        "patch_size": tuple(patch),
        "num_attention_heads": width // HEAD_WIDTH,
        "attention_head_dim": HEAD_WIDTH,
        "in_channels": taken,
        "out_channels": _output_channels(shapes),
        "text_dim": shapes["condition_embedder.text_embedder.linear_1.weight"][1],
        "freq_dim": shapes["condition_embedder.time_embedder.linear_1.weight"][1],
        "ffn_dim": shapes["blocks.0.ffn.net.0.proj.weight"][0],
        "num_layers": count_of(shapes, r"blocks\.(\d+)\."),
        "cross_attn_norm": "blocks.0.norm2.weight" in shapes,
        "qk_norm": "rms_norm_across_heads",
        "eps": 1e-6,
        "image_dim": sees,
        "added_kv_proj_dim": None if sees is None else width,
        "rope_max_seq_len": 1024,
        "pos_embed_seq_len": shapes.get(_IMAGE_POSITIONS, (None, None))[1],
    }


def _vace_config(shapes: Shapes) -> dict[str, Any]:
    """That of VACE. Its layers follow every second of the 30 blocks of the model of 1.3B, and every
    fifth of the 40 of 14B."""
    config, count = wan_config(shapes), count_of(shapes, r"vace_blocks\.(\d+)\.")
    every = config["num_layers"] // count
    return {
        **config,
        "vace_layers": [every * index for index in range(count)],
        "vace_in_channels": shapes["vace_patch_embedding.weight"][1],
    }


def _fun_config(shapes: Shapes) -> dict[str, Any]:
    """That of models with a reference image or a camera."""
    reference, camera = shapes.get(f"{_REFERENCE}.weight"), shapes.get(f"{_CAMERA}.conv.weight")
    blocks = count_of(shapes, rf"{_CAMERA}\.residual_blocks\.(\d+)\.") if camera else 1
    return {
        **wan_config(shapes),
        "reference_channels": None if reference is None else reference[1],
        "camera_channels": None if camera is None else camera[1],
        "camera_blocks": blocks,
    }


def _output_channels(shapes: Shapes) -> int:
    return shapes["proj_out.weight"][0] // _CELL


def _boundary(config: Config) -> Config:
    """Where the second expert takes over, if there is one."""
    return {"boundary_ratio": 0.875 if config["in_channels"] == config["out_channels"] else 0.9}


WAN_LAYERS: Table = (
    ("blocks.*.attn1.to_q", "blocks.*.self_attn.q"),
    ("blocks.*.attn1.to_k", "blocks.*.self_attn.k"),
    ("blocks.*.attn1.to_v", "blocks.*.self_attn.v"),
    ("blocks.*.attn1.to_out.0", "blocks.*.self_attn.o"),
    ("blocks.*.attn1.norm_q", "blocks.*.self_attn.norm_q"),
    ("blocks.*.attn1.norm_k", "blocks.*.self_attn.norm_k"),
    ("blocks.*.attn2.to_q", "blocks.*.cross_attn.q"),
    ("blocks.*.attn2.to_k", "blocks.*.cross_attn.k"),
    ("blocks.*.attn2.to_v", "blocks.*.cross_attn.v"),
    ("blocks.*.attn2.to_out.0", "blocks.*.cross_attn.o"),
    ("blocks.*.attn2.norm_q", "blocks.*.cross_attn.norm_q"),
    ("blocks.*.attn2.norm_k", "blocks.*.cross_attn.norm_k"),
    ("blocks.*.attn2.add_k_proj", "blocks.*.cross_attn.k_img"),
    ("blocks.*.attn2.add_v_proj", "blocks.*.cross_attn.v_img"),
    ("blocks.*.attn2.norm_added_k", "blocks.*.cross_attn.norm_k_img"),
    # The one norm with weights of its own is the third there and the second here.
    ("blocks.*.norm2", "blocks.*.norm3"),
    ("blocks.*.ffn.net.0.proj", "blocks.*.ffn.0"),
    ("blocks.*.ffn.net.2", "blocks.*.ffn.2"),
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"),
    ("condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"),
    ("condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"),
    ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
    (_IMAGE_POSITIONS, "img_emb.emb_pos"),
    ("proj_out", "head.head"),
    ("blocks.*.scale_shift_table", "blocks.*.modulation"),
    ("scale_shift_table", "head.modulation"),
)

_VACE_LAYERS: Table = (
    *WAN_LAYERS,
    *((f"vace_{new}", f"vace_{old}") for new, old in WAN_LAYERS if new.startswith("blocks.")),
    ("vace_blocks.*.proj_in", "vace_blocks.*.before_proj"),
    ("vace_blocks.*.proj_out", "vace_blocks.*.after_proj"),
)


_REFERENCE, _CAMERA = "patch_embedding.reference", "patch_embedding.camera"

_FUN_LAYERS: Table = (
    *WAN_LAYERS,
    (_REFERENCE, "ref_conv"),
    (f"{_CAMERA}.conv", "control_adapter.conv"),
    *(
        (f"{_CAMERA}.residual_blocks.*.{conv}", f"control_adapter.residual_blocks.*.{conv}")
        for conv in ("conv1", "conv2")
    ),
)


@dataclass(frozen=True)
class _Kind:
    """Networks of one class.

    Attributes:
        original_marks, marks: Tensors of which a file has one, by original names and by own ones.
    """

    class_name: str
    names: Table
    config: Callable[[Shapes], dict[str, Any]]
    original_marks: tuple[str, ...] = ("patch_embedding.weight",)
    marks: tuple[str, ...] = ("patch_embedding.weight",)


_OWN_MARKS = ("condition_embedder.time_proj.weight", "proj_out.weight")
_VACE_FIRST = ("vace_patch_embedding.weight",)
_PLAIN = _Kind("WanTransformer3DModel", WAN_LAYERS, wan_config)
_VACE = _Kind("WanVACETransformer3DModel", _VACE_LAYERS, _vace_config, _VACE_FIRST, _VACE_FIRST)
_FUN = _Kind(
    "WanFunTransformer3DModel",
    _FUN_LAYERS,
    _fun_config,
    ("ref_conv.weight", "control_adapter.conv.weight"),
    (f"{_REFERENCE}.weight", f"{_CAMERA}.conv.weight"),
)
_ANIMATE = _Kind(
    CLASS_NAME,
    (*WAN_LAYERS, *ANIMATE_LAYERS),
    lambda shapes: animate_config(shapes, wan_config(shapes)),
    (ORIGINAL_MARK,),
    (MARK,),
)


def _layout(
    name: str,
    title: str,
    *,
    channels: int,
    shift: float,
    without: tuple[str, ...],
    kind: _Kind = _PLAIN,
    extra: Callable[[Shapes], Container[int]] | None = None,
    **more: Any,
) -> FileLayout:
    """A layout of a transformer.

    Args:
        channels: Of latents.
        shift: Of the published schedule.
        without: What names begin with in relatives.
        extra: Channels that a transformer may take beside the noise; by default none, and those of
            a film.
    """

    def fits(shapes: Shapes) -> bool:
        out_channels, taken = _output_channels(shapes), shapes["patch_embedding.weight"][1]
        # A film of a first image has a mask of four channels.
        allowed = (0, channels + 4) if extra is None else extra(shapes)
        return out_channels == channels and taken - out_channels in allowed

    original, own = ("head.modulation", "head.head.weight"), _OWN_MARKS
    return denoiser_layout(
        f"{name}-transformer",
        f"a transformer of {title}",
        kind.class_name,
        marks=(
            *((first, *original) for first in kind.original_marks),
            *((first, *own) for first in kind.marks),
        ),
        names=OriginalNames(kind.names),
        config=kind.config,
        scheduler={
            "_class_name": "UniPCMultistepScheduler",
            "num_train_timesteps": 1000,
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "flow_shift": shift,
        },
        fits=fits,
        without=without,
        **more,
    )


_FUN_RELATIVES = (
    # Fun with a camera, or a reference
    "control_adapter.",
    "ref_conv.",
    f"{_REFERENCE}.",
    f"{_CAMERA}.",
)
_UNKNOWN = (
    # by sound
    "audio_",
    "casual_audio_encoder.",
    # others that are shown more than a film
    "patch_embedding_",
    # Animate 2 as published
    "blocks.0.block.",
    # SkyReels V2, by a frame rate
    "fps_",
)
_RELATIVES = (
    # Animate, with a face and a pose
    "face_adapter.",
    "motion_encoder.",
    "pose_patch_embedding.",
    *_UNKNOWN,
)
"""What names begin with in models that are made from Wan's and work in another way."""

_OTHERS = (*_FUN_RELATIVES, *_RELATIVES)

WAN_FILE = _layout(
    *("wan", "Wan"),
    channels=16,
    shift=3.0,
    without=("vace_", *_OTHERS),
    extra=lambda _: (0, 20, 32),
    settings=_boundary,
)
WAN_VACE_FILE = _layout(
    *("wan-vace", "Wan VACE"),
    channels=16,
    shift=3.0,
    without=_OTHERS,
    kind=_VACE,
    settings=_boundary,
)
WAN22_5B_FILE = _layout(
    "wan22-5b",
    "Wan 2.2 5B",
    channels=48,
    shift=5.0,
    without=("vace_", *_OTHERS),
    settings=lambda _: {"expand_timesteps": True},
)
WAN_FUN_FILE = _layout(
    *("wan-fun", "Wan Fun"),
    channels=16,
    shift=3.0,
    without=("vace_", *_RELATIVES),
    kind=_FUN,
    # With a camera, a first image; else a control video and a first image. Wan 2.2's have masks.
    extra=lambda shapes: (16, 20) if f"{_CAMERA}.conv.weight" in shapes else (32, 36),
    settings=_boundary,
)
_ANIMATE_FILE = _layout(
    *("wan-animate", "Wan Animate"),
    channels=16,
    shift=5.0,
    without=("vace_", *_FUN_RELATIVES, *_UNKNOWN),
    kind=_ANIMATE,
    extra=lambda _: (20,),
    unused=BLUR_KERNELS,
)
WAN_ANIMATE_FILE = replace(
    _ANIMATE_FILE,
    convert=lambda tensors, config: _ANIMATE_FILE.convert(flat_biases(tensors), config),
)
WAN22_5B_FUN_FILE = _layout(
    *("wan22-5b-fun", "Wan 2.2 5B Fun"),
    channels=48,
    shift=5.0,
    without=("vace_", "control_adapter.", f"{_CAMERA}.", *_RELATIVES),
    kind=_FUN,
    extra=lambda _: (100,),
    settings=lambda _: {"expand_timesteps": True},
)


_TOKENS = 512


@dataclass(frozen=True)
class WanFamily(Family):
    """A transformer led by UMT5, whose padding counts as zeros.

    Wan 2.2 has two of them: one for the first, noisy part of a sampling and one for the rest. The
    setting ``boundary_ratio`` says where the second takes over, as a part of the timesteps.

    Attributes:
        landscape: Width and height in pixels that models were trained on, among others.
    """

    landscape: tuple[int, int] = (832, 480)

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        taken = configs.get("vae", {}).get("z_dim", self.latent.channels)
        wanted = self.latent.channels
        return None if taken == wanted else f"a Wan model with latents of {taken} channels"

    def position_limits(self, config: Config) -> PositionLimits:
        count = int(config.get("rope_max_seq_len", 1024))
        _, rows, columns = config["patch_size"]
        return PositionLimits(count * int(rows), count * int(columns), count)

    def channels(self, config: Config) -> int:
        return int(config["out_channels"])

    def leading_frames(self, config: Config, frames: int) -> int:
        # Animate has the character's image in a separate frame.
        return int(is_animate(config))

    def trained_size(self, config: Config) -> tuple[int, int]:
        return self.landscape

    def step_memory(self, config: Config) -> StepMemory:
        # Each of VACE's layers gives what is added to one block later, and all run before it.
        layers = len(config.get("vace_layers") or ())
        return self.held._replace(numbers=self.held.numbers + layers).of(config)

    def context_width(self, config: Config) -> int | None:
        return int(config["text_dim"])

    def needs_video_input(self, config: Config) -> bool:
        # Of Wan 2.2 5B, those models that see a video beside the noise: its Fun models, and VACE.
        has_more = config["in_channels"] != config["out_channels"] or "vace_layers" in config
        return self.needs_media or has_more

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import plain_text, t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], plain_text(text), _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        length = int(tokens["attention_mask"].sum())
        states[:, length:] = 0
        return encoded({"embeddings": states})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        fitted.pop(LATE_CFG, None)
        fit_animation(fitted, model.config, request)
        check_video_size(fitted, request)
        takes_context = "vace_layers" in model.config
        check_vace_context(fitted.get(VACE_CONTEXT), request, takes_context=takes_context)
        config, has_last = model.config, LAST_FRAME in fitted
        formats = self.latent
        fit_references(fitted, config, request, formats.spatial, model.dtype)
        fit_film(fitted, config, request, formats.temporal)
        if config.get("image_dim") is None:
            fitted.pop(IMAGE_EMBEDS, None)
        else:
            check_embeddings(config, request, has_last, has_embeddings=IMAGE_EMBEDS in fitted)
        return fitted

    def scale(self, model: Denoiser, entry: ConditioningEntry, cfg: float, moment: Moment) -> float:
        late = entry.tensors.get(LATE_CFG)
        return cfg if late is None or not self.is_second_expert(model, moment) else float(late)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        expert, first = self.expert(model, moment), batch.get(FIRST_FRAME)
        hidden = with_conditions(with_first_frame(x, first).to(model.dtype), batch)
        before = hidden.shape[2] - x.shape[2]
        timestep = moment.timestep.expand(len(x))
        if model.settings.get("expand_timesteps"):
            timestep = token_timesteps(x, first, moment.timestep, before)
        output: Tensor = expert(
            hidden_states=hidden,
            timestep=timestep,
            encoder_hidden_states=batch["embeddings"],
            encoder_hidden_states_image=by_image(model.config, batch.get(IMAGE_EMBEDS)),
            return_dict=False,
            **vace_inputs(model.config, batch),
            **animation_inputs(batch),
        )[0]
        return output[:, :, before:]

    def is_second_expert(self, model: Denoiser, moment: Moment) -> bool:
        """Whether it is the second expert's turn."""
        ratio = model.settings.get("boundary_ratio")
        if ratio is None or "transformer_2" not in model.modules:
            return False
        return moment.timestep_value < float(ratio) * moment.training_timesteps

    def expert(self, model: Denoiser, moment: Moment) -> Any:
        """The transformer whose turn it is."""
        return model.modules[
            "transformer_2" if self.is_second_expert(model, moment) else "transformer"
        ]


def _experts(*files: FileLayout) -> tuple[Part, ...]:
    classes = tuple(file.class_name for file in files)
    return (
        Part("transformer", classes, files=files),
        Part("transformer_2", classes, optional=True, files=files),
    )


_PIPELINES = ("WanPipeline", "WanImageToVideoPipeline", "WanVideoToVideoPipeline")
COMMON_PARTS: dict[str, Any] = {
    "encoders": (
        Part("text_encoder", ("UMT5EncoderModel",), files=(UMT5, UMT5_ORIGINAL, UMT5_GGUF)),
        Part(
            "image_encoder",
            ("CLIPVisionModel", "CLIPVisionModelWithProjection"),
            optional=True,
            files=(CLIP_VISION,),
        ),
    ),
    "tokenizers": (
        Part("tokenizer", ("T5Tokenizer",), vocabulary="umt5"),
        Part(
            "image_processor",
            ("CLIPImageProcessor",),
            optional=True,
            vocabulary="clip-pictures",
        ),
    ),
    "noise": "flow",
    "settings": {"boundary_ratio": None, "expand_timesteps": False},
    "joint": False,
    "wide": True,
    "held": TokenMemory(9, 256),
    "lora_signs": (
        LoraSign(
            r"^(vace_)?blocks_\d+_"
            # LongCat-AudioDiT has layers called ffn_ff, and Cosmos Transfer2.5 k_img and v_img.
            r"((self|cross)_attn_([qkvo]$|norm_)|ffn_(?!ff_))",
            "Wan",
        ),
        BLOCK_ATTENTION_SIGN,
    ),
    "speedups": ATTENTION_CACHES | BLOCK_CACHES | LITE | FUSED,
}

WAN = WanFamily(
    "wan",
    "Wan",
    latent=WAN_LATENTS,
    pipelines=(*_PIPELINES, "WanVACEPipeline", "WanAnimatePipeline"),
    denoisers=_experts(WAN_FILE, WAN_VACE_FILE, WAN_FUN_FILE, WAN_ANIMATE_FILE),
    multiple=16,
    first_picture="film",
    video_inputs=wan_video_inputs,
    needs_media=True,
    control_videos=True,
    resolutions={"wan": Resolutions(832 * 480, 16)},
    comfyui_type="wan",
    **COMMON_PARTS,
)
WAN22_5B = WanFamily(
    "wan22-5b",
    "Wan 2.2 5B",
    latent=WAN22_LATENTS,
    pipelines=_PIPELINES,
    denoisers=_experts(WAN22_5B_FILE, WAN22_5B_FUN_FILE),
    multiple=32,
    landscape=(1280, 704),
    first_picture="frame",
    video_inputs=wan22_5b_video_inputs,
    inpaint_models=True,
    control_videos=True,
    resolutions={"wan22-5b": Resolutions(1280 * 704, 32)},
    comfyui_type="wan",
    **COMMON_PARTS,
)
