"""ControlNet-LLLite of Anima: files, and how it leads the transformer. Imports no torch.

Source: kohya-ss, ``networks/control_net_lllite_anima.py`` of https://github.com/kohya-ss/sd-scripts,
and ComfyUI, ``comfy/ldm/anima/lllite.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from nodegraph.errors import InvalidValue
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, count_of, has_marks

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.components import Denoiser
    from nodegraph.families.model_step import ControlNetCall, Residuals

CLASS = "AnimaControlLLLite"
_LAYER = re.compile(
    r"lllite_dit_blocks_(\d+)_(self_attn_[qkv]_proj|cross_attn_q_proj|mlp_layer1)(?=\.)"
)
_LAYERS_HERE = {
    "self_attn_q_proj": "attn1.to_q",
    "self_attn_k_proj": "attn1.to_k",
    "self_attn_v_proj": "attn1.to_v",
    "cross_attn_q_proj": "attn2.to_q",
    "mlp_layer1": "ff.net.0.proj",
}
"""Layers of a block whose inputs are changed, by their original names."""
_IMAGE = "lllite_conditioning1"
_DILATIONS = (1, 2, 4, 8)
"""Where a file does not state them."""
_WITH_MASK = 4


def _config(shapes: Shapes) -> dict[str, Any]:
    layers = sorted({match[0] for match in map(_LAYER.match, shapes) if match is not None})
    inner, width = shapes[f"{layers[0]}.down.weight"]
    channels = shapes[f"{_IMAGE}.conv1.weight"][1]
    branches = count_of(shapes, rf"{_IMAGE}\.aspp\.branches\.(\d+)\.")
    return {
        "layers": layers,
        "model_dim": width,
        "image_channels": channels,
        "image_dim": shapes[f"{_IMAGE}.conv3.weight"][0],
        "embedding_dim": shapes[f"{_IMAGE}.proj.weight"][0],
        "inner_dim": inner,
        "image_blocks": count_of(shapes, rf"{_IMAGE}\.resblocks\.(\d+)\."),
        "dilations": _DILATIONS[:branches],
        "mask_channels": int(channels == _WITH_MASK),
    }


def _stated(metadata: Mapping[str, str], config: Config) -> dict[str, Any]:
    """Return what a file's metadata states of its configuration."""
    stated: dict[str, Any] = {}
    dilations = re.findall(r"\d+", metadata.get("lllite.aspp_dilations", ""))
    if config["dilations"] and dilations:
        stated["dilations"] = tuple(map(int, dilations))
    hides = metadata.get("lllite.inpaint_masked_input", "false")
    return {**stated, "hides_masked": hides.lower() == "true"}


_MARKS = ((f"{_IMAGE}.conv1.weight", f"{_IMAGE}.proj.weight"),)
LLLITE_FILE = FileLayout(
    "anima-lllite",
    "a ControlNet-LLLite for Anima",
    CLASS,
    matches=lambda shapes: has_marks(shapes, _MARKS) and any(map(_LAYER.match, shapes)),
    config=_config,
    convert=lambda tensors, config: dict(tensors),
    marks=_MARKS,
    stated=_stated,
)

_NETWORKS: WeakValueDictionary[str, Any] = WeakValueDictionary()
"""Networks by the names of what they add in a step; residuals are tensors alone."""


def image_vectors(model: Denoiser, call: ControlNetCall) -> Residuals:
    """Return a control image's vectors for the tokens, and how strongly they lead each row.

    Raises:
        InvalidValue: The network is for transformers of another size.
    """
    network, config = call.network, model.config
    width = int(config["num_attention_heads"]) * int(config["attention_head_dim"])
    blocks = 1 + max(int(match[1]) for name in network.config.layers if (match := _named(name)))
    if network.config.model_dim != width or blocks > int(config["num_layers"]):
        raise InvalidValue(
            "the control network does not fit the model",
            port="positive",
            given=f"width {network.config.model_dim}, {blocks} blocks",
            expected=f"width {width}, at most {config['num_layers']} blocks",
            hint="Use a ControlNet that was trained for models of this kind.",
        )
    if "vectors" not in call.cache:
        call.cache["vectors"] = network(_shown(call.hints[0], network))
    vectors = call.repeat(call.cache["vectors"])
    name = f"lllite {id(call.cache)}"
    _NETWORKS[name] = network
    return {name: [vectors, vectors.new_full((len(vectors), 1, 1), call.strengths[0])]}


def _named(name: str) -> re.Match[str] | None:
    return _LAYER.match(f"{name}.")


def _shown(hint: Tensor, network: Any) -> Tensor:
    """Return an image, and its mask if the network takes one, in -1..1."""
    pixels = hint[:, :3] * 2 - 1
    if not network.config.mask_channels:
        return pixels
    mask = hint[:, 3:]
    if network.config.hides_masked:
        pixels = pixels * (mask < 0.5)
    return torch.cat([pixels, mask * 2 - 1], 1)


@contextmanager
def led_by(transformer: Any, residuals: Residuals) -> Iterator[None]:
    """Inside the `with`, images change what layers of a transformer get.

    It is shared with those who want it otherwise, and a device calls one after the other.

    Args:
        residuals: As `image_vectors` gives them.
    """
    with ExitStack() as hooks:
        for name, (vectors, strengths) in residuals.items():
            network = _NETWORKS[name]
            for layer in network.config.layers:
                match = _named(layer)
                assert match is not None
                block = transformer.transformer_blocks[int(match[1])]
                change = partial(
                    _changed, network=network, layer=layer, vectors=vectors, strengths=strengths
                )
                target = block.get_submodule(_LAYERS_HERE[match[2]])
                hooks.callback(target.register_forward_pre_hook(change).remove)
        yield


def _changed(
    _: Any,
    arguments: tuple[Any, ...],
    *,
    network: Any,
    layer: str,
    vectors: Tensor,
    strengths: Tensor,
) -> tuple[Any, ...]:
    x, *others = arguments
    own = network.dtype
    change = network(x.to(own), vectors.to(own), layer).to(x.dtype)
    return x + change * strengths.to(x.dtype), *others
