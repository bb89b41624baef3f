"""Qwen-Image. Imports no torch.

Source: Wu et al. 2025, arXiv:2508.02324.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Qwen/Qwen-Image
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    CONTROLS,
    LITE,
    ZERO_TIMESTEP_REFERENCE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
    usual_pipelines,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.layer_names import IMAGE_STREAM_SIGN, JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import (
    BLOCKS,
    Batch,
    BlockControl,
    Moment,
    SamplingRequest,
    distribute_residuals,
    norm_preserving_guidance,
)
from nodegraph.families.patches import (
    pack_latents,
    pad_residuals,
    reference_latents,
    reference_tensors,
    unpack_latents,
)
from nodegraph.families.wan_vae import QWEN_IMAGE as QWEN_IMAGE_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, count_of, has_marks
from nodegraph.weights.single_files.controlnets import transformer_controlnet_layout
from nodegraph.weights.single_files.language import QWEN25, QWEN25_GGUF, QWEN25_VL
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import ControlNetCall, Residuals

_PATCH = 2
_ZERO_TIMESTEP = "__index_timestep_zero__"
"""An empty tensor by which ComfyUI marks models to which references are images without noise, as
Edit Plus of November 2025 has it."""


def qwen_image_config(shapes: Shapes) -> dict[str, Any]:
    """Return the configuration of a QwenImageTransformer2DModel, by its tensors' shapes."""
    width, patch = shapes["img_in.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": _PATCH,
        "in_channels": patch,
        "out_channels": shapes["proj_out.weight"][0] // _PATCH**2,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "guidance_embeds": False,
        # 16, 56 and 56 of 128
        "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
        "zero_cond_t": _ZERO_TIMESTEP in shapes,
    }


QWEN_IMAGE_FILE = denoiser_layout(
    "qwen-image-transformer",
    "the transformer of Qwen-Image",
    "QwenImageTransformer2DModel",
    marks=(("txt_norm.weight", "img_in.weight", "transformer_blocks.0.attn.add_k_proj.weight"),),
    config=qwen_image_config,
    scheduler={
        **DYNAMIC_FLOW,
        "max_image_seq_len": 8192,
        "max_shift": 0.9,
        "shift": 1.0,
        "shift_terminal": 0.02,
    },
    # Layered, control models, and NucleusMoE-Image
    without=(
        "time_text_embed.addition_t_embedding.",
        "controlnet_",
        "transformer_blocks.0.encoder_proj.",
    ),
    unused=(_ZERO_TIMESTEP,),
)


_MAX_LENGTH, _TOKENS = 1024, 512
"""Tokens of a prompt that the encoder is shown, and that the model is led by."""

