"""Text encoders in single files: CLIP as transformers names it, or as OpenCLIP does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import FileLayout, count_of
from nodegraph.diffusion.single_files.unet import HEAD_WIDTH

if TYPE_CHECKING:
    from torch import Tensor

PROJECTING = ("CLIPTextModelWithProjection",)
"""Classes of transformers that project the pooled prompt."""

_OPEN_CLIP = "positional_embedding"
"""A tensor that tells OpenCLIP's naming."""
_MARKS = (_OPEN_CLIP, "embeddings.position_embedding.weight")


def clip_layout(
    title: str, class_name: str = "CLIPTextModel", *, drops_last: bool = False
) -> FileLayout:
    """How a CLIP text encoder lies in a file, in either naming.

    Args:
        class_name: Of transformers; of `PROJECTING` where the pooled prompt is used.
        drops_last: Whether its last layer is left out, as Stable Diffusion 2.x does.
    """
    return FileLayout(
        "clip",
        title,
        class_name,
        lambda text: any(_plain(name) in _MARKS for name in text),
        partial(text_config, drops_last=drops_last),
        partial(convert_text, projects=class_name in PROJECTING),
    )


def text_config(shapes: Shapes, *, drops_last: bool = False) -> dict[str, Any]:
    """The transformers configuration of a CLIP text encoder; arguments as of `clip_layout`.

    Raises:
        KeyError: A tensor that every CLIP text encoder has is missing.
    """
    text = {_plain(name): shape for name, shape in shapes.items()}
    is_open = _OPEN_CLIP in text
    vocabulary, width = text[f"{'' if is_open else 'embeddings.'}token_embedding.weight"]
    layer, inner, positions = (
        ("transformer.resblocks", "mlp.c_fc.weight", _OPEN_CLIP)
        if is_open
        else ("encoder.layers", "mlp.fc1.weight", "embeddings.position_embedding.weight")
    )
    layers = count_of(text, rf"{re.escape(layer)}\.(\d+)\.")
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": text[f"{layer}.0.{inner}"][0],
        "num_hidden_layers": layers - drops_last,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "max_position_embeddings": text[positions][0],
        "projection_dim": text.get("text_projection", (width, width))[1],
        "hidden_act": "gelu" if is_open else "quick_gelu",
        # As CLIP's own vocabulary ends: ..., bos, eos.
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def convert_text(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], *, projects: bool = False
) -> dict[str, Tensor]:
    """A text encoder's weights under the names of transformers.

    Args:
        config: Of `text_config`.
        projects: Whether for a class of `PROJECTING`.
    """
    found = _of_open_clip(tensors, config) if _OPEN_CLIP in tensors else tensors
    last = int(config["num_hidden_layers"])
    named = {_plain(name): item for name, item in found.items()}
    # The position ids are 0, 1, 2, …: the module makes them itself.
    kept = {
        name: item
        for name, item in named.items()
        if not name.endswith("position_ids") and not name.startswith(f"encoder.layers.{last}.")
    }
    if not projects:
        kept.pop("text_projection.weight", None)
        return kept
    return {
        name if name == "text_projection.weight" else f"text_model.{name}": item
        for name, item in kept.items()
    }


def _of_open_clip(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    projection = tensors.get("text_projection")
    # It takes the projection's width for that of the hidden states, which it needn't be.
    others = {name: item for name, item in tensors.items() if item is not projection}
    model = SimpleNamespace(config=SimpleNamespace(hidden_size=config["hidden_size"]))
    found: dict[str, Tensor] = convert_open_clip_checkpoint(model, others, "")
    if projection is not None:
        found["text_projection.weight"] = projection.T.contiguous()
    return found


def _plain(name: str) -> str:
    """A tensor's name without the level that some classes of transformers have."""
    return name.removeprefix("text_model.")
