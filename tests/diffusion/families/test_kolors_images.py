"""Images lead Kolors: IP-Adapter Plus as in diffusers' pipeline, to the last bit, and ControlNets.

diffusers has no pipeline of Kolors with ControlNets. Its network and UNet are called as the
published code of Kolors calls them, which projects the prompt before the network reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file

from nodegraph.diffusion import load_component, open_model
from nodegraph.errors import InvalidValue
from nodegraph.media.images.images import to_pil
from nodegraph.models.ip_adapters.image_prompt_files import (
    open_image_encoder,
    open_ip_adapter,
    read_ip_adapter,
)
from nodegraph.models.ip_adapters.image_prompts import embed_images, with_ip_adapter
from nodegraph.sampling.controls.control_conditioning import control_of
from nodegraph.sampling.controls.files import find_control, open_control
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, assert_same, stock
from .test_controls import HEIGHT, SDXL_NET, WIDTH, NetOf, led, net_of, shown  # noqa: F401
from .test_controls import picture as control_picture
from .test_ip_adapters import adapters, led_stock, picture, plain, plus, write  # noqa: F401
from .test_ip_adapters import led as led_by_picture
from .test_kolors import kolors
from .test_stable_diffusion import sdxl

ModelOf = Callable[[Callable[[], Any]], Pair]
KOLORS_NET = {
    **SDXL_NET,
    "cross_attention_dim": 24,
    "encoder_hid_dim": 32,
    "encoder_hid_dim_type": "text_proj",
    "projection_class_embeddings_input_dim": 6 * 8 + 32,
}


def kolors_net() -> Any:
    return d.ControlNetModel(**KOLORS_NET)


@pytest.mark.parametrize(
    ("batch", "negative"),
    [(1, NEGATIVE), pytest.param(3, None, marks=pytest.mark.slow)],
)
def test_a_picture_leads_kolors_as_in_diffusers(
    model_of: ModelOf,
    adapters: Path,  # noqa: F811
    batch: int,
    negative: str | None,
) -> None:
    pipeline, model = model_of(kolors)
    file = write(adapters, pipeline, "kolors-plus", plus)
    choice = open_ip_adapter(str(file), [])
    usual: dict[str, Any] = {"batch": batch, "negative": negative}
    found = led_by_picture(model, [choice], [picture()], weights=(0.7,), cfg=5.0, **usual)
    expected = led_stock(
        pipeline, [file], [to_pil(picture())], weights=[0.7], guidance_scale=5.0, **usual
    )
    assert_same(found, expected)
    bare = model.make(WIDTH, HEIGHT, cfg=5.0, **usual)
    assert (bare.latents - found.latents).abs().max() > 1e-3


def test_images_of_336_pixels_are_prepared_as_by_the_stock_processor(tmp_path: Path) -> None:
    """The image encoder of Kolors sees 336 pixels, where others see 224."""
    torch.manual_seed(0)
    eyes = tf.CLIPVisionModelWithProjection(
        tf.CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            projection_dim=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=336,
            patch_size=14,
            hidden_act="quick_gelu",
        )
    )
    eyes.save_pretrained(tmp_path / "eyes")
    live = load_component(open_image_encoder(str(tmp_path / "eyes"), []), "cpu")
    found, _ = embed_images(live, picture(), reads_patches=True)
    ready = tf.CLIPImageProcessor(size=336, crop_size=336)
    pixels = ready([to_pil(picture())], return_tensors="pt").pixel_values
    with torch.no_grad():
        expected = eyes(pixels, output_hidden_states=True).hidden_states[-2]
    assert found.shape[2] == 1 + (336 // 14) ** 2
    assert torch.equal(found[0], expected)


def published(folder: Path, name: str, *, eyes: int, patches: bool) -> Path:
    """A file with the widths of a published adapter, by which families are told apart."""
    projection = {
        "latents": torch.zeros(1, 1, 8),
        "proj_in.weight": torch.zeros(8, eyes),
    }
    if not patches:
        projection = {"proj.weight": torch.zeros(8, eyes)}
    tensors = {f"image_proj.{key}": item for key, item in projection.items()}
    for number in range(2):
        for part in "kv":
            key = f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight"
            tensors[key] = torch.zeros(4, 2048)
    path = folder / f"{name}.safetensors"
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(
    ("eyes", "patches", "family"),
    [(1024, True, "kolors"), (1280, True, "sdxl"), (1664, True, "sdxl"), (1024, False, "sdxl")],
)
def test_adapters_of_kolors_are_told_from_those_of_sdxl(
    tmp_path: Path, eyes: int, patches: bool, family: str
) -> None:
    path = published(tmp_path, "adapter", eyes=eyes, patches=patches)
    assert read_ip_adapter(str(path), []).family == family


def test_an_adapter_of_sdxl_is_not_put_on_kolors(
    model_of: ModelOf,
    adapters: Path,  # noqa: F811
) -> None:
    _, model = model_of(kolors)
    path = published(adapters, "of-sdxl", eyes=1280, patches=True)
    recipe = open_model(str(model.folder), []).model
    eyes = open_ip_adapter(str(write(adapters, model_of(sdxl)[0], "tiny", plain)), []).encoder
    choice = type(open_ip_adapter(str(adapters / "tiny.safetensors"), []))(
        str(path), "", eyes, reads_patches=True
    )
    with raises(InvalidValue, port="ip_adapter", expected="an IP-Adapter for Kolors"):
        with_ip_adapter(recipe, choice, 1.0)


@torch.no_grad()
@pytest.mark.parametrize("cfg", [5.0, 1.0])
def test_kolors_is_led_by_a_control_network(
    model_of: ModelOf,
    net_of: NetOf,  # noqa: F811
    cfg: float,
) -> None:
    pipeline, model = model_of(kolors)
    net = net_of(kolors_net)
    control = control_of(net.recipe, control_picture(), strength=0.8)
    found = led(model, [net], [control], cfg=cfg, negative=NEGATIVE)

    def with_control(unet: Any, sample: Any, timestep: Any, **inputs: Any) -> Any:
        down, mid = net.module(
            sample,
            timestep,
            encoder_hidden_states=net.module.encoder_hid_proj(inputs["encoder_hidden_states"]),
            controlnet_cond=torch.cat([shown(control_picture())] * len(sample)),
            conditioning_scale=0.8,
            added_cond_kwargs=inputs["added_cond_kwargs"],
            return_dict=False,
        )
        return unet(
            sample,
            timestep,
            **inputs,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        )

    own = pipeline.unet.forward

    def forward(*values: Any, **inputs: Any) -> Any:
        return with_control(own, *values, **inputs)

    pipeline.unet.forward = forward
    try:
        expected = stock(
            pipeline, guidance_scale=cfg, negative=NEGATIVE, width=WIDTH, height=HEIGHT
        )
    finally:
        del pipeline.unet.forward
    assert_same(found, expected)
    bare = model.make(WIDTH, HEIGHT, cfg=cfg, negative=NEGATIVE)
    assert (bare.latents - found.latents).abs().max() > 1e-3


def test_a_control_network_of_sdxl_is_not_for_kolors(
    model_of: ModelOf,
    net_of: NetOf,  # noqa: F811
    tmp_path: Path,
) -> None:
    d.ControlNetModel(**SDXL_NET).save_pretrained(tmp_path / "sdxl")
    kolors_net().save_pretrained(tmp_path / "kolors")
    assert find_control(str(tmp_path / "sdxl"), []).family.name == "sdxl"
    assert find_control(str(tmp_path / "kolors"), []).family.name == "kolors"
    net = net_of(kolors_net)
    _, model = model_of(sdxl)
    control = control_of(net.recipe, control_picture())
    with raises(InvalidValue, port="positive"):
        led(model, [net], [control], cfg=1.0)


def test_a_file_with_a_projection_is_of_kolors(tmp_path: Path) -> None:
    """Of published widths, which files without a configuration need."""
    module = d.ControlNetModel(
        **{
            **KOLORS_NET,
            "block_out_channels": (64, 128),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "transformer_layers_per_block": (1, 1),
            "attention_head_dim": (1, 2),
            "norm_num_groups": 32,
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 6 * 256 + 32,
        }
    )
    path = tmp_path / "control.safetensors"
    save_file({name: item.contiguous() for name, item in module.state_dict().items()}, path)
    found = find_control(str(path), [])
    assert (found.family.name, found.config["encoder_hid_dim"]) == ("kolors", 32)
    live = load_component(open_control(str(path), []), "cpu")
    for name, item in module.state_dict().items():
        assert torch.equal(live.module.state_dict()[name], item)
