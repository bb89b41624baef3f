"""Models are found by name, identified from headers, refused with reasons, described exactly."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import time_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.digests import digest_value
from nodegraph.core.file_digests import FileDigests
from nodegraph.errors import (
    InvalidFile,
    InvalidValue,
    ModelNotFound,
    UnsafeFile,
)
from nodegraph.families.image_conditioning import VIDEO_MEDIA
from nodegraph.models import model_sources as models
from nodegraph.models.facts import model_facts
from nodegraph.models.model_files import model_stamp
from nodegraph.models.model_recipes import ModelRecipes, open_model
from nodegraph.models.model_sources import (
    KnownModels,
    ModelSource,
    describe_model,
    list_models,
    locate_model,
    model_files,
)
from nodegraph.weights import safetensors_header
from nodegraph.weights.safetensors_header import read_header
from tests.diffusion.conftest import SD1_SCHEDULER, write_json, write_sd1
from tests.diffusion.safetensors_files import write_safetensors
from tests.messages import raises

SD1_SHAPES = {
    "model.diffusion_model.input_blocks.0.0.weight": (4, 4, 1, 1),
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (1, 1),
    "first_stage_model.encoder.conv_in.weight": (1, 1),
}


@pytest.fixture
def folder(tmp_path: Path, sd1_folder: Path) -> Path:
    """A models folder: a diffusers model, a checkpoint, and things that are neither."""
    shutil.copytree(sd1_folder, tmp_path / "fruit" / "apples")
    write_safetensors(tmp_path / "checkpoints" / "pears.safetensors", SD1_SHAPES)
    write_safetensors(tmp_path / "loras" / "ink.safetensors", {"a.lora_up.weight": (1,)})
    (tmp_path / "checkpoints" / "old.ckpt").write_bytes(b"\x80\x04")
    (tmp_path / "checkpoints" / "half.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    (tmp_path / "notes.txt").write_text("not a model")
    return tmp_path


def test_what_comes_along_is_listed_with_the_node_that_takes_it() -> None:
    found = {model.name: (model.kind, model.node, model.use) for model in list_models([])}

    assert found == {
        "tiny": ("embedded", "LoadModel", "model"),
        "tiny/controlnet": ("embedded", "LoadControlNet", "model"),
        "tiny/lcm_lora": ("embedded", "LoadLora", "lora"),
        "tiny/molecules": ("embedded", "LoadDiffusionModel", "model"),
        "tiny/motions": ("embedded", "LoadDiffusionModel", "model"),
        "tiny/shapes": ("embedded", "LoadDiffusionModel", "model"),
        "tiny/sounds": ("embedded", "LoadDiffusionModel", "model"),
        "tiny/style_lora": ("embedded", "LoadLora", "lora"),
        "tiny/upscaler": ("embedded", "LoadUpscaleModel", "model"),
    }


def test_endings_in_capitals_and_short_ones_are_endings(tmp_path: Path) -> None:
    for name in ("PEARS.SAFETENSORS", "plums.sft"):
        write_safetensors(tmp_path / name, SD1_SHAPES)
    (tmp_path / "OLD.CKPT").write_bytes(b"\x80\x04")

    families = {model.name: model.family for model in list_models([tmp_path])}

    for name in ("PEARS.SAFETENSORS", "plums.sft"):
        assert families[name] == "sd1"
        assert locate_model(name, [tmp_path]).family == "sd1"
    with pytest.raises(UnsafeFile):
        locate_model("OLD.CKPT", [tmp_path])


def test_short_endings_may_be_left_out_as_long_ones_may(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "checkpoints" / "plums.sft", SD1_SHAPES)
    for name in ("plums", "checkpoints/plums", "plums.sft"):
        assert locate_model(name, [tmp_path]).path == tmp_path / "checkpoints" / "plums.sft"
    with raises(ModelNotFound, given="plum"):
        locate_model("plum", [tmp_path])


def test_bytes_behind_the_last_tensor_are_told_with_their_number(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "joined.safetensors", SD1_SHAPES)
    with (tmp_path / "joined.safetensors").open("ab") as file:
        file.write(bytes(1234))
    with raises(InvalidFile):
        locate_model("joined", [tmp_path])


def test_importing_models_imports_no_torch() -> None:
    code = (
        "import sys, nodegraph.models.model_sources; "
        "sys.exit(bool({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_lora_is_listed_with_what_its_file_says_that_prompts_are_to_say(tmp_path: Path) -> None:
    layers = {"a.lora_up.weight": (1,)}
    said = {"modelspec.trigger_phrase": "ink  drawing\n", "modelspec.title": "Ink"}
    write_safetensors(tmp_path / "ink.safetensors", layers, **said)
    write_safetensors(tmp_path / "oil.safetensors", layers, **{"modelspec.trigger_phrase": " "})
    write_safetensors(tmp_path / "pears.safetensors", SD1_SHAPES, **said)
    told = {
        model.name: model.record.trigger_words
        for model in KnownModels().list([tmp_path])
        if model.record is not None
    }
    assert told["ink.safetensors"] == ("ink drawing",)
    assert told["oil.safetensors"] == told["tiny/lcm_lora"] == ()


def test_listing_names_every_model_with_what_is_wrong(folder: Path) -> None:
    found = {model.name: model for model in list_models([folder]) if model.kind != "embedded"}

    assert sorted(found) == [
        "checkpoints/half.safetensors",
        "checkpoints/old.ckpt",
        "checkpoints/pears.safetensors",
        "fruit/apples",
        "loras/ink.safetensors",
    ]
    assert found["fruit/apples"].family == "sd1"
    assert found["fruit/apples"].bytes > 3_000_000
    assert found["checkpoints/pears.safetensors"].problem is None
    ink = found["loras/ink.safetensors"]
    assert (ink.problem, ink.part, ink.node, ink.use) == (None, "a LoRA", "LoadLora", "lora")
    assert found["checkpoints/pears.safetensors"].use == "model"
    assert "pickle" in str(found["checkpoints/old.ckpt"].problem)
    assert "not an intact safetensors" in str(found["checkpoints/half.safetensors"].problem)


def test_a_name_that_is_no_utf8_is_not_listed(tmp_path: Path) -> None:
    for name in (b"a.safetensors", b"b\xff.safetensors", b"c\xff/d.safetensors"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [path.name for path in model_files(tmp_path)] == ["a.safetensors"]
    json.dumps([each.name for each in list_models([tmp_path])], ensure_ascii=False).encode()


def test_half_a_character_in_a_header_is_replaced_in_what_is_listed(tmp_path: Path) -> None:
    half = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    headers = {
        "a": {
            "__metadata__": {"modelspec.trigger_phrase": "red\ud800"},
            "lora_unet_a.lora_down.weight": half,
        },
        "b": {"__metadata__": {"\ud800": "\ud800"}, "\ud800": half},
    }
    for name, header in headers.items():
        text = json.dumps(header).encode()
        data = struct.pack("<Q", len(text)) + text + bytes(4)
        (tmp_path / f"{name}.safetensors").write_bytes(data)
    found = {model.name: model for model in KnownModels().list([tmp_path])}
    record = found["a.safetensors"].record
    assert record is not None
    assert record.trigger_words == ("red\ufffd",)
    assert "ud800" not in ascii([found["a.safetensors"], found["b.safetensors"]])


def test_of_equal_names_the_first_folder_wins(tmp_path: Path) -> None:
    for place in ("one", "two"):
        write_safetensors(tmp_path / place / "same.safetensors", SD1_SHAPES)
    folders = [tmp_path / "one", tmp_path / "two"]

    listed = [model for model in list_models(folders) if model.kind != "embedded"]

    assert [model.path for model in listed] == [tmp_path / "one" / "same.safetensors"]
    assert locate_model("same", folders).path == tmp_path / "one" / "same.safetensors"


def test_links_in_a_circle_are_followed_once(folder: Path) -> None:
    (folder / "loop").symlink_to(folder, target_is_directory=True)

    assert len([model for model in list_models([folder]) if model.kind != "embedded"]) == 5


@pytest.mark.parametrize("name", ["checkpoints/pears", "checkpoints/pears.safetensors"])
def test_a_suffix_may_be_left_out(folder: Path, name: str) -> None:
    source = locate_model(name, [folder])

    assert source.path == folder / "checkpoints" / "pears.safetensors"
    assert (source.kind, source.family) == ("checkpoint", "sd1")


def test_a_path_is_a_name_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)

    assert locate_model("./fruit/apples", []).family == "sd1"
    assert locate_model(str(folder / "fruit" / "apples"), []).kind == "diffusers"


def test_the_embedded_model_is_called_tiny(
    sd1_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(models, "embedded_folder", lambda: sd1_folder)
    monkeypatch.setattr(models, "control_folder", lambda: sd1_folder / "none")
    shutil.copytree(sd1_folder, tmp_path / "tiny")

    assert locate_model("tiny", [tmp_path]) == ModelSource("tiny", sd1_folder, "embedded", "sd1")
    assert [model.kind for model in list_models([tmp_path])] == ["embedded"]


def test_without_the_embedded_model_tiny_is_just_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "embedded_folder", lambda: tmp_path / "nowhere")

    with pytest.raises(ModelNotFound) as caught:
        locate_model("tiny", [tmp_path])

    assert "Did you mean" not in str(caught.value)


def test_a_wrong_name_gets_the_nearest_and_the_folders(folder: Path) -> None:
    with raises(ModelNotFound, given="fruit/aples") as caught:
        locate_model("fruit/aples", [folder])

    assert str(folder) in str(caught.value)


def test_models_of_other_things_that_come_along_are_suggested(tmp_path: Path) -> None:
    with raises(ModelNotFound, given="tiny/shape"):
        locate_model("tiny/shape", [tmp_path])
    with raises(ModelNotFound, given="tiny/controlnett"):
        models.find_path("tiny/controlnett", [tmp_path])


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "x" * 5000, "../../../nowhere"])
def test_names_that_can_be_no_file_are_just_not_found(folder: Path, name: str) -> None:
    with pytest.raises(ModelNotFound):
        locate_model(name, [folder])


def test_a_pickle_checkpoint_is_refused_with_a_way_out(folder: Path) -> None:
    with raises(UnsafeFile):
        locate_model("checkpoints/old.ckpt", [folder])


def test_a_folder_without_an_index_says_so(folder: Path) -> None:
    with raises(InvalidFile):
        locate_model("fruit", [folder])


def test_a_folder_lacking_parts_names_them_all(folder: Path) -> None:
    (folder / "fruit" / "apples" / "vae" / "config.json").unlink()
    shutil.rmtree(folder / "fruit" / "apples" / "tokenizer")

    with raises(InvalidFile):
        locate_model("fruit/apples", [folder])


def test_a_folder_without_weights_names_the_file(folder: Path) -> None:
    (folder / "fruit" / "apples" / "unet" / "diffusion_pytorch_model.safetensors").unlink()

    with raises(InvalidFile):
        locate_model("fruit/apples", [folder])


def test_a_folder_of_pickles_is_refused_unless_allowed(folder: Path) -> None:
    weights = folder / "fruit" / "apples" / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))

    with raises(UnsafeFile):
        locate_model("fruit/apples", [folder])
    assert locate_model("fruit/apples", [folder], allow_pickle=True).family == "sd1"


@pytest.mark.parametrize(
    ("index", "unet", "title"),
    [
        ({"_class_name": "KandinskyPipeline"}, {}, "a KandinskyPipeline"),
        ({}, {"in_channels": 5}, "a model whose UNet takes 5 channels"),
        ({"_class_name": None}, {}, "a None"),
    ],
)
def test_an_unsupported_folder_is_named(
    folder: Path, index: dict[str, object], unet: dict[str, object], title: str
) -> None:
    for path, changes in (("model_index.json", index), ("unet/config.json", unet)):
        file = folder / "fruit" / "apples" / path
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    with pytest.raises(InvalidFile, match=rf"{title}.*expected: a whole model of Stable Diff"):
        locate_model("fruit/apples", [folder])


def test_a_file_is_asked_for_of_families_with_whole_files(folder: Path) -> None:
    """Kolors is read of folders alone, as no file layout of its text encoder is known."""
    write_safetensors(folder / "words.safetensors", {"emb_params": (2, 768)})
    with pytest.raises(InvalidFile) as of_file:
        locate_model("words", [folder])
    assert "Flux.1" in str(of_file.value)
    assert "Kolors" not in str(of_file.value)
    index = folder / "fruit" / "apples" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"_class_name": "Kandinsky"}))
    with pytest.raises(InvalidFile, match="Kolors"):
        locate_model("fruit/apples", [folder])


def test_the_width_of_the_embeddings_tells_two_versions_apart(folder: Path) -> None:
    file = folder / "fruit" / "apples" / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"cross_attention_dim": 1024}))

    assert locate_model("fruit/apples", [folder]).family == "sd2"


def test_a_latent_may_have_any_number_of_channels(folder: Path) -> None:
    file = folder / "fruit" / "apples" / "unet" / "config.json"
    channels = {"in_channels": 16, "out_channels": 16}
    file.write_text(json.dumps(json.loads(file.read_text()) | channels))

    assert locate_model("fruit/apples", [folder]).family == "sd1"


@pytest.mark.parametrize(
    ("shapes", "title"),
    [
        ({"conditioner.embedders.0.x": (1,)}, "Stable Diffusion XL"),
        ({"model.diffusion_model.joint_blocks.0.context_block.x": (1,)}, "Stable Diffusion 3"),
        ({"double_blocks.0.img_attn.qkv.weight": (1,)}, "Flux"),
        ({"control_model.zero": (1,)}, "a ControlNet"),
        ({"unet.x.lora_A.weight": (1,)}, "a LoRA"),
        ({"decoder.conv_in.weight": (1,)}, "a VAE only"),
        ({"emb_params": (1,)}, "a textual inversion"),
        ({"anything": (1,)}, "not a model that is known here"),
        (
            SD1_SHAPES | {"model.diffusion_model.input_blocks.0.0.weight": (4, 5, 1, 1)},
            "a model whose UNet takes 5 channels",
        ),
        (
            {name: shape for name, shape in SD1_SHAPES.items() if "cond" not in name},
            "Stable Diffusion 1.x without its text encoder",
        ),
    ],
)
def test_an_unsupported_checkpoint_is_named(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], title: str
) -> None:
    write_safetensors(tmp_path / "some.safetensors", shapes)

    with pytest.raises(InvalidFile, match=rf"some\.safetensors is {title}"):
        locate_model("some", [tmp_path])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("anything", "not a model that is known here."),
        ("controlnet_down.x", "a ControlNet of a kind that is not known here."),
    ],
)
def test_a_file_that_holds_nothing_usable_is_told_so_once(
    tmp_path: Path, name: str, told: str
) -> None:
    path = tmp_path / "some.safetensors"
    write_safetensors(path, {name: (1,)})
    assert describe_model("some", path, "checkpoint").problem == f"It is {told}"


def test_another_kind_of_file_is_refused(folder: Path) -> None:
    with raises(InvalidFile):
        locate_model("notes.txt", [folder])


def test_a_model_distilled_from_guidance_is_known_by_its_configuration(tmp_path: Path) -> None:
    folder = write_sd1(tmp_path / "model", SD1_SCHEDULER)
    path = folder / "unet" / "config.json"
    write_json(path, {**json.loads(path.read_text()), "time_cond_proj_dim": 8})
    assert model_facts(locate_model(str(folder), []))["guides_itself"]


def test_facts_are_those_of_the_config_files(sd1_folder: Path, sd1_v_folder: Path) -> None:
    facts = model_facts(locate_model(str(sd1_folder), []))

    assert facts == {
        "family": "sd1",
        "format": "sd",
        "latent_channels": 4,
        "downscale": 8,
        "multiple": 8,
        "temporal": 0,
        "width": 64,
        "height": 64,
        "noise": "discrete",
        "prediction_type": "epsilon",
        "context_width": 32,
        "guides_itself": False,
        "takes_scale": False,
        "needs_negative": True,
        "held_step": (832.0, 0.0, 0.11),
        "positions": (),
        "sound_levels": False,
        "takes": tuple(sorted(VIDEO_MEDIA)),
        "needs": "",
        "held_decoding": (24, 0.0, 0.0),
        "held_encoding": (40, 0.0, 0.0),
    }
    assert model_facts(locate_model(str(sd1_v_folder), []))["prediction_type"] == "v_prediction"


def test_damaged_configuration_is_told(folder: Path) -> None:
    source = locate_model("fruit/apples", [folder])
    (source.path / "vae" / "config.json").write_text("[]")
    with raises(InvalidFile):
        model_facts(source)

    (source.path / "vae" / "config.json").write_text("{}")
    (source.path / "unet" / "config.json").write_text("{}")
    with raises(InvalidFile):
        model_facts(source)


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ("unet/config.json", "model"),
        ("unet/diffusion_pytorch_model.safetensors", "model"),
        ("scheduler/scheduler_config.json", "model"),
        ("text_encoder/config.json", "text_encoder"),
        ("tokenizer/merges.txt", "text_encoder"),
        ("vae/config.json", "vae"),
    ],
)
def test_a_recipe_changes_with_its_own_files_alone(folder: Path, changed: str, part: str) -> None:
    before = _open(folder)
    path = folder / "fruit" / "apples" / changed
    content = path.read_bytes()
    if changed.endswith("tensors"):
        path.write_bytes(content[:-1] + b"\x01")
    else:
        path.write_bytes(content.replace(b"0.012", b"0.013") + b"\n")

    after = _open(folder)

    differing = {name for name in before._fields if getattr(before, name) != getattr(after, name)}
    assert differing == {part}


def test_equal_content_elsewhere_has_equal_digests(folder: Path, sd1_folder: Path) -> None:
    here = _open(folder)
    there = open_model(str(sd1_folder), [], digests=FileDigests())

    assert [digest_value(item) for item in here] == [digest_value(item) for item in there]
    assert [file.digest for file in here.model.files] == [file.digest for file in there.model.files]
    assert here.model.digest == there.model.digest


@pytest.mark.parametrize(
    "changed",
    ["unet/config.json", "vae/diffusion_pytorch_model.safetensors", "tokenizer/merges.txt"],
)
def test_a_stamp_changes_with_any_file_that_counts(folder: Path, changed: str) -> None:
    before = model_stamp("fruit/apples", [folder])
    assert model_stamp("fruit/apples", [folder]) == before
    (folder / "fruit" / "apples" / "README.md").write_text("does not count")
    assert model_stamp("fruit/apples", [folder]) == before

    os.utime(folder / "fruit" / "apples" / changed, (1, 1))

    assert model_stamp("fruit/apples", [folder]) != before


@pytest.mark.parametrize(
    ("dtype", "device", "expected"),
    [
        ("auto", "cpu", "float32"),
        ("auto", "cuda:0", "float16"),
        ("bfloat16", "cpu", "bfloat16"),
    ],
)
def test_auto_is_the_stored_precision_except_on_a_cpu(
    folder: Path, dtype: str, device: str, expected: str
) -> None:
    weights = folder / "fruit" / "apples" / "unet" / "diffusion_pytorch_model.safetensors"
    write_safetensors(weights, {"weight": (2, 2)})

    opened = open_model("fruit/apples", [folder], dtype=dtype, digests=FileDigests(), device=device)

    assert opened.model.dtype == expected


def test_an_unknown_precision_is_refused(folder: Path) -> None:
    with raises(InvalidValue):
        open_model("fruit/apples", [folder], dtype="float8", digests=FileDigests())


def test_a_shard_outside_the_folder_is_refused(folder: Path) -> None:
    unet = folder / "fruit" / "apples" / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    index = unet / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../vae/config.json"}}))

    with raises(InvalidFile):
        locate_model("fruit/apples", [folder])


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    path = write_safetensors(tmp_path / "cut.safetensors", SD1_SHAPES)
    path.write_bytes(path.read_bytes()[:keep])

    with raises(InvalidFile):
        locate_model("cut", [tmp_path])


def test_headers_are_remembered_until_their_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"weight": (2, 3)})
    assert read_header(path) is not read_header(path)  # it may change within a tick of the clock

    monkeypatch.setattr(safetensors_header, "time_ns", lambda: time_ns() + 10**10)
    assert read_header(path) is read_header(path)
    write_safetensors(path, {"weight": (3, 2)})
    os.utime(path, ns=(10**9, 10**9))
    assert read_header(path).shapes == {"weight": (3, 2)}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "any.safetensors"
    for content in (data, struct.pack("<Q", len(data)) + data):
        path.write_bytes(content)
        with suppress(InvalidFile):
            read_header(path)


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "null",
        '{"a": 1}',
        '{"a": {"dtype": "F16"}}',
        "[" * 100_000,
        '{"a": {"dtype": "F16", "shape": "x", "data_offsets": [0, 0]}}',
        '{"__metadata__": 3, "a": {"dtype": "F16", "shape": [], "data_offsets": [0, 0]}}',
    ],
)
def test_headers_of_the_wrong_form_are_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())

    with raises(InvalidFile):
        read_header(path)


def _open(folder: Path) -> ModelRecipes:
    return open_model("fruit/apples", [folder], digests=FileDigests())


def test_names_may_leave_out_the_folder_of_a_kind(folder: Path) -> None:
    assert locate_model("pears", [folder]).path == folder / "checkpoints" / "pears.safetensors"
    assert models.find_path("checkpoints/pears", [folder]).stem == "pears"
