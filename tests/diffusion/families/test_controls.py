"""ControlNets and T2I adapters lead as in diffusers' pipelines, to the last bit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning, Control, ControlNet, Vae
from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.model_step import BlockControl
from nodegraph.families.patches import pack_latents
from nodegraph.families.qwen_image_controls import (
    QwenImageBlockwiseControlNet,
    QwenImageFunControlNet,
)
from nodegraph.families.speed_options import FirstBlock
from nodegraph.families.wan_vae import QwenImageFormat, WanFormat
from nodegraph.sampling.controls.control_conditioning import control_of, with_control
from nodegraph.sampling.controls.files import open_control
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, Made, Model, assert_same, stock
from .test_flux import flux, sd3
from .test_flux import unpack as flux_unpack
from .test_qwen_image import qwen_image
from .test_stable_diffusion import sd1, sdxl
from .test_z_image import z_image

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

ModelOf = Callable[[Callable[[], Any]], Pair]
NetOf = Callable[[Callable[[], Any]], "Net"]
WIDTH, HEIGHT = 96, 64


@dataclass
class Net:
    """A control network of random weights, and the same opened by nodegraph."""

    module: Any
    recipe: ControlNet
    live: Any


@pytest.fixture(scope="module")
def net_of(tmp_path_factory: pytest.TempPathFactory) -> NetOf:
    known: dict[Callable[[], Any], Net] = {}

    def made(build: Callable[[], Any]) -> Net:
        if build not in known:
            folder: Path = tmp_path_factory.mktemp("nets") / build.__name__
            module = random_net(build, len(known))
            module.save_pretrained(folder)
            recipe = open_control(str(folder), [])
            known[build] = Net(module, recipe, load_component(recipe, "cpu"))
        return known[build]

    return made


def random_net(build: Callable[[], Any], seed: int) -> Any:
    torch.manual_seed(seed)
    module = build().eval().requires_grad_(False)
    with torch.no_grad():
        for weight in module.parameters():
            if not bool(weight.any()):
                weight.normal_(0, 0.1)
    return module


def picture(seed: int = 1, channels: int = 3) -> Tensor:
    """In 0..1, shape (1, height, width, channels)."""
    return torch.rand(1, HEIGHT, WIDTH, channels, generator=torch.Generator().manual_seed(seed))


def shown(image: Tensor) -> Tensor:
    """An image as pipelines are given it."""
    return image.movedim(-1, 1).contiguous()


@contextmanager
def beside(model: Model, *nets: Net) -> Iterator[None]:
    """The model with control networks."""
    plain = model.part("model")
    model.loaded["model"] = replace(plain, controls={net.recipe: net.live for net in nets})
    try:
        yield
    finally:
        model.loaded["model"] = plain


def led(model: Model, nets: Sequence[Net], controls: Sequence[Control], **options: Any) -> Made:
    def change(given: Conditioning) -> Conditioning:
        for control in controls:
            given = with_control(given, control)
        return given

    away = model.encode(options.pop("negative", None))
    for control in controls:
        if away is not None:
            away = with_control(away, control, leads_away=True)
    with beside(model, *nets):
        return model.make(WIDTH, HEIGHT, change=change, away=away, **options)


def around(kind: Any, pipeline: Any, nets: Any, **more: Any) -> Any:
    wanted = inspect.signature(kind.__init__).parameters
    parts = {name: part for name, part in pipeline.components.items() if name in wanted}
    found = kind(**parts, **nets, **more)
    found.set_progress_bar_config(disable=True)
    return found


SD1_NET = {
    "block_out_channels": (32, 32, 64, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
    "conditioning_embedding_out_channels": (8, 8, 16, 16),
}


def sd1_net() -> Any:
    return d.ControlNetModel(**SD1_NET)


def sd1_other() -> Any:
    return d.ControlNetModel(**SD1_NET)


def sd1_shuffle() -> Any:
    return d.ControlNetModel(**SD1_NET, global_pool_conditions=True)


SDXL_NET = {
    "block_out_channels": (32, 32, 64),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "cross_attention_dim": 80,
    "attention_head_dim": [2, 4, 8],
    "norm_num_groups": 16,
    "conditioning_embedding_out_channels": (8, 8, 16, 16),
    "use_linear_projection": True,
    "transformer_layers_per_block": [1, 1, 2],
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + 48,
}


def sdxl_net() -> Any:
    return d.ControlNetModel(**SDXL_NET)


def sdxl_union() -> Any:
    return d.ControlNetUnionModel(
        **SDXL_NET, num_trans_channel=32, num_proj_channel=32, num_trans_head=4
    )


@pytest.mark.parametrize(
    ("batch", "cfg", "more"),
    [
        (1, 7.5, {}),
        (2, 7.5, {"strength": 0.5, "start": 0.25, "end": 0.75}),
        pytest.param(1, 1.0, {"strength": 1.5}, marks=pytest.mark.slow),
        pytest.param(1, 7.5, {"faint": True}, marks=pytest.mark.slow),
    ],
)
def test_stable_diffusion_is_led_as_by_diffusers(
    model_of: ModelOf, net_of: NetOf, batch: int, cfg: float, more: dict[str, Any]
) -> None:
    pipeline, model = model_of(sd1)
    net = net_of(sd1_net)
    other = around(
        d.StableDiffusionControlNetPipeline,
        pipeline,
        {"controlnet": net.module},
        requires_safety_checker=False,
    )
    control = control_of(net.recipe, picture(), **more)
    usual = {"steps": 4, "batch": batch, "negative": NEGATIVE}
    found = led(model, [net], [control], cfg=cfg, sampler="ddim", **usual)
    expected = stock(
        other,
        image=shown(picture()),
        guidance_scale=cfg,
        controlnet_conditioning_scale=control.strength,
        control_guidance_start=control.start,
        control_guidance_end=control.end,
        guess_mode=control.faint,
        **usual,
    )
    assert_same(found, expected)
    plain = model.make(WIDTH, HEIGHT, cfg=cfg, sampler="ddim", **usual)
    assert (plain.latents - found.latents).abs().max() > 1e-3


def test_two_networks_are_those_of_diffusers(model_of: ModelOf, net_of: NetOf) -> None:
    pipeline, model = model_of(sd1)
    nets = [net_of(sd1_net), net_of(sd1_other)]
    other = around(
        d.StableDiffusionControlNetPipeline,
        pipeline,
        {"controlnet": [net.module for net in nets]},
        requires_safety_checker=False,
    )
    controls = [
        control_of(nets[0].recipe, picture(), strength=0.7),
        control_of(nets[1].recipe, picture(2), strength=1.2),
    ]
    found = led(model, nets, controls, cfg=5.0, sampler="ddim")
    expected = stock(
        other,
        image=[shown(picture()), shown(picture(2))],
        guidance_scale=5.0,
        controlnet_conditioning_scale=[0.7, 1.2],
    )
    assert_same(found, expected)


def test_what_pools_leads_the_positive_prompt_alone(model_of: ModelOf, net_of: NetOf) -> None:
    pipeline, model = model_of(sd1)
    net = net_of(sd1_shuffle)
    other = around(
        d.StableDiffusionControlNetPipeline,
        pipeline,
        {"controlnet": net.module},
        requires_safety_checker=False,
    )
    found = led(model, [net], [control_of(net.recipe, picture())], cfg=5.0, sampler="ddim")
    assert_same(found, stock(other, image=shown(picture()), guidance_scale=5.0))


def test_sdxl_is_led_as_by_diffusers(model_of: ModelOf, net_of: NetOf) -> None:
    pipeline, model = model_of(sdxl)
    net = net_of(sdxl_net)
    other = around(
        d.StableDiffusionXLControlNetPipeline,
        pipeline,
        {"controlnet": net.module},
        add_watermarker=False,
    )
    for batch, negative in ((1, None), (2, NEGATIVE)):
        usual = {"batch": batch, "negative": negative}
        control = control_of(net.recipe, picture(), strength=0.8)
        found = led(model, [net], [control], cfg=5.0, **usual)
        expected = stock(
            other,
            image=shown(picture()),
            guidance_scale=5.0,
            controlnet_conditioning_scale=0.8,
            **usual,
        )
        assert_same(found, expected)


@pytest.mark.parametrize("modes", [("depth",), ("depth", "edges")])
def test_a_union_is_that_of_diffusers(
    model_of: ModelOf, net_of: NetOf, modes: tuple[str, ...]
) -> None:
    pipeline, model = model_of(sdxl)
    net = net_of(sdxl_union)
    other = around(
        d.StableDiffusionXLControlNetUnionPipeline,
        pipeline,
        {"controlnet": net.module},
        add_watermarker=False,
    )
    controls = [
        control_of(net.recipe, picture(place), mode=mode, strength=0.6 + place / 10)
        for place, mode in enumerate(modes)
    ]
    found = led(model, [net], controls, cfg=5.0, negative=NEGATIVE)
    expected = stock(
        other,
        control_image=[shown(picture(place)) for place in range(len(modes))],
        control_mode=[control.mode for control in controls],
        controlnet_conditioning_scale=[control.strength for control in controls],
        guidance_scale=5.0,
        negative=NEGATIVE,
    )
    assert_same(found, expected)


def test_a_masked_picture_is_shown_without_what_is_filled(model_of: ModelOf, net_of: NetOf) -> None:
    pipeline, model = model_of(sd1)
    net = net_of(sd1_net)
    other = around(
        d.StableDiffusionControlNetPipeline,
        pipeline,
        {"controlnet": net.module},
        requires_safety_checker=False,
    )
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 8:40, 16:] = 1
    hidden = torch.where(mask[:, None] == 1, -1.0, shown(picture()))
    control = control_of(net.recipe, picture(), mask=mask)
    found = led(model, [net], [control], cfg=5.0, sampler="ddim")
    assert_same(found, stock(other, image=hidden, guidance_scale=5.0))


def sd3_net() -> Any:
    return d.SD3ControlNetModel(**SD3_NET)


def sd3_fill() -> Any:
    return d.SD3ControlNetModel(
        **SD3_NET, extra_conditioning_channels=1, force_zeros_for_pooled_projection=False
    )


SD3_NET = {
    "sample_size": 32,
    "patch_size": 2,
    "in_channels": 16,
    "num_layers": 1,
    "attention_head_dim": 8,
    "num_attention_heads": 4,
    "joint_attention_dim": 80,
    "caption_projection_dim": 32,
    "pooled_projection_dim": 64,
    "out_channels": 16,
    "pos_embed_max_size": 24,
}
FLUX_NET = {
    "patch_size": 1,
    "in_channels": 64,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 32,
    "axes_dims_rope": (4, 6, 6),
}


def flux_control() -> Any:
    return d.FluxControlNetModel(**FLUX_NET, guidance_embeds=True)


def flux_union() -> Any:
    return d.FluxControlNetModel(**FLUX_NET, num_mode=5)


def flux_pixels() -> Any:
    """As XLabs' networks, which see pixels."""
    return d.FluxControlNetModel(**FLUX_NET | XLABS, guidance_embeds=True)


