"""A model's noise schedule is read without its weights, and is the one that comes with them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
)

from nodegraph.core.file_digests import FileDigests
from nodegraph.core.values import DiffusionModel, Latent
from nodegraph.diffusion import (
    NoiseSchedule,
    encode_prompt,
    load_component,
    locate_model,
    open_model,
    sample,
    scheduler_config,
)
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.registry import get_family
from nodegraph.families.scheduler_file import (
    FLOW_MATCHING_CLASSES,
    FLOW_SOLVER_CLASSES,
    SCHEDULER_CLASSES,
    checkpoint_scheduler,
    folder_scheduler,
    noise_kind,
)
from nodegraph.weights.safetensors_header import Header
from tests.messages import raises

FLOW = "FlowMatchEulerDiscreteScheduler"
FLOWING = replace(get_family("sd1"), noise="flow", scheduler={})

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def folder(tmp_path: Path, sd1_v_folder: Path) -> Path:
    return Path(shutil.copytree(sd1_v_folder, tmp_path / "model"))


def model_of(folder: Path) -> DiffusionModel:
    return open_model(str(folder), [], digests=FileDigests()).model


def test_it_is_what_the_loaded_model_has_and_needs_no_files(folder: Path) -> None:
    recipe = model_of(folder)
    expected = load_component(recipe, "cpu").scheduler_config
    shutil.rmtree(folder)

    assert scheduler_config(recipe) == expected
    assert NoiseSchedule.from_config(scheduler_config(recipe)).prediction_type == "v_prediction"


def header(*marks: str, **metadata: str) -> Header:
    return Header(dict.fromkeys(marks, (0,)), {}, metadata)


@pytest.mark.parametrize(
    ("found", "prediction", "zero_snr"),
    [
        (header(), "epsilon", False),
        (header(**{"modelspec.prediction_type": "v"}), "v_prediction", False),
        (header("v_pred"), "v_prediction", False),
        (header("v_pred", "ztsnr"), "v_prediction", True),
        (header("ztsnr", **{"modelspec.prediction_type": "v"}), "v_prediction", True),
        (header("ztsnr"), "epsilon", False),
    ],
)
def test_a_single_file_says_what_it_predicts(
    found: Header, prediction: str, zero_snr: bool
) -> None:
    config = checkpoint_scheduler(found, get_family("sd1"))

    assert config["prediction_type"] == prediction
    assert config.get("rescale_betas_zero_snr", False) is zero_snr
    assert config["timestep_spacing"] == ("trailing" if zero_snr else "leading")


@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m"])
def test_a_marked_file_is_sampled_as_the_stock_pipeline_samples_its_kind(
    sd1_folder: Path, sampler: str
) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(sd1_folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    schedulers = {
        "ddim": DDIMScheduler,
        "euler": EulerDiscreteScheduler,
        "dpmpp_2m": DPMSolverMultistepScheduler,
    }
    pipeline.scheduler = schedulers[sampler].from_config(
        pipeline.scheduler.config,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )
    generator = torch.Generator().manual_seed(3)
    expected = pipeline(
        "a fox", num_inference_steps=5, generator=generator, output_type="latent"
    ).images

    recipes = open_model(str(sd1_folder), [], prediction_type="v_prediction")
    denoiser, text_model, _ = (load_component(recipe, "cpu") for recipe in recipes)
    marked = checkpoint_scheduler(header("v_pred", "ztsnr"), get_family("sd1"))
    options = {"steps": 5, "cfg": 7.5, "sampler": sampler, "schedule": "normal", "seed": 3}
    found = sample(
        replace(denoiser, scheduler_config=marked),
        encode_prompt(text_model, "a fox"),
        None,
        Latent(None, 64, 64),
        **options,
    )
    assert torch.equal(found.samples, expected)


def test_what_somebody_knows_better_than_the_file_holds(folder: Path, sd1_folder: Path) -> None:
    def opened(model: Path, **known: str) -> dict[str, Any]:
        return scheduler_config(open_model(str(model), [], **known).model)

    of_file = opened(sd1_folder)
    both = {"prediction_type": "v_prediction", "zero_terminal_snr": "on"}
    assert opened(sd1_folder, prediction_type="sample") == of_file | {"prediction_type": "sample"}
    assert opened(sd1_folder, **both) == of_file | {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    assert opened(folder, prediction_type="epsilon")["prediction_type"] == "epsilon"
    for known in ({"prediction_type": "flow"}, {"zero_terminal_snr": "maybe"}):
        [port] = known
        with raises(InvalidValue) as error:
            opened(sd1_folder, **known)
        assert error.value.problem.port == port
    with raises(InvalidValue, port="zero_terminal_snr", given="on"):
        opened(sd1_folder, zero_terminal_snr="on")


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps([]))

    with raises(InvalidFile):
        model_of(folder)


@pytest.mark.parametrize(
    ("file", "change", "given"),
    [
        ("scheduler/scheduler_config.json", {"_class_name": FLOW}, FLOW),
        ("scheduler/scheduler_config.json", {"_class_name": "MyScheduler"}, "MyScheduler"),
        ("scheduler/scheduler_config.json", {"thresholding": True}, "True"),
        ("scheduler/scheduler_config.json", {"use_flow_sigmas": True}, "True"),
        ("scheduler/scheduler_config.json", {"prediction_type": "flow_prediction"}, "flow_pred"),
        ("model_index.json", {"scheduler": ["diffusers", FLOW]}, FLOW),
    ],
)
def test_what_would_be_sampled_wrongly_is_refused(
    folder: Path, file: str, change: dict[str, Any], given: str
) -> None:
    config = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(config | change))

    with pytest.raises(InvalidFile) as error:
        locate_model(str(folder), [])

    assert str(folder / file) in error.value.problem.message
    assert error.value.problem.given.startswith(given)
    assert error.value.problem.expected


def test_every_class_that_is_taken_is_one_of_diffusers() -> None:
    known = SCHEDULER_CLASSES | FLOW_MATCHING_CLASSES | FLOW_SOLVER_CLASSES
    assert all(hasattr(diffusers, name) for name in known)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({}, "discrete"),
        ({"_class_name": "PNDMScheduler"}, "discrete"),
        ({"_class_name": "UniPCMultistepScheduler"}, "discrete"),
        ({"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True}, "flow"),
        ({"_class_name": FLOW}, "flow"),
    ],
)
def test_a_file_says_which_kind_of_noise_it_describes(config: dict[str, Any], kind: str) -> None:
    assert noise_kind(config) == kind


def test_a_family_that_takes_flow_reads_its_files(folder: Path) -> None:
    index, path = folder / "model_index.json", folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({"shift": 3.0}))
    index.write_text(json.dumps({"scheduler": ["diffusers", FLOW]}))
    assert folder_scheduler(folder, FLOWING) == {"_class_name": FLOW, "shift": 3.0}

    path.write_text(json.dumps({"_class_name": FLOW, "invert_sigmas": True}))
    with raises(InvalidFile, port="model", given="True"):
        folder_scheduler(folder, FLOWING)


def test_a_family_that_takes_flow_alone_refuses_others(folder: Path) -> None:
    with raises(InvalidFile, port="model", given="DDIMScheduler") as error:
        folder_scheduler(folder, FLOWING)
    assert FLOW in str(error.value.problem.expected)
    unclear = json.dumps({"_class_name": "UniPCMultistepScheduler"})
    (folder / "scheduler" / "scheduler_config.json").write_text(unclear)
    (folder / "model_index.json").write_text("{}")
    with raises(InvalidFile, port="model", given="UniPCMultistepScheduler"):
        folder_scheduler(folder, FLOWING)


def test_reading_it_imports_no_torch() -> None:
    code = "import sys, nodegraph.families.scheduler_file; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
