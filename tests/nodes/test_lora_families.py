"""A LoRA of one family on a model of another fits in all layers, or is found before a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.errors import Problem
from nodegraph.families.registry import FAMILIES
from nodegraph.models.adapters.layer_changes import layers_of
from tests.diffusion.adapters import files
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_stable_cascade import stable_cascade, stable_cascade_decoder
from tests.diffusion.families.tiny_models import TINY, TINY_SOLIDS, TINY_SOUND
from tests.nodes.conftest import Bench, link

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning"),  # Chroma
    # Of a function of numpy that the scheduler of Shap-E uses.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
ALL = {**TINY, **TINY_SOUND, **TINY_SOLIDS}
QUICK = ("sd1", "sdxl", "kolors", "flux", "chroma", "qwen-image", "qwen-image-edit", "wan")

SIBLINGS = [
    # Models of one architecture and one size, trained for different tasks.
    {"qwen-image", "qwen-image-edit", "qwen-image-edit-plus"},
    {"longcat-image", "longcat-image-edit"},
    # Anima was trained from Cosmos Predict2 2B.
    {"anima", "cosmos-predict2"},
    {"wan", "skyreels-v2", "skyreels-v2-df"},
    {"hunyuan-video", "hunyuan-video-i2v"},
]
"""Families whose published models have equal layers, so that a LoRA of one fits the others."""
CONTAINED = {("z-image", "z-image-omni"), ("cosmos-predict25", "cosmos-transfer25")}
"""Families whose layers another has, too, beside others of its own."""
TINY_SIBLINGS = [
    # Published models differ in width: 2B and 14B beside 7B, 4B and 9B beside 32B, and so on.
    {"cosmos", "cosmos-predict2", "anima"},
    {"flux2", "flux2-klein"},
    {"kandinsky5-video", "kandinsky5-edit"},
]
"""Families whose tiny models alone have equal layers."""

Saved = Callable[[str], "TinyModel"]


class TinyModel:
    """A saved model, and a LoRA for each of its layers, in two naming schemes."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / name
        pipeline = random_pipeline(ALL[name].build)
        pipeline.save_pretrained(self.folder)
        self.loras: dict[str, Path] = {}
        part = next((item for item in FAMILIES[name].denoisers if not item.conditioner), None)
        module = None if part is None else getattr(pipeline, part.role, None)
        # A pipeline of modular blocks has its parts elsewhere.
        module = pipeline.components.get(part.role) if module is None and part else module
        if module is None or not layers_of(module).shapes:
            return
        torch.manual_seed(0)
        names = (
            next((file.names for file in part.files if file.names.table), None) if part else None
        )
        own, original = files.own_pairs(module), files.original_pairs(module, names)
        for scheme, tensors in {
            "diffusers": files.peft_file(own, "transformer."),
            "kohya": files.flat_file(original, "lora_unet_"),
        }.items():
            self.loras[scheme] = files.saved(tensors, folder / f"{name}-{scheme}.safetensors")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder, known = tmp_path_factory.mktemp("models"), dict[str, TinyModel]()

    def get(name: str) -> TinyModel:
        if name not in known:
            known[name] = TinyModel(name, folder)
        return known[name]

    return get


def findings(bench: Bench, models: dict[str, Path], lora: Path) -> dict[str, list[Problem]]:
    """What is said of a LoRA on models before a run, as an error or a warning, by model."""
    nodes: dict[str, Any] = {}
    for name, folder in models.items():
        nodes[f"load {name}"] = {"type": "LoadModel", "inputs": {"model": str(folder)}}
        inputs = {"model": link(f"load {name}.model"), "lora": str(lora)}
        nodes[name] = {"type": "LoadLora", "inputs": inputs}
    found = [*bench.problems(nodes, *models), *bench.warnings(nodes)]
    return {name: [item for item in found if item.node == name] for name in models}


def are_siblings(first: str, second: str, groups: list[set[str]]) -> bool:
    return any({first, second} <= group for group in groups)


def check_pairs(bench: Bench, saved: Saved, source: str, targets: Iterable[str]) -> None:
    wrong = []
    models = {name: saved(name).folder for name in targets}
    for scheme, lora in saved(source).loras.items():
        for target, found in findings(bench, models, lora).items():
            fits = source == target or are_siblings(source, target, SIBLINGS)
            fits = fits or (source, target) in CONTAINED
            if not fits and are_siblings(source, target, TINY_SIBLINGS):
                continue
            if fits == bool(found):
                wrong.append((target, scheme, [item.message for item in found]))
    assert not wrong


