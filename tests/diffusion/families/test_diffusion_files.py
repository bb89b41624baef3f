"""Diffusion models in files of their own: all tensors come back, images are the folder's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file

from nodegraph.diffusion import estimate_bytes, load_component, open_model
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.families.scheduler_file import scheduler_config
from nodegraph.models.adapters.layer_matching import recipe_layers
from nodegraph.models.denoiser_files import (
    DenoiserRequest,
    denoiser_bytes,
    denoiser_facts,
    denoiser_stamp,
    open_denoiser,
)
from nodegraph.models.model_sources import describe_model
from nodegraph.residency import component_bytes
from tests.diffusion import ldm_export
from tests.diffusion.single_files.models import SMALL
from tests.diffusion.single_files.originals import WRITERS
from tests.messages import raises

from .denoiser_writing import (
    BUILDS,
    HEAD,
    PREFIXES,
    WrittenOf,
    chroma,
    flux,
    flux_fill,
    flux_schnell,
    opened,
    plain,
    sd3,
    sd35,
)
from .equality import Model, random_pipeline
from .parts import unet, vae
from .test_single_files import net
from .video_models import umt5_text, uni_pc_flow, wan_vae
from .words import t5_words

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


@pytest.mark.parametrize("build", BUILDS)
def test_every_tensor_comes_back(written: WrittenOf, build: Callable[[], Any]) -> None:
    made = written(build)
    recipe = opened(made.file())
    component = load_component(recipe, "cpu")
    assert recipe.family == component.family == made.family
    found = component.module.state_dict()
    assert found.keys() == made.expected.keys()
    for name, item in made.expected.items():
        assert torch.equal(found[name], item), name
    for name, value in made.pipeline.transformer.config.items():
        if not name.startswith("_") and value is not None:
            assert component.config[name] == value, name
    size = estimate_bytes(recipe)
    assert denoiser_bytes(DenoiserRequest(str(made.file())), []) == size
    assert component_bytes(component) == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize(
    "build",
    [
        flux,
        *(pytest.param(each, marks=pytest.mark.slow) for each in (flux_schnell, chroma, sd35)),
        sd3,
    ],
)
def test_pictures_are_those_of_the_folder(written: WrittenOf, build: Callable[[], Any]) -> None:
    made = written(build)
    whole = Model(made.folder)
    alone = Model(made.folder, loaded={"model": load_component(opened(made.file()), "cpu")})
    expected, found = (model.make(64, 64, cfg=2.0) for model in (whole, alone))
    assert torch.equal(found.latents, expected.latents)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_files_may_have_a_prefix(written: WrittenOf, prefix: str) -> None:
    made = written(flux)
    found = load_component(opened(made.file(prefix)), "cpu").module.state_dict()
    assert all(torch.equal(found[name], item) for name, item in made.expected.items())


@pytest.mark.parametrize("build", [flux, chroma, sd3, sd35])
def test_files_may_have_the_names_of_diffusers(
    written: WrittenOf, build: Callable[[], Any]
) -> None:
    made = written(build)
    file = made.folder / "transformer" / "diffusion_pytorch_model.safetensors"
    for path in (file, made.folder / "transformer"):
        recipe = opened(path)
        assert recipe.family == made.family
        found = load_component(recipe, "cpu").module.state_dict()
        assert all(torch.equal(found[name], item) for name, item in made.expected.items())


@pytest.mark.parametrize("class_name", ["FluxTransformer2DModel", "SomeoneElsesUNet"])
def test_a_folder_whose_class_is_not_of_its_weights_is_refused(
    tmp_path: Path, class_name: str
) -> None:
    unet = tmp_path / "unet"
    copytree(embedded_folder() / "unet", unet)
    config = json.loads((unet / "config.json").read_text("utf-8"))
    (unet / "config.json").write_text(json.dumps(config | {"_class_name": class_name}), "utf-8")
    with raises(InvalidFile, expected="UNet2DConditionModel"):
        opened(unet)
    problem = describe_model("unet", unet, "diffusers").problem
    assert problem is not None
    assert f"names {class_name}" in problem


def test_a_configuration_beside_a_file_says_what_it_predicts(tmp_path: Path) -> None:
    path = tmp_path / "fruit.safetensors"
    path.write_bytes(
        (embedded_folder() / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    )
    wanted = DenoiserRequest(str(path))
    before = denoiser_stamp(wanted, [])
    assert scheduler_config(opened(path))["prediction_type"] == "epsilon"
    (tmp_path / "fruit.yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert denoiser_stamp(wanted, []) != before
    assert scheduler_config(opened(path))["prediction_type"] == "v_prediction"
    assert denoiser_facts(wanted, [])["prediction_type"] == "v_prediction"
    said = opened(path, prediction_type="epsilon")
    assert scheduler_config(said)["prediction_type"] == "epsilon"


def test_a_folder_that_names_no_class_is_told_by_its_weights(tmp_path: Path) -> None:
    unet = tmp_path / "unet"
    copytree(embedded_folder() / "unet", unet)
    config = json.loads((unet / "config.json").read_text("utf-8"))
    del config["_class_name"]
    (unet / "config.json").write_text(json.dumps(config), "utf-8")
    assert opened(unet).family == "sd1"
    assert describe_model("unet", unet, "diffusers").family == "sd1"


def test_of_a_whole_model_its_own_is_taken(written: WrittenOf) -> None:
    """So it is shared with those who load the model whole."""
    folder = written(flux).folder
    assert opened(folder) == open_model(str(folder), []).model
    with raises(InvalidValue, port="family", given="flux"):
        opened(folder, family="flux")
    found = scheduler_config(opened(folder, shift=2.5))
    assert (found["shift"], found["use_dynamic_shifting"]) == (2.5, False)


@pytest.mark.parametrize(
    ("build", "schedule"),
    [
        (flux, {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}),
        (flux_schnell, {"use_dynamic_shifting": False, "shift": 1.0}),
        (sd3, {"use_dynamic_shifting": False, "shift": 3.0}),
    ],
)
def test_the_noise_schedule_is_the_published_one(
    written: WrittenOf, build: Callable[[], Any], schedule: Mapping[str, object]
) -> None:
    found = scheduler_config(opened(written(build).file()))
    assert found["_class_name"] == "FlowMatchEulerDiscreteScheduler"
    assert {name: found[name] for name in schedule} == schedule


def test_the_shift_can_be_said(written: WrittenOf) -> None:
    found = scheduler_config(opened(written(flux).file(), shift=2.5))
    assert (found["shift"], found["use_dynamic_shifting"]) == (2.5, False)
    with raises(InvalidValue, port="prediction_type", given="epsilon"):
        opened(written(flux).file(), prediction_type="epsilon")


def test_what_is_known_without_loading(written: WrittenOf) -> None:
    made = written(flux_fill)
    facts = denoiser_facts(DenoiserRequest(str(made.file())), [])
    assert (facts["family"], facts["format"], facts["latent_channels"]) == ("flux", "flux", 16)
    assert (facts["noise"], facts["width"], facts["multiple"]) == ("flow", 1024, 16)


def test_layers_for_adapters_are_told_without_loading(written: WrittenOf) -> None:
    made = written(flux)
    found = recipe_layers(opened(made.file()))
    assert found == recipe_layers(opened(made.folder / "transformer"))


def test_a_changed_file_is_noticed(written: WrittenOf, tmp_path: Path) -> None:
    path = tmp_path / "changed.safetensors"
    save_file(written(flux).tensors, path)
    before = denoiser_stamp(DenoiserRequest(str(path)), [])
    save_file({**written(flux).tensors, "img_in.bias": torch.ones(HEAD)}, path)
    assert denoiser_stamp(DenoiserRequest(str(path)), []) != before


@pytest.fixture(scope="module")
def wan22(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A folder of Wan 2.2, and its two experts in files."""
    words, nets = t5_words(), [SMALL["wan"].build() for _ in range(2)]
    more = {"transformer_2": nets[1], "boundary_ratio": 0.875}
    pipeline = random_pipeline(
        lambda: d.WanPipeline(words, umt5_text(words), wan_vae(), uni_pc_flow(), nets[0], **more)
    )
    place = tmp_path_factory.mktemp("wan")
    pipeline.save_pretrained(place / "wan22")
    files = []
    for role in ("transformer", "transformer_2"):
        files.append(place / f"{role}.safetensors")
        save_file(WRITERS["wan"](getattr(pipeline, role).state_dict()), files[-1])
    return place / "wan22", files


