"""VAEs of every family in files of their own: every tensor comes back, and they decode alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file

from nodegraph.diffusion import estimate_bytes, load_component, open_model
from nodegraph.errors import InvalidFile, InvalidValue, UnsafeFile
from nodegraph.families.components import Autoencoder
from nodegraph.families.ltx2_diffusion_decoder import DIFFUSION_DECODER
from nodegraph.families.minimax_h3_vae_files import VIDEO_DEVIATION, VIDEO_MEAN
from nodegraph.families.registry import FAMILIES, get_latent_format
from nodegraph.families.wan_vae import DEVIATION_22, MEAN_22
from nodegraph.models.vae_files import open_vae, vae_format
from nodegraph.residency import component_bytes
from tests.diffusion import vae_export as original
from tests.diffusion.families.parts import hunyuan_vae
from tests.diffusion.families.test_hunyuan_video_15 import vae as hunyuan_video_vae
from tests.diffusion.ldm_export import _vae_tensors
from tests.messages import raises

Build = Callable[[], Any]


def kl(channels: int, factor: float, shift: float | None = None, levels: int = 4) -> Any:
    return d.AutoencoderKL(
        block_out_channels=(32, 64, 64, 64)[:levels],
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=channels,
        layers_per_block=1,
        scaling_factor=factor,
        shift_factor=shift,
        use_quant_conv=channels == 4,
        use_post_quant_conv=channels == 4,
    )


def flux2(**more: Any) -> Any:
    vae = d.AutoencoderKLFlux2(
        block_out_channels=(32, 32, 64, 64), layers_per_block=1, latent_channels=32, **more
    )
    vae.bn.running_var.uniform_(0.5, 2.0)
    return vae


def flux2_original(vae: Any) -> original.Tensors:
    found = _vae_tensors(vae)
    moved = {"quant_conv": "encoder.quant_conv", "post_quant_conv": "decoder.post_quant_conv"}
    for old, new in moved.items():
        for end in ("weight", "bias"):
            found[f"{new}.{end}"] = found.pop(f"{old}.{end}")
    del found["bn.num_batches_tracked"]
    return found


def wan(kind: Any = d.AutoencoderKLWan, layers: int = 2, **more: Any) -> Any:
    return kind(base_dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=layers, **more)


def wan22() -> Any:
    return d.AutoencoderKLWan(
        base_dim=8,
        decoder_base_dim=16,
        z_dim=48,
        num_res_blocks=1,
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
        latents_mean=list(MEAN_22),
        latents_std=list(DEVIATION_22),
    )


def ltx(**more: Any) -> Any:
    vae = d.AutoencoderKLLTXVideo(
        **{
            "block_out_channels": (8, 16, 32, 32),
            "decoder_block_out_channels": (8, 16, 32, 32),
            "layers_per_block": (2, 1, 1, 1, 3),
            "decoder_layers_per_block": (2, 1, 1, 1, 3),
        }
        | more
    )
    vae.latents_std.uniform_(0.5, 2.0)
    return vae


TIMED = {
    "decoder_block_out_channels": (8, 16, 32),
    "decoder_layers_per_block": (1, 2, 1, 2),
    "decoder_spatio_temporal_scaling": (True,) * 3,
    "decoder_inject_noise": (False, True, True, False),
    "upsample_residual": (True,) * 3,
    "upsample_factor": (2,) * 3,
    "timestep_conditioning": True,
}
LATE = TIMED | {
    "decoder_inject_noise": (False,) * 4,
    "block_out_channels": (8, 16, 32, 64, 64),
    "down_block_types": ("LTXVideo095DownBlock3D",) * 4,
    "layers_per_block": (1, 2, 1, 1, 2),
    "spatio_temporal_scaling": (True,) * 4,
    "downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
    "spatial_compression_ratio": 32,
    "temporal_compression_ratio": 8,
}


def sana() -> Any:
    blocks = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
    scales = ((), (), (), (5,), (5,), (5,))
    widths = (8, 16, 16, 16, 32, 64)
    return d.AutoencoderDC(
        attention_head_dim=8,
        scaling_factor=0.41407,
        encoder_block_types=blocks,
        decoder_block_types=blocks,
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        encoder_layers_per_block=(2, 1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1, 2),
        encoder_qkv_multiscales=scales,
        decoder_qkv_multiscales=scales,
        downsample_block_type="conv",
        upsample_block_type="interpolate",
    )


def mochi() -> Any:
    return d.AutoencoderKLMochi(
        encoder_block_out_channels=(32, 32, 64, 96),
        decoder_block_out_channels=(32, 64, 96, 128),
        layers_per_block=(1, 2, 1, 1, 2),
        add_attention_block=(False, True, True, True, True),
    )


def hunyuan_video() -> Any:
    return d.AutoencoderKLHunyuanVideo(
        block_out_channels=(32, 32, 64, 96), layers_per_block=1, latent_channels=16
    )


def minimax_h3() -> Any:
    return d.AutoencoderKLMiniMaxH3(
        block_out_channels=(32, 64, 32, 32, 32, 64),
        layers_per_block=1,
        decoder_num_layers=2,
        decoder_num_attention_heads=2,
        latents_mean=VIDEO_MEAN,
        latents_std=VIDEO_DEVIATION,
    )


BUILDS: dict[str, tuple[str, Build, Callable[[Any], original.Tensors]]] = {
    "sd3": ("sd3", lambda: kl(16, 1.5305, 0.0609), _vae_tensors),
    "flux": ("flux", lambda: kl(16, 0.3611, 0.1159), _vae_tensors),
    "flux2": ("flux2", flux2, flux2_original),
    "flux2, small decoder": (
        "flux2",
        lambda: flux2(decoder_block_out_channels=(32, 32, 32, 32)),
        flux2_original,
    ),
    "wan": ("wan", wan, original.wan),
    "wan, one layer": ("wan", lambda: wan(layers=1), original.wan),
    "wan22": ("wan22", wan22, original.wan22),
    "qwen-image": ("qwen-image", lambda: wan(d.AutoencoderKLQwenImage), original.wan),
    "qwen-image-layered": (
        "qwen-image-layered",
        lambda: wan(d.AutoencoderKLQwenImage, input_channels=4),
        original.wan,
    ),
    "ltx 0.9.0": ("ltx", ltx, original.ltx),
    "ltx 0.9.1": ("ltx", lambda: ltx(**TIMED), original.ltx),
    "ltx 0.9.5": ("ltx", lambda: ltx(**LATE), original.ltx),
    "sana": ("sana", sana, original.sana),
    "mochi": ("mochi", mochi, original.mochi),
    "minimax-h3": ("minimax-h3", minimax_h3, original.minimax_h3),
    "hunyuan-image": ("hunyuan-image", hunyuan_vae, original.hunyuan_image),
    "hunyuan-video-15": ("hunyuan-video-15", hunyuan_video_vae, original.hunyuan_video_15),
    "hunyuan-video": ("hunyuan-video", hunyuan_video, lambda vae: dict(vae.state_dict())),
}


def random_weights(vae: Any) -> Any:
    """All drawn, those too that begin as zeros or ones."""
    torch.manual_seed(0)
    for item in vae.parameters():
        item.data.normal_(0, 0.05)
    return vae.eval().requires_grad_(False)


@cache
def built(name: str) -> Any:
    """One of `BUILDS`, made once: no test writes into it."""
    return random_weights(BUILDS[name][1]())


def write(path: Path, tensors: original.Tensors, prefix: str = "") -> None:
    save_file({f"{prefix}{name}": item.contiguous() for name, item in tensors.items()}, path)


def assert_equal(found: Any, expected: Any) -> None:
    """Weights, and what the class makes of a latent, bit for bit."""
    wanted, given = expected.state_dict(), found.module.state_dict()
    assert given.keys() == wanted.keys()
    different = [name for name, item in wanted.items() if not torch.equal(given[name], item)]
    assert not different
    latents = get_latent_format(found.family)
    axes = (1, 2, 2) if latents.temporal else (2, 2)
    latent = torch.randn(1, latents.channels, *axes, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        pixels = latents.decode(found.module, latent)
        assert torch.equal(pixels, latents.decode(expected, latent))
        assert torch.equal(latents.encode(found.module, pixels), latents.encode(expected, pixels))


@pytest.mark.parametrize("name", BUILDS)
def test_a_file_in_the_original_names(name: str, tmp_path: Path) -> None:
    latents, _, write_out = BUILDS[name]
    expected = built(name)
    write(tmp_path / "vae.safetensors", write_out(expected))
    recipe = open_vae("vae", [tmp_path], latents=latents)
    found = load_component(recipe, "cpu")
    assert isinstance(found, Autoencoder)
    assert_equal(found, expected)
    assert estimate_bytes(recipe) == pytest.approx(component_bytes(found), rel=0.02)


QUICK = ("flux2", "wan22", "ltx 0.9.1", "sana")
SOME = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in BUILDS]


@pytest.mark.parametrize("name", SOME)
def test_a_file_in_the_names_of_diffusers(name: str, tmp_path: Path) -> None:
    latents, expected = BUILDS[name][0], built(name)
    write(tmp_path / "vae.safetensors", expected.state_dict(), "vae.")
    found = load_component(open_vae("vae", [tmp_path], latents=latents), "cpu")
    assert_equal(found, expected)


ALONE = {
    "hunyuan-video-15",
    "hunyuan-video",
    "mochi",
    "minimax-h3",
    "flux2",
    "wan22",
    "ltx",
    "sana",
    "hunyuan-image",
    "qwen-image-layered",
}
"""Formats whose VAEs no other format has."""


@pytest.mark.parametrize("name", BUILDS)
def test_its_format_is_told_where_only_one_fits(name: str, tmp_path: Path) -> None:
    latents, _, write_out = BUILDS[name]
    write(tmp_path / "vae.safetensors", write_out(built(name)))
    if latents in ALONE:
        assert vae_format("vae", [tmp_path]).name == latents
        return
    with raises(InvalidValue, port="latents", given="auto") as error:
        vae_format("vae", [tmp_path])
    assert error.value.problem.expected in ("sd3 or flux", "wan or qwen-image")
    with raises(InvalidValue, port="latents", given="ltx"):
        vae_format("vae", [tmp_path], latents="ltx")


FOLDERS_ALONE = {
    *("cosmos", "glm-image", "longcat-audio", "shap-e", "shap-e-image", "stable-audio-3")
}
"""Families whose VAE is read from the folder of the whole model, and from no file of its own."""


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - FOLDERS_ALONE))
def test_every_format_is_read_from_files(name: str) -> None:
    latents = FAMILIES[name].latent
    # The diffusion decoder of LTX-2.5 is read from its folder.
    named = [each for each in latents.autoencoders if each != DIFFUSION_DECODER]
    assert [item.class_name for item in latents.files] == named


def test_noise_within_a_decoder_is_the_same_each_time() -> None:
    """0.9.1 adds noise between its layers; nobody else's random numbers change by that."""
    vae, latents = built("ltx 0.9.1"), get_latent_format("ltx")
    latent = torch.randn(1, 128, 1, 2, 2)
    state = torch.get_rng_state()
    with torch.no_grad():
        first, second = latents.decode(vae, latent), latents.decode(vae, latent)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_decoder_that_is_told_a_time_is_told_its_end() -> None:
    """As diffusers' pipeline unless it is asked for another (``decode_timestep``)."""
    vae, latents = built("ltx 0.9.5"), get_latent_format("ltx")
    latent = torch.randn(1, 128, 1, 2, 2)
    mean, deviation = (item.view(1, -1, 1, 1, 1) for item in (vae.latents_mean, vae.latents_std))
    with torch.no_grad():
        wanted = vae.decode(latent * deviation / 1.0 + mean, torch.zeros(1)).sample
        assert torch.equal(latents.decode(vae, latent), wanted)


