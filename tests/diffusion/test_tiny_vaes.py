"""Tiny autoencoders: TAESD and its relatives, in whatever files they come, in a VAE's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph import Latent
from nodegraph.diffusion import (
    decode_latent,
    encode_image,
    estimate_bytes,
    load_component,
    open_model,
)
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.models.loading import load_compact
from nodegraph.models.vae_files import open_vae, vae_format, vae_stamp
from nodegraph.residency import component_bytes
from tests.diffusion import vae_export as original
from tests.messages import raises


def tiny(channels: int = 4) -> Any:
    """As published but for the width."""
    torch.manual_seed(0)
    vae = AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        latent_channels=channels,
    )
    return vae.eval().requires_grad_(False)


def write_halves(folder: Path, vae: Any, name: str = "taesd") -> None:
    encoder, decoder = original.taesd(vae)
    save_file(encoder, folder / f"{name}_encoder.safetensors")
    save_file(decoder, folder / f"{name}_decoder.safetensors")


def write_joined(folder: Path, vae: Any) -> None:
    encoder, decoder = original.taesd(vae)
    joined = {f"taesd_encoder.{name}": item for name, item in encoder.items()}
    joined |= {f"taesd_decoder.{name}": item for name, item in decoder.items()}
    save_file(joined, folder / "taesd.safetensors")


def write_named(folder: Path, vae: Any) -> None:
    save_file(vae.state_dict(), folder / "taesd.safetensors")


def write_folder(folder: Path, vae: Any) -> None:
    vae.save_pretrained(folder / "taesd")


def convolution(taken: int, made: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(taken, made, 3, padding=1, **options)


class Residual(nn.Module):
    """A block of TAESD."""

    def __init__(self, *, pooled: bool = False) -> None:
        super().__init__()
        layers = [layer for _ in range(3) for layer in (convolution(64, 64), nn.ReLU())]
        self.conv = nn.Sequential(*layers[:-1])
        if pooled:
            self.pool = nn.Sequential(
                nn.Conv2d(64, 256, 1, bias=False),
                nn.GroupNorm(4, 256),
                nn.ReLU(),
                nn.Conv2d(256, 64, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.conv(x) + x
        return added.relu()


class Bounded(nn.Module):
    """Limits latents to -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        return (x / 3).tanh() * 3