XLABS = {"patch_size": 2, "num_single_layers": 0, "conditioning_embedding_channels": 16}


def qwen_fill() -> Any:
    return d.QwenImageControlNetModel(**QWEN_NET, extra_condition_channels=4)


def qwen_control() -> Any:
    return d.QwenImageControlNetModel(**QWEN_NET)


QWEN_NET = {
    "patch_size": 2,
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "axes_dims_rope": (4, 6, 6),
}


def seen(model: Model, net: Net, image: Tensor, **more: Any) -> Control:
    """A control image as a latent."""

    @contextmanager
    def weights(recipe: Vae, *, calls_only: bool) -> Iterator[Any]:
        yield model.part("vae")

    vae: Any = "the model's"
    return control_of(net.recipe, image, vae=vae, weights=weights, **more)


@pytest.fixture
def likeliest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers encodes as nodegraph does: one by one, and what is likeliest instead of drawn."""
    own = d.AutoencoderKL.encode

    def singly(self: Any, pixels: Tensor) -> Any:
        parts = [own(self, item[None]).latent_dist.parameters for item in pixels]
        return AutoencoderKLOutput(DiagonalGaussianDistribution(torch.cat(parts)))

    def mode(self: Any, generator: Any = None) -> Any:
        return self.mode()

    monkeypatch.setattr(d.AutoencoderKL, "encode", singly)
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", mode)
    # That pipeline multiplies by one over the deviation, those that edit divide by it.
    monkeypatch.setattr(QwenImageFormat, "encode", of_controls)


def of_controls(self: Any, vae: Any, pixels: Tensor) -> Tensor:
    return WanFormat.encode(self, vae, pixels.unsqueeze(2)).squeeze(2)


def as_pixels(image: Tensor) -> Tensor:
    """As pipelines take tensors that they don't look at: in -1..1."""
    return 2 * shown(image) - 1


