"""Previews: what they show, where their decoder comes from, and that they disturb nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph import Latent, Preview
from nodegraph.core.values import DiffusionModel, Recipe, RecipeFile
from nodegraph.diffusion import decode_latent, encode_prompt, load_component, open_model
from nodegraph.errors import ModelNotFound
from nodegraph.families.cosmos import COSMOS_LATENTS
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.families.latent_formats import FLUX, SD, SD3, SDXL, LatentFormat
from nodegraph.families.ltx import LTX_LATENTS
from nodegraph.families.mochi import MOCHI_LATENTS
from nodegraph.families.registry import FAMILIES
from nodegraph.families.wan_vae import WAN, WAN22
from nodegraph.models.loading import estimate_bytes
from nodegraph.models.vae_files import PreviewDecoder
from nodegraph.residency import ResidencyManager, component_bytes
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.previews import LONGEST, Previews, map_colours
from tests.diffusion.conftest import write_json
from tests.diffusion.vae_export import taesd


class Asking:
    """A node's context as far as previews need one."""

    def __init__(self, *models: Path) -> None:
        self.environment = SimpleNamespace(models=models)
        self.loaded: list[Recipe] = []
        self.logged: list[str] = []
        self._weights = ResidencyManager(self._load, estimate=estimate_bytes)

    def weights(self, recipe: Recipe, *, calls_only: bool = False) -> AbstractContextManager[Any]:
        return self._weights.use(recipe, "cpu")

    def log(self, message: str, level: str = "info", *, about: str = "result") -> None:
        self.logged.append(f"{level}: {message}")

    def _load(self, recipe: Recipe, device: str) -> Any:
        self.loaded.append(recipe)
        return load_component(recipe, device)


@pytest.fixture
def ctx() -> Asking:
    return Asking()


@pytest.fixture
def model(sd1_folder: Path, tmp_path: Path) -> DiffusionModel:
    """Of a copy of the tiny random model, to put a decoder beside."""
    folder = tmp_path / "model"
    shutil.copytree(sd1_folder, folder)
    return open_model(str(folder), ()).model


@pytest.fixture(scope="module")
def embedded() -> DiffusionModel:
    return open_model("tiny", ()).model


def folder_of(model: DiffusionModel) -> Path:
    """Where the UNet's folder lies."""
    return Path(model.source).parent


