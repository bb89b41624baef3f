"""ControlNets of Hunyuan-DiT lead as in diffusers' pipeline, to the last bit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidFile
from nodegraph.families.identification import identify_tensors
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.sampling.controls.files import find_control, open_control

from .conftest import Pair
from .equality import NEGATIVE, assert_same, stock
from .test_controls import (
    HEIGHT,
    WIDTH,
    NetOf,
    around,
    as_pixels,
    led,
    likeliest,  # noqa: F401 - a fixture
    net_of,  # noqa: F401 - a fixture
    picture,
    random_net,
    seen,
)
from .test_hunyuan_dit import AS_ASKED, hunyuan_dit, hunyuan_dit_sizes, network

ModelOf = Callable[[Callable[[], Any]], Pair]


def control_of_transformer(transformer: Any, *, sizes: bool) -> Any:
    config = dict(transformer.config)
    names = (
        *("num_attention_heads", "attention_head_dim", "in_channels", "patch_size"),
        *("sample_size", "hidden_size", "mlp_ratio", "cross_attention_dim"),
        *("cross_attention_dim_t5", "pooled_projection_dim"),
    )
    return d.HunyuanDiT2DControlNetModel(
        **{name: config[name] for name in names},
        transformer_num_layers=config["num_layers"],
        use_style_cond_and_image_meta_size=sizes,
    )


def control_net() -> Any:
    return control_of_transformer(network(), sizes=False)


def other_control_net() -> Any:
    return control_net()


def control_net_sizes() -> Any:
    return control_of_transformer(network(sizes=True), sizes=True)


@pytest.mark.usefixtures("likeliest")
@pytest.mark.parametrize(
    ("build", "net", "batch", "cfg", "negative"),
    [
        (hunyuan_dit, control_net, 1, 5.0, NEGATIVE),
        pytest.param(hunyuan_dit, control_net, 3, 7.3, None, marks=pytest.mark.slow),
        pytest.param(hunyuan_dit, control_net, 2, 1.0, None, marks=pytest.mark.slow),
        pytest.param(hunyuan_dit_sizes, control_net_sizes, 1, 5.0, None, marks=pytest.mark.slow),
    ],
)
def test_hunyuan_dit_is_led_as_by_diffusers(
    model_of: ModelOf,
    net_of: NetOf,  # noqa: F811
    build: Callable[[], Any],
    net: Callable[[], Any],
    batch: int,
    cfg: float,
    negative: str | None,
) -> None:
    pipeline, model = model_of(build)
    made = net_of(net)
    other = around(
        d.HunyuanDiTControlNetPipeline,
        pipeline,
        {"controlnet": made.module},
        requires_safety_checker=False,
    )
    control = seen(model, made, picture(), strength=0.7)
    usual: dict[str, Any] = {"batch": batch, "negative": negative}
    found = led(model, [made], [control], cfg=cfg, sampler="ddim", **usual)
    expected = stock(
        other,
        control_image=as_pixels(picture()),
        controlnet_conditioning_scale=0.7,
        guidance_scale=cfg,
        width=WIDTH,
        height=HEIGHT,
        **AS_ASKED,
        **usual,
    )
    assert_same(found, expected)
    plain = model.make(WIDTH, HEIGHT, cfg=cfg, sampler="ddim", **usual)
    assert (plain.latents - found.latents).abs().max() > 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("likeliest")
def test_two_networks_are_those_of_diffusers(model_of: ModelOf, net_of: NetOf) -> None:  # noqa: F811
    pipeline, model = model_of(hunyuan_dit)
    nets = [net_of(control_net), net_of(other_control_net)]
    other = around(
        d.HunyuanDiTControlNetPipeline,
        pipeline,
        {"controlnet": [net.module for net in nets]},
        requires_safety_checker=False,
    )
    controls = [
        seen(model, nets[0], picture(), strength=0.7),
        seen(model, nets[1], picture(2), strength=1.2),
    ]
    found = led(model, nets, controls, cfg=5.0, sampler="ddim")
    expected = stock(
        other,
        control_image=[as_pixels(picture()), as_pixels(picture(2))],
        controlnet_conditioning_scale=[0.7, 1.2],
        guidance_scale=5.0,
        width=WIDTH,
        height=HEIGHT,
        **AS_ASKED,
    )
    assert_same(found, expected)


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """By the names of the training code, as diffusers' script renames them."""
    names = {
        "attn.norm_q": "attn.q_norm",
        "attn.norm_k": "attn.k_norm",
        "attn.to_out.0": "attn.out_proj",
        "norm1.norm.": "norm1.",
        "norm1.linear.": "default_modulation.1.",
        "ff.net.0.proj.": "mlp.fc1.",
        "ff.net.2.": "mlp.fc2.",
        "controlnet_blocks.": "after_proj_list.",
        "input_block.": "before_proj.",
        "time_extra_emb.pooler.": "pooler.",
        "time_extra_emb.timestep_embedder.linear_1.": "t_embedder.mlp.0.",
        "time_extra_emb.timestep_embedder.linear_2.": "t_embedder.mlp.2.",
        "time_extra_emb.extra_embedder.linear_1.": "extra_embedder.0.",
        "time_extra_emb.extra_embedder.linear_2.": "extra_embedder.2.",
        "pos_embed.proj.": "x_embedder.proj.",
        "text_embedder.linear_1.": "mlp_t5.0.",
        "text_embedder.linear_2.": "mlp_t5.2.",
    }
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for part, joined, last in (("attn1", "Wqkv", "qkv"), ("attn2", "kv_proj", "kv")):
            match = re.match(rf"(blocks\.\d+\.{part}\.)to_({'|'.join(last)})\.(\w+)", name)
            if match and match[2] == last[0]:
                keys = [f"{match[1]}to_{letter}.{match[3]}" for letter in last]
                found[f"{match[1]}{joined}.{match[3]}"] = torch.cat([tensors[key] for key in keys])
            if match:
                break
        else:
            new = name.replace("attn2.to_q.", "attn2.q_proj.")
            for here, there in names.items():
                for number in "12":
                    new = new.replace(
                        here.replace("attn.", f"attn{number}."),
                        there.replace("attn.", f"attn{number}."),
                    )
            # The original code numbers two norms the other way round.
            new = re.sub(r"\.norm([23])\.", lambda item: f".norm{5 - int(item[1])}.", new)
            found[new] = tensor
    return found


