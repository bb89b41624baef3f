"""Pipeline classes read from the source of the diffusers that is installed here."""

from __future__ import annotations

import ast
import json
import lzma
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import pytest
from nodegraph_pipelines.generated import declaration_lines

from nodegraph.interop.pipelines.classes import PipelineClass, PipelineInput, to_stored
from nodegraph.interop.pipelines.reading.source_modules import collector_paused
from nodegraph.interop.pipelines.source import (
    SHIPPED,
    diffusers_folder,
    diffusers_stamp,
    pipeline_class,
    pipeline_dataclass,
    shipped_catalog,
    shipped_declarations,
)
from tests.pipelines.reading.conftest import Everything

Classes = Mapping[str, PipelineClass]


def _input(found: PipelineClass, name: str) -> PipelineInput:
    return next(item for item in found.inputs if item.name == name)


def _shown(classes: Classes) -> Iterator[tuple[str, PipelineInput]]:
    return ((name, item) for name, found in classes.items() for item in found.inputs)


def test_the_shipped_catalog_is_what_is_read_of_that_release(everything: Everything) -> None:
    """If not: python docs/generate_pipelines.py."""
    shipped = json.loads(lzma.decompress(SHIPPED.read_bytes()).splitlines()[0])
    if shipped["version"] == version("diffusers"):
        assert to_stored(shipped_catalog()) == to_stored(everything)
        assert shipped_declarations() == declaration_lines()
    else:
        assert shipped_catalog() is None
        assert shipped_declarations() is None


def test_another_release_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "diffusers-99.0.dist-info"
    there.mkdir()
    (there / "METADATA").write_text("Metadata-Version: 2.1\nName: diffusers\nVersion: 99.0\n")
    (there / "RECORD").write_text("diffusers/__init__.py,sha256=another,1\n")
    monkeypatch.syspath_prepend(tmp_path)
    shipped_catalog.cache_clear()
    try:
        assert shipped_catalog() is None
        assert pipeline_class("StableAudioPipeline") is not None
    finally:
        shipped_catalog.cache_clear()


def test_a_sound_pipeline_is_read_as_people_would_describe_it(classes: Classes) -> None:
    found = classes["StableAudioPipeline"]
    assert (found.makes, found.follows) == ("audio", "callback")
    assert [(item.name, item.kind) for item in found.outputs] == [("audios", "audio")]
    assert _input(found, "prompt").kind == "text"
    assert _input(found, "num_inference_steps").default == 100
    assert _input(found, "generator").kind == "seed"
    assert _input(found, "initial_audio_waveforms").kind == "audio"
    assert found.settings["rates"] == {"initial_audio_sampling_rate": "initial_audio_waveforms"}
    assert [part.name for part in found.parts][:2] == ["vae", "text_encoder"]


def test_every_file_and_every_class_can_be_read(everything: Everything) -> None:
    classes, _, faults = everything
    assert not faults
    assert len(classes) > 250


@pytest.mark.slow
def test_no_parameter_is_lost(classes: Classes) -> None:
    home = diffusers_folder()
    for name, found in classes.items():
        path = home.parent.joinpath(*found.module.split(".")).with_suffix(".py")
        call = _own_call(path, name)
        if call is None:
            continue  # inherited, and read with the class that has it
        taken = call.args
        every = [*taken.posonlyargs, *taken.args[1:], *taken.kwonlyargs]
        every += [extra for extra in (taken.vararg, taken.kwarg) if extra]
        shown = [item.name for item in found.inputs]
        assert sorted([*shown, *found.hidden]) == sorted(item.arg for item in every), name


def _own_call(path: Path, name: str) -> ast.FunctionDef | None:
    with collector_paused():
        tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == "__call__":
                    return item
    return None


def test_what_is_hidden_has_a_reason_and_needs_no_value(classes: Classes) -> None:
    for name, found in classes.items():
        assert all(found.hidden.values()), name
        for item in found.inputs:
            assert item.name not in found.hidden


def test_nearly_all_inputs_are_typed_and_most_are_filled_in_by_hand(classes: Classes) -> None:
    kinds = [item.kind for _, item in _shown(classes)]
    typed = [kind for kind in kinds if kind not in ("json", "any")]
    by_hand = [kind for kind in typed if kind not in ("tensor", "dataclass")]
    assert len(typed) >= 0.96 * len(kinds)
    assert len(by_hand) >= 0.80 * len(kinds)


