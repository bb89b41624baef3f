"""Single-file SD 1.x checkpoints: config read from shapes, weights converted exactly."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import DiffusionModel, Recipe
from nodegraph.errors import InvalidFile, UnsafeFile
from nodegraph.families.checkpoint_parts import CHECKPOINT, denoiser_config
from nodegraph.families.image_conditioning import VIDEO_MEDIA
from nodegraph.families.registry import get_family
from nodegraph.families.scheduler_file import scheduler_config
from nodegraph.models.facts import model_facts
from nodegraph.models.loading import estimate_bytes, load_component
from nodegraph.models.model_files import model_stamp
from nodegraph.models.model_recipes import ModelRecipes, open_model
from nodegraph.models.model_sources import locate_model
from nodegraph.models.vae_files import open_vae
from nodegraph.residency import component_bytes
from tests.accelerator.card import Card
from tests.diffusion.conftest import write_tokenizer
from tests.diffusion.ldm_export import ldm_checkpoint
from tests.messages import raises

VOCABULARY = 522


@pytest.fixture(scope="module")
def parts() -> dict[str, nn.Module]:
    """A model with SD 1.x's fixed numbers (8 heads, 32 groups, 64 per text head), else tiny."""
    torch.manual_seed(5)
    return {
        "unet": UNet2DConditionModel(
            sample_size=64,
            block_out_channels=(32, 64, 64),
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=2,
            attention_head_dim=8,
            cross_attention_dim=64,
        ),
        "vae": AutoencoderKL(
            block_out_channels=(32, 32, 64, 64),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            layers_per_block=2,
            scaling_factor=0.18215,
        ),
        "text": CLIPTextModel(
            CLIPTextConfig(
                vocab_size=VOCABULARY,
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=1,
                max_position_embeddings=77,
                bos_token_id=VOCABULARY - 2,
                eos_token_id=VOCABULARY - 1,
            )
        ),
    }


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, parts: dict[str, nn.Module]) -> Path:
    """A models folder with one checkpoint and CLIP's vocabulary."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "checkpoints").mkdir()
    tensors = ldm_checkpoint(parts["unet"], parts["vae"], parts["text"])
    save_file(tensors, folder / "checkpoints" / "small.safetensors")
    assert len(write_tokenizer(folder / "tokenizers" / "clip-l")) == VOCABULARY
    return folder


@pytest.fixture(scope="module")
def recipes(models: Path) -> ModelRecipes:
    return open_model("checkpoints/small", [models], digests=FileDigests())


def test_the_unet_comes_back_equal(recipes: ModelRecipes, parts: dict[str, nn.Module]) -> None:
    denoiser = load_component(recipes.model, "cpu")

    _same_weights(denoiser.module, parts["unet"])
    latent, step, context = torch.randn(1, 4, 8, 8), torch.tensor(500), torch.randn(1, 77, 64)
    with torch.no_grad():
        expected = parts["unet"].eval()(latent, step, context).sample
        assert torch.equal(denoiser.module(latent, step, context).sample, expected)
    assert denoiser.scheduler_config["prediction_type"] == "epsilon"
    assert not denoiser.module.training


def test_the_vae_comes_back_equal(recipes: ModelRecipes, parts: dict[str, nn.Module]) -> None:
    vae = load_component(recipes.vae, "cpu").module

    _same_weights(vae, parts["vae"])
    with torch.no_grad():
        latent = torch.randn(1, 4, 4, 4)
        expected = parts["vae"].eval().decode(latent).sample
        assert torch.equal(vae.decode(latent).sample, expected)
    assert vae.config.scaling_factor == 0.18215


def test_the_text_encoder_comes_back_equal(
    recipes: ModelRecipes, parts: dict[str, nn.Module], models: Path
) -> None:
    text = load_component(recipes.text_encoder, "cpu")

    _same_weights(text.module, parts["text"])
    ids = torch.tensor([[VOCABULARY - 2, 3, 4, VOCABULARY - 1]])
    with torch.no_grad():
        expected = parts["text"].eval()(ids).last_hidden_state
        assert torch.equal(text.module(ids).last_hidden_state, expected)
    assert text.tokenizers["tokenizer"].model_max_length == 77
    assert text.tokenizers["tokenizer"]("red apple").input_ids == [520, 517, 515, 521]


def test_older_files_without_the_text_model_level_load_too(
    tmp_path: Path, models: Path, parts: dict[str, nn.Module]
) -> None:
    tensors = load_file(models / "checkpoints" / "small.safetensors")
    older = {name.replace(".text_model.", "."): tensor for name, tensor in tensors.items()}
    save_file(older, tmp_path / "older.safetensors")

    opened = open_model(str(tmp_path / "older"), [models], digests=FileDigests())

    text = load_component(opened.text_encoder, "cpu")
    _same_weights(text.module, parts["text"])


def test_weights_are_cast_to_the_recipes_dtype(models: Path) -> None:
    opened = open_model("checkpoints/small", [models], dtype="float16", digests=FileDigests())

    denoiser = load_component(opened.model, "cpu")

    assert {weight.dtype for weight in denoiser.module.parameters()} == {torch.float16}
    assert estimate_bytes(opened.model) == component_bytes(denoiser)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "part",
    ["vae", *(pytest.param(name, marks=pytest.mark.slow) for name in ("model", "text_encoder"))],
)
def test_weights_of_a_file_come_to_an_accelerator_as_they_are(
    recipes: ModelRecipes, part: str, cuda: Card
) -> None:
    recipe = getattr(recipes, part)
    there, here = (load_component(recipe, where).module for where in ("cuda:0", "cpu"))
    found, expected = there.state_dict(), here.state_dict()
    assert {tensor.device.type for tensor in found.values()} == {"cuda"}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name].cpu(), tensor) for name, tensor in expected.items())


def test_facts_come_from_the_header_alone(models: Path) -> None:
    source = locate_model("checkpoints/small.safetensors", [models])

    assert model_facts(source) == {
        "family": "sd1",
        "format": "sd",
        "latent_channels": 4,
        "downscale": 8,
        "multiple": 8,
        "temporal": 0,
        "width": 512,
        "height": 512,
        "noise": "discrete",
        "prediction_type": "epsilon",
        "context_width": 64,
        "guides_itself": False,
        "takes_scale": False,
        "needs_negative": True,
        "held_step": (832.0, 0.0, 0.11),
        "positions": (),
        "sound_levels": False,
        "takes": tuple(sorted(VIDEO_MEDIA)),
        "needs": "",
        "held_decoding": (96, 0.0, 0.0),
        "held_encoding": (160, 0.0, 0.0),
    }


def test_a_declared_v_prediction_is_heeded(tmp_path: Path, models: Path) -> None:
    tensors = load_file(models / "checkpoints" / "small.safetensors")
    save_file(tensors, tmp_path / "v.safetensors", {"modelspec.prediction_type": "v"})

    opened = open_model(str(tmp_path / "v.safetensors"), [models], digests=FileDigests())

    assert model_facts(locate_model(opened.model.source, []))["prediction_type"] == "v_prediction"
    config = load_component(opened.model, "cpu").scheduler_config
    assert config["prediction_type"] == "v_prediction"


V_CONFIG = """model:
  base_learning_rate: 1.0e-4
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    parameterization: "v"
    linear_start: 0.00085