@pytest.mark.slow
@pytest.mark.usefixtures("likeliest")
def test_sd3_is_led_as_by_diffusers(model_of: ModelOf, net_of: NetOf) -> None:
    pipeline, model = model_of(sd3)
    net = net_of(sd3_net)
    other = around(d.StableDiffusion3ControlNetPipeline, pipeline, {"controlnet": net.module})
    for batch, negative, cfg in ((1, None, 4.0), (2, NEGATIVE, 4.0), (1, None, 1.0)):
        control = seen(model, net, picture(), strength=0.7)
        usual = {"batch": batch, "negative": negative}
        found = led(model, [net], [control], cfg=cfg, **usual)
        expected = stock(
            other,
            control_image=as_pixels(picture()),
            controlnet_conditioning_scale=0.7,
            guidance_scale=cfg,
            width=WIDTH,
            height=HEIGHT,
            **usual,
        )
        assert_same(found, expected)


@pytest.mark.usefixtures("likeliest")
@pytest.mark.parametrize(
    ("build", "mode", "negative"),
    [
        (flux_control, "none", NEGATIVE),
        (flux_union, "depth", None),
        pytest.param(flux_control, "none", None, marks=pytest.mark.slow),
    ],
)
def test_flux_is_led_as_by_diffusers(
    model_of: ModelOf, net_of: NetOf, build: Callable[[], Any], mode: str, negative: str | None
) -> None:
    pipeline, model = model_of(flux)
    net = net_of(build)
    other = around(d.FluxControlNetPipeline, pipeline, {"controlnet": net.module})
    control = seen(model, net, picture(), mode=mode, strength=0.7)
    for batch in (1, 2):
        usual = {"batch": batch, "negative": negative}
        found = led(model, [net], [control], cfg=3.0, **usual)
        expected = stock(
            other,
            control_image=as_pixels(picture()),
            control_mode=control.mode,
            controlnet_conditioning_scale=0.7,
            guidance_scale=3.5,
            true_cfg_scale=3.0,
            width=WIDTH,
            height=HEIGHT,
            **usual,
        )
        assert_same(found, expected, flux_unpack(WIDTH, HEIGHT))


