"""Images to latents and back: the stock pipeline's bits, and clear refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.components import Autoencoder
from nodegraph.media.images import memory_checks as room
from nodegraph.media.images.memory_checks import ImageTooLarge
from nodegraph.models.loading import load_component
from nodegraph.models.model_recipes import open_model
from nodegraph.models.vae import decode_latent, encode_image
from tests.messages import raises


@pytest.fixture(scope="module")
def autoencoder(sd1_folder: Path) -> Autoencoder:
    recipe = open_model(str(sd1_folder), [], digests=FileDigests()).vae
    component = load_component(recipe, "cpu")
    assert isinstance(component, Autoencoder)
    return component


def latent_of(samples: Tensor) -> Latent:
    batch, _, height, width = samples.shape
    return Latent(samples, width * 8, height * 8, batch, format="sd")


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (1, 4, 5, 9)])
def test_decoding_gives_the_pipelines_bits(
    autoencoder: Autoencoder, sd1_pipeline: StableDiffusionPipeline, shape: tuple[int, ...]
) -> None:
    samples = torch.randn(shape, generator=torch.Generator().manual_seed(1))

    found = decode_latent(autoencoder, latent_of(samples))

    assert torch.equal(found, _pipeline_decode(sd1_pipeline, samples))
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert not found.requires_grad


def test_a_picture_does_not_depend_on_its_batch(
    autoencoder: Autoencoder, sd1_pipeline: StableDiffusionPipeline
) -> None:
    samples = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(2))

    together = decode_latent(autoencoder, latent_of(samples))

    for index in range(3):
        alone = decode_latent(autoencoder, latent_of(samples[index : index + 1]))
        assert torch.equal(together[index], alone[0])
    # The pipeline decodes the batch at once, where sums are taken in another order.
    expected = _pipeline_decode(sd1_pipeline, samples)
    torch.testing.assert_close(together, expected, rtol=0, atol=1e-5)


def test_encoding_takes_the_mode_scaled(autoencoder: Autoencoder) -> None:
    image = torch.rand(2, 32, 48, 3, generator=torch.Generator().manual_seed(3))

    latent = encode_image(autoencoder, image)

    with torch.no_grad():
        pixels = (image[:1].movedim(-1, 1) * 2 - 1).contiguous()
        posterior = autoencoder.module.encode(pixels).latent_dist
    assert latent.samples is not None
    assert torch.equal(latent.samples[:1], posterior.mean * 0.18215)
    assert latent.samples.shape == (2, 4, 4, 6)
    assert (latent.width, latent.height, latent.batch_size, latent.format) == (48, 32, 2, "sd")
    # The same image, laid out in memory in another way.
    strided = image.movedim(-1, 1).contiguous().movedim(1, -1)
    assert torch.equal(encode_image(autoencoder, strided).samples, latent.samples)


def test_a_shifted_vae_is_shifted_both_ways(autoencoder: Autoencoder) -> None:
    image = torch.rand(1, 16, 16, 3)
    plain = encode_image(autoencoder, image)
    decoded = decode_latent(autoencoder, plain)
    autoencoder.module.register_to_config(shift_factor=0.1)
    try:
        shifted = encode_image(autoencoder, image)
        assert shifted.samples is not None
        assert plain.samples is not None
        torch.testing.assert_close(shifted.samples, plain.samples - 0.1 * 0.18215)
        torch.testing.assert_close(decode_latent(autoencoder, shifted), decoded, rtol=0, atol=1e-5)
    finally:
        autoencoder.module.register_to_config(shift_factor=None)


@pytest.mark.parametrize(
    ("width", "height", "nearest"),
    [(65, 64, "64 x 64"), (3, 12, "8 x 8"), (70, 31, "72 x 32"), (60, 8, "56 x 8")],
)
def test_sizes_that_do_not_fit_are_refused_with_the_nearest(
    autoencoder: Autoencoder, width: int, height: int, nearest: str
) -> None:
    with raises(InvalidValue, port="image"):
        encode_image(autoencoder, torch.zeros(1, height, width, 3))


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 8, 8, 4), (0, 8, 8, 3), (1, 3, 8, 8)])
def test_what_is_no_picture_is_refused(autoencoder: Autoencoder, shape: tuple[int, ...]) -> None:
    with raises(InvalidValue, port="image"):
        encode_image(autoencoder, torch.zeros(shape))


def test_grey_pictures_are_encoded_as_coloured_ones(autoencoder: Autoencoder) -> None:
    grey = torch.rand(2, 8, 16, 1, generator=torch.Generator().manual_seed(0))
    samples = encode_image(autoencoder, grey).samples
    expected = encode_image(autoencoder, grey.repeat(1, 1, 1, 3)).samples
    assert samples is not None
    assert expected is not None
    assert torch.equal(samples, expected)


def test_an_empty_latent_is_to_be_sampled_first(autoencoder: Autoencoder) -> None:
    with raises(InvalidValue):
        decode_latent(autoencoder, Latent(None, 64, 64))


def test_another_format_is_refused(autoencoder: Autoencoder) -> None:
    latent = replace(latent_of(torch.zeros(1, 4, 8, 8)), format="sdxl")

    with raises(InvalidValue, given="a latent of format sdxl"):
        decode_latent(autoencoder, latent)


def test_another_number_of_channels_is_refused(autoencoder: Autoencoder) -> None:
    with raises(InvalidValue, given="shape (1, 16, 8, 8)"):
        decode_latent(autoencoder, latent_of(torch.zeros(1, 16, 8, 8)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_told(autoencoder: Autoencoder, value: float) -> None:
    with raises(NumericalError, port="latent"):
        decode_latent(autoencoder, latent_of(torch.full((1, 4, 8, 8), value)))
    with raises(NumericalError, port="image") as caught:
        encode_image(autoencoder, torch.full((1, 8, 8, 3), value))
    # The model and its cfg have no part in that.
    assert (caught.value.problem.port, caught.value.problem.hint) == ("image", None)


@pytest.mark.parametrize("shape", [(1, 8, 8, 4), (1, 9, 8, 3)])
def test_a_picture_that_no_vae_takes_is_told_by_its_port(
    autoencoder: Autoencoder, shape: tuple[int, ...]
) -> None:
    with raises(InvalidValue, port="image"):
        encode_image(autoencoder, torch.zeros(shape))


def test_half_precision_that_overflows_is_told(sd1_folder: Path) -> None:
    recipe = open_model(str(sd1_folder), [], dtype="float16", digests=FileDigests()).vae
    halved = load_component(recipe, "cpu")

    with raises(NumericalError):
        decode_latent(halved, latent_of(torch.full((1, 4, 8, 8), 1e9)))


def _pipeline_decode(pipeline: StableDiffusionPipeline, samples: Tensor) -> Tensor:
    scale = pipeline.vae.config.scaling_factor
    with torch.no_grad():
        decoded = pipeline.vae.decode(samples / scale, return_dict=False)[0]
    return torch.from_numpy(pipeline.image_processor.postprocess(decoded, output_type="np"))


def test_what_only_fits_in_tiles_is_begun_only_in_tiles(
    autoencoder: Autoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the system has no memory left, so that whoever runs it takes tiles."""
    latent, image = latent_of(torch.randn(1, 4, 8, 8)), torch.rand(1, 64, 64, 3)
    tiles = replace(autoencoder, tiled=True)
    monkeypatch.setattr(room, "total_memory", lambda: 64 * 64 * 64)
    with pytest.raises(MemoryError, match="64 x 64 pixels"):
        decode_latent(autoencoder, latent)
    with pytest.raises(MemoryError, match="64 x 64 pixels"):
        encode_image(autoencoder, image)
    assert decode_latent(tiles, latent).shape == (1, 64, 64, 3)
    assert encode_image(tiles, image).batch_size == 1
    monkeypatch.setattr(room, "total_memory", lambda: 64 * 64 * 16)
    with raises(ImageTooLarge, port="latent", given="64 x 64 pixels: about 98.3 kB"):
        decode_latent(tiles, latent)
    with raises(ImageTooLarge, port="image", given="64 x 64 pixels: about 98.3 kB"):
        encode_image(tiles, image)