def test_dataclasses_are_known_by_their_fields(everything: Everything) -> None:
    classes, records, _ = everything
    wanted = {item.dataclass for _, item in _shown(classes) if item.kind == "dataclass"}
    assert wanted == set(records)
    condition = records["LTXVideoCondition"]
    kinds = {item.name: item.kind for item in condition.inputs}
    assert kinds == {
        "image": "image",
        "video": "video",
        "frame_index": "integer",
        "strength": "number",
    }
    assert pipeline_dataclass("LTXVideoCondition") == condition


def test_all_say_what_they_are_for_and_nearly_all_inputs_too(classes: Classes) -> None:
    assert all(found.summary.strip() for found in classes.values())
    bare = [item for _, item in _shown(classes) if not item.help]
    assert len(bare) < 0.01 * sum(1 for _ in _shown(classes))


def test_defaults_fit_their_ranges_and_kinds(classes: Classes) -> None:
    plain = {"text": str, "choice": str, "flag": bool, "integer": int, "number": (int, float)}
    for name, item in _shown(classes):
        if item.default is None:
            continue
        place = f"{name}.{item.name}"
        if item.many:
            assert isinstance(item.default, list), place
        elif item.kind in plain:
            assert isinstance(item.default, plain[item.kind]), place
        if item.minimum is not None:
            assert item.default >= item.minimum, place
        if item.maximum is not None:
            assert item.default <= item.maximum, place
        if item.multiple_of is not None:
            assert item.default % item.multiple_of == 0, place
        if item.kind == "choice":
            assert item.default in item.choices, place


def test_what_must_be_given_comes_first(classes: Classes) -> None:
    for name, found in classes.items():
        required = [item.required for item in found.inputs]
        assert required == sorted(required, reverse=True), name
        assert not any(item.required and item.advanced for item in found.inputs), name


def test_all_of_it_can_be_kept_in_a_file(everything: Everything) -> None:
    classes, records, _ = everything
    for found in (*classes.values(), *records.values()):
        assert json.loads(json.dumps(asdict(found)))["name"] == found.name


@pytest.mark.parametrize(
    "name", ["StableAudioPipeline", "WanImageToVideoPipeline", "LTXLatentUpsamplePipeline"]
)
def test_one_class_is_read_alone_as_with_all_the_others(classes: Classes, name: str) -> None:
    assert pipeline_class(name) == classes[name]


@pytest.mark.parametrize("name", ["AutoencoderKL", "DiffusionPipeline", "no name", "", "Fl"])
def test_a_name_that_is_no_pipeline_is_none(name: str) -> None:
    assert pipeline_class(name) is None
    assert pipeline_dataclass(name) is None


def test_flax_and_modular_pipelines_are_not_among_them(classes: Classes) -> None:
    assert not [name for name in classes if "Flax" in name or "Modular" in name]
    assert not [name for name in classes if name.startswith("AutoPipeline")]


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("WanImageToVideoPipeline", ("ftfy",)),  # used without asking whether it is there
        ("WanPipeline", ()),  # asks
        ("OnnxStableDiffusionPipeline", ("onnxruntime",)),  # hidden without it
        ("KolorsPAGPipeline", ("sentencepiece",)),
        ("ConsisIDPipeline", ("cv2",)),
        ("CosmosTextToWorldPipeline", ("cosmos_guardrail",)),
        ("StableDiffusionPipeline", ()),
    ],
)
def test_packages_without_which_it_fails_late_are_known(
    classes: Classes, name: str, needs: tuple[str, ...]
) -> None:
    assert classes[name].needs == needs


def test_latents_go_from_a_pipeline_to_its_upsampler_and_back(classes: Classes) -> None:
    maker, upsampler = classes["LTXPipeline"], classes["LTXLatentUpsamplePipeline"]
    latents = next(item for item in maker.outputs if item.name == "latents")
    assert (latents.kind, latents.word, latents.field) == ("tensor", "latent", "frames")
    assert _input(maker, "output_type").choices == ("pil", "latent")
    assert _input(upsampler, "latents").kind == "tensor"
    assert ["video", "latents"] in upsampler.settings["one_of"]
    assert _input(classes["LTXConditionPipeline"], "latents").advanced
    # Elsewhere there is nobody to hand them to.
    assert {"latents", "output_type"} <= set(classes["StableDiffusionPipeline"].hidden)