_TEMPLATE = (
    "<|im_start|>system\n"
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What is said around a prompt; the model was trained with it, so each letter counts.

Source: https://github.com/QwenLM/Qwen-Image, as diffusers' pipeline has it.
"""
_TEMPLATE_TOKENS = 34
"""Its tokens before the prompt, by Qwen's vocabulary."""


def _control_config(net: Shapes) -> dict[str, Any]:
    width, taken = net["img_in.weight"]
    (head,) = net["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 2,
        "in_channels": taken,
        "out_channels": taken // 4,
        "num_layers": count_of(net, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": net["txt_in.weight"][1],
        "axes_dims_rope": (16, 56, 56),
        "extra_condition_channels": net["controlnet_x_embedder.weight"][1] - taken,
    }


_CONTROLNET = transformer_controlnet_layout(
    "qwen-image",
    "Qwen-Image",
    "QwenImageControlNetModel",
    ("controlnet_x_embedder.weight", "img_in.weight", "txt_in.weight"),
    _control_config,
)


_FUN_MARKS = (("control_img_in.weight", "control_blocks.0.before_proj.weight"),)
_BLOCKWISE_MARKS = (("img_in.weight", "controlnet_blocks.0.y_rms.weight"),)
_BLOCKWISE = "QwenImageBlockwiseControlNet"
_LATENT_TOKEN = 64
"""Numbers of a latent's token."""


def _fun_config(net: Shapes) -> dict[str, Any]:
    width, shown = net["control_img_in.weight"]
    (head,) = net["control_blocks.0.attn.norm_q.weight"]
    return {
        "control_channels": shown // _PATCH**2,
        "num_layers": count_of(net, r"control_blocks\.(\d+)\."),
        "num_attention_heads": width // head,
        "attention_head_dim": head,
    }


def _blockwise_config(net: Shapes) -> dict[str, Any]:
    width, shown = net["img_in.weight"]
    return {
        "in_channels": _LATENT_TOKEN,
        "extra_condition_channels": shown - _LATENT_TOKEN,
        "width": width,
        "num_layers": count_of(net, r"controlnet_blocks\.(\d+)\."),
    }


def _own_layout(
    name: str,
    class_name: str,
    marks: tuple[tuple[str, ...], ...],
    config: Callable[[Shapes], dict[str, Any]],
) -> FileLayout:
    """How a network of our own classes lies in a file, by the names that they have."""
    return FileLayout(
        f"qwen-image-{name}",
        "a ControlNet for Qwen-Image",
        class_name,
        lambda net: has_marks(net, marks),
        config,
        lambda tensors, _: dict(tensors),
        marks=marks,
    )


_FUN = _own_layout("fun-controlnet", "QwenImageFunControlNet", _FUN_MARKS, _fun_config)
_BLOCKWISE_FILE = _own_layout(
    "blockwise-controlnet", _BLOCKWISE, _BLOCKWISE_MARKS, _blockwise_config
)


class QwenImage(Family):
    """A transformer led by Qwen2.5-VL, which takes latents as 2 x 2 patches."""

    def channels(self, config: Config) -> int:
        return int(config["in_channels"]) // 4

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        tokenizer = model.tokenizers["tokenizer"]
        tokens = tokenizer(
            _TEMPLATE.format(text),
            max_length=_MAX_LENGTH + _TEMPLATE_TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        states = last_states(model, tokens)[:, _TEMPLATE_TOKENS:]
        if warn is not None and states.shape[1] > _TOKENS:
            warn(
                f"The prompt has {states.shape[1]} tokens or more. The model uses the first "
                f"{_TOKENS} and ignores the rest."
            )
        return encoded({"embeddings": states[:, :_TOKENS]})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        # Those that don't edit are the same network, and LoRAs teach them to look.
        fitted = super().fit(model, entry, request)
        return fitted | reference_tensors(entry.references, request.side)

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        height, width = x.shape[-2:]
        name = type(question.network).__name__
        if name == _BLOCKWISE:
            return _block_control(question)
        if name == _FUN.class_name:
            return {BLOCKS: _fun_residuals(model, question, x, moment, batch)}
        residuals = question.network(
            hidden_states=pack_latents(x),
            controlnet_cond=pack_latents(question.repeat(question.hints[0])),
            conditioning_scale=question.strengths[0],
            timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            encoder_hidden_states=batch["embeddings"],
            encoder_hidden_states_mask=None,
            img_shapes=[[(1, height // 2, width // 2)]] * len(x),
            return_dict=False,
        )
        return {BLOCKS: distribute_residuals(residuals, len(model.module.transformer_blocks))}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        height, width = x.shape[-2:]
        pictures = [x, *reference_latents(batch)]
        grids = [(1, item.shape[-2] // 2, item.shape[-1] // 2) for item in pictures]
        is_zero_timestep = ZERO_TIMESTEP_REFERENCE in batch and len(pictures) > 1
        with (
            _zero_timestep_images(model.module, enabled=is_zero_timestep),
            _block_controls(model.module, batch),
        ):
            output: Tensor = model.module(
                hidden_states=torch.cat([pack_latents(item) for item in pictures], 1),
                timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
                encoder_hidden_states=batch["embeddings"],
                encoder_hidden_states_mask=None,
                img_shapes=[grids] * len(x),
                controlnet_block_samples=_control_residuals(batch, sum(map(_tokens, pictures[1:]))),
                return_dict=False,
            )[0]
        own = height // 2 * (width // 2)
        return unpack_latents(output[:, :own], height, width)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Each patch stays as long as the positive prompt alone has it."""
        height, width = towards.shape[-2:]
        return unpack_latents(
            norm_preserving_guidance(pack_latents(towards), pack_latents(away), cfg), height, width
        )


def _block_control(question: ControlNetCall) -> Residuals:
    """The control of a network that adds behind each block, by what the block gives."""
    hint = question.repeat(question.hints[0])
    tokens = question.network.img_in(pack_latents(hint))
    strength = torch.full((len(hint), 1, 1), question.strengths[0], device=hint.device)
    # Under a name of its own, as networks inside a model are not added up.
    key = f"{_BLOCKWISE} {id(question.cache)}"
    return {key: [BlockControl(question.network, tokens, strength)]}


def _fun_residuals(
    model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
) -> list[Tensor]:
    """What Alibaba's network adds behind each block. It is shown no mask and nothing to fill."""
    network = question.network
    if network.dtype != model.dtype:
        if "network" not in question.cache:
            question.cache["network"] = deepcopy(network).to(model.dtype)
        network = question.cache["network"]
    hint = question.repeat(question.hints[0])
    beyond = int(network.config.control_channels) - hint.shape[1]
    shown = torch.nn.functional.pad(hint, (0, 0, 0, 0, 0, beyond))
    height, width = x.shape[-2:]
    added = network(
        model.module,
        pack_latents(x).to(model.dtype),
        pack_latents(shown).to(model.dtype),
        moment.timestep.expand(len(x)).to(model.dtype) / 1000,
        batch["embeddings"].to(model.dtype),
        [[(1, height // 2, width // 2)]] * len(x),
    )
    return [item * question.strengths[0] for item in added]


@contextmanager
def _block_controls(transformer: Any, batch: Batch) -> Iterator[None]:
    """Have control networks add behind the blocks of a transformer, for one call."""
    controls = [
        item
        for name, items in batch.get(CONTROLS, {}).items()
        if name.startswith(_BLOCKWISE)
        for item in items
    ]
    if not controls:
        yield
        return

    def adding(number: int) -> Callable[..., Any]:
        def add(block: Any, inputs: Any, output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            prompt, states = output
            for control in controls:
                states = control.added(number, states)
            return prompt, states

        return add

    hooks = [
        block.register_forward_hook(adding(number))
        for number, block in enumerate(transformer.transformer_blocks)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _zero_timestep_images(transformer: Any, *, enabled: bool) -> Iterator[None]:
    """Have a transformer take images to look at for ones without noise, for one call.

    It is shared with those who want it otherwise, and a device calls one after the other.
    """
    if not enabled or transformer.zero_cond_t:
        yield
        return
    layers = (transformer, *transformer.transformer_blocks)
    for layer in layers:
        layer.zero_cond_t = True
    try:
        yield
    finally:
        for layer in layers:
            layer.zero_cond_t = False


def _tokens(latent: Tensor) -> int:
    return int(latent.shape[-2] // 2) * int(latent.shape[-1] // 2)


def _control_residuals(batch: Batch, extra_tokens: int) -> list[Tensor] | None:
    """What control networks add; nothing to so many tokens of images that it looks at."""
    residuals = batch.get(CONTROLS, {}).get(BLOCKS)
    return None if residuals is None else pad_residuals(residuals, extra_tokens)


def last_states(model: TextModel, tokens: Any) -> Tensor:
    """What the encoder makes of tokens, and of images between them; (1, tokens, width)."""
    from nodegraph.families.text_encoders import hidden_states

    return hidden_states(model.modules["text_encoder"], tokens, layer=-1)


QWEN_IMAGE = QwenImage(
    "qwen-image",
    "Qwen-Image",
    latent=QWEN_IMAGE_LATENTS,
    pipelines=usual_pipelines("QwenImage"),
    denoisers=(Part("transformer", ("QwenImageTransformer2DModel",), files=(QWEN_IMAGE_FILE,)),),
    encoders=(
        Part(
            "text_encoder",
            ("Qwen2_5_VLForConditionalGeneration",),
            files=(QWEN25_VL, QWEN25, QWEN25_GGUF),
        ),
    ),
    tokenizers=(Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen2.5-vl"),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=16,
    control=Part(
        "controlnet",
        ("QwenImageControlNetModel", _BLOCKWISE, _FUN.class_name),
        files=(_CONTROLNET, _BLOCKWISE_FILE, _FUN),
    ),
    controlled_by_positive=True,
    held=TokenMemory(16, 128),
    needs_negative=False,
    joint=False,
    accepts_prompts_of=("qwen-image-edit", "qwen-image-edit-plus"),
    speedups=ATTENTION_CACHES | BLOCK_CACHES | LITE,
    resolutions={
        # The model card of Qwen/Qwen-Image.
        "qwen-image": Resolutions(
            1328 * 1328, 16, ((1328, 1328), (1472, 1104), (1584, 1056), (1664, 928))
        ),
    },
    image_inputs=frozenset({"references"}),
    lora_signs=(
        LoraSign(r"^transformer_blocks_\d+_txt_(mlp|mod)_", "Qwen-Image"),
        IMAGE_STREAM_SIGN,
        JOINT_ATTENTION_SIGN,
    ),
    control_sees_latents=True,
    control_mask_channels="extra_condition_channels",
    control_keeps_masked=frozenset({_BLOCKWISE}),
    comfyui_type="qwen_image",
)
