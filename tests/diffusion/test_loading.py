"""Loading a diffusers folder gives what the stock pipeline loads, or names the faulty file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import Recipe
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import building
from nodegraph.families.components import Autoencoder, Denoiser, TextModel
from nodegraph.models.loading import estimate_bytes, load_component
from nodegraph.models.model_recipes import ModelRecipes, open_model
from nodegraph.residency import ResidencyManager, component_bytes
from tests.messages import raises

UNET_WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path, sd1_folder: Path) -> Path:
    return Path(shutil.copytree(sd1_folder, tmp_path / "model"))


def recipes_of(folder: Path, dtype: str = "float32", *, allow_pickle: bool = False) -> ModelRecipes:
    return open_model(
        str(folder), [], dtype=dtype, digests=FileDigests(), allow_pickle=allow_pickle
    )


def test_components_hold_the_weights_that_the_pipeline_holds(
    sd1_folder: Path, sd1_pipeline: StableDiffusionPipeline
) -> None:
    recipes = recipes_of(sd1_folder)

    denoiser, text, autoencoder = (load_component(recipe, "cpu") for recipe in recipes)

    assert isinstance(denoiser, Denoiser)
    assert isinstance(text, TextModel)
    assert isinstance(autoencoder, Autoencoder)
    for ours, theirs in (
        (denoiser.module, sd1_pipeline.unet),
        (text.module, sd1_pipeline.text_encoder),
        (autoencoder.module, sd1_pipeline.vae),
    ):
        assert not ours.training
        assert not any(weight.requires_grad for weight in ours.parameters())
        expected = theirs.state_dict()
        assert all(torch.equal(item, expected[name]) for name, item in ours.state_dict().items())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_recipe_decides_the_precision(sd1_folder: Path, dtype: str) -> None:
    for recipe in recipes_of(sd1_folder, dtype):
        component = load_component(recipe, "cpu")
        assert {weight.dtype for weight in component.module.parameters()} == {getattr(torch, dtype)}
        # Buffers, such as position ids, are not in the files.
        assert estimate_bytes(recipe) == pytest.approx(component_bytes(component), rel=0.01)


def test_files_in_half_precision_are_widened(folder: Path) -> None:
    weights = load_file(folder / UNET_WEIGHTS)
    halves = {name: tensor.half() for name, tensor in weights.items()}
    save_file(halves, folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    (folder / UNET_WEIGHTS).unlink()

    unet = load_component(recipes_of(folder).model, "cpu").module

    found = unet.state_dict()
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in halves.items())


@pytest.mark.parametrize(
    ("shard", "index"),
    [
        ("part-{}.safetensors", "diffusion_pytorch_model.safetensors.index.json"),
        (
            "diffusion_pytorch_model.fp16-0000{}-of-00002.safetensors",
            "diffusion_pytorch_model.safetensors.index.fp16.json",
        ),
    ],
)
def test_shards_load_as_one(folder: Path, shard: str, index: str) -> None:
    weights = load_file(folder / UNET_WEIGHTS)
    (folder / UNET_WEIGHTS).unlink()
    names = sorted(weights)
    shards = {shard.format(1): names[::2], shard.format(2): names[1::2]}
    for file, part in shards.items():
        save_file({name: weights[name] for name in part}, folder / "unet" / file, {"format": "pt"})
    places = {name: file for file, part in shards.items() for name in part}
    (folder / "unet" / index).write_text(json.dumps({"metadata": {}, "weight_map": places}))

    recipe = recipes_of(folder).model

    found = load_component(recipe, "cpu").module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert estimate_bytes(recipe) == sum(tensor.nbytes for tensor in weights.values())
    unet = UNet2DConditionModel.from_pretrained(
        folder / "unet", variant="fp16" if "fp16" in index else None, local_files_only=True
    )
    assert all(torch.equal(found[name], item) for name, item in unet.state_dict().items())


def test_allowed_pickles_load(folder: Path) -> None:
    weights = load_file(folder / UNET_WEIGHTS)
    (folder / UNET_WEIGHTS).unlink()
    torch.save(weights, folder / "unet" / "diffusion_pytorch_model.bin")

    unet = load_component(recipes_of(folder, allow_pickle=True).model, "cpu").module

    found = unet.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())


def test_the_scheduler_config_is_the_file_with_the_pipelines_corrections(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    outdated = json.loads(path.read_text()) | {"steps_offset": 0, "clip_sample": True}
    path.write_text(json.dumps(outdated))

    config = load_component(recipes_of(folder).model, "cpu").scheduler_config

    assert config == outdated | {"steps_offset": 1, "clip_sample": False}


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("model", UNET_WEIGHTS),
        ("model", "unet/config.json"),
        ("text_encoder", "text_encoder/model.safetensors"),
        ("text_encoder", "tokenizer/merges.txt"),
        ("vae", "vae/diffusion_pytorch_model.safetensors"),
    ],
)
def test_files_that_changed_since_the_recipe_was_made_are_refused(
    folder: Path, part: str, file: str
) -> None:
    recipe = getattr(recipes_of(folder), part)
    content = bytearray((folder / file).read_bytes())
    content[-2] ^= 1
    (folder / file).write_bytes(content)

    with raises(InvalidFile):
        load_component(recipe, "cpu")


def test_the_schedule_is_that_of_the_recipe_whatever_becomes_of_its_file(folder: Path) -> None:
    recipe = recipes_of(folder).model
    expected = load_component(recipe, "cpu").scheduler_config

    (folder / "scheduler" / "scheduler_config.json").write_text("{}")

    assert load_component(recipe, "cpu").scheduler_config == expected


def test_a_file_that_is_changed_while_it_is_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes_of(folder).vae
    before = building.read_tensors

    def read(files: Sequence[Path], dtype: str, **options: Any) -> dict[str, Tensor]:
        content = bytearray(files[0].read_bytes())
        content[-2] ^= 1
        files[0].write_bytes(content)
        return before(files, dtype, **options)

    monkeypatch.setattr(building, "read_tensors", read)

    with raises(InvalidFile):
        load_component(recipe, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "pickles"])
def test_weights_in_use_do_not_follow_their_files(folder: Path, kind: str) -> None:
    """Overwriting in place and truncation; in a process of its own, as it may end by a signal."""
    if kind == "pickles":
        for file in sorted(folder.glob("*/*.safetensors")):
            stem = "pytorch_model" if file.parent.name == "text_encoder" else file.stem
            torch.save(load_file(file), file.with_name(f"{stem}.bin"))
            file.unlink()

    script = Path(__file__).with_name("overwritten_weights.py")
    done = subprocess.run(
        [sys.executable, script, folder], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_missing_tensors_are_not_made_up(folder: Path) -> None:
    for file in (UNET_WEIGHTS, "text_encoder/model.safetensors"):
        weights = load_file(folder / file)
        dropped = sorted(weights)[0]
        save_file(
            {name: weights[name] for name in weights if name != dropped},
            folder / file,
            {"format": "pt"},
        )
    recipes = recipes_of(folder)

    for recipe in (recipes.model, recipes.text_encoder):
        with raises(InvalidFile):
            load_component(recipe, "cpu")


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ("unet/config.json", {"block_out_channels": [32, 96]}),
        ("unet/config.json", {"down_block_types": ["NoSuchBlock", "DownBlock2D"]}),
        ("text_encoder/config.json", {"hidden_size": 48}),
        ("vae/config.json", {"latent_channels": 8}),
    ],
)
def test_weights_that_do_not_fit_the_config_are_refused(
    folder: Path, config: str, changes: dict[str, object]
) -> None:
    path = folder / config
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    recipes = recipes_of(folder)
    component = config.partition("/")[0]
    recipe = {"unet": recipes.model, "text_encoder": recipes.text_encoder, "vae": recipes.vae}

    with pytest.raises(InvalidFile, match=component):
        load_component(recipe[component], "cpu")


def test_a_damaged_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer" / "vocab.json").write_text("{")
    recipe = recipes_of(folder).text_encoder

    with raises(InvalidFile):
        load_component(recipe, "cpu")


def test_other_recipes_are_refused(sd1_folder: Path) -> None:
    recipe = recipes_of(sd1_folder).model
    with raises(InvalidValue):
        load_component(Recipe("sd1", recipe.files), "cpu")
    with raises(InvalidValue):
        load_component(replace(recipe, dtype="int4"), "cpu")


def test_loading_leaves_the_libraries_as_they_were(
    sd1_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = transformers.utils.logging
    before = logger.get_verbosity(), logger.is_progress_bar_enabled(), torch.get_default_dtype()
    state = torch.get_rng_state()

    for recipe in recipes_of(sd1_folder, "float16"):
        load_component(recipe, "cpu")

    after = logger.get_verbosity(), logger.is_progress_bar_enabled(), torch.get_default_dtype()
    assert after == before
    assert torch.equal(torch.get_rng_state(), state)
    assert capfd.readouterr() == ("", "")


def test_components_load_from_several_threads(sd1_folder: Path) -> None:
    manager = ResidencyManager(load_component, {"cpu": 2**20}, estimate=estimate_bytes)
    recipes = [*recipes_of(sd1_folder), *recipes_of(sd1_folder, "float16")]

    def dtype_of(recipe: Recipe) -> bool:
        with manager.use(recipe, "cpu") as component:
            return component.family == recipe.family

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(dtype_of, recipes * 3))
    assert sum(item.bytes for item in manager.resident()) <= 2**20