def damaged(tensors: original.Tensors, kind: str) -> original.Tensors:
    name = next(name for name in tensors if name.endswith("conv_out.bias") or "head.2.bias" in name)
    if kind == "missing":
        del tensors[name]
    elif kind == "of another shape":
        tensors[name] = torch.zeros(77)
    else:
        tensors["decoder.anything"] = torch.zeros(1)
    return tensors


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "of another shape",
        "unexpected",
    ],
)
def test_tensors_that_do_not_fit_are_told_by_name(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "vae.safetensors", damaged(original.wan22(built("wan22")), kind))
    with raises(InvalidFile):
        load_component(open_vae("vae", [tmp_path]), "cpu")


@pytest.mark.parametrize(
    ("name", "half"), [("sd3", "decoder"), ("flux", "decoder"), ("hunyuan-image", "encoder")]
)
def test_half_of_a_vae_is_told(name: str, half: str, tmp_path: Path) -> None:
    """Where that half says whose it is."""
    latents, _, write_out = BUILDS[name]
    tensors = {key: item for key, item in write_out(built(name)).items() if key.startswith(half)}
    write(tmp_path / "vae.safetensors", tensors)
    with raises(InvalidFile, expected="encoder and decoder in one file"):
        open_vae("vae", [tmp_path], latents=latents)


