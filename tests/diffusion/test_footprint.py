"""The small footprint gives nearly the same results and leaves the shared modules as they are."""

from __future__ import annotations

import gc
from itertools import pairwise
from threading import Event, Thread
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import Latent
from nodegraph.diffusion import (
    Autoencoder,
    Denoiser,
    ModelRecipes,
    TextModel,
    decode_latent,
    encode_image,
    encode_prompt,
    estimate_bytes,
    load_component,
    move_component,
    open_model,
    sample,
    small_footprint,
)
from nodegraph.media.images.tiles import LEAST_TILE, OVERLAP, TILE, TileSize, spans, tiled
from nodegraph.models.attention import SlicedAttention
from nodegraph.models.offloading import offload_component
from nodegraph.residency import ResidencyManager
from tests.properties import examples

MEAN, MOST = 0.02, 0.1
"""How far a tiled image may be from the whole one, of 0..1: on average, and for 99 of 100 values.
The embedded autoencoder normalizes over few channels, so that tiles tell more than in large ones:
it gives 0.009 and 0.05."""


@pytest.fixture(scope="module")
def recipes() -> ModelRecipes:
    return open_model("tiny", [], digests=FileDigests())


@pytest.fixture(scope="module")
def autoencoder(recipes: ModelRecipes) -> Autoencoder:
    return load_component(recipes.vae, "cpu")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def denoiser(recipes: ModelRecipes) -> Denoiser:
    return load_component(recipes.model, "cpu")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def text_model(recipes: ModelRecipes) -> TextModel:
    return load_component(recipes.text_encoder, "cpu")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def latent(denoiser: Denoiser, text_model: TextModel) -> Latent:
    """Of an image of 256 x 256 pixels."""
    return sampled(denoiser, text_model, Latent(None, 256, 256), steps=4)


def sampled(denoiser: Denoiser, text_model: TextModel, latent: Latent, steps: int = 2) -> Latent:
    prompt = encode_prompt(text_model, "a red apple on a table")
    return sample(
        denoiser, prompt, None, latent,
        seed=1, steps=steps, cfg=4.0, sampler="dpmpp_2m", schedule="karras",
    )  # fmt: skip


def samples_of(latent: Latent) -> Tensor:
    assert latent.samples is not None
    return latent.samples


def assert_near(found: Tensor, expected: Tensor) -> None:
    apart = (found - expected).abs()
    assert apart.mean() < MEAN
    assert apart.flatten().quantile(0.99) < MOST


class Largest:
    """Hooks that note the largest input of a module's layers."""

    def __init__(self, module: nn.Module) -> None:
        self.elements = 0
        self._hooks = [layer.register_forward_pre_hook(self._note) for layer in module.modules()]

    def _note(self, _: nn.Module, given: tuple[Any, ...]) -> None:
        sizes = [item.numel() for item in given if isinstance(item, Tensor)]
        self.elements = max([self.elements, *sizes])

    def __enter__(self) -> Largest:
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


def test_a_tiled_picture_is_near_the_whole_one_and_takes_less(
    autoencoder: Autoencoder, latent: Latent
) -> None:
    with Largest(autoencoder.module.decoder) as whole:
        expected = decode_latent(autoencoder, latent)
    with small_footprint(autoencoder, "cpu") as small, Largest(small.module.decoder) as parts:
        found = decode_latent(small, latent)

    assert_near(found, expected)
    assert not torch.equal(found, expected)
    assert parts.elements < whole.elements / 2
    assert (found.dtype, found.shape, found.is_contiguous()) == (
        torch.float32,
        expected.shape,
        True,
    )


def test_a_picture_encoded_in_tiles_gives_nearly_the_same_latent(
    autoencoder: Autoencoder, latent: Latent
) -> None:
    image = decode_latent(autoencoder, latent)
    with small_footprint(autoencoder, "cpu") as small, Largest(small.module.encoder) as parts:
        found = samples_of(encode_image(small, image))
    with Largest(autoencoder.module.encoder) as whole:
        expected = samples_of(encode_image(autoencoder, image))

    assert found.shape == expected.shape
    assert float((found - expected).abs().mean()) < 0.1 * float(expected.std())
    assert parts.elements < whole.elements / 2


def test_a_small_picture_is_decoded_whole(autoencoder: Autoencoder) -> None:
    samples = torch.randn(2, autoencoder.module.config.latent_channels, 16, 12)
    latent = Latent(samples, 96, 128, 2, format="sd")
    with small_footprint(autoencoder, "cpu") as small:
        found = decode_latent(small, latent)

    torch.testing.assert_close(found, decode_latent(autoencoder, latent), rtol=0, atol=1e-6)


