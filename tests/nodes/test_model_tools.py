"""Nodes that merge models, extract LoRAs and save whole models, from files to files."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers as tf
from diffusers import DiffusionPipeline, UNet2DConditionModel
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.families.registry import get_family
from nodegraph.models.model_library import header_image, model_image, read_facts
from nodegraph.training.merge_weights import parse_blocks
from tests.diffusion import ldm_export as ldm
from tests.diffusion.adapters import files
from tests.diffusion.conftest import SD1_SCHEDULER, tiny_unet, write_sd1
from tests.diffusion.families.chatglm import sentencepiece_at_hand
from tests.diffusion.families.h3_models import StockH3
from tests.diffusion.families.test_qwen_image_edit import PictureProcessor
from tests.diffusion.families.test_single_files import BUILDS, Words, autoencoder, clip_text, unet
from tests.diffusion.families.tiny_models import TINY, TINY_SOLIDS, TINY_SOUND
from tests.diffusion.precision.packed_files import FORMS, pack_matrices
from tests.diffusion.precision.test_packed_vaes import int8, packed

from .conftest import Bench, link

Nodes = dict[str, Any]
Written = Callable[[str, int], Path]


@pytest.fixture
def models(bench: Bench) -> Bench:
    """A bench with the models `one`, `two` and `three`, which are alike but for their weights."""
    for seed, name in enumerate(("one", "two", "three")):
        write_sd1(bench.folder / "models" / name, SD1_SCHEDULER, seed)
    return bench


def loaded(*names: str) -> Nodes:
    return {name: {"type": "LoadModel", "inputs": {"model": name}} for name in names}


def merge(**inputs: Any) -> Nodes:
    parts = {"model": link("one.model"), "second": link("two.model")}
    return {"merge": {"type": "MergeModels", "inputs": {**parts, **inputs}}}


def weights(bench: Bench, name: str, part: str = "unet") -> dict[str, Tensor]:
    [path] = (bench.folder / "models" / name / part).glob("*.safetensors")
    tensors: dict[str, Tensor] = load_file(path)
    return tensors


def merged(bench: Bench, nodes: Nodes, output: str = "merge.model") -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = load_file(bench.value(nodes, output).files[0].path)
    return tensors


def test_a_weighted_sum(models: Bench) -> None:
    one, two = weights(models, "one"), weights(models, "two")
    made = merged(models, loaded("one", "two") | merge(weight=0.25))
    assert made.keys() == one.keys()
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, 0.75 * one[name] + 0.25 * two[name])


@pytest.mark.parametrize(("weight", "same"), [(0, "one"), (1, "two")])
def test_at_both_ends_it_is_one_of_the_models(models: Bench, weight: float, same: str) -> None:
    made = merged(models, loaded("one", "two") | merge(weight=weight))
    assert all(torch.equal(made[name], item) for name, item in weights(models, same).items())


def test_an_added_difference(models: Bench) -> None:
    one, two, three = (weights(models, name) for name in ("one", "two", "three"))
    nodes = loaded("one", "two", "three")
    made = merged(models, nodes | merge(base=link("three.model"), weight=0.5))
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, one[name] + 0.5 * (two[name] - three[name]))
    nothing = merged(models, nodes | merge(base=link("two.model"), weight=2))
    assert all(torch.equal(nothing[name], item) for name, item in one.items())


def test_both_models_may_have_weights(models: Bench) -> None:
    one, two, three = (weights(models, name) for name in ("one", "two", "three"))
    nodes = loaded("one", "two", "three")
    difference = nodes | merge(first_weight=0.5, weight=-0.5)
    for name, tensor in merged(models, difference).items():
        torch.testing.assert_close(tensor, 0.5 * (one[name] - two[name]))
    parts = {"model": link("three.model"), "second": link("merge.model")}
    added = {"type": "MergeModels", "inputs": {**parts, "first_weight": 1, "weight": 1}}
    for name, tensor in merged(models, difference | {"add": added}, "add.model").items():
        torch.testing.assert_close(tensor, three[name] + 0.5 * (one[name] - two[name]))


def test_text_encoders_are_added(models: Bench) -> None:
    one, two = (weights(models, name, "text_encoder") for name in ("one", "two"))
    inputs = {"text_encoder": link("one.text_encoder"), "second": link("two.text_encoder")}
    node = {"type": "MergeTextEncoders", "inputs": {**inputs, "first_weight": 1, "weight": 0.5}}
    made = merged(models, loaded("one", "two") | {"merge": node}, "merge.text_encoder")
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, one[name] + 0.5 * two[name])


def test_a_question_mark_allows_models_without_a_block(models: Bench) -> None:
    plain = merged(models, loaded("one", "two") | merge(blocks="mid_block: 1"))
    rules = "add_embedding?: 0.1, mid_block?: 1"
    made = merged(models, loaded("one", "two") | merge(blocks=rules))
    assert all(torch.equal(made[name], item) for name, item in plain.items())


def test_blocks_have_weights_of_their_own(models: Bench) -> None:
    one, two = weights(models, "one"), weights(models, "two")
    rules = "down_blocks: 1\ndown_blocks.0.resnets = 0, MID: 0.5"
    made = merged(models, loaded("one", "two") | merge(weight=0, blocks=rules))
    for name, tensor in made.items():
        if name.startswith("down_blocks.0.resnets."):
            expected = one[name]
        elif name.startswith("down_blocks."):
            expected = two[name]
        elif name.startswith("mid_block."):
            expected = 0.5 * one[name] + 0.5 * two[name]
        else:
            expected = one[name]
        torch.testing.assert_close(tensor, expected)


def test_a_list_of_weights_is_for_the_blocks_in_order(models: Bench) -> None:
    """Input blocks 0 to 3, the middle, output blocks 0 to 3, as this UNet has two levels."""
    one, two = weights(models, "one"), weights(models, "two")
    listed = "0,1,0,0, 0, 0,0,1,0"
    made = merged(models, loaded("one", "two") | merge(weight=0, blocks=listed))
    changed = {name for name, item in made.items() if not torch.equal(item, one[name])}
    down = ("down_blocks.0.resnets.0.", "down_blocks.0.attentions.0.")
    places = (*down, "up_blocks.1.resnets.0.", "up_blocks.1.attentions.0.")
    assert changed
    assert all(name.startswith(places) for name in changed)
    assert all(torch.equal(made[name], two[name]) for name in changed)


def test_a_fine_tuned_model_learns_to_paint_inside_masks(models: Bench) -> None:
    """The inpainting model takes nine channels, the others four."""
    folder = models.folder / "models" / "masked"
    write_sd1(folder, SD1_SCHEDULER, seed=7)
    wide = UNet2DConditionModel.from_config({**tiny_unet().config, "in_channels": 9})
    wide.save_pretrained(folder / "unet")
    nodes = loaded("masked", "two", "three")
    inputs = {"model": link("masked.model"), "base": link("three.model"), "weight": 1}
    made = merged(models, nodes | merge(**inputs))
    own, two, three = wide.state_dict(), weights(models, "two"), weights(models, "three")
    first = "conv_in.weight"
    torch.testing.assert_close(made[first][:, :4], own[first][:, :4] + two[first] - three[first])
    assert torch.equal(made[first][:, 4:], own[first][:, 4:])
    assert models.value(nodes | merge(**inputs), "merge.model").family == "sd1"


def test_a_merged_model_samples_and_stays_after_a_restart(models: Bench) -> None:
    nodes = loaded("one", "two") | merge() | sampled("merge.model")
    image = models.value(nodes, "sample.latent")
    assert image.samples.isfinite().all()
    with models.session.__class__(models.session.settings) as again:
        result = again.run({"format": "nodegraph/1", "nodes": nodes}, targets=["sample"])
    assert result.nodes["merge"].status == "cached"


def sampled(model: str, encoder: str = "one.text_encoder") -> Nodes:
    return {
        "prompt": {"type": "EncodePrompt", "inputs": {"encoder": link(encoder), "text": "a fox"}},
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link(model),
                "positive": link("prompt"),
                "latent": link("size"),
                "steps": 2,
            },
        },
    }


def test_text_encoders_are_merged(models: Bench) -> None:
    inputs = {"text_encoder": link("one.text_encoder"), "second": link("two.text_encoder")}
    nodes = loaded("one", "two") | {"merge": {"type": "MergeTextEncoders", "inputs": inputs}}
    made = merged(models, nodes, "merge.text_encoder")
    one, two = (weights(models, name, "text_encoder") for name in ("one", "two"))
    assert {name.removeprefix("text_model.") for name in made} == {
        name.removeprefix("text_model.") for name in one if not name.endswith("position_ids")
    }
    for name, tensor in made.items():
        stored = next(each for each in one if each.endswith(name.removeprefix("text_model.")))
        torch.testing.assert_close(tensor, (one[stored] + two[stored]) / 2)
    result = models.run(nodes | sampled("one.model", "merge.text_encoder"), "sample")
    assert not result.errors


def test_loras_of_the_models_are_merged_too(models: Bench) -> None:
    torch.manual_seed(0)
    pairs = files.own_pairs(tiny_unet())
    files.saved(files.peft_file(pairs, "unet."), models.folder / "models" / "lora.safetensors")
    nodes = loaded("one", "two") | lora("one.model")
    made = merged(models, nodes | merge(model=link("lora.model"), weight=0))
    one = weights(models, "one")
    for path, (down, up) in pairs.items():
        change = (up.flatten(1) @ down.flatten(1)).reshape(one[f"{path}.weight"].shape)
        torch.testing.assert_close(made[f"{path}.weight"], one[f"{path}.weight"] + change)


def lora(model: str, name: str = "lora", **inputs: Any) -> Nodes:
    return {name: {"type": "LoadLora", "inputs": {"model": link(model), "lora": name, **inputs}}}


@pytest.mark.parametrize(
    ("inputs", "port", "part"),
    [
        ({"blocks": "down_blocks.7: 1"}, "blocks", "no such block"),
        ({"blocks": "IN99: 1"}, "blocks", "no such block"),
        ({"blocks": "1, 2, 3"}, "blocks", "3 numbers"),
    ],
)
def test_blocks_that_a_model_lacks_are_refused(
    models: Bench, inputs: Nodes, port: str, part: str
) -> None:
    problem = models.failure(loaded("one", "two") | merge(**inputs), "merge").problem
    assert problem.port == port
    assert part in f"{problem.message} {problem.given}"


@pytest.mark.parametrize(
    "text", ["down", "MID: x", "a: 1: 2", "IN05-IN01: 1", "MID: 11", "a-b: 1", "a.0-99999999999: 1"]
)
def test_unreadable_weights_of_blocks_are_found_before_the_run(models: Bench, text: str) -> None:
    [problem] = models.problems(loaded("one", "two") | merge(blocks=text), "merge")
    assert problem.port == "blocks"


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with suppress(InvalidValue):
        parse_blocks(text)


def test_models_with_other_layers_are_refused(models: Bench) -> None:
    folder = models.folder / "models" / "other"
    write_sd1(folder, SD1_SCHEDULER)
    UNet2DConditionModel.from_config(
        {**tiny_unet().config, "block_out_channels": (32, 32)}
    ).save_pretrained(folder / "unet")
    nodes = loaded("one", "other") | merge(second=link("other.model"))
    assert "different layers" in models.failure(nodes, "merge").problem.message


def test_quantized_weights_are_refused(models: Bench) -> None:
    nodes = loaded("one", "two") | merge()
    nodes["two"]["inputs"]["storage"] = "int8"
    problem = models.failure(nodes, "merge").problem
    assert (problem.port, problem.given) == ("second", "weights as int8")


def extract(**inputs: Any) -> Nodes:
    return {"extract": {"type": "ExtractLora", "inputs": inputs}}


def test_a_lora_from_two_models_turns_one_into_the_other(models: Bench) -> None:
    nodes = loaded("one", "two") | extract(
        model=link("two.model"),
        base=link("one.model"),
        text_encoder=link("two.text_encoder"),
        base_text_encoder=link("one.text_encoder"),
        rank=1024,
    )
    nodes["apply"] = {
        "type": "ApplyWeights",
        "inputs": {
            "model": link("one.model"),
            "text_encoder": link("one.text_encoder"),
            "weights": link("extract.weights"),
        },
    }
    nodes |= merge(model=link("apply.model"), weight=0)
    made, one, two = merged(models, nodes), weights(models, "one"), weights(models, "two")
    layers = [name for name, item in made.items() if item.dim() > 1]
    assert layers
    for name in layers:
        # The file is in float16.
        torch.testing.assert_close(made[name], two[name], atol=2e-3, rtol=0)
        assert not torch.allclose(one[name], two[name], atol=2e-3)
    stored = load_file(models.value(nodes, "extract.weights").files[0].path)
    assert any(name.startswith("text_encoder.") for name in stored)


def test_loras_become_one_of_another_rank(models: Bench) -> None:
    torch.manual_seed(0)
    for name in ("first", "second"):
        pairs = files.own_pairs(tiny_unet())
        path = models.folder / "models" / f"{name}.safetensors"
        files.saved(files.peft_file(pairs, "unet."), path)
    nodes = loaded("one") | lora("one.model", "first") | lora("first.model", "second", fused=True)
    both = nodes | extract(model=link("second.model"), rank=64)
    sample = {"type": "EmptyImage", "inputs": {"width": 320, "height": 200}}
    inputs = {
        "weights": link("extract.weights"),
        "trigger_words": " red  fox ",
        "sample": link("sample"),
    }
    both |= {"sample": sample, "save": {"type": "SaveWeights", "inputs": inputs}}
    result = models.run(both, "save")
    assert not result.errors
    [log] = [event.data["message"] for event in models.told("log") if event.node == "extract"]
    assert log.startswith("The LoRA has 100.0% of the change")
    path, image = [file.path for file in result.files]
    assert (path.name, image.name) == ("lora_00001.safetensors", "lora_00001.png")
    record = read_facts(path)
    assert (record.title, record.trigger_words) == ("lora", ("red fox",))
    assert record.has_thumbnail
    shown = Image.open(BytesIO(header_image(path) or b""))
    assert (shown.format, shown.size) == ("JPEG", (256, 160))
    assert model_image(path) == image
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    # In an order that is always the same, so that equal weights are one file.
    assert [*header["__metadata__"]] == sorted(header["__metadata__"])
    path.rename(models.folder / "models" / "joined.safetensors")
    joined = loaded("one") | lora("one.model", "joined") | sampled("joined.model")
    expected = models.value(nodes | sampled("second.model"), "sample.latent").samples
    found = models.value(joined, "sample.latent").samples
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)
    small = models.value(nodes | extract(model=link("second.model"), rank=2), "extract.weights")
    ranks = {len(item) for name, item in load_file(small.files[0].path).items() if "lora_A" in name}
    assert ranks == {2}


def test_energy_lowers_the_rank_of_simple_layers(models: Bench) -> None:
    nodes = loaded("one", "two") | extract(
        model=link("two.model"), base=link("one.model"), rank=64, energy=0.5
    )
    stored = load_file(models.value(nodes, "extract.weights").files[0].path)
    ranks = {len(item) for name, item in stored.items() if "lora_A" in name}
    assert max(ranks) < 32
    assert len(ranks) > 1


@pytest.mark.parametrize(
    ("inputs", "port"),
    [({"model": "one.model"}, "model"), ({"model": "one.model", "base": "one.model"}, "base")],
)
def test_where_nothing_differs_there_is_no_lora(models: Bench, inputs: Nodes, port: str) -> None:
    linked = {name: link(value) for name, value in inputs.items()}
    assert models.failure(loaded("one") | extract(**linked), "extract").problem.port == port


def saved(**inputs: Any) -> Nodes:
    parts = {name: link(f"load.{name}") for name in ("model", "text_encoder", "vae")}
    return {"save": {"type": "SaveModel", "inputs": {**parts, **inputs}}}


def load(name: str, **inputs: Any) -> Nodes:
    return {"load": {"type": "LoadModel", "inputs": {"model": name, **inputs}}}


def sd1() -> tuple[dict[str, Any], dict[str, Tensor]]:
    net = unet(
        64,
        8,
        block_out_channels=(64, 128),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=32,
    )
    parts = {"unet": net, "vae": autoencoder(0.18215), "text_encoder": clip_text(Words(), 64)}
    return parts, ldm.clip(parts["text_encoder"], "cond_stage_model.transformer.")


SINGLE = {"sd1": sd1, **BUILDS}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name != "sdxl" else ()) for name in SINGLE],
)
def test_a_single_file_is_as_the_original_code_has_it(bench: Bench, name: str) -> None:
    torch.manual_seed(0)
    parts, encoders = SINGLE[name]()
    original = ldm.pictures(parts["unet"], parts["vae"]) | encoders
    original = {key: item.detach().clone().contiguous() for key, item in original.items()}
    (bench.folder / "models").mkdir()
    save_file(original, bench.folder / "models" / "whole.safetensors")
    options = {"prediction_type": "v_prediction"} if name == "sd2" else {}
    nodes = load("whole.safetensors", **options) | saved(title="Apples", license="CC0-1.0")
    result = bench.run(nodes)
    assert not result.errors
    [file] = result.files
    found = load_file(file.path)
    assert original.keys() <= found.keys() | {
        key for key in original if key.endswith(("position_ids", "text_projection"))
    }
    for key, tensor in found.items():
        if key in original and ".resblocks.3." not in key:
            assert torch.equal(tensor, original[key]), key
    with safe_open(file.path, "pt") as opened:
        metadata = opened.metadata()
    assert metadata["modelspec.title"] == "Apples"
    assert metadata["modelspec.license"] == "CC0-1.0"
    assert metadata["modelspec.prediction_type"] == ("v" if name == "sd2" else "epsilon")
    # It is opened again as what it was, and written once.
    file.path.rename(bench.folder / "models" / "again.safetensors")
    again = load("again.safetensors") | saved(title="Apples", license="CC0-1.0")
    result = bench.run(again)
    assert not result.errors
    assert load_file(result.files[0].path).keys() == found.keys()
    assert (
        bench.run(
            again
            | {
                "save": {
                    **again["save"],
                    "inputs": again["save"]["inputs"] | {"dtype": "auto", "author": ""},
                }
            }
        )
        .files[0]
        .path
        == result.files[0].path
    )


WITH_PROCESSORS = [
    name
    for name in TINY
    if any(
        part.processor and "Tokenizer" in part.classes[0] for part in get_family(name).tokenizers
    )
]
"""Families of which only the tokenizer of a processor is loaded."""


@pytest.mark.parametrize("name", WITH_PROCESSORS)
def test_a_model_whose_processor_is_not_loaded_is_not_saved_as_a_folder(
    bench: Bench, name: str
) -> None:
    TINY[name].build().save_pretrained(bench.folder / "models" / "made")
    errors = bench.run(load("made") | saved(layout="folder")).errors
    assert "Processor is loaded" in str(errors)


@pytest.mark.filterwarnings(
    "ignore:.*FluxPosEmbed:FutureWarning",
    "ignore:.*weight_norm:FutureWarning",
    "ignore:.*LoraLoaderMixin:FutureWarning",
    "ignore:__array__ implementation:DeprecationWarning",
)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("sd1", "flux") else pytest.mark.slow)
        for name in (*TINY, *TINY_SOUND, *TINY_SOLIDS)
        if name not in WITH_PROCESSORS
    ],
)
def test_a_folder_is_what_diffusers_loads(bench: Bench, name: str) -> None:
    torch.manual_seed(0)
    pipeline = {**TINY, **TINY_SOUND, **TINY_SOLIDS}[name].build()
    pipeline.save_pretrained(bench.folder / "models" / "made")
    result = bench.run(load("made") | saved(layout="folder"))
    assert not result.errors, result.errors
    index = next(file.path for file in result.files if file.path.name.endswith("model_index.json"))
    assert_same_settings(bench.folder / "models" / "made", index)
    # These load by themselves only where torchvision, torchsde, or the guardrail, is installed.
    own = {
        role: read_processor(index.parent, role) if isinstance(part, PictureProcessor) else part
        for role, part in pipeline.components.items()
        if isinstance(part, PictureProcessor)
        or type(part).__name__ in ("SafetyChecker", "CosineDPMSolverMultistepScheduler")
    }
    # Control networks have folders of their own, and are passed to the pipeline.
    own |= {"controlnet": None} if "controlnet" in pipeline.components else {}
    if isinstance(pipeline, StockH3):
        again = StockH3.from_folder(index.parent, **own)
    else:
        # diffusers exports Kolors only where sentencepiece is installed.
        usual = isinstance(pipeline, DiffusionPipeline) and name != "kolors"
        kind = DiffusionPipeline if usual else type(pipeline)
        with sentencepiece_at_hand():
            again = kind.from_pretrained(index.parent, local_files_only=True, **own)
    assert type(again) is type(pipeline)
    for role, module in pipeline.components.items():
        if isinstance(module, torch.nn.Module):
            found = tensors_of(again.components[role])
            assert all(torch.equal(found[key], item) for key, item in tensors_of(module).items())
        elif module is not None and "tokenizer" in role:
            words = again.components[role]("a red fox").input_ids
            assert words == module("a red fox").input_ids
        elif isinstance(module, PictureProcessor):
            read = again.components[role]
            assert read.tokenizer("a red fox").input_ids == module.tokenizer("a red fox").input_ids
            assert read.image_processor.to_dict() == module.image_processor.to_dict()
        elif role == "scheduler":
            assert type(again.components[role]) is type(module)
            read, own = (dict(each.config) for each in (again.components[role], module))
            # The pipeline of Cosmos Predict2 sets its last level, and the tests replace that.
            known = {key for key in own if not key.startswith("_")} - {"final_sigmas_type"}
            assert {key: read.get(key) for key in known} == {key: own[key] for key in known}
    index.parent.rename(bench.folder / "models" / "again")
    assert not bench.run(load("again") | saved(layout="folder"), "save").errors


@pytest.mark.slow
def test_a_chosen_shift_of_the_sound_is_saved(bench: Bench) -> None:
    TINY["minimax-h3"].build().save_pretrained(bench.folder / "models" / "made")
    shifted = {"type": "SetSoundShift", "inputs": {"model": link("load.model"), "shift": 5.5}}
    nodes = load("made") | saved(layout="folder") | {"shifted": shifted}
    nodes["save"]["inputs"]["model"] = link("shifted.model")
    result = bench.run(nodes)
    assert not result.errors
    files = {
        file.path.parent.name: file.path
        for file in result.files
        if file.path.name == "scheduler_config.json"
    }
    video, sound = (
        json.loads(files[name].read_text()) for name in ("scheduler", "audio_scheduler")
    )
    assert (video["shift"], sound["shift"]) == (12.0, 5.5)
    assert "audio_shift" not in video


def assert_same_settings(original: Path, index: Path) -> None:
    """Schedulers, autoencoders and pipelines are set up as those of the folder that was loaded."""
    for file in original.glob("*/*config.json"):
        if "scheduler" in file.parent.name or file.parent.name in ("vae", "vqgan", "audio_vae"):
            again = index.parent / file.relative_to(original)
            assert again.is_file(), again
            assert whole_config(again) == whole_config(file)
    expected, found = (
        json.loads((folder / index.name).read_text()) for folder in (original, index.parent)
    )
    options = {name: value for name, value in expected.items() if not isinstance(value, list)}
    assert {name: found.get(name) for name in options} == options
    pipeline = getattr(diffusers, found["_class_name"])
    if pipeline is not diffusers.KolorsPipeline and "Modular" not in found["_class_name"]:
        taken = inspect.signature(pipeline.__init__).parameters
        assert {name for name in found if not name.startswith("_")} <= taken.keys()


_OF_PIPELINE = frozenset({"sigma_max", "sigma_min", "sigma_data", "final_sigmas_type"})
"""What the pipeline of Cosmos Predict2 sets in a flow's scheduler when it is built."""