@pytest.mark.usefixtures("likeliest")
@pytest.mark.parametrize("negative", [None, NEGATIVE])
def test_qwen_image_is_led_as_by_diffusers(
    model_of: ModelOf, net_of: NetOf, negative: str | None
) -> None:
    pipeline, model = model_of(qwen_image)
    net = net_of(qwen_control)
    other = around(d.QwenImageControlNetPipeline, pipeline, {"controlnet": net.module})
    control = seen(model, net, picture(), strength=0.7)
    found = led(model, [net], [control], cfg=3.0, negative=negative)
    expected = stock(
        other,
        control_image=as_pixels(picture()),
        controlnet_conditioning_scale=0.7,
        true_cfg_scale=3.0,
        width=WIDTH,
        height=HEIGHT,
        negative=negative,
    )
    assert_same(found, expected, flux_unpack(WIDTH, HEIGHT))


@pytest.mark.usefixtures("likeliest")
def test_what_fills_is_shown_the_mask_as_by_diffusers(model_of: ModelOf, net_of: NetOf) -> None:
    pipeline, model = model_of(sd3)
    net = net_of(sd3_fill)
    other = around(
        d.StableDiffusion3ControlNetInpaintingPipeline, pipeline, {"controlnet": net.module}
    )
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 16:40, 16:] = 1
    control = seen(model, net, picture(), mask=mask)
    found = led(model, [net], [control], cfg=4.0, negative=NEGATIVE)
    expected = stock(
        other,
        control_image=as_pixels(picture()),
        control_mask=mask[:, None],
        controlnet_conditioning_scale=1.0,
        guidance_scale=4.0,
        width=WIDTH,
        height=HEIGHT,
        negative=NEGATIVE,
    )
    assert_same(found, expected)


def adapter() -> Any:
    return d.T2IAdapter(channels=[32, 32, 64, 64], num_res_blocks=1)


def other_adapter() -> Any:
    return d.T2IAdapter(channels=[32, 32, 64, 64], num_res_blocks=1)


def adapter_xl() -> Any:
    return d.T2IAdapter(
        channels=[32, 32, 64], num_res_blocks=1, downscale_factor=16, adapter_type="full_adapter_xl"
    )


@pytest.mark.parametrize(("batch", "until"), [(1, 1.0), (2, 0.5)])
def test_an_adapter_leads_as_in_diffusers(
    model_of: ModelOf, net_of: NetOf, batch: int, until: float
) -> None:
    """That of Stable Diffusion 1 knows no end: it leads all steps."""
    pipeline, model = model_of(sdxl)
    net = net_of(adapter_xl)
    other = around(d.StableDiffusionXLAdapterPipeline, pipeline, {"adapter": net.module})
    control = control_of(net.recipe, picture(), strength=0.8, end=until)
    usual = {"steps": 4, "batch": batch, "negative": NEGATIVE}
    found = led(model, [net], [control], cfg=5.0, **usual)
    expected = stock(
        other,
        image=shown(picture()),
        guidance_scale=5.0,
        adapter_conditioning_scale=0.8,
        adapter_conditioning_factor=until,
        width=WIDTH,
        height=HEIGHT,
        **usual,
    )
    assert_same(found, expected)


@pytest.mark.parametrize("count", [1, 2])
def test_adapters_lead_stable_diffusion_as_in_diffusers(
    model_of: ModelOf, net_of: NetOf, count: int
) -> None:
    pipeline, model = model_of(sd1)
    nets = [net_of(adapter), net_of(other_adapter)][:count]
    modules = [net.module for net in nets]
    both = d.MultiAdapter(modules) if count > 1 else modules[0]
    other = around(
        d.StableDiffusionAdapterPipeline,
        pipeline,
        {"adapter": both},
        requires_safety_checker=False,
    )
    scales = [0.8, 1.2][:count]
    controls = [
        control_of(net.recipe, picture(place), strength=scales[place])
        for place, net in enumerate(nets)
    ]
    images = [shown(picture(place)) for place in range(count)]
    found = led(model, nets, controls, cfg=5.0, sampler="ddim")
    expected = stock(
        other,
        image=images if count > 1 else images[0],
        guidance_scale=5.0,
        adapter_conditioning_scale=scales if count > 1 else scales[0],
        width=WIDTH,
        height=HEIGHT,
    )
    # That pipeline gives pixels in another form.
    assert torch.equal(found.latents, expected.latents)