def test_a_denoiser_takes_one_item_at_a_time_and_gives_the_same(
    denoiser: Denoiser, text_model: TextModel
) -> None:
    empty = Latent(None, 64, 64, 2)
    expected = samples_of(sampled(denoiser, text_model, empty))
    with small_footprint(denoiser, "cpu") as small, Largest(denoiser.module) as parts:
        found = samples_of(sampled(small, text_model, empty))
    with Largest(denoiser.module) as whole:
        sampled(denoiser, text_model, empty)

    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert parts.elements * 4 == whole.elements  # two images, two prompts


def test_others_see_nothing_of_a_small_use(autoencoder: Autoencoder, latent: Latent) -> None:
    """While one thread is in the midst of a small use, another gets the usual bits."""
    expected = decode_latent(autoencoder, latent)
    inside, go_on = Event(), Event()
    small_pictures: list[Tensor] = []

    def small_user() -> None:
        with small_footprint(autoencoder, "cpu") as small:
            inside.set()
            assert go_on.wait(120)
            small_pictures.append(decode_latent(small, latent))

    thread = Thread(target=small_user)
    thread.start()
    assert inside.wait(120)
    during = decode_latent(autoencoder, latent)
    go_on.set()
    thread.join(120)

    assert torch.equal(during, expected)
    assert torch.equal(decode_latent(autoencoder, latent), expected)
    assert not torch.equal(small_pictures[0], expected)


def test_a_manager_gives_small_components(
    recipes: ModelRecipes, autoencoder: Autoencoder, latent: Latent
) -> None:
    manager = ResidencyManager(load_component, move=move_component, lean=offload_component)

    with manager.use(recipes.vae, "cpu", "small") as small:
        assert_near(decode_latent(small, latent), decode_latent(autoencoder, latent))
    with manager.use(recipes.vae, "cpu") as full:
        assert torch.equal(decode_latent(full, latent), decode_latent(autoencoder, latent))


def test_moving_a_component_moves_its_modules(recipes: ModelRecipes) -> None:
    component = load_component(recipes.vae, "cpu")

    assert move_component(component, "meta") is component
    assert {weight.device.type for weight in component.module.parameters()} == {"meta"}


def test_what_is_no_known_component_stays_as_it_is() -> None:
    module = nn.Linear(2, 2)
    with small_footprint(module, "meta") as small:
        assert small is module


@given(
    queries=st.integers(1, 40),
    keys=st.integers(1, 40),
    scores=st.integers(1, 500),
    mask=st.sampled_from(["none", "one row", "all rows", "causal"]),
)
@settings(max_examples=examples(60), deadline=None)
def test_attention_in_slices_is_attention(queries: int, keys: int, scores: int, mask: str) -> None:
    generator = torch.Generator().manual_seed(queries * 41 + keys)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    query, key, value = drawn(2, 3, queries, 8), drawn(2, 3, keys, 8), drawn(2, 3, keys, 8)
    rows = {"one row": 1, "all rows": queries}.get(mask)
    options: dict[str, Any] = {
        "attn_mask": None if rows is None else drawn(2, 1, rows, keys),
        "is_causal": mask == "causal",
    }

    expected = scaled_dot_product_attention(query, key, value, **options)
    with SlicedAttention(scores):
        found = scaled_dot_product_attention(query, key, value, **options)

    torch.testing.assert_close(found, expected)


@given(length=st.integers(1, 400))
def test_tiles_cover_a_side_and_overlap(length: int) -> None:
    tiles = spans(length)

    assert (tiles[0].start, tiles[-1].end) == (0, length)
    assert all(tile.end - tile.start <= TILE for tile in tiles)
    assert len({tile.end - tile.start for tile in tiles}) == 1
    assert (len(tiles) == 1) == (length <= LEAST_TILE)
    for tile, following in pairwise(tiles):
        assert tile.start < following.start <= tile.end - OVERLAP