def whole_config(file: Path) -> dict[str, Any]:
    """What diffusers makes of a configuration: with the defaults of its class."""
    config: dict[str, Any] = json.loads(file.read_text())
    kind = getattr(diffusers, config["_class_name"], None)
    usual = {} if kind is None else inspect.signature(kind.__init__).parameters
    empty = inspect.Parameter.empty
    defaults = {name: each.default for name, each in usual.items() if each.default is not empty}
    return {
        name: value
        for name, value in json.loads(json.dumps({**defaults, **config}, default=list)).items()
        if name not in ("_diffusers_version", "_use_default_values")
        and not (name in _OF_PIPELINE and config["_class_name"].startswith("FlowMatch"))
    }


def read_processor(folder: Path, role: str) -> PictureProcessor:
    """What a folder holds of a processor, after checks that it is all that the class asks for."""
    (index,) = folder.glob("*model_index.json")
    library, kind = json.loads(index.read_text())[role][:2]
    assert library == "transformers"
    assert kind in ("Qwen2VLProcessor", "Qwen3VLProcessor")
    return PictureProcessor(
        tf.Qwen2VLImageProcessorPil.from_pretrained(folder / role),
        tf.AutoTokenizer.from_pretrained(folder / role),
    )


def tensors_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """Those of a language model without the head that no prompt needs."""
    return folded(
        {
            name.removeprefix("model."): item
            for name, item in module.state_dict().items()
            if name != "lm_head.weight"
        }
    )


