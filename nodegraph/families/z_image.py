"""Z-Image and Z-Image-Turbo. Imports no torch.

Source: Z-Image Team 2025, arXiv:2511.22699.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Tongyi-MAI/Z-Image-Turbo
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    CONTROLS,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
    usual_pipelines,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.families.layer_names import (
    REFINED_SIGN,
    REFINER_ATTENTION_SIGN,
    UNSPLIT_ATTENTION_SIGN,
    LoraSign,
)
from nodegraph.families.model_step import Batch, Moment
from nodegraph.families.position_limits import PositionLimits
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import (
    FileLayout,
    OriginalNames,
    Table,
    Tensors,
    count_of,
    has_marks,
)
from nodegraph.weights.single_files.language import QWEN3, QWEN3_GGUF
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import ControlNetCall, Residuals

_PATCH = 2
_SIGLIP = "siglip_embedder.0.weight"
"""Tells Z-Image Omni from Z-Image."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["all_x_embedder.2-1.weight"]
    (head,) = shapes["layers.0.attention.norm_q.weight"]
    return {
        "all_patch_size": (_PATCH,),
        "all_f_patch_size": (1,),
        "in_channels": patch // _PATCH**2,
        "dim": width,
        "n_layers": count_of(shapes, r"layers\.(\d+)\."),
        "n_refiner_layers": count_of(shapes, r"noise_refiner\.(\d+)\."),
        "n_heads": shapes["layers.0.attention.to_q.weight"][0] // head,
        "n_kv_heads": shapes["layers.0.attention.to_k.weight"][0] // head,
        "norm_eps": 1e-5,
        "qk_norm": True,
        "cap_feat_dim": shapes["cap_embedder.1.weight"][1],
        **({"siglip_feat_dim": shapes[_SIGLIP][0]} if _SIGLIP in shapes else {}),
        "rope_theta": 256.0,
        "t_scale": 1000.0,
        # 32, 48 and 48 of 128: time has a quarter of a head, rows and columns share the rest.
        "axes_dims": (head // 4, 3 * head // 8, 3 * head // 8),
        "axes_lens": (1536, 512, 512),
    }


_LAYERS: Table = (
    ("@.*.attention.{to_q,to_k,to_v}", "@.*.attention.qkv"),
    ("@.*.attention.to_out.0", "@.*.attention.out"),
    ("@.*.attention.norm_q", "@.*.attention.q_norm"),
    ("@.*.attention.norm_k", "@.*.attention.k_norm"),
    ("all_x_embedder.2-1", "x_embedder"),
    ("all_final_layer.2-1.linear", "final_layer.linear"),
    ("all_final_layer.2-1.adaLN_modulation.1", "final_layer.adaLN_modulation.1"),
)


_MARKS = ("cap_pad_token", "cap_embedder.1.weight", "layers.0.adaLN_modulation.0.weight")
Z_IMAGE_FILE = denoiser_layout(
    "z-image-transformer",
    "the transformer of Z-Image",
    "ZImageTransformer2DModel",
    marks=(_MARKS,),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
    # Omni, which sees images, and variants that draw pixels.
    without=("siglip_", "dec_net."),
    unused=("norm_final.",),
)
Z_IMAGE_OMNI_FILE = denoiser_layout(
    "z-image-omni-transformer",
    "the transformer of Z-Image Omni",
    "ZImageTransformer2DModel",
    marks=((*_MARKS, _SIGLIP),),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
    without=("dec_net.",),
    unused=("norm_final.",),
)


_MODEL_LAYERS = 30
"""Of Z-Image: the layers of a control network add to every few of them."""
_TRAINED = "control_noise_refiner"
"""As diffusers calls networks whose refiner was trained."""
_CONTROL_INPUT = "control_all_x_embedder.2-1.weight"
_REFINER = "control_noise_refiner."
_CONTROL_MARKS = ((_CONTROL_INPUT, "control_layers.0.before_proj.weight"),)


def _control_config(net: Shapes) -> dict[str, Any]:
    """Of the versions 1, 2.0 and 2.1 of Alibaba's Fun ControlNet Union, also of its Lite ones."""
    width, patch = net[_CONTROL_INPUT]
    (head,) = net["control_layers.0.attention.norm_q.weight"]
    layers = count_of(net, r"control_layers\.(\d+)\.")
    refiners = count_of(net, r"control_noise_refiner\.(\d+)\.") or 2
    own_refiner = f"{_REFINER}0.before_proj.weight" in net
    refined = _TRAINED if own_refiner else "control_layers"
    # Version 1 has as many channels as latents, and refines the image without the latent.
    is_first = patch // _PATCH**2 == _LATENT_CHANNELS
    return {
        "control_layers_places": list(range(0, _MODEL_LAYERS, _MODEL_LAYERS // layers))[:layers],
        "control_refiner_layers_places": None if is_first else list(range(refiners)),
        "control_in_dim": patch // _PATCH**2,
        "add_control_noise_refiner": None if is_first else refined,
        "all_patch_size": (_PATCH,),
        "all_f_patch_size": (1,),
        "dim": width,
        "n_refiner_layers": refiners,
        "n_heads": net["control_layers.0.attention.to_q.weight"][0] // head,
        "n_kv_heads": net["control_layers.0.attention.to_k.weight"][0] // head,
    }


_LATENT_CHANNELS = 16


def _convert_control(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    is_refined_by_layers = config["add_control_noise_refiner"] == "control_layers"
    return {
        name: item
        for name, item in tensors.items()
        if not (is_refined_by_layers and name.startswith(_REFINER))
    }


Z_IMAGE_CONTROLNET = FileLayout(
    "z-image-controlnet",
    "a ControlNet for Z-Image",
    "ZImageControlNetModel",
    lambda net: has_marks(net, _CONTROL_MARKS),
    _control_config,
    _convert_control,
    marks=_CONTROL_MARKS,
)


_TOKENS, _TOKEN_MULTIPLE = 512, 32
"""Tokens of a prompt, and what their number and that of an image's is rounded up to."""


class ZImage(Family):
    """A transformer led by Qwen3, which reads a prompt as what a user says to it.

    It takes images and prompts as lists, so prompts of any lengths are evaluated in one batch;
    and it counts time from noise to image, with the velocity in that direction.

    `cfg` is the pipeline's guidance scale + 1, as 1 is the positive prompt alone here and 0 there.
    """

    def position_limits(self, config: Config) -> PositionLimits:
        _, rows, columns = config["axes_lens"]
        return PositionLimits(_PATCH * int(rows), _PATCH * int(columns))

    def context_width(self, config: Config) -> int | None:
        return int(config["cap_feat_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import hidden_states, tokenize_padded

        tokenizer = model.tokenizers["tokenizer"]
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=True,
        )
        tokens = tokenize_padded(tokenizer, chat, _TOKENS, warn)
        mask = tokens["attention_mask"].bool()
        states = hidden_states(
            model.modules["text_encoder"], {**tokens, "attention_mask": mask}, layer=-2
        )
        return encoded({"embeddings": states[mask][None]})

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        return [list(range(len(prompts)))]

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        return {"embeddings": [prompt["embeddings"][0] for prompt in prompts for _ in range(batch)]}

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        """As `Family.controlled`.

        Networks with a mask and an image to fill are shown zeros if the control has neither.
        """
        network = _network_with_transformer(question, model)
        hint = question.repeat(question.hints[0]).to(model.dtype)
        beyond = int(network.config.control_in_dim) - hint.shape[1]
        shown = torch.nn.functional.pad(hint, (0, 0, 0, 0, 0, beyond)).unsqueeze(2)
        samples: Mapping[int, Tensor] = network(
            list(x.to(model.dtype).unsqueeze(2).unbind()),
            time_from_noise(moment).expand(len(x)),
            [item.to(model.dtype) for item in batch["embeddings"]],
            list(shown.unbind()),
            conditioning_scale=question.strengths[0],
        )
        return {str(layer): [item] for layer, item in samples.items()}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        pictures = x.to(model.dtype).unsqueeze(2)
        velocities: list[Tensor] = model.module(
            list(pictures.unbind()),
            time_from_noise(moment).expand(len(x)),
            batch["embeddings"],
            controlnet_block_samples=_control_samples(x, batch),
            return_dict=False,
        )[0]
        return -torch.stack(velocities).squeeze(2).to(x.dtype)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """As the pipeline adds up, which rounds in another way than `Family.guided`."""
        return towards + (cfg - 1) * (towards - away)


def time_from_noise(moment: Moment) -> Tensor:
    """Return the time from noise, 0, to image, 1."""
    return (moment.training_timesteps - moment.timestep) / moment.training_timesteps


def _network_with_transformer(question: ControlNetCall, model: Denoiser) -> Any:
    """A control network with the layers of the transformer that it shares.

    Others share the network, so the layers are put on a copy that has the same weights.
    """
    if "network" not in question.cache:
        network = question.network
        same = network.dtype == model.dtype
        twin = copy(network) if same else deepcopy(network).to(model.dtype)
        twin._modules, twin._parameters = dict(twin._modules), dict(twin._parameters)
        if twin.add_control_noise_refiner == _TRAINED and _is_zero(
            twin.control_noise_refiner[0].before_proj, int(network.config.dim), model
        ):
            # Version 2.0 was trained without its refiner, which only its weights tell.
            twin.add_control_noise_refiner = "control_layers"
        question.cache["network"] = type(network).from_transformer(twin, model.module)
    return question.cache["network"]


def _is_zero(layer: Any, width: int, model: Denoiser) -> bool:
    """Whether a layer gives the same for all inputs. Its weights may be packed, so it is asked."""
    ones = torch.ones(1, width, dtype=model.dtype, device=model.device)
    return torch.equal(layer(ones), layer(ones * 0))


def _control_samples(x: Tensor, batch: Batch) -> dict[int, Tensor] | None:
    """What control networks add, as long as the tokens of the image and the longest prompt."""
    if CONTROLS not in batch:
        return None
    image = x.shape[-2] // _PATCH * (x.shape[-1] // _PATCH)
    longest = max(len(item) for item in batch["embeddings"])
    length = sum(-(-count // _TOKEN_MULTIPLE) * _TOKEN_MULTIPLE for count in (image, longest))
    return {
        int(layer): torch.nn.functional.pad(item, (0, 0, 0, length - item.shape[1]))
        for layer, (item,) in batch[CONTROLS].items()
    }


Z_IMAGE = ZImage(
    "z-image",
    "Z-Image",
    latent=FLUX_LATENTS,
    pipelines=usual_pipelines("ZImage"),
    denoisers=(Part("transformer", ("ZImageTransformer2DModel",), files=(Z_IMAGE_FILE,)),),
    encoders=(Part("text_encoder", ("Qwen3Model",), files=(QWEN3, QWEN3_GGUF)),),
    tokenizers=(Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3"),),
    noise="flow",
    spread="ramp32",
    mu=line_mu,
    multiple=16,
    held=TokenMemory(16, 128),
    positive_first=True,
    wide=True,
    control=Part("controlnet", ("ZImageControlNetModel",), files=(Z_IMAGE_CONTROLNET,)),
    control_sees_latents=True,
    resolutions={"z-image": Resolutions(1024 * 1024, 16)},
    lora_signs=(
        LoraSign(r"^context_refiner_\d+_attention_to_", "Z-Image"),
        REFINER_ATTENTION_SIGN,
        UNSPLIT_ATTENTION_SIGN,
        REFINED_SIGN,
    ),
    comfyui_type="lumina2",
)