def test_batches_one_by_one_are_the_same(model_of: ModelOf, net_of: NetOf) -> None:
    """As where memory is short."""
    _, model = model_of(sd1)
    nets = [net_of(sd1_net), net_of(adapter)]
    pictures = torch.cat([picture(1), picture(2)])
    controls = [control_of(net.recipe, pictures) for net in nets]
    whole = led(model, nets, controls, batch=2, sampler="ddim", cfg=5.0)
    model.loaded["model"] = replace(model.part("model"), one_by_one=True)
    single = led(model, nets, controls, batch=2, sampler="ddim", cfg=5.0)
    model.loaded["model"] = replace(model.part("model"), one_by_one=False)
    torch.testing.assert_close(single.latents, whole.latents, rtol=0, atol=1e-4)


def test_step_caches_that_leave_blocks_out_are_refused(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(flux)
    net = net_of(flux_control)
    plain = model.part("model")
    model.loaded["model"] = replace(plain, caching=FirstBlock(0.1))
    with raises(InvalidValue, port="positive"):
        led(model, [net], [seen(model, net, picture())], cfg=1.0)
    model.loaded["model"] = plain


def test_a_network_for_another_family_is_refused(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(sd1)
    net = net_of(sdxl_net)
    with raises(InvalidValue, port="positive", given="ControlNetModel"):
        led(model, [net], [control_of(net.recipe, picture())], cfg=1.0)


def test_a_network_beside_flux_may_see_pixels(model_of: ModelOf, net_of: NetOf) -> None:
    pipeline, model = model_of(flux)
    net = net_of(flux_pixels)
    other = around(d.FluxControlNetPipeline, pipeline, {"controlnet": net.module})
    control = control_of(net.recipe, picture(), strength=0.7)
    found = led(model, [net], [control], cfg=1.0)
    expected = stock(
        other,
        control_image=shown(picture()),
        controlnet_conditioning_scale=0.7,
        guidance_scale=3.5,
        width=WIDTH,
        height=HEIGHT,
    )
    assert_same(found, expected, flux_unpack(WIDTH, HEIGHT))


@pytest.mark.usefixtures("likeliest")
def test_what_fills_beside_qwen_image_is_that_of_diffusers(
    model_of: ModelOf, net_of: NetOf
) -> None:
    pipeline, model = model_of(qwen_image)
    net = net_of(qwen_fill)
    other = around(d.QwenImageControlNetInpaintPipeline, pipeline, {"controlnet": net.module})
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 16:40, 16:] = 1
    control = seen(model, net, picture(), mask=mask)
    found = led(model, [net], [control], cfg=3.0, negative=NEGATIVE)
    expected = stock(
        other,
        control_image=as_pixels(picture()),
        control_mask=mask[:, None],
        controlnet_conditioning_scale=1.0,
        true_cfg_scale=3.0,
        width=WIDTH,
        height=HEIGHT,
        negative=NEGATIVE,
    )
    assert_same(found, expected, flux_unpack(WIDTH, HEIGHT))


@pytest.mark.usefixtures("likeliest")
def test_networks_of_other_depths_are_summed_block_by_block(
    model_of: ModelOf, net_of: NetOf
) -> None:
    """Two of which one leads at no strength are the other."""
    _, model = model_of(flux)
    nets = [net_of(flux_control), net_of(flux_pixels)]
    one = seen(model, nets[0], picture())
    alone = led(model, nets[:1], [one], cfg=1.0)
    both = led(model, nets, [one, control_of(nets[1].recipe, picture(), strength=0.0)], cfg=1.0)
    assert torch.equal(alone.latents, both.latents)


Z_IMAGE_NET = {
    "control_layers_places": [0],
    "all_patch_size": [2],
    "all_f_patch_size": [1],
    "dim": 32,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 2,
}


def z_image_first() -> Any:
    return d.ZImageControlNetModel(**Z_IMAGE_NET, control_in_dim=16)


def z_image_second() -> Any:
    return d.ZImageControlNetModel(
        **Z_IMAGE_NET,
        control_in_dim=33,
        control_refiner_layers_places=[0],
        add_control_noise_refiner="control_noise_refiner",
    )


def z_image_layers() -> Any:
    return d.ZImageControlNetModel(
        **Z_IMAGE_NET,
        control_in_dim=33,
        control_refiner_layers_places=[0],
        add_control_noise_refiner="control_layers",
    )


@pytest.mark.usefixtures("likeliest")
@pytest.mark.parametrize("build", [z_image_first, z_image_second, z_image_layers])
def test_z_image_is_led_as_by_diffusers(
    model_of: ModelOf, net_of: NetOf, build: Callable[[], Any]
) -> None:
    pipeline, model = model_of(z_image)
    net = net_of(build)
    twin = random_net(build, 0)
    twin.load_state_dict(net.module.state_dict())
    other = around(d.ZImageControlNetPipeline, pipeline, {"controlnet": twin})
    control = seen(model, net, picture(), strength=0.7)
    for batch, guidance, negative in ((1, 0.0, None), (2, 3.0, NEGATIVE)):
        found = led(model, [net], [control], cfg=guidance + 1, batch=batch, negative=negative)
        expected = stock(
            other,
            control_image=as_pixels(picture()),
            controlnet_conditioning_scale=0.7,
            guidance_scale=guidance,
            width=WIDTH,
            height=HEIGHT,
            batch=batch,
            negative=negative,
        )
        assert_same(found, expected)
        plain = model.make(WIDTH, HEIGHT, cfg=guidance + 1, batch=batch, negative=negative)
        assert (plain.latents - found.latents).abs().max() > 1e-3
    # The network is as it was: it has no layers of the transformer.
    assert net.live.module.state_dict().keys() == net.module.state_dict().keys()


@pytest.mark.usefixtures("likeliest")
@pytest.mark.parametrize(
    ("build", "batch", "guidance", "negative"),
    [
        (z_image_second, 1, 7.3, NEGATIVE),
        pytest.param(z_image_layers, 3, 0.0, None, marks=pytest.mark.slow),
    ],
)
def test_z_image_is_filled_as_by_diffusers(
    model_of: ModelOf,
    net_of: NetOf,
    build: Callable[[], Any],
    batch: int,
    guidance: float,
    negative: str | None,
) -> None:
    """A control image, and beside it an image whose mask is filled."""
    pipeline, model = model_of(z_image)
    net = net_of(build)
    twin = random_net(build, 0)
    twin.load_state_dict(net.module.state_dict())
    other = around(d.ZImageControlNetInpaintPipeline, pipeline, {"controlnet": twin})
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 13:42, 21:] = 1
    control = seen(model, net, picture(), strength=0.7, mask=mask, inpaint_image=picture(3))
    found = led(model, [net], [control], cfg=guidance + 1, batch=batch, negative=negative)
    expected = stock(
        other,
        control_image=as_pixels(picture()),
        image=as_pixels(picture(3)),
        mask_image=mask[:, None].expand(batch, -1, -1, -1),
        controlnet_conditioning_scale=0.7,
        guidance_scale=guidance,
        width=WIDTH,
        height=HEIGHT,
        batch=batch,
        negative=negative,
    )
    assert_same(found, expected)
    unfilled = led(
        model,
        [net],
        [seen(model, net, picture(), strength=0.7)],
        cfg=guidance + 1,
        batch=batch,
        negative=negative,
    )
    assert (unfilled.latents - found.latents).abs().max() > 1e-3