def folded(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """With the weights that a layer computes of lengths and directions."""
    found = dict(tensors)
    for length in [name for name in found if name.endswith(".weight_g")]:
        stem = length.removesuffix("_g")
        found[stem] = torch._weight_norm(found.pop(f"{stem}_v"), found.pop(length))
    return found


def test_a_family_without_single_files_is_refused(bench: Bench) -> None:
    TINY["flux"].build().save_pretrained(bench.folder / "models" / "made")
    problem = bench.failure(load("made") | saved(), "save").problem
    assert problem.port == "layout"


def test_packed_weights_are_saved_only_if_they_are_loaded_in_full(bench: Bench) -> None:
    torch.manual_seed(0)
    parts, encoders = sd1()
    tensors = ldm.pictures(parts["unet"], parts["vae"]) | encoders
    packed = {key: tensors[key] for key in tensors if not key.startswith("first_stage_model.")}
    pair = pack_matrices(packed, FORMS["int8 with convrot"])
    narrow, wide = ({**tensors, **content} for content in pair)
    (bench.folder / "models").mkdir()
    for name, content in (("narrow", narrow), ("wide", wide)):
        kept = {key: item.detach().clone().contiguous() for key, item in content.items()}
        save_file(kept, bench.folder / "models" / f"{name}.safetensors")
    problem = bench.failure(load("narrow.safetensors") | saved(), "save").problem
    assert (problem.node, problem.port) == ("save", "model")
    assert problem.message == "quantized weights cannot be saved"
    assert problem.given == "low-bit weights as in the file"
    assert "Load it with storage `full`" in str(problem.hint)
    written = [
        bench.run(load(f"{name}.safetensors", storage="full") | saved(dtype="float32")).files[0]
        for name in ("narrow", "wide")
    ]
    first, second = (load_file(file.path) for file in written)
    assert first.keys() == second.keys()
    assert all(torch.equal(item, second[key]) for key, item in first.items())


def test_a_single_file_that_would_be_read_differently_is_refused(models: Bench) -> None:
    """Its norms have other groups than published models, which such a file cannot say."""
    problem = models.failure(load("one") | saved(), "save").problem
    assert problem.port == "layout"
    assert "norm_num_groups" in problem.message or "attention_head_dim" in problem.message


def test_half_precision_and_half_a_model(models: Bench) -> None:
    nodes = load("one") | saved(layout="folder", dtype="float16")
    result = models.run(nodes)
    assert not result.errors
    weights_files = [file.path for file in result.files if file.path.suffix == ".safetensors"]
    assert len(weights_files) == 3
    for path in weights_files:
        assert {item.dtype for item in load_file(path).values() if item.is_floating_point()} == {
            torch.float16
        }
    nodes["save"]["inputs"].pop("vae")
    assert models.failure(nodes, "save").problem.port == "vae"


@pytest.mark.parametrize("name", ["../out", "a/../../b", "con"])
def test_names_outside_the_outputs_are_refused(models: Bench, name: str) -> None:
    problems = models.problems(load("one") | saved(name=name), "save")
    if name != "con":
        assert [problem.port for problem in problems] == ["name"]


def test_a_link_out_of_the_outputs_is_not_followed(models: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (models.folder / "outputs").mkdir(exist_ok=True)
    (models.folder / "outputs" / "style").symlink_to(outside)
    nodes = load("one") | saved(layout="folder", name="style/ink")
    assert models.failure(nodes, "save")
    assert not list(outside.iterdir())


def test_nothing_is_left_of_a_model_that_cannot_be_written(models: Bench) -> None:
    nodes = load("one") | saved(layout="folder") | load("one")
    nodes["lora"] = {
        "type": "LoadTextualInversion",
        "inputs": {"text_encoder": link("load.text_encoder"), "embedding": "word"},
    }
    torch.manual_seed(0)
    embedding = {"emb_params": torch.randn(1, 32)}
    save_file(embedding, models.folder / "models" / "word.safetensors")
    nodes["save"]["inputs"]["text_encoder"] = link("lora.text_encoder")
    with pytest.raises(NodegraphError, match="textual inversion"):
        raise models.failure(nodes, "save")
    outputs = models.folder / "outputs"
    assert not outputs.exists() or not list(outputs.iterdir())


def test_the_index_of_a_folder_names_its_parts(models: Bench) -> None:
    result = models.run(load("one") | saved(layout="folder"))
    index = next(file.path for file in result.files if file.path.name == "model_index.json")
    known = json.loads(index.read_text())
    assert known["_class_name"] == "StableDiffusionPipeline"
    assert known["unet"] == ["diffusers", "UNet2DConditionModel"]
    assert known["safety_checker"] == [None, None]


def test_a_saved_folder_that_lost_a_file_is_completed(models: Bench) -> None:
    nodes = load("one") | saved(layout="folder")
    files_before = [file.path for file in models.run(nodes).files]
    lost = next(path for path in files_before if path.parent.name == "unet")
    content = lost.read_bytes()
    lost.unlink()
    again = models.run(nodes | {"save": {**nodes["save"], "inputs": nodes["save"]["inputs"]}})
    assert lost.read_bytes() == content
    assert [file.path for file in again.files if not file.existed] == [lost]


def test_a_vae_is_saved_alone_under_its_original_names(bench: Bench) -> None:
    torch.manual_seed(0)
    parts, encoders = sd1()
    original = ldm.pictures(parts["unet"], parts["vae"]) | encoders
    (bench.folder / "models").mkdir()
    tensors = {key: item.detach().clone().contiguous() for key, item in original.items()}
    save_file(tensors, bench.folder / "models" / "whole.safetensors")
    save = {"type": "SaveVae", "inputs": {"vae": link("load.vae")}}
    [file] = bench.run(load("whole.safetensors") | {"save": save}).files
    prefix = "first_stage_model."
    own = {key.removeprefix(prefix): item for key, item in tensors.items() if prefix in key}
    alone = load_file(file.path)
    assert alone.keys() == own.keys()
    assert all(torch.equal(alone[key], item) for key, item in own.items())
    loaded_again = {"vae": {"type": "LoadVae", "inputs": {"vae": str(file.path), "latents": "sd"}}}
    assert bench.value(loaded_again, "vae.vae").family == "sd"


def test_a_vae_of_a_quantized_file_is_saved_as_its_numbers(models: Bench) -> None:
    folder = models.folder / "models"
    names = ("narrow", "wide")
    for at, name in enumerate(names):
        shutil.copytree(folder / "one", folder / name)
        [path] = (folder / name / "vae").glob("*.safetensors")
        save_file(packed(load_file(path), int8)[at], path, {"format": "pt"})
    save = {"type": "SaveVae", "inputs": {"vae": link("load.vae"), "dtype": "float32"}}
    parts = {part: link(f"load.{part}") for part in ("model", "text_encoder", "vae")}
    whole = {"type": "SaveModel", "inputs": {**parts, "layout": "folder", "dtype": "float32"}}
    for node, end in ((save, ""), (whole, "vae/diffusion_pytorch_model.safetensors")):
        paths = [Path(models.run(load(name) | {"save": node}).files[0].path) for name in names]
        narrow, wide = (load_file(path.parent / end if end else path) for path in paths)
        assert narrow.keys() == wide.keys()
        assert all(torch.equal(narrow[key], item) for key, item in wide.items())


@pytest.mark.parametrize("name", ["ace-step", "stable-audio"])
def test_a_vae_of_sounds_is_saved_alone_and_read_again(bench: Bench, name: str) -> None:
    torch.manual_seed(0)
    TINY_SOUND[name].build().save_pretrained(bench.folder / "models" / "made")
    save = {"type": "SaveVae", "inputs": {"vae": link("load.vae")}}
    [file] = bench.run(load("made") | {"save": save}).files
    again = {"vae": {"type": "LoadVae", "inputs": {"vae": str(file.path), "latents": "auto"}}}
    assert bench.value(again, "vae.vae").family == bench.value(load("made"), "load.vae").family
    own, found = folded(weights(bench, "made", "vae")), folded(load_file(file.path))
    assert found.keys() == own.keys()
    assert all(torch.equal(found[key], item) for key, item in own.items())


def test_a_text_encoder_is_saved_alone_as_transformers_names_it(models: Bench) -> None:
    inputs = {"text_encoder": link("one.text_encoder"), "dtype": "float16"}
    save = {"type": "SaveTextEncoder", "inputs": inputs}
    [file] = models.run(loaded("one") | {"save": save}).files
    own = weights(models, "one", "text_encoder")
    alone = load_file(file.path)
    assert alone.keys() == own.keys()
    assert all(torch.equal(alone[name], item.half()) for name, item in own.items())
