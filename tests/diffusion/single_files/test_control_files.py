"""Control networks in single files give what the networks give that were written into them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidFile
from nodegraph.models.model_sources import list_models
from nodegraph.sampling.controls.files import control_bytes, find_control, open_control
from tests.messages import raises

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

UNET: dict[str, Any] = {
    "block_out_channels": (64, 128),
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "conditioning_embedding_out_channels": (8, 16, 32),
    "cross_attention_dim": 48,
}
TOLD: dict[str, Any] = {
    "use_linear_projection": True,
    "attention_head_dim": (1, 2),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 6 * 256 + 32,
}
SEEN = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
LATENT = torch.rand(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))


def sd1() -> Any:
    return d.ControlNetModel(**UNET, attention_head_dim=8)


def sd2() -> Any:
    return d.ControlNetModel(**UNET, use_linear_projection=True, attention_head_dim=(1, 2))


def sdxl() -> Any:
    return d.ControlNetModel(**UNET, **TOLD)


def sdxl_small() -> Any:
    """Without a single layer of attention."""
    more = {"down_block_types": ("DownBlock2D",) * 2, "mid_block_type": "UNetMidBlock2D"}
    return d.ControlNetModel(**{**UNET, **TOLD, **more, "cross_attention_dim": 2048})


def promax() -> Any:
    width = {"num_trans_channel": 64, "num_proj_channel": 64, "num_control_type": 8}
    return d.ControlNetUnionModel(**UNET, **TOLD, **width)


def adapter() -> Any:
    return d.T2IAdapter(channels=[32, 32, 64], num_res_blocks=2)


def adapter_xl() -> Any:
    return d.T2IAdapter(
        channels=[32, 32, 64, 64],
        num_res_blocks=2,
        downscale_factor=16,
        adapter_type="full_adapter_xl",
    )


def original(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ControlNet of two levels under the names of https://github.com/lllyasviel/ControlNet."""
    ends = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    begins = {
        "conv_in.": "input_blocks.0.0.",
        "time_embedding.linear_1.": "time_embed.0.",
        "time_embedding.linear_2.": "time_embed.2.",
        "down_blocks.0.resnets.0.": "input_blocks.1.0.",
        "down_blocks.0.attentions.0.": "input_blocks.1.1.",
        "down_blocks.0.resnets.1.": "input_blocks.2.0.",
        "down_blocks.0.attentions.1.": "input_blocks.2.1.",
        "down_blocks.0.downsamplers.0.conv.": "input_blocks.3.0.op.",
        "down_blocks.1.resnets.0.": "input_blocks.4.0.",
        "down_blocks.1.resnets.1.": "input_blocks.5.0.",
        "mid_block.resnets.0.": "middle_block.0.",
        "mid_block.attentions.0.": "middle_block.1.",
        "mid_block.resnets.1.": "middle_block.2.",
        "controlnet_mid_block.": "middle_block_out.0.",
        "controlnet_cond_embedding.conv_in.": "input_hint_block.0.",
    }
    found = {}
    for name, tensor in tensors.items():
        new = name
        for old, put in begins.items():
            if name.startswith(old):
                new = put + name.removeprefix(old)
        if ".resnets." in name:
            for old, put in ends.items():
                new = new.replace(f".{old}.", f".{put}.")
        new = re.sub(r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0.", new)
        numbered = re.match(r"controlnet_cond_embedding\.blocks\.(\d+)\.", new)
        if numbered:
            new = new.replace(numbered[0], f"input_hint_block.{2 * int(numbered[1]) + 2}.")
        new = new.replace("controlnet_cond_embedding.conv_out.", "input_hint_block.14.")
        found[new] = tensor
    return found


def behind(prefix: str) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {f"{prefix}{name}": item for name, item in original(tensors).items()}


def in_a_row(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A T2I adapter under the names of https://github.com/TencentARC/T2I-Adapter."""
    found = {}
    for name, tensor in tensors.items():
        new = name.removeprefix("adapter.")
        block = re.match(r"body\.(\d+)\.resnets\.(\d+)\.", new)
        if block:
            new = new.replace(block[0], f"body.{2 * int(block[1]) + int(block[2])}.")
        else:
            new = re.sub(r"body\.(\d+)\.", lambda at: f"body.{2 * int(at[1])}.", new)
        found[new] = tensor
    return found


def written(path: Path, net: Any, named: Callable[..., Mapping[str, Tensor]] = dict) -> Any:
    """A network of random weights in a file, and the one that is read from it."""
    torch.manual_seed(0)
    net.eval().requires_grad_(False)
    for weight in net.parameters():
        weight.normal_(0, 0.1)
    save_file({name: item.contiguous() for name, item in named(net.state_dict()).items()}, path)
    return load_component(open_control(str(path), []), "cpu").module


def answer(net: Any) -> list[Tensor]:
    if isinstance(net, d.T2IAdapter):
        return list(net(SEEN))
    given: dict[str, Any] = {
        "encoder_hidden_states": torch.ones(1, 5, net.config.cross_attention_dim) / 7,
        "added_cond_kwargs": {"text_embeds": torch.ones(1, 32), "time_ids": torch.ones(1, 6)},
        "controlnet_cond": SEEN,
        "return_dict": False,
    }
    size = 2 ** len(net.config.conditioning_embedding_out_channels) // 2
    given["controlnet_cond"] = SEEN[..., : 8 * size, : 8 * size]
    if isinstance(net, d.ControlNetUnionModel):
        kinds = torch.zeros(1, 8)
        kinds[0, 1] = 1
        given |= {"control_type": kinds, "control_type_idx": [1]}
        given["controlnet_cond"] = [given["controlnet_cond"]]
    down, middle = net(LATENT, torch.tensor(500), **given)
    return [*down, middle]


@pytest.mark.parametrize(
    ("build", "named", "family"),
    [
        (sd1, dict, "sd1"),
        (sd1, behind("control_model."), "sd1"),
        (sd2, behind(""), "sd2"),
        (sdxl, dict, "sdxl"),
        (sdxl_small, dict, "sdxl"),
        (promax, dict, "sdxl"),
        (adapter, dict, "sd1"),
        (adapter, in_a_row, "sd1"),
        (adapter_xl, in_a_row, "sdxl"),
    ],
)
def test_a_network_is_read_as_it_was_written(
    tmp_path: Path, build: Callable[[], Any], named: Callable[..., Any], family: str
) -> None:
    path = tmp_path / "net.safetensors"
    net = build()
    read = written(path, net, named)
    with torch.no_grad():
        for one, other in zip(answer(read), answer(net), strict=True):
            assert torch.equal(one, other)
    assert find_control(str(path), []).family.name == family
    assert control_bytes(str(path), []) == 4 * sum(item.numel() for item in net.parameters())
    (listed,) = [item for item in list_models([tmp_path]) if item.name == path.name]
    assert (listed.node, listed.family) == ("LoadControlNet", family)


def sd3() -> Any:
    return d.SD3ControlNetModel(
        num_layers=2,
        num_attention_heads=1,
        attention_head_dim=64,
        joint_attention_dim=24,
        caption_projection_dim=64,
        pooled_projection_dim=32,
        pos_embed_max_size=16,
        extra_conditioning_channels=1,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )


BLOCKS: dict[str, Any] = {
    "num_layers": 2,
    "attention_head_dim": 128,
    "num_attention_heads": 1,
    "joint_attention_dim": 24,
}


def flux() -> Any:
    return d.FluxControlNetModel(
        **BLOCKS, num_single_layers=1, pooled_projection_dim=32, num_mode=7, guidance_embeds=True
    )


def qwen() -> Any:
    return d.QwenImageControlNetModel(**BLOCKS, extra_condition_channels=4)


@pytest.mark.parametrize(("build", "family"), [(sd3, "sd3"), (flux, "flux"), (qwen, "qwen-image")])
def test_networks_beside_transformers_come_back_whole(
    tmp_path: Path, build: Callable[[], Any], family: str
) -> None:
    """Their configuration as well, as far as it says something about weights or arithmetic."""
    net = build()
    read = written(tmp_path / "net.safetensors", net)
    for name, tensor in net.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor)
    unsaid = {"force_zeros_for_pooled_projection"}
    for name, value in net.config.items():
        if not name.startswith("_") and name not in unsaid:
            given = read.config[name]
            assert (list(given) if isinstance(given, (list, tuple)) else given) == (
                list(value) if isinstance(value, (list, tuple)) else value
            ), name
    assert find_control(str(tmp_path / "net.safetensors"), []).family.name == family


def test_what_can_not_be_loaded_is_told_by_name(tmp_path: Path) -> None:
    for names, said in {
        ("lora_controlnet", "input_blocks.0.0.weight"): "a Control-LoRA",
        ("lllite_unet_input_blocks_4_1.conditioning1.0.weight",): "a ControlNet-LLLite",
        ("control_layers.0.weight",): "a ControlNet of a kind that is not known here",
        ("anything",): "not a model that is known here",
    }.items():
        path = tmp_path / "net.safetensors"
        save_file({name: torch.ones(1) for name in names}, path)
        with pytest.raises(InvalidFile, match=said):
            open_control(str(path), [])


def test_a_damaged_file_says_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    tensors = {name: item.contiguous() for name, item in sd1().state_dict().items()}
    del tensors["conv_in.weight"]
    save_file(tensors, path)
    with raises(InvalidFile):
        open_control(str(path), [])