"""


@pytest.mark.parametrize(
    ("config", "prediction"),
    [
        (V_CONFIG, "v_prediction"),
        (V_CONFIG.replace('"v"', "v"), "v_prediction"),
        (V_CONFIG.replace('"v"', "v_prediction"), "v_prediction"),
        (V_CONFIG.replace('"v"', '"eps"'), "epsilon"),
        (V_CONFIG.replace('    parameterization: "v"\n', ""), "epsilon"),
        ("target: sgm.modules.diffusionmodules.denoiser_scaling.VScaling\n", "v_prediction"),
        ("notes: of somebody\n", "epsilon"),
    ],
)
@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_an_original_configuration_beside_it_says_what_it_predicts(
    tmp_path: Path, models: Path, config: str, prediction: str, suffix: str
) -> None:
    folder = shutil.copytree(models, tmp_path / "models")
    before = model_stamp("checkpoints/small", [folder])
    (folder / "checkpoints" / f"small{suffix}").write_text(config)
    assert model_stamp("checkpoints/small", [folder]) != before
    found = open_model("checkpoints/small", [folder], digests=FileDigests()).model
    assert scheduler_config(found)["prediction_type"] == prediction
    facts = model_facts(locate_model("checkpoints/small", [folder]))
    assert facts["prediction_type"] == prediction
    told = open_model("checkpoints/small", [folder], prediction_type="epsilon").model
    assert scheduler_config(told)["prediction_type"] == "epsilon"


def test_without_a_vocabulary_the_encoder_says_where_to_put_it(
    tmp_path: Path, models: Path
) -> None:
    path = tmp_path / "alone.safetensors"
    path.write_bytes((models / "checkpoints" / "small.safetensors").read_bytes())
    opened = open_model("alone", [tmp_path], digests=FileDigests())

    with raises(InvalidFile):
        load_component(opened.text_encoder, "cpu")
    assert isinstance(load_component(opened.model, "cpu").family, str)


def test_the_vocabulary_is_borrowed_from_a_diffusers_model(
    tmp_path: Path, models: Path, sd1_folder: Path
) -> None:
    (tmp_path / "alone.safetensors").write_bytes(
        (models / "checkpoints" / "small.safetensors").read_bytes()
    )
    folders = [tmp_path, sd1_folder.parent]

    opened = open_model("alone", folders, digests=FileDigests())

    text = load_component(opened.text_encoder, "cpu")
    assert text.tokenizers["tokenizer"]("fox").input_ids == [520, 519, 521]


def test_another_vocabulary_is_another_recipe(tmp_path: Path, models: Path) -> None:
    path = tmp_path / "alone.safetensors"
    path.write_bytes((models / "checkpoints" / "small.safetensors").read_bytes())

    without = open_model("alone", [tmp_path], digests=FileDigests())
    within = open_model("alone", [tmp_path, models], digests=FileDigests())

    assert without.text_encoder != within.text_encoder
    assert model_stamp("alone", [tmp_path]) != model_stamp("alone", [tmp_path, models])
    assert without.model == within.model


def test_a_file_that_lacks_tensors_is_refused_by_name(tmp_path: Path, models: Path) -> None:
    tensors = load_file(models / "checkpoints" / "small.safetensors")
    del tensors["model.diffusion_model.out.0.weight"]
    save_file(tensors, tmp_path / "lacking.safetensors")
    opened = open_model(str(tmp_path / "lacking"), [models], digests=FileDigests())

    with raises(InvalidFile):
        load_component(opened.model, "cpu")


def test_a_checkpoint_with_half_a_vae_says_what_it_lacks(tmp_path: Path, models: Path) -> None:
    """In words, before anything is loaded."""
    tensors = load_file(models / "checkpoints" / "small.safetensors")
    kept = {name: item for name, item in tensors.items() if "model.encoder" not in name}
    save_file(kept, tmp_path / "half.safetensors")
    with raises(InvalidFile) as caught:
        model_facts(locate_model(str(tmp_path / "half"), [models]))
    assert "it has no encoder.conv_in.weight." in str(caught.value)


def test_pickle_checkpoints_are_refused_unless_allowed(
    tmp_path: Path, models: Path, parts: dict[str, nn.Module]
) -> None:
    path = tmp_path / "old.ckpt"
    torch.save({"state_dict": load_file(models / "checkpoints" / "small.safetensors")}, path)

    with raises(UnsafeFile):
        locate_model("old.ckpt", [tmp_path])

    opened = open_model("old.ckpt", [tmp_path], digests=FileDigests(), allow_pickle=True)
    assert open_vae("old.ckpt", [tmp_path], allow_pickle=True) == opened.vae
    _same_weights(load_component(opened.vae, "cpu").module, parts["vae"])


def test_a_pickle_that_would_run_code_is_refused_even_if_allowed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('ran')",))

    torch.save({"state_dict": Trap()}, tmp_path / "trap.ckpt")

    with raises(InvalidFile):
        locate_model("trap.ckpt", [tmp_path], allow_pickle=True)


def test_block_numbers_from_a_file_are_counted_not_trusted() -> None:
    shapes = {"model.diffusion_model.input_blocks.99999999999.0.weight": (1,)}

    with pytest.raises(KeyError):
        denoiser_config(shapes, get_family("sd1"))


def test_recipes_name_one_file_for_all_parts(recipes: ModelRecipes) -> None:
    assert len({path for recipe in recipes for path in recipe.paths(CHECKPOINT)}) == 1
    assert recipes.model.files == recipes.vae.files
    assert isinstance(recipes.model, DiffusionModel)
    assert all(isinstance(recipe, Recipe) for recipe in recipes)


def _same_weights(module: nn.Module, original: nn.Module) -> None:
    found, expected = module.state_dict(), original.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