def bring_decoder(model: DiffusionModel, **changes: Any) -> Path:
    """Put a random decoder beside a model's UNet."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "encoder_block_out_channels": (8,) * 4,
        "decoder_block_out_channels": (8,) * 4,
        "num_encoder_blocks": (1,) * 4,
        "num_decoder_blocks": (1,) * 4,
    }
    place = folder_of(model) / "preview_decoder"
    AutoencoderTiny(**sizes | changes).save_pretrained(place)
    return place


def previews(ctx: Asking, model: DiffusionModel) -> Previews:
    return Previews(ctx, model)  # type: ignore[arg-type]


def shown(ctx: Asking, model: DiffusionModel, latents: Tensor) -> Preview | None:
    return previews(ctx, model).of(latents)()


def pixels(preview: Preview | None) -> np.ndarray[Any, np.dtype[np.float32]]:
    """In 0..1, shape (height, width, 3)."""
    assert preview is not None
    assert preview.mime == "image/jpeg"
    with Image.open(BytesIO(preview.data)) as image:
        return np.asarray(image.convert("RGB")).astype(np.float32) / np.float32(255)


def psnr(one: Any, other: Any) -> float:
    error = np.mean((np.asarray(one) - np.asarray(other)) ** 2)
    return float(-10 * np.log10(max(error, 1e-12)))


def latents(channels: int = 4, height: int = 8, width: int = 8, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(batch, channels, height, width, generator=generator)


def test_the_embedded_models_previews_become_its_picture(
    ctx: Asking, embedded: DiffusionModel
) -> None:
    recipes = open_model("tiny", ())
    conditioning = encode_prompt(load_component(recipes.text_encoder, "cpu"), "a red apple")  # type: ignore[arg-type]
    denoising = Denoising.named(
        load_component(recipes.model, "cpu"),  # type: ignore[arg-type]
        conditioning,
        None,
        Latent(None, 128, 128),
        seed=3,
        steps=10,
        cfg=4.0,
        sampler="dpmpp_2m",
        schedule="karras",
    )
    making = previews(ctx, embedded)
    pictures = [pixels(making.of(info.denoised)()) for info in denoising]
    final = decode_latent(load_component(recipes.vae, "cpu"), denoising.result())[0]  # type: ignore[arg-type]

    near = [psnr(picture, final) for picture in pictures]
    assert min(near[-2:]) > 24
    assert near[0] < near[4] < near[-1]
    assert [type(recipe) for recipe in ctx.loaded] == [PreviewDecoder]
    assert ctx.logged == []


@pytest.mark.parametrize("channel", range(4))
def test_without_a_decoder_the_familys_map_gives_the_colours(
    ctx: Asking, model: DiffusionModel, channel: int
) -> None:
    given = torch.zeros(1, 4, 8, 8)
    given[:, channel] = 0.5
    found = pixels(shown(ctx, model, given))
    assert found.shape == (64, 64, 3)
    wanted = (0.5 * np.array(SD.rgb[channel]) + 1) / 2
    np.testing.assert_allclose(found.mean((0, 1)), wanted, atol=0.02)
    assert ctx.logged == []


def test_of_a_video_the_frame_in_the_middle_is_shown(ctx: Asking, model: DiffusionModel) -> None:
    given = torch.zeros(1, 16, 3, 8, 8)
    given[:, :, 1, :, :4] = 0.5
    found = pixels(shown(ctx, replace(model, family="wan"), given))
    assert WAN.rgb is not None
    grey = (np.array(WAN.rgb_bias) + 1) / 2
    half = 0.5 * np.array(WAN.rgb).sum(0) / 2
    np.testing.assert_allclose(found[:, 48:].mean((0, 1)), grey, atol=0.02)
    np.testing.assert_allclose(found[:, :16].mean((0, 1)), grey + half, atol=0.02)


def test_a_decoder_beside_the_unet_is_used_and_kept(ctx: Asking, model: DiffusionModel) -> None:
    bring_decoder(model)
    stock = AutoencoderTiny.from_pretrained(folder_of(model) / "preview_decoder").eval()
    given = latents()
    first, second = previews(ctx, model), previews(ctx, model)
    found = [pixels(made.of(given)()) for made in (first, first, second)]
    with torch.no_grad():
        wanted = stock.decode(given).sample[0].permute(1, 2, 0).clamp(-1, 1) / 2 + 0.5
    assert psnr(found[0], wanted) > 25
    assert len(ctx.loaded) == 1


def test_nothing_is_shown_of_latents_that_nobody_knows(ctx: Asking, model: DiffusionModel) -> None:
    assert shown(ctx, model, latents(channels=16)) is None
    assert shown(ctx, replace(model, family="other"), latents()) is None


def cut(place: Path) -> None:
    file = place / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def pickled(place: Path) -> None:
    (place / "diffusion_pytorch_model.safetensors").rename(place / "diffusion_pytorch_model.bin")


def without_weights(place: Path) -> None:
    (place / "diffusion_pytorch_model.safetensors").unlink()


def without_config(place: Path) -> None:
    (place / "config.json").unlink()


def configured(**changes: Any) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        config = json.loads((place / "config.json").read_text())
        write_json(place / "config.json", config | changes)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        pickled,
        without_weights,
        without_config,
        configured(num_decoder_blocks=[2, 1, 1, 1]),
        configured(act_fn="none"),
        configured(decoder_block_out_channels="many"),
        configured(scaling_factor="much"),
    ],
)
def test_a_damaged_decoder_is_told_of_once_and_done_without(
    ctx: Asking, model: DiffusionModel, damage: Callable[[Path], None]
) -> None:
    plain = shown(ctx, model, latents())
    damage(bring_decoder(model))
    making = previews(ctx, model)
    assert [making.of(latents())() for _ in range(3)] == [plain] * 3
    (told,) = ctx.logged
    assert told.startswith("warning: previews do not use the model's own decoder: ")


def test_a_decoder_for_other_latents_is_done_without(ctx: Asking, model: DiffusionModel) -> None:
    bring_decoder(model, latent_channels=8)
    assert shown(ctx, model, latents()) is not None
    (told,) = ctx.logged
    assert "latents of 8 channels, the model's have 4" in told


def test_memory_that_runs_out_costs_the_decoder_only(
    ctx: Asking, model: DiffusionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = shown(ctx, model, latents())
    bring_decoder(model)

    def decode(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(AutoencoderTiny, "decode", decode)
    assert shown(ctx, model, latents()) == plain
    assert "out of memory" in ctx.logged[0]


@pytest.mark.parametrize(
    ("batch", "size"), [(1, (64, 96)), (2, (64, 192)), (3, (128, 192)), (4, (128, 192))]
)
@pytest.mark.parametrize("is_brought", [False, True])
def test_of_a_batch_the_first_four_are_shown_in_a_grid(
    ctx: Asking, model: DiffusionModel, batch: int, size: tuple[int, int], is_brought: bool
) -> None:
    if is_brought:
        bring_decoder(model)
    given = latents(height=8, width=12, batch=batch)
    found = pixels(shown(ctx, model, given))
    assert found.shape == (*size, 3)
    alone = pixels(shown(ctx, model, given[:1]))
    assert psnr(found[:64, :96], alone) > 30


def test_more_than_four_are_left_out(ctx: Asking, model: DiffusionModel) -> None:
    many = latents(batch=9)
    assert shown(ctx, model, many) == shown(ctx, model, many[:4])


@pytest.mark.parametrize("side", [1, 33, 200, 300])
@pytest.mark.parametrize("is_brought", [False, True])
def test_no_preview_is_larger_than_agreed(
    ctx: Asking, model: DiffusionModel, side: int, is_brought: bool
) -> None:
    if is_brought:
        bring_decoder(model)
    height, width, _ = pixels(shown(ctx, model, latents(height=1, width=side))).shape
    assert width == min(LONGEST, 8 * side)
    assert height <= 8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e30])
def test_numbers_beyond_all_bounds_are_shown_somehow(
    ctx: Asking, model: DiffusionModel, value: float
) -> None:
    bring_decoder(model)
    assert shown(ctx, model, torch.full((1, 4, 8, 8), value)) is not None


def test_neither_latents_nor_random_numbers_are_touched(ctx: Asking, model: DiffusionModel) -> None:
    bring_decoder(model)
    given = latents()
    before, state = given.clone(), torch.get_rng_state()
    shown(ctx, model, given)
    shown(ctx, replace(model, family="other"), given)
    assert torch.equal(given, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_it_computes_as_the_model_does(ctx: Asking, model: DiffusionModel, dtype: str) -> None:
    bring_decoder(model)
    recipe = PreviewDecoder.of(replace(model, dtype=dtype))
    loaded: Any = load_component(recipe, "cpu")
    assert loaded.module.dtype == getattr(torch, dtype)
    assert estimate_bytes(recipe) == sum(item.nbytes for item in loaded.module.parameters())
    low = shown(ctx, replace(model, dtype=dtype), latents().to(getattr(torch, dtype)))
    assert psnr(pixels(low), pixels(shown(ctx, model, latents()))) > 25


def test_a_model_without_one_says_so(model: DiffusionModel, tmp_path: Path) -> None:
    single = replace(
        model, files=(RecipeFile("checkpoint", str(tmp_path / "model.safetensors"), ""),)
    )
    for recipe in map(PreviewDecoder.of, (model, single)):
        with pytest.raises(ModelNotFound):
            load_component(recipe, "cpu")
        with pytest.raises(ModelNotFound):
            estimate_bytes(recipe)


def users_decoder(channels: int = 4) -> AutoencoderTiny:
    """A random one of the published architecture, but for its width."""
    torch.manual_seed(1)
    sizes: dict[str, Any] = {
        f"{half}_block_out_channels": (8,) * 4 for half in ("encoder", "decoder")
    }
    return AutoencoderTiny(latent_channels=channels, **sizes).eval().requires_grad_(False)


def put(vae: AutoencoderTiny, path: Path, kind: str = "original") -> Path:
    """A decoder alone in the original names, both halves in one file, or diffusers' folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        vae.save_pretrained(path)
    else:
        tensors = taesd(vae)[1] if kind == "original" else vae.state_dict()
        save_file(tensors, path)
    return path