def test_what_lies_in_a_file_with_a_transformer_is_found(tmp_path: Path) -> None:
    expected = built("ltx 0.9.0")
    tensors = {f"vae.{name}": item for name, item in original.ltx(expected).items()}
    tensors["model.diffusion_model.patchify_proj.weight"] = torch.zeros(8, 128)
    write(tmp_path / "vae.safetensors", tensors)
    assert_equal(load_component(open_vae("vae", [tmp_path], latents="ltx"), "cpu"), expected)


def without_middle(tensors: original.Tensors) -> None:
    for name in [
        name
        for name in tensors
        if re.search(r"(down(samples)?|_blocks|stages)\.1\.|coder\.(layers\.3|blocks\.2)\.", name)
    ]:
        del tensors[name]


UNTIMED = LATE | {"timestep_conditioning": False}
"""As LTX-2."""


def with_more_blocks(vae: Any) -> original.Tensors:
    """A decoder with more blocks than those of LTX-2.0 and 2.3."""
    more = {f"decoder.up_blocks.{at}.conv.conv.weight": torch.zeros(1) for at in range(9, 13)}
    return original.ltx(vae) | more


def without_end(tensors: original.Tensors) -> None:
    """A whole block, as if there were none."""
    found = [re.match(r"encoder\.[a-z_]+\.(\d+)\.", name) for name in tensors]
    last = max(int(match[1]) for match in found if match)
    for name in [name for name in tensors if re.match(rf"encoder\.[a-z_]+\.{last}\.", name)]:
        del tensors[name]


