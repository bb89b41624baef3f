"""The tables of original names against diffusers' converters of single files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers.loaders.single_file_utils as converters
import pytest
import torch
from torch import Tensor, nn

from nodegraph.models.adapters.layer_changes import layers_of
from nodegraph.models.adapters.layer_matching import OriginalLocation, originals

from .denoisers import DENOISERS, on_meta

Tensors = dict[str, Tensor]

pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed`:FutureWarning")  # Chroma

_WIDE = {"num_attention_heads": 24, "attention_head_dim": 128, "axes_dims_rope": (16, 56, 56)}
"""Some converters have the width of the true models written in."""


def _numbered(module: nn.Module) -> Tensors:
    """Tensors as a module's, thin ones, each row with a number of its own."""
    found, count = {}, 0
    for name, parameter in module.named_parameters():
        rows = parameter.shape[0] if parameter.dim() else 1
        found[name] = torch.arange(count, count + rows).reshape(rows, *[1] * (parameter.dim() - 1))
        count += rows
    return found


def _original(module: nn.Module, own: Tensors) -> Tensors:
    """The file that a module's tensors would come from, by the tables."""
    places = originals(type(module).__name__, layers_of(module).shapes)
    given = dict(own)
    found = {}
    for name, parts in places.items():
        for end in ("weight", "bias"):
            if f"{parts[0].path}.{end}" in own:
                found[f"{name}.{end}"] = _joined(parts, own, end)
                for part in parts:
                    given.pop(f"{part.path}.{end}", None)
    return {**given, **found}


def _joined(parts: tuple[OriginalLocation, ...], own: Tensors, end: str) -> Tensor:
    whole = torch.empty_like(own[f"{parts[0].path}.{end}"][:1]).repeat_interleave(parts[0].rows, 0)
    for part in parts:
        rows = own[f"{part.path}.{end}"]
        for begin, stop in part.spans or ((0, len(rows)),):
            whole[begin:stop], rows = rows[: stop - begin], rows[stop - begin :]
    return whole


def _unet(file: Tensors, module: Any) -> Tensors:
    prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in file.items()}
    found: Tensors = converters.convert_ldm_unet_checkpoint(prefixed, module.config)
    return found


def _plain(name: str) -> Callable[[Tensors, Any], Tensors]:
    def convert(file: Tensors, module: Any) -> Tensors:
        found: Tensors = getattr(converters, name)(_with_scales(file))
        return found

    return convert


def _with_scales(file: Tensors) -> Tensors:
    """The file with what a converter asks for besides the layers."""
    zero = torch.zeros(1)
    more = {"pos_embed": zero, "y_embedder.y_embedding": zero, "scale_shift_table": zero}
    more |= {"final_layer.scale_shift_table": zero, "blocks.0.scale_shift_table": zero}
    scales = {f"{name[:-7]}.scale": tensor for name, tensor in file.items() if "norm" in name}
    return {**more, **scales, **file}


def _minimax_h3(file: Tensors, module: Any) -> Tensors:
    found: Tensors = converters.convert_minimax_h3_transformer_checkpoint_to_diffusers(
        dict(file), module.config
    )
    return found


CONVERTERS: dict[str, tuple[Callable[[Tensors, Any], Tensors], dict[str, Any]]] = {
    "sd1": (_unet, {}),
    "sdxl": (_unet, {}),
    "sd3": (_plain("convert_sd3_transformer_checkpoint_to_diffusers"), {}),
    "flux": (_plain("convert_flux_transformer_checkpoint_to_diffusers"), _WIDE),
    "chroma": (_plain("convert_chroma_transformer_checkpoint_to_diffusers"), _WIDE),
    "flux2": (_plain("convert_flux2_transformer_checkpoint_to_diffusers"), {}),
    "flux3": (_plain("convert_flux3_transformer_checkpoint_to_diffusers"), {}),
    "z_image": (_plain("convert_z_image_transformer_checkpoint_to_diffusers"), {}),
    "lumina2": (
        _plain("convert_lumina2_to_diffusers"),
        {
            "hidden_size": 2304,
            "num_attention_heads": 24,
            "num_kv_heads": 8,
            "axes_dim_rope": (32, 32, 32),
        },
    ),
    "sana": (_plain("convert_sana_transformer_to_diffusers"), {}),
    "wan": (_plain("convert_wan_transformer_to_diffusers"), {}),
    "wan-vace": (_plain("convert_wan_transformer_to_diffusers"), {}),
    "hunyuan_video": (
        _plain("convert_hunyuan_video_transformer_to_diffusers"),
        {"num_attention_heads": 24, "attention_head_dim": 128, "rope_axes_dim": (16, 56, 56)},
    ),
    "ltx": (_plain("convert_ltx_transformer_checkpoint_to_diffusers"), {}),
    "minimax_h3": (_minimax_h3, {}),
    "mochi": (_plain("convert_mochi_transformer_checkpoint_to_diffusers"), {"num_layers": 48}),
}


@pytest.mark.parametrize("name", CONVERTERS)
def test_the_tables_undo_what_diffusers_does_to_a_single_file(name: str) -> None:
    convert, width = CONVERTERS[name]
    module = on_meta(name, **width)
    own = _numbered(module)
    converted = convert(_original(module, own), module)
    for path in layers_of(module).shapes:
        assert torch.equal(
            converted[f"{path}.weight"].flatten(), own[f"{path}.weight"].flatten()
        ), path


def test_the_layers_of_fun_models_are_called_as_in_their_files() -> None:
    layers = layers_of(on_meta("wan-fun"))
    found = originals(layers.kind, layers.shapes)
    original = {part.path: name for name, parts in found.items() for part in parts}
    assert original["patch_embedding.reference"] == "ref_conv"
    assert original["patch_embedding.camera.conv"] == "control_adapter.conv"
    block = "residual_blocks.0.conv2"
    assert original[f"patch_embedding.camera.{block}"] == f"control_adapter.{block}"
    assert original["blocks.0.attn2.to_out.0"] == "blocks.0.cross_attn.o"


@pytest.mark.parametrize(
    "name", ["hidream", "qwen_image", "ernie_image", "kandinsky5", "cogview4", "cogvideox"]
)
def test_who_kept_the_names_has_no_others(name: str) -> None:
    module = on_meta(name)
    assert not originals(type(module).__name__, layers_of(module).shapes)


@pytest.mark.parametrize("name", DENOISERS)
def test_original_layers_are_whole(name: str) -> None:
    module = on_meta(name)
    layers = layers_of(module)
    for parts in originals(layers.kind, layers.shapes).values():
        rows = [
            row
            for part in parts
            for span in part.spans or ((0, part.rows),)
            for row in range(*span)
        ]
        assert sorted(rows) == list(range(parts[0].rows))