def published(channels: int, *, pooled: bool = False) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder as in ``taesd.py`` of https://github.com/madebyollin/taesd.

    Args:
        pooled: As of Flux.2's, whose blocks next to the latent have another branch.
    """
    torch.manual_seed(0)
    encoder, decoder = [convolution(3, 64), Residual()], [Bounded(), convolution(channels, 64)]
    decoder.append(nn.ReLU())
    for level in range(3):
        is_last = pooled and level == 2
        encoder += [convolution(64, 64, stride=2, bias=False)]
        encoder += [Residual(pooled=is_last) for _ in range(3)]
        decoder += [Residual(pooled=pooled and level == 0) for _ in range(3)]
        decoder += [nn.Upsample(scale_factor=2), convolution(64, 64, bias=False)]
    encoder.append(convolution(64, channels))
    decoder += [Residual(), convolution(64, 3)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


def write_published(folder: Path, name: str, halves: tuple[nn.Module, nn.Module]) -> None:
    for half, module in zip(("encoder", "decoder"), halves, strict=True):
        save_file(module.state_dict(), folder / f"{name}_{half}.safetensors")


PUBLISHED = {
    "taesd": ("sd", 4),
    "taesdxl": ("sdxl", 4),
    "taesd3": ("sd3", 16),
    "taef1": ("flux", 16),
}


@torch.no_grad()
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_halves_compute_what_their_makers_code_does(name: str, tmp_path: Path) -> None:
    """The weights are those of `AutoencoderTiny`, and the halves equal plain layers.

    diffusers scales pixels to -1..1 between, which rounds.
    """
    latents, channels = PUBLISHED[name]
    encoder, decoder = published(channels)
    write_published(tmp_path, name, (encoder, decoder))
    vae: Any = load_component(open_vae(f"{name}_decoder", [tmp_path], latents=latents), "cpu")
    stock = AutoencoderTiny(latent_channels=channels).eval()
    own = [*encoder.state_dict().values(), *decoder.state_dict().values()]
    stock.load_state_dict(dict(zip(stock.state_dict(), own, strict=True)))
    found = vae.module.state_dict()
    assert found.keys() == stock.state_dict().keys()
    assert all(torch.equal(found[key], item) for key, item in stock.state_dict().items())
    latent = torch.randn(1, channels, 4, 6)
    pictures = decode_latent(vae, Latent(latent, 48, 32, 1, format=latents))
    scaled = stock.decode(latent).sample / 2 + 0.5
    assert torch.equal(pictures, scaled.clamp(0, 1).permute(0, 2, 3, 1))
    plain = decoder(latent).clamp(0, 1).permute(0, 2, 3, 1)
    torch.testing.assert_close(pictures, plain, rtol=0, atol=1e-6)
    encoded = encode_image(vae, pictures).samples
    pixels = pictures.permute(0, 3, 1, 2)
    torch.testing.assert_close(encoded, encoder(pixels.contiguous()), rtol=0, atol=1e-5)


def test_those_with_other_networks_are_named(tmp_path: Path) -> None:
    write_published(tmp_path, "taef2", published(32, pooled=True))
    video = {"decoder.1.weight": (64, 16, 3, 3), "decoder.22.bias": (3,)}
    for name in ("taew2_1", "lighttaew2_1"):
        tensors = {key: torch.zeros(shape) for key, shape in video.items()}
        save_file(tensors, tmp_path / f"{name}.safetensors")
    for name, title in (
        ("taef2_decoder", "TAEF2"),
        ("taew2_1", "TAEHV"),
        ("lighttaew2_1", "TAEHV"),
    ):
        with raises(InvalidFile) as error:
            open_vae(name, [tmp_path])
        assert title in str(error.value)


WAYS = {
    "decoder": (write_halves, "taesd_decoder"),
    "encoder": (write_halves, "taesd_encoder.safetensors"),
    "joined": (write_joined, "taesd"),
    "diffusers": (write_named, "taesd"),
    "folder": (write_folder, "taesd"),
}


@pytest.mark.parametrize(
    ("latents", "channels"), [("sd", 4), ("sdxl", 4), ("sd3", 16), ("flux", 16)]
)
@pytest.mark.parametrize("way", WAYS)
def test_it_is_a_vae_like_others(way: str, latents: str, channels: int, tmp_path: Path) -> None:
    stock = tiny(channels)
    write_out, name = WAYS[way]
    write_out(tmp_path, stock)
    recipe = open_vae(name, [tmp_path], latents=latents)
    vae: Any = load_component(recipe, "cpu")
    latent = torch.randn(2, channels, 4, 6)
    wanted = torch.cat([stock.decode(item[None]).sample for item in latent])
    pictures = decode_latent(vae, Latent(latent, 48, 32, 2, format=latents))
    assert torch.equal(pictures, ((wanted * 0.5 + 0.5).clamp(0, 1)).permute(0, 2, 3, 1))
    found = encode_image(vae, pictures).samples
    scaled = (pictures.permute(0, 3, 1, 2) * 2 - 1).contiguous()
    assert found is not None
    assert torch.equal(found, torch.cat([stock.encode(item[None]).latents for item in scaled]))
    assert estimate_bytes(recipe) == component_bytes(vae)


def test_float16_does_for_it_where_the_whole_one_overflows(tmp_path: Path) -> None:
    write_halves(tmp_path, tiny())
    assert open_vae("taesd_decoder", [tmp_path], latents="sdxl", dtype="float16").dtype == "float16"


def test_weights_that_stay_in_half_precision_decode_alike(tmp_path: Path) -> None:
    write_named(tmp_path, tiny().half())
    recipe = open_vae("taesd", [tmp_path], latents="sd")
    latent = Latent(torch.randn(1, 4, 4, 4), 32, 32, 1, format="sd")
    usual, compact = load_component(recipe, "cpu"), load_compact(recipe)
    assert torch.equal(decode_latent(compact, latent), decode_latent(usual, latent))  # type: ignore[arg-type]
    assert component_bytes(compact) < 0.6 * component_bytes(usual)


def test_its_format_is_for_the_user_to_say(tmp_path: Path) -> None:
    write_halves(tmp_path, tiny())
    with raises(InvalidValue, port="latents", given="auto"):
        vae_format("taesd_decoder", [tmp_path])
    with raises(InvalidValue, port="latents", given="flux"):
        vae_format("taesd_decoder", [tmp_path], latents="flux")


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_a_half_without_the_other_is_told(half: str, tmp_path: Path) -> None:
    write_halves(tmp_path, tiny())
    other = "decoder" if half == "encoder" else "encoder"
    (tmp_path / f"taesd_{other}.safetensors").unlink()
    with raises(InvalidFile) as error:
        open_vae(f"taesd_{half}", [tmp_path], latents="sd")
    assert error.value.problem.expected == f"taesd_{other}.safetensors in the same folder"


def test_a_half_whose_name_says_nothing_is_told(tmp_path: Path) -> None:
    save_file(original.taesd(tiny())[1], tmp_path / "fast.safetensors")
    with raises(InvalidFile):
        open_vae("fast", [tmp_path], latents="sd")


def test_loading_a_half_as_a_whole_model_says_which_node_takes_it(tmp_path: Path) -> None:
    write_halves(tmp_path, tiny())
    with raises(InvalidFile):
        open_model("taesd_decoder", [tmp_path])


def test_its_stamp_changes_with_either_half(tmp_path: Path) -> None:
    write_halves(tmp_path, tiny())
    before = vae_stamp("taesd_decoder", [tmp_path])
    save_file(original.taesd(tiny())[0], tmp_path / "taesd_encoder.safetensors", {"new": "yes"})
    assert vae_stamp("taesd_decoder", [tmp_path]) != before


def test_halves_that_do_not_belong_together_are_told(tmp_path: Path) -> None:
    write_halves(tmp_path, tiny())
    save_file(original.taesd(tiny(16))[0], tmp_path / "taesd_encoder.safetensors")
    with raises(InvalidFile):
        load_component(open_vae("taesd_decoder", [tmp_path], latents="sd"), "cpu")