@pytest.mark.parametrize("renamed", [False, True])
def test_a_file_is_the_network_that_was_written_into_it(tmp_path: Path, renamed: bool) -> None:
    module = random_net(control_net, 1)
    tensors = dict(module.state_dict())
    path = tmp_path / "control.safetensors"
    named = original(tensors) if renamed else tensors
    assert renamed == ("before_proj.weight" in named)
    save_file({name: item.clone().contiguous() for name, item in named.items()}, path)
    found = find_control(str(path), [])
    assert found.title == "a ControlNet for Hunyuan-DiT"
    assert found.config["transformer_num_layers"] == 8
    live = load_component(open_control(str(path), []), "cpu")
    assert {name: item.tolist() for name, item in live.module.state_dict().items()} == {
        name: item.tolist() for name, item in tensors.items()
    }


@pytest.mark.parametrize("renamed", [False, True])
def test_a_control_network_is_not_taken_for_the_transformer(tmp_path: Path, renamed: bool) -> None:
    tensors = dict(random_net(control_net, 1).state_dict())
    named = original(tensors) if renamed else tensors
    identified = identify_tensors({name: tuple(item.shape) for name, item in named.items()})
    assert identified.node == "LoadControlNet"
    path = tmp_path / "control.safetensors"
    save_file({name: item.clone().contiguous() for name, item in named.items()}, path)
    with pytest.raises(InvalidFile, match="ControlNet"):
        open_denoiser(DenoiserRequest(str(path)), [])