def test_two_experts_in_two_files(wan22: tuple[Path, list[Path]]) -> None:
    folder, (first, second) = wan22
    recipe = opened(first, second=str(second))
    whole = Model(folder)
    alone = Model(folder, loaded={"model": load_component(recipe, "cpu")})
    expected, found = (
        model.make(64, 64, cfg=3.0, frames=5, sampler="uni_pc") for model in (whole, alone)
    )
    assert torch.equal(found.latents, expected.latents)
    assert denoiser_bytes(DenoiserRequest(str(first), str(second)), []) == estimate_bytes(recipe)
    with pytest.raises(ModelNotFound):
        opened(first, second=str(folder / "nowhere"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_layers_are_as_precise_as_those_of_a_folder(
    wan22: tuple[Path, list[Path]], dtype: str
) -> None:
    """Wan's norms and embeddings of time stay in float32, whatever their names were."""
    folder, (first, _) = wan22
    alone = load_component(
        open_denoiser(DenoiserRequest(str(first)), [], dtype=dtype), "cpu"
    ).module
    whole = load_component(open_model(str(folder), [], dtype=dtype).model, "cpu").module
    expected, found = whole.state_dict(), alone.state_dict()
    assert len({item.dtype for item in found.values()}) == (2 if dtype == "bfloat16" else 1)
    for name, item in expected.items():
        assert item.dtype == found[name].dtype, name
        assert torch.equal(item, found[name]), name


UNETS: dict[str, Callable[[], Any]] = {
    "sd1": lambda: unet(64, 8, block_out_channels=(32, 64, 64, 64), norm_num_groups=32),
    "sd2": lambda: net(128, (1, 1)),
    "sdxl": lambda: net(64 + 128, (1, 3), 6 * 256 + 128),
    "sdxl-refiner": lambda: net(128, (1, 2), 5 * 256 + 128),
}


@pytest.mark.parametrize(
    ("family", "naming"),
    [
        ("sd1", "original"),
        pytest.param("sd2", "diffusers", marks=pytest.mark.slow),
        pytest.param("sdxl", "original", marks=pytest.mark.slow),
        ("sdxl-refiner", "diffusers"),
    ],
)
def test_a_unet_by_itself(tmp_path: Path, family: str, naming: str) -> None:
    torch.manual_seed(0)
    expected = UNETS[family]().eval().requires_grad_(False)
    tensors = ldm_export.pictures(expected, vae(4, 0.13025))
    written = {
        name: item.clone().contiguous()
        for name, item in (tensors if naming == "original" else expected.state_dict()).items()
        if naming == "diffusers" or name.startswith("model.")
    }
    path = tmp_path / "unet.safetensors"
    save_file(written, path)
    recipe = opened(path, prediction_type="v_prediction")
    assert recipe.family == family
    assert scheduler_config(recipe)["prediction_type"] == "v_prediction"
    component = load_component(recipe, "cpu")
    found = component.module.state_dict()
    assert found.keys() == expected.state_dict().keys()
    assert all(torch.equal(found[name], item) for name, item in expected.state_dict().items())
    # What is said of each level may be said once for all of them.
    said = {"attention_head_dim", "transformer_layers_per_block", "sample_size"}
    for name, value in expected.config.items():
        if not name.startswith("_") and value is not None and name not in said:
            assert plain(component.config[name]) == plain(value), name
    save_file({**written, f"{next(iter(written))}.more": torch.ones(1)}, path)
    with raises(InvalidFile):
        load_component(opened(path, prediction_type="v_prediction"), "cpu")