@given(length=st.integers(1, 400), side=st.integers(1, 64), data=st.data())
def test_tiles_of_a_size_cover_a_side_and_overlap(
    length: int, side: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, side // 2))
    tiles = TileSize(side, overlap).spans(length)

    assert (tiles[0].start, tiles[-1].end) == (0, length)
    assert {tile.end - tile.start for tile in tiles} == {min(side, length)}
    for tile, following in pairwise(tiles):
        assert tile.start < following.start <= tile.end - overlap


@given(height=st.integers(1, 80), width=st.integers(1, 80), factor=st.sampled_from([1, 4]))
@settings(max_examples=examples(30), deadline=None)
def test_tiles_of_local_work_make_up_the_whole(height: int, width: int, factor: int) -> None:
    latent = torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(height))

    def enlarge(part: Tensor) -> Tensor:
        return part.repeat_interleave(factor, -1).repeat_interleave(factor, -2)

    whole = enlarge(latent)
    torch.testing.assert_close(tiled(latent, enlarge, cells=1, out=factor), whole)
    shrunk = tiled(whole, lambda part: part[..., ::factor, ::factor], cells=factor, out=1)
    torch.testing.assert_close(shrunk, latent)
    for tiles in (TileSize(16, 0), TileSize(16, 8)):
        found = tiled(latent, enlarge, cells=1, out=factor, tiles=tiles)
        torch.testing.assert_close(found, whole)


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
class TestCuda:
    """Weights move between host and device, real or pretend, and small uses leave little there."""

    def manager(self, **budgets: int) -> ResidencyManager:
        return ResidencyManager(
            load_component,
            {"cuda:0": budgets.get("device", 2**34), "host": budgets.get("host", 2**34)},
            estimate=estimate_bytes,
            move=move_component,
            lean=offload_component,
        )

    def test_what_has_no_room_goes_to_the_host_and_comes_back(self, recipes: ModelRecipes) -> None:
        manager = self.manager(device=2**24)
        found = []
        for recipe in (recipes.model, recipes.vae, recipes.text_encoder) * 2:
            with manager.use(recipe, "cuda:0") as component:
                found.append(component.family)
        places = {item.recipe: item.device for item in manager.resident()}
        assert len(found) == 6
        assert set(places.values()) <= {"cpu", "cuda:0"}
        assert "cpu" in places.values()
        assert sum(x.bytes for x in manager.resident() if x.device == "cuda:0") <= 2**24

    @pytest.mark.slow
    def test_relieving_frees_the_device(self, recipes: ModelRecipes) -> None:
        manager = self.manager()
        gc.collect()  # else what earlier tests left goes meanwhile, and it is less than before
        before = torch.cuda.memory_allocated(0)
        with manager.use(recipes.model, "cuda:0"):
            during = torch.cuda.memory_allocated(0)
        assert during - before >= estimate_bytes(recipes.model)
        assert manager.relieve("cuda:0") >= estimate_bytes(recipes.model)
        assert torch.cuda.memory_allocated(0) == before

    def test_a_small_use_computes_on_the_device_and_leaves_the_weights_away(
        self, recipes: ModelRecipes, latent: Latent
    ) -> None:
        manager = self.manager()
        with manager.use(recipes.vae, "cuda:0") as full, manager.measuring("cuda:0") as whole:
            expected = decode_latent(full, latent)
        manager.relieve("cuda:0")
        before = torch.cuda.memory_allocated(0)
        with (
            manager.use(recipes.vae, "cuda:0", "small") as small,
            manager.measuring("cuda:0") as parts,
        ):
            assert small.module.device.type == "cuda"
            found = decode_latent(small, latent)
        assert_near(found, expected)
        assert torch.cuda.memory_allocated(0) == before
        assert parts.bytes is not None
        assert whole.bytes is not None
        assert parts.bytes < whole.bytes

    @pytest.mark.slow
    def test_sampling_at_a_small_footprint_gives_nearly_the_same(
        self, recipes: ModelRecipes, text_model: TextModel
    ) -> None:
        manager = self.manager()
        empty = Latent(None, 64, 64)
        with manager.use(recipes.model, "cuda:0") as full:
            expected = samples_of(sampled(full, text_model, empty))
        with manager.use(recipes.model, "cuda:0", "small") as small:
            found = samples_of(sampled(small, text_model, empty))
        torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)

    def test_an_out_of_memory_error_is_known_and_explained(self) -> None:
        manager = self.manager()
        with pytest.raises(torch.OutOfMemoryError) as raised:
            torch.empty(2**50, dtype=torch.uint8, device="cuda:0")
        assert manager.is_out_of_memory(raised.value)
        said = str(manager.explain(raised.value, "cuda:0"))
        assert "out of memory on cuda:0" in said
        assert "GB are free" in said
