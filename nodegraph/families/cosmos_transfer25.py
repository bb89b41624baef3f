"""Cosmos Transfer2.5: worlds as videos that follow control videos: edges, blur, depth, segments.

Its network is that of Cosmos Predict2.5 with a second cross attention, to tokens of an image, which
are zeros as in its pipeline. A control network beside it reads the latents of a control video.
Imports no torch.

Source: NVIDIA 2025, https://github.com/nvidia-cosmos/cosmos-transfer2.5; diffusers'
``pipeline_cosmos2_5_transfer.py``. What no tensor shows is from
``scripts/convert_cosmos_to_diffusers.py`` of https://github.com/huggingface/diffusers
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Part, Resolutions
from nodegraph.families.cosmos import (
    ORIGINAL_PREFIXES,
    PREDICT2_LAYERS,
    PREDICT2_MARKS,
    cosmos_layout,
)
from nodegraph.families.cosmos25 import (
    PREDICT25_FIELDS,
    PREDICT25_SCHEDULER,
    PROJECTION,
    CosmosPredict25,
    predict25_config,
)
from nodegraph.families.image_conditioning import FIRST_FRAME, with_first_frame
from nodegraph.families.model_step import BLOCKS, Batch, ControlNetCall, Moment, Residuals
from nodegraph.families.wan_vae import BY_DEVIATION
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import (
    FileLayout,
    OriginalNames,
    Table,
    Tensors,
    count_of,
    has_marks,
)
from nodegraph.weights.single_files.renamed_layouts import (
    HEAD_WIDTH,
    rename_shapes,
    rename_tensors,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.components import Denoiser

_Item = TypeVar("_Item")

_IMAGE = "img_context_proj.0.weight"
_IMAGE_TOKENS = 256
_EVERY = 7
"""Published: a control network adds to the first of so many blocks of the transformer."""
_HINT = "Use a ControlNet that was trained for models of this kind."
_CELL = 4
"""Numbers of a channel in a patch of 1 x 2 x 2 cells."""
_CONTROL = ("control_blocks.", "control_embedder.", "input_hint_block.")
"""What names of a control network begin with in an original file, beside those of the model."""
_IMAGE_LAYERS = tuple(
    (f"transformer_blocks.*.attn2.{layer}", f"blocks.*.cross_attn.{layer}")
    for layer in ("q_img", "k_img", "v_img", "q_img_norm", "k_img_norm")
)
_LAYERS: Table = (*PREDICT2_LAYERS, *_IMAGE_LAYERS)


def _image_config(shapes: Shapes) -> dict[str, Any]:
    out, taken = shapes[_IMAGE]
    return {"img_context_dim_in": taken, "img_context_dim_out": out}


def _config(shapes: Shapes) -> dict[str, Any]:
    return {
        **predict25_config(shapes),
        **_image_config(shapes),
        "img_context_num_tokens": _IMAGE_TOKENS,
        "controlnet_block_every_n": _EVERY,
    }


def _without_control(items: Mapping[str, _Item]) -> dict[str, _Item]:
    return {name: item for name, item in items.items() if not name.startswith(_CONTROL)}


def _transformer_layout() -> FileLayout:
    """How the transformer lies in a file, in which its control network may lie, too."""
    inner = cosmos_layout(
        "cosmos-transfer25-transformer",
        "the transformer of Cosmos Transfer2.5",
        PREDICT2_MARKS,
        _LAYERS,
        PREDICT25_SCHEDULER,
        further={**PROJECTION, "img_context_proj.": _IMAGE},
        config=_config,
    )
    return replace(
        inner,
        matches=lambda shapes: (
            has_marks(shapes, inner.marks) and inner.matches(_without_control(shapes))
        ),
        config=lambda shapes: inner.config(_without_control(shapes)),
        convert=lambda tensors, config: inner.convert(_without_control(tensors), config),
    )


TRANSFER25_FILE = _transformer_layout()

_SHARED_LAYERS: Table = (
    ("patch_embed_base.proj", "x_embedder.proj.1"),
    ("time_embed.t_embedder.linear_1", "t_embedder.1.linear_1"),
    ("time_embed.t_embedder.linear_2", "t_embedder.1.linear_2"),
    ("time_embed.norm", "t_embedding_norm"),
)
"""Layers that the control network has in common with the transformer."""
_CONTROL_NAMES = OriginalNames(
    (
        ("patch_embed.proj", "control_embedder.proj.1"),
        *_SHARED_LAYERS,
        *(
            (here.replace("transformer_blocks.", "control_blocks."), f"control_{there}")
            for here, there in _LAYERS
            if here.startswith("transformer_blocks.")
        ),
    )
)
_CONTROL_PARTS = (
    *(*_CONTROL[:2], "patch_embed.", "patch_embed_base.", "time_embed.", "learnable_pos_embed."),
    *("crossattn_proj.", "img_context_proj.", "x_embedder.", "t_embedder.", "t_embedding_norm."),
)
"""What names of a control network begin with, in original files and in those of diffusers."""
_CONTROL_MARKS = (
    ("control_embedder.proj.1.weight", "control_blocks.0.before_proj.weight", _IMAGE),
    ("patch_embed_base.proj.weight", "control_blocks.0.before_proj.weight"),
)


def _own(items: Mapping[str, _Item]) -> dict[str, _Item]:
    """Tensors of a control network, without those of the model beside it."""
    return {
        name: item
        for name, item in items.items()
        if name.startswith(_CONTROL_PARTS) and not name.endswith("_extra_state")
    }


def _control_config(file: Shapes) -> dict[str, Any]:
    shapes = rename_shapes(_own(file), _CONTROL_NAMES)
    width, taken = shapes["patch_embed.proj.weight"]
    projected, embedded = shapes["crossattn_proj.0.weight"]
    return {
        **_image_config(shapes),
        "n_controlnet_blocks": count_of(shapes, r"control_blocks\.(\d+)\."),
        "in_channels": taken // _CELL,
        "latent_channels": shapes["patch_embed_base.proj.weight"][1] // _CELL,
        "model_channels": width,
        "num_attention_heads": width // HEAD_WIDTH,
        "attention_head_dim": HEAD_WIDTH,
        "mlp_ratio": shapes["control_blocks.0.ff.net.0.proj.weight"][0] / width,
        "text_embed_dim": shapes["control_blocks.0.attn2.to_k.weight"][1],
        "adaln_lora_dim": shapes["control_blocks.0.norm1.linear_1.weight"][0],
        "max_size": (128, 240, 240),
        "patch_size": (1, 2, 2),
        "rope_scale": (1.0, 3.0, 3.0),
        "extra_pos_embed_type": None,
        "use_crossattn_projection": True,
        "crossattn_proj_in_channels": embedded,
        "encoder_hidden_states_channels": projected,
    }


def _convert_control(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return rename_tensors(_own(tensors), _CONTROL_NAMES)


TRANSFER25_CONTROL = FileLayout(
    "cosmos-transfer25-controlnet",
    "a ControlNet for Cosmos Transfer2.5",
    "CosmosControlNetModel",
    lambda shapes: has_marks(shapes, _CONTROL_MARKS),
    _control_config,
    _convert_control,
    ORIGINAL_PREFIXES,
    marks=_CONTROL_MARKS,
)


class CosmosTransfer25(CosmosPredict25):
    """A transformer guided by prompts as that of Predict2.5, and by control videos.

    The pipeline generates long videos in chunks, each from the last frames of the one before. So
    does a chain of samplers whose prompts begin with those frames.
    """

    clean_time = 0.1

    def rounded_level(self, model: Denoiser, level: Tensor) -> Tensor:
        """Noise levels in the precision of the transformer, as float32."""
        return level.to(model.dtype).float()

    def network_inputs(
        self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch
    ) -> dict[str, Any]:
        inputs = super().network_inputs(model, x, moment, batch)
        width, states = model.config.get("img_context_dim_in"), inputs["encoder_hidden_states"]
        if width:
            # No image: the pipeline, too, passes zeros.
            image = states.new_zeros(len(x), int(model.config["img_context_num_tokens"]), width)
            inputs["encoder_hidden_states"] = states, image
        return inputs

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        """As `Family.controlled`.

        Raises:
            InvalidValue: The network is for transformers of another size.
        """
        network = question.network
        _check_size(network, model)
        residuals = network(
            controls_latents=question.repeat(question.hints[0]),
            latents=with_first_frame(x, batch.get(FIRST_FRAME)),
            conditioning_scale=question.strengths[0],
            **self.network_inputs(model, x, moment, batch),
        )[0]
        return {BLOCKS: residuals}


def _check_size(network: Any, model: Denoiser) -> None:
    """Refuse a control network that does not fit the transformer."""
    config, own = model.config, network.config
    every = config.get("controlnet_block_every_n")
    width = int(config["num_attention_heads"]) * int(config["attention_head_dim"])
    # The transformer takes one for the first block of each group.
    needed = 0 if not every else -(-int(config["num_layers"]) // int(every))
    if own.model_channels != width or not 0 < needed <= own.n_controlnet_blocks:
        raise InvalidValue(
            "the control network does not fit the model",
            port="positive",
            given=f"width {own.model_channels}, {own.n_controlnet_blocks} blocks",
            expected=f"width {width}, {needed or 'no'} blocks",
            hint=_HINT,
        )
    taken = _interface(own, int(own.latent_channels))
    # The network sees the padding of an image as one more channel.
    is_padded = bool(config.get("concat_padding_mask", True))
    wanted = _interface(config, int(config["in_channels"]) + is_padded)
    different = {name: size for name, size in taken.items() if size != wanted[name]}
    if different:
        raise InvalidValue(
            "the control network does not fit the model",
            port="positive",
            given=", ".join(f"{name} of {size}" for name, size in different.items()),
            expected=", ".join(f"{name} of {wanted[name]}" for name in different),
            hint=_HINT,
        )


def _interface(config: Mapping[str, Any], channels: int) -> dict[str, int]:
    """Widths of what a network takes: latents, prompts, and tokens of an image."""
    is_projected = config.get("use_crossattn_projection")
    text = "crossattn_proj_in_channels" if is_projected else "text_embed_dim"
    return {
        "latents": channels,
        "prompts": int(config[text]),
        "images": int(config.get("img_context_dim_in") or 0),
    }


COSMOS_TRANSFER25 = CosmosTransfer25(
    "cosmos-transfer25",
    "Cosmos Transfer2.5",
    pipelines=("Cosmos2_5_TransferPipeline",),
    denoisers=(Part("transformer", ("CosmosTransformer3DModel",), files=(TRANSFER25_FILE,)),),
    accepts_prompts_of=("cosmos-predict25",),
    control=Part("controlnet", ("CosmosControlNetModel",), files=(TRANSFER25_CONTROL,)),
    control_sees_latents=True,
    vae_config={BY_DEVIATION: True},
    resolutions={"cosmos-transfer25": Resolutions(1280 * 704, 16)},
    **PREDICT25_FIELDS,
)