def decoded_by(vae: AutoencoderTiny, given: Tensor) -> Any:
    return vae.decode(given).sample[0].permute(1, 2, 0).clamp(-1, 1) / 2 + 0.5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vae_approx/taesd_decoder.safetensors", "original"),
        ("somewhere/else/TAESD.safetensors", "both"),
        ("taesd", "folder"),
    ],
)
def test_a_users_decoder_is_used(
    model: DiffusionModel, tmp_path: Path, name: str, kind: str
) -> None:
    vae = users_decoder()
    put(vae, tmp_path / "models" / name, kind)
    ctx, given = Asking(tmp_path / "empty", tmp_path / "models"), latents()
    making = previews(ctx, model)
    found = [pixels(making.of(given)()) for _ in range(2)]
    assert min(psnr(item, decoded_by(vae, given)) for item in found) > 25
    [recipe] = ctx.loaded
    expected = sum(item.nbytes for item in vae.decoder.parameters())
    assert estimate_bytes(recipe) == component_bytes(load_component(recipe, "cpu")) == expected


@pytest.mark.parametrize(
    ("family", "channels", "name"),
    [
        ("sdxl", 4, "taesdxl_decoder"),
        ("sd3", 16, "taesd3_decoder"),
        ("flux", 16, "taef1_decoder"),
        ("chroma", 16, "taef1_decoder"),
    ],
)
def test_of_several_it_is_that_of_the_latents_format(
    model: DiffusionModel, tmp_path: Path, family: str, channels: int, name: str
) -> None:
    for other in ("taesd", "taesdxl", "taesd3", "taef1"):
        put(
            users_decoder(16 if other in ("taesd3", "taef1") else 4),
            tmp_path / f"{other}_decoder.safetensors",
        )
    ctx = Asking(tmp_path)
    shown(ctx, replace(model, family=family), latents(channels))
    assert [Path(recipe.source).stem for recipe in ctx.loaded] == [name]
    assert ctx.logged == []