def test_images_to_fill_come_with_their_mask_and_size(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(z_image)
    net, first = net_of(z_image_second), net_of(z_image_first)
    mask = torch.zeros(1, HEIGHT, WIDTH)
    with raises(InvalidValue, port="mask", expected="both or none"):
        seen(model, net, picture(), inpaint_image=picture(3))
    with raises(InvalidValue, port="inpaint_image", expected="both or none"):
        seen(model, net, picture(), mask=mask)
    with raises(InvalidValue, port="inpaint_image"):
        seen(model, net, picture(), mask=mask, inpaint_image=picture(3)[:, :32])
    with raises(InvalidValue, port="inpaint_image"):
        seen(model, first, picture(), mask=mask, inpaint_image=picture(3))


@pytest.mark.usefixtures("likeliest")
def test_a_refiner_that_was_not_trained_is_not_used(
    model_of: ModelOf, tmp_path: Path, net_of: NetOf
) -> None:
    """Version 2.0 of Z-Image's has one, whose first layer is zero."""
    pipeline, model = model_of(z_image)
    module = random_net(z_image_second, 3)
    module.control_noise_refiner[0].before_proj.weight.zero_()
    module.save_pretrained(tmp_path / "second")
    recipe = open_control(str(tmp_path / "second"), [])
    net = Net(module, recipe, load_component(recipe, "cpu"))
    twin = random_net(z_image_layers, 0)
    twin.load_state_dict(module.state_dict(), strict=False)
    other = around(d.ZImageControlNetPipeline, pipeline, {"controlnet": twin})
    found = led(model, [net], [seen(model, net, picture())], cfg=1.0)
    expected = stock(
        other,
        control_image=as_pixels(picture()),
        controlnet_conditioning_scale=1.0,
        guidance_scale=0.0,
        width=WIDTH,
        height=HEIGHT,
    )
    assert_same(found, expected)


@pytest.mark.usefixtures("likeliest")
def test_z_image_is_led_on_one_side_beside_a_long_prompt(model_of: ModelOf, net_of: NetOf) -> None:
    """What the network adds to the prompt that it leads does not depend on the other."""
    _, model = model_of(z_image)
    net = net_of(z_image_first)
    control = seen(model, net, picture())
    alone = led(model, [net], [control], cfg=1.0)
    away = model.encode("a long negative prompt " * 12)
    with beside(model, net):
        both = model.make(
            WIDTH, HEIGHT, change=lambda given: with_control(given, control), away=away, cfg=1.0001
        )
    torch.testing.assert_close(both.latents, alone.latents, rtol=0, atol=2e-3)
    plain = model.make(WIDTH, HEIGHT, cfg=1.0)
    assert (plain.latents - alone.latents).abs().max() > 0.01


@pytest.mark.parametrize(
    ("layers", "channels", "refiner"),
    [(6, 16, None), (15, 33, "control_noise_refiner"), (3, 33, "control_noise_refiner")],
)
def test_files_of_z_image_are_opened(
    tmp_path: Path, layers: int, channels: int, refiner: Any
) -> None:
    """The versions 1 and 2.1 and the lite one, as they are published."""
    config = Z_IMAGE_NET | {
        "control_layers_places": list(range(0, 30, 30 // layers)),
        "control_refiner_layers_places": None if refiner is None else [0, 1],
        "add_control_noise_refiner": refiner,
        "control_in_dim": channels,
        "n_refiner_layers": 2,
    }
    module = random_net(lambda: d.ZImageControlNetModel(**config), 0)
    file = tmp_path / "Z-Image-Turbo-Fun-Controlnet-Union.safetensors"
    save_file(module.state_dict(), file)
    live = load_component(open_control(str(file), []), "cpu").module
    kept = {name: live.config[name] for name in config if not name.startswith("all_")}
    assert kept.items() <= config.items()
    wanted = module.state_dict()
    assert live.state_dict().keys() == wanted.keys()
    assert all(torch.equal(item, wanted[name]) for name, item in live.state_dict().items())


def qwen_fun() -> Any:
    return QwenImageFunControlNet(num_layers=1, num_attention_heads=2, attention_head_dim=16)


def qwen_blockwise() -> Any:
    return QwenImageBlockwiseControlNet(width=32, num_layers=2)


def qwen_blockwise_fill() -> Any:
    return QwenImageBlockwiseControlNet(width=32, num_layers=2, extra_condition_channels=4)


class PlainTransformer(torch.nn.Module):
    """Qwen-Image's transformer with what a control network adds, step by step.

    Args:
        whole: The transformer.
        hints: Makes what is added behind the blocks of its first tokens.
    """

    def __init__(self, whole: Any, hints: Callable[..., Any]) -> None:
        super().__init__()
        self.whole, self.hints = whole, hints
        for name in ("config", "dtype", "device", "cache_context"):
            setattr(self, name, getattr(whole, name))

    def forward(
        self, hidden_states: Tensor, encoder_hidden_states: Tensor, timestep: Tensor, **more: Any
    ) -> Any:
        net = self.whole
        states = net.img_in(hidden_states)
        prompt = net.txt_in(net.txt_norm(encoder_hidden_states))
        time = net.time_text_embed(timestep, states)
        rotary = net.pos_embed(
            more["img_shapes"], max_txt_seq_len=prompt.shape[1], device=states.device
        )
        added = self.hints(states, prompt, time, rotary)
        for number, block in enumerate(net.transformer_blocks):
            prompt, states = block(states, prompt, None, time, rotary)
            states = states + added(number, states)
        return (net.proj_out(net.norm_out(states, time)),)


def plain_fun(net: Any, cells: Tensor, strength: float) -> Callable[..., Any]:
    """The arithmetic of VideoX-Fun's network of one block, beside the first one."""

    def hints(states: Tensor, prompt: Tensor, time: Tensor, rotary: Any) -> Any:
        tokens = pack_latents(torch.cat([cells, torch.zeros(1, 17, *cells.shape[2:])], 1))
        tokens = tokens.expand(len(states), -1, -1)
        (block,) = net.control_blocks
        begun = block.before_proj(net.control_img_in(tokens)) + states
        _, ended = block(begun, prompt, None, time, rotary)
        hint = block.after_proj(ended)
        return lambda number, _: hint * strength if number == 0 else 0.0

    return hints


def plain_blockwise(net: Any, cells: Tensor, strength: float) -> Callable[..., Any]:
    """The arithmetic of DiffSynth's network."""

    def norm(tokens: Tensor, weight: Tensor) -> Tensor:
        return tokens / (tokens.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * weight

    def hints(states: Tensor, *_: Any) -> Any:
        control = net.img_in(pack_latents(cells)).expand(len(states), -1, -1)

        def added(number: int, tokens: Tensor) -> Tensor:
            block = net.controlnet_blocks[number]
            both = norm(tokens, block.x_rms.weight) + norm(control, block.y_rms.weight)
            result: Tensor = block.output_proj(torch.nn.functional.gelu(block.input_proj(both)))
            return result * strength

        return added

    return hints


@pytest.mark.parametrize(
    ("build", "plain"),
    [(qwen_fun, plain_fun), (qwen_blockwise, plain_blockwise), (qwen_blockwise_fill, None)],
    ids=["fun", "blockwise", "blockwise-fill"],
)
def test_other_networks_of_qwen_image_lead_as_their_arithmetic(
    model_of: ModelOf, net_of: NetOf, build: Callable[[], Any], plain: Any
) -> None:
    pipeline, model = model_of(qwen_image)
    net = net_of(build)
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 16:40, 16:] = 1
    more = {} if plain else {"mask": mask}
    control = seen(model, net, picture(), strength=0.7, **more)
    cells = control.hint
    if not plain:
        # The image is whole, and the mask is 1 where it stays.
        whole = seen(model, net_of(qwen_blockwise), picture()).hint
        assert torch.equal(cells[:, :16], whole)
        assert torch.equal(cells[:, 16], 1 - mask[:, ::8, ::8])
    hints = (plain or plain_blockwise)(net.module, cells, 0.7)
    other = around(d.QwenImagePipeline, pipeline, {})
    other.transformer = PlainTransformer(pipeline.transformer, hints)
    for negative, batch in ((None, 2), (NEGATIVE, 1)):
        found = led(model, [net], [control], cfg=3.0, negative=negative, batch=batch)
        expected = stock(
            other, true_cfg_scale=3.0, width=WIDTH, height=HEIGHT, negative=negative, batch=batch
        )
        unpack = flux_unpack(WIDTH, HEIGHT)
        torch.testing.assert_close(found.latents, unpack(expected.latents), rtol=0, atol=2e-5)
        without = model.make(WIDTH, HEIGHT, cfg=3.0, negative=negative, batch=batch)
        assert (without.latents - found.latents).abs().max() > 1e-2


@pytest.mark.parametrize("build", [qwen_fun, qwen_blockwise, qwen_blockwise_fill])
def test_files_of_other_networks_of_qwen_image_are_opened(
    tmp_path: Path, build: Callable[[], Any]
) -> None:
    module = random_net(build, 0)
    file = tmp_path / "control.safetensors"
    save_file(module.state_dict(), file)
    live = load_component(open_control(str(file), []), "cpu").module
    assert type(live) is type(module)
    wanted = module.state_dict()
    assert live.state_dict().keys() == wanted.keys()
    assert all(torch.equal(item, wanted[name]) for name, item in live.state_dict().items())


def test_a_prompt_that_is_not_led_by_what_adds_inside_is_as_without(
    model_of: ModelOf, net_of: NetOf
) -> None:
    control = BlockControl(lambda *_: torch.ones(1), torch.ones(2, 3, 4), torch.ones(2, 1, 1))
    among = control.among([0, 2], 3)
    found = among.added(0, torch.zeros(3, 5, 4))
    assert found[[0, 2], :3].eq(1).all()
    assert found[1].eq(0).all()
    assert found[:, 3:].eq(0).all()


def test_a_control_image_is_cropped_to_whole_cells(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(qwen_image)
    net = net_of(qwen_blockwise_fill)
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 16:40, 16:] = 1
    wide = torch.nn.functional.pad(picture(), (0, 0, 3, 2, 1, 1))
    hidden = torch.nn.functional.pad(mask, (3, 2, 1, 1))
    # Of five columns too many, two go on the left.
    wide, hidden = wide[:, :, 1:], hidden[:, :, 1:]
    found = seen(model, net, wide, mask=hidden, crop=True)
    assert torch.equal(found.hint, seen(model, net, picture(), mask=mask).hint)
    with raises(InvalidValue, port="image"):
        seen(model, net, wide, mask=hidden)


def test_a_network_of_another_precision_adds_inside(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(qwen_image)
    net = net_of(qwen_blockwise)
    control = seen(model, net, picture())
    plain = led(model, [net], [control], cfg=1.0).latents
    module = random_net(qwen_blockwise, 0)
    module.load_state_dict(net.module.state_dict())
    live = replace(net.live, modules={"controlnet": module.to(torch.bfloat16)})
    found = led(model, [replace(net, live=live)], [control], cfg=1.0).latents
    assert not torch.equal(found, plain)
    torch.testing.assert_close(found, plain, rtol=0, atol=0.1)