def of_no_axes(tensors: original.Tensors) -> None:
    name = next(name for name in tensors if name.startswith("encoder") and tensors[name].ndim >= 4)
    tensors[name] = torch.tensor(1.0)


@pytest.mark.parametrize("damage", [without_middle, without_end, of_no_axes])
@pytest.mark.parametrize("name", SOME)
def test_shapes_that_say_nothing_sensible_are_refused(
    name: str, damage: Callable[[original.Tensors], None], tmp_path: Path
) -> None:
    latents, _, write_out = BUILDS[name]
    tensors = write_out(built(name))
    damage(tensors)
    write(tmp_path / "vae.safetensors", tensors)
    with pytest.raises(InvalidFile):
        load_component(open_vae("vae", [tmp_path], latents=latents), "cpu")


@pytest.mark.parametrize(
    "vae",
    [
        pytest.param(
            lambda: original.wan(d.AutoencoderKLQwenImage(base_dim=8, z_dim=16, input_channels=5)),
            id="images with a fifth channel",
        ),
        pytest.param(
            lambda: original.wan(d.AutoencoderKLWan(base_dim=8, out_channels=12)),
            id="a decoder of larger images",
        ),
        pytest.param(lambda: with_more_blocks(ltx(**UNTIMED)), id="a later version of LTX-2"),
        pytest.param(lambda: kl(8, 1.0).state_dict(), id="channels that no format has"),
        pytest.param(lambda: kl(4, 0.08333, levels=3).state_dict(), id="cells of 4 x 4"),
        pytest.param(lambda: _vae_tensors(kl(4, 0.08333, levels=3)), id="the same, original names"),
    ],
)
def test_others_of_the_same_names_are_refused(
    vae: Callable[[], original.Tensors], tmp_path: Path
) -> None:
    write(tmp_path / "vae.safetensors", vae())
    with raises(InvalidFile):
        open_vae("vae", [tmp_path])


def test_another_part_is_told_as_what_it_is(tmp_path: Path) -> None:
    write(tmp_path / "lora.safetensors", {"a.lora_A.weight": torch.zeros(1)})
    with raises(InvalidFile):
        open_vae("lora", [tmp_path])


def test_loading_it_as_a_whole_model_says_which_node_takes_it(tmp_path: Path) -> None:
    write(tmp_path / "vae.safetensors", original.wan22(built("wan22")))
    with raises(InvalidFile):
        open_model("vae", [tmp_path])


def test_a_folder_of_a_class_that_is_no_vae_is_refused(tmp_path: Path) -> None:
    d.AutoencoderKLTemporalDecoder(block_out_channels=(32,)).save_pretrained(tmp_path / "vae")
    with raises(InvalidFile):
        open_vae("vae", [tmp_path])


def test_pickles_are_opened_where_they_are_allowed(tmp_path: Path) -> None:
    expected = built("hunyuan-image")
    torch.save({"state_dict": original.hunyuan_image(expected)}, tmp_path / "vae.ckpt")
    with pytest.raises(UnsafeFile):
        open_vae("vae.ckpt", [tmp_path])
    recipe = open_vae("vae.ckpt", [tmp_path], allow_pickle=True)
    assert_equal(load_component(recipe, "cpu"), expected)