def test_a_models_own_decoder_comes_first(model: DiffusionModel, tmp_path: Path) -> None:
    put(users_decoder(), tmp_path / "taesd_decoder.safetensors")
    own = bring_decoder(model)
    ctx = Asking(tmp_path)
    shown(ctx, model, latents())
    assert [Path(recipe.source) for recipe in ctx.loaded] == [own.parent]


@pytest.mark.parametrize(
    ("name", "channels"),
    [("taesd_decoder", 16), ("taesdxl_decoder", 4), ("mytaesd", 4), ("taesd_encoder", 4)],
)
def test_others_are_left_alone(
    model: DiffusionModel, tmp_path: Path, name: str, channels: int
) -> None:
    vae = users_decoder(channels)
    tensors = taesd(vae)[0] if name == "taesd_encoder" else taesd(vae)[1]
    save_file(tensors, tmp_path / f"{name}.safetensors")
    ctx = Asking(tmp_path)
    assert shown(ctx, model, latents()) == shown(Asking(), model, latents())
    assert (ctx.loaded, ctx.logged) == ([], [])


def test_a_damaged_users_decoder_is_told_of_once(model: DiffusionModel, tmp_path: Path) -> None:
    file = put(users_decoder(), tmp_path / "taesd_decoder.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    ctx = Asking(tmp_path)
    making = previews(ctx, model)
    assert [making.of(latents())() for _ in range(2)] == [shown(Asking(), model, latents())] * 2
    [told] = ctx.logged
    assert told.startswith(f"warning: previews do not use {file}: ")


def test_what_a_users_decoder_lacks_is_told_by_name(model: DiffusionModel, tmp_path: Path) -> None:
    tensors = taesd(users_decoder())[1]
    lost = sorted(tensors)[-1]
    del tensors[lost]
    save_file(tensors, tmp_path / "taesd_decoder.safetensors")
    ctx = Asking(tmp_path)
    assert shown(ctx, model, latents()) == shown(Asking(), model, latents())
    [told] = ctx.logged
    assert "lack 1 tensor, for example decoder." in told, told


def test_latents_without_colours_are_those_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "families.md").read_text(encoding="utf-8")
    [named] = re.findall(r"whose colors\nare not known: ([^.]*)\.", page)
    without = {
        family.latent.name
        for family in FAMILIES.values()
        if family.latent.rgb is None
        and family.latent.only_size is None
        and not family.latent.is_sound
    }
    assert set(re.findall("`([^`]+)`", named)) == without


@pytest.mark.parametrize(
    "latent",
    [SDXL, SD3, FLUX, WAN22, LTX_LATENTS, MOCHI_LATENTS, COSMOS_LATENTS],
    ids=lambda item: item.name,
)
def test_colours_are_known_of_more_formats(latent: LatentFormat) -> None:
    """A gray cell has the bias, each channel its factors on top of it."""
    assert latent.rgb is not None
    assert len(latent.rgb) == latent.channels
    cells = torch.eye(latent.channels)[:, :, None, None].expand(-1, -1, 8, 8)
    found = map_colours(cells, latent)
    assert found is not None
    wanted = torch.tensor(latent.rgb) + torch.tensor(latent.rgb_bias)
    assert torch.allclose(found.mean((2, 3)), wanted, atol=1e-6)


@pytest.fixture
def damaged_companion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the embedded model whose companion is cut short."""
    folder = tmp_path / "embedded"
    shutil.copytree(embedded_folder(), folder / "tiny")
    shutil.copytree(
        embedded_folder().parent / "companions" / "preview_decoder",
        folder / "companions" / "preview_decoder",
    )
    cut(folder / "companions" / "preview_decoder")
    monkeypatch.setattr(
        "nodegraph.models.preview_decoders.embedded_folder", lambda: folder / "tiny"
    )
    return folder / "tiny"


def test_the_embedded_model_goes_without_previews_if_its_companion_is_damaged(
    ctx: Asking, embedded: DiffusionModel, damaged_companion: Path
) -> None:
    files = [
        replace(file, path=str(damaged_companion / file.role / Path(file.path).name))
        for file in embedded.files
    ]
    model = replace(embedded, files=tuple(files))
    assert shown(ctx, model, latents(channels=8)) is None
    assert len(ctx.logged) == 1