@pytest.mark.parametrize("source", QUICK)
def test_a_lora_fits_whole_or_is_found(bench: Bench, saved: Saved, source: str) -> None:
    check_pairs(bench, saved, source, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("source", ALL)
def test_a_lora_on_any_family_fits_whole_or_is_found(
    bench: Bench, saved: Saved, source: str
) -> None:
    check_pairs(bench, saved, source, ALL)


def test_a_lora_that_fits_in_part_says_how_many_layers(bench: Bench, saved: Saved) -> None:
    lora = saved("flux").loras["diffusers"]
    [finding] = findings(bench, {"lora": saved("chroma").folder}, lora)["lora"]
    assert finding.message == "10 of the 30 layers that the LoRA changes are not in the model"
    assert (finding.node, finding.port) == ("lora", "lora")
    assert finding.expected == "a LoRA for this model of Chroma"


def test_a_lora_of_no_layer_of_the_model_is_an_error(bench: Bench, saved: Saved) -> None:
    inputs = {"model": link("load.model"), "lora": str(saved("wan").loras["diffusers"])}
    load = {"type": "LoadModel", "inputs": {"model": str(saved("qwen-image").folder)}}
    nodes = {"load": load, "lora": {"type": "LoadLora", "inputs": inputs}}
    [problem] = bench.problems(nodes, "lora")
    assert problem.code == "wrong-family"


def test_metadata_tell_sdxl_from_kolors(bench: Bench, saved: Saved, tmp_path: Path) -> None:
    """Published UNets of both have layers of the same names and sizes."""
    stem = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    pair = {stem: (torch.zeros(2, 2048), torch.zeros(640, 2))}
    metadata = {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}
    lora = files.saved(files.flat_file(pair, ""), tmp_path / "lora.safetensors", metadata)
    [finding] = findings(bench, {"lora": saved("kolors").folder}, lora)["lora"]
    assert finding.message == (
        "the LoRA seems to be for Stable Diffusion XL, but the model is Kolors"
    )


def test_a_lora_of_sdxl_or_kolors_is_doubted_on_kolors_alone(
    bench: Bench, saved: Saved, tmp_path: Path
) -> None:
    """Far more are published for Stable Diffusion XL."""
    stem = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    pair = {stem: (torch.zeros(2, 2048), torch.zeros(640, 2))}
    lora = files.saved(files.flat_file(pair, ""), tmp_path / "lora.safetensors")
    models = {name: saved(name).folder for name in ("kolors", "sdxl")}
    doubts = {
        name: [item for item in found if "does not say" in item.message]
        for name, found in findings(bench, models, lora).items()
    }
    [doubt] = doubts["kolors"]
    assert doubt.message == (
        "the LoRA has layers of Stable Diffusion XL, and its file does not say whether it is for "
        "Kolors"
    )
    assert not doubts["sdxl"]


def test_numbered_text_encoders_tell_sdxl_from_kolors(
    bench: Bench, saved: Saved, tmp_path: Path
) -> None:
    """Trainers number CLIP encoders where a model has two; Kolors has one, a ChatGLM."""
    stems = {
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k": (640, 2048),
        "lora_te1_text_model_encoder_layers_0_mlp_fc1": (3072, 768),
    }
    pairs = {
        stem: (torch.zeros(2, width), torch.zeros(height, 2))
        for stem, (height, width) in stems.items()
    }
    lora = files.saved(files.flat_file(pairs, ""), tmp_path / "lora.safetensors")
    [finding] = findings(bench, {"lora": saved("kolors").folder}, lora)["lora"]
    assert finding.message == (
        "the LoRA seems to be for Stable Diffusion XL, but the model is Kolors"
    )


@pytest.mark.parametrize(
    ("source", "target"),
    [(stable_cascade, stable_cascade_decoder), (stable_cascade_decoder, stable_cascade)],
)
def test_a_lora_of_one_stage_is_not_for_the_other(
    bench: Bench, tmp_path: Path, source: Callable[[], Any], target: Callable[[], Any]
) -> None:
    folders = {}
    for build in (source, target):
        pipeline = random_pipeline(build)
        folders[build.__name__] = tmp_path / build.__name__
        pipeline.save_pretrained(folders[build.__name__])
        if build is source:
            own = files.own_pairs(getattr(pipeline, _stage(build)))
            lora = files.saved(files.peft_file(own, "unet."), tmp_path / "a.safetensors")
    found = findings(bench, folders, lora)
    assert found[source.__name__] == []
    [problem] = found[target.__name__]
    title = "stage C" if source is stable_cascade else "stage B"
    assert problem.message.startswith(f"the LoRA seems to be for Stable Cascade {title}, but")


def _stage(build: Callable[[], Any]) -> str:
    return "prior" if build is stable_cascade else "decoder"