def test_embeddings_go_from_a_prior_to_its_decoder(classes: Classes) -> None:
    prior, decoder = classes["KandinskyV22PriorPipeline"], classes["KandinskyV22Pipeline"]
    assert [(item.name, item.kind) for item in prior.outputs] == [
        ("image_embeds", "tensor"),
        ("negative_image_embeds", "tensor"),
    ]
    taken = _input(decoder, "image_embeds")
    assert (taken.kind, taken.required, taken.advanced) == ("tensor", True, False)


def test_two_parameters_annotated_the_wrong_way_round_are_put_right(classes: Classes) -> None:
    found = classes["VersatileDiffusionDualGuidedPipeline"]
    assert (_input(found, "prompt").kind, _input(found, "image").kind) == ("text", "image")


def test_two_outputs_of_one_name_are_each_their_own(classes: Classes) -> None:
    for name in ("ShapEPipeline", "ShapEImg2ImgPipeline"):
        kinds = [(item.name, item.kind) for item in classes[name].outputs]
        assert kinds == [("images", "video"), ("mesh", "mesh")]
        assert classes[name].makes == "3d"


def test_each_way_to_follow_a_call_is_found(classes: Classes) -> None:
    follows = {
        "FluxPipeline": "callback_on_step_end",
        "PixArtSigmaPipeline": "callback",
        "DDPMPipeline": "progress",
        "FluxPriorReduxPipeline": "modules",
    }
    assert {name: classes[name].follows for name in follows} == follows


def test_what_a_call_changes_on_the_pipeline_is_known(classes: Classes) -> None:
    assert classes["StableDiffusionPAGPipeline"].settings["swaps"] == ["attention"]
    assert "scheduler" in classes["TextToVideoZeroPipeline"].settings["swaps"]
    assert "swaps" not in classes["FluxPipeline"].settings
    assert classes["LTX2Pipeline"].settings["global_seed"]


def test_sizes_that_are_refused_are_known_where_the_source_says_them(classes: Classes) -> None:
    found = classes["WanPipeline"]
    assert _input(found, "height").multiple_of == 16
    assert classes["LTXPipeline"].settings["divisors"]["width"] == "32"
    # It goes to the nearest of its own sizes itself.
    assert "divisors" not in classes["SanaPipeline"].settings


def test_a_prompt_or_its_embeddings_must_be_given(classes: Classes) -> None:
    assert ["prompt", "prompt_embeds"] in classes["FluxPipeline"].settings["one_of"]
    # The call itself gives it a value before it is looked at.
    assert ["processing_resolution"] not in classes["MarigoldDepthPipeline"].settings.get(
        "one_of", []
    )


def test_numpy_generators_are_told_from_those_of_torch(classes: Classes) -> None:
    assert classes["OnnxStableDiffusionPipeline"].settings["generators"] == {"generator": "numpy"}
    assert classes["FluxPipeline"].settings["generators"] == {"generator": "torch"}


def test_sizes_are_handed_over_as_tuples_where_they_are_joined(classes: Classes) -> None:
    assert _input(classes["StableDiffusionXLPipeline"], "original_size").as_tuple
    assert not _input(classes["FluxPipeline"], "sigmas").as_tuple


def test_parts_say_which_are_left_out(classes: Classes) -> None:
    parts = {part.name: part for part in classes["StableDiffusionPipeline"].parts}
    assert parts["safety_checker"].optional
    assert not parts["unet"].optional
    assert parts["vae"].classes == ("AutoencoderKL",)
    assert classes["StableDiffusionPipeline"].config == ("requires_safety_checker",)


def test_a_parameter_that_is_never_read_is_not_shown(classes: Classes) -> None:
    assert "never read" in classes["PaintByExamplePipeline"].hidden["negative_prompt"]


def test_the_stamp_stays_while_the_package_does() -> None:
    assert diffusers_stamp() == diffusers_stamp()


def test_reading_imports_neither_torch_nor_diffusers() -> None:
    code = (
        "import sys; from nodegraph.interop.pipelines.source import pipeline_class;"
        "assert pipeline_class('StableDiffusionPipeline');"
        "sys.exit(bool({'torch', 'diffusers', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
