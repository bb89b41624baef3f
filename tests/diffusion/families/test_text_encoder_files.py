"""Text encoders in files of their own: which is which, loaded back tensor by tensor, and prompts
as diffusers' pipelines encode them."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from torch import Tensor

from nodegraph.diffusion import encode_prompt, estimate_bytes, load_component
from nodegraph.errors import InvalidFile, ModelNotFound, NodegraphError
from nodegraph.families.building import build_tokenizer
from nodegraph.media.images.images import to_pil
from nodegraph.models.image_to_video import embed_first_frame
from nodegraph.models.text_encoder_files import (
    find_text_encoder,
    open_text_encoder,
    text_encoder_bytes,
)
from nodegraph.residency import component_bytes
from nodegraph.weights.single_files.clip import CLIP_VISION
from nodegraph.weights.single_files.language import UMT5_ORIGINAL
from tests.diffusion import ldm_export as ldm
from tests.messages import raises

from .text_files import (
    UMT5_WORDS,
    assert_loaded,
    clip,
    clip_file,
    clip_words,
    drawn,
    named,
    t5,
    wan_file,
    write,
)
from .words import t5_words

PROMPT = "a photo of a red cat, 4k; it's naïve 日本"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip_l, clip_g and t5xxl, as everybody has them."""
    folder = tmp_path_factory.mktemp("files")
    write(folder / "clip_l.safetensors", clip_file(clip()))
    write(folder / "clip_g.safetensors", clip_file(clip(17, projects=True)))
    write(folder / "t5xxl.safetensors", named(t5()))
    return folder


def loaded(family: str, *paths: Path | str, models: Path | None = None) -> Any:
    names = {f"file_{at}": str(path) for at, path in enumerate(paths)}
    recipe = open_text_encoder(family, names, [models] if models else [])
    return load_component(recipe, "cpu")


def test_flux_is_diffusers(files: Path) -> None:
    model = loaded("flux", "t5xxl", "clip_l.safetensors", models=files)
    assert_loaded(model.modules["text_encoder"], clip())
    assert_loaded(model.modules["text_encoder_2"], t5())

    words = model.tokenizers["tokenizer_2"]
    pipeline = d.FluxPipeline(None, None, clip(), clip_words(), t5(), words, None)
    embeddings, pooled, _ = pipeline.encode_prompt(PROMPT, PROMPT)
    (entry,) = encode_prompt(model, PROMPT).entries
    assert torch.equal(entry.embeddings, embeddings)
    assert torch.equal(entry.tensors["pooled"], pooled)


@pytest.mark.parametrize("with_t5", [pytest.param(True, marks=pytest.mark.slow), False])
def test_sd3_is_diffusers_whose_first_clip_projects_nothing(files: Path, with_t5: bool) -> None:
    names = ("t5xxl",) * with_t5
    model = loaded("sd3", "clip_g", *names, "clip_l", models=files)
    assert set(model.modules) == {"text_encoder", "text_encoder_2", *["text_encoder_3"] * with_t5}

    first = deepcopy(clip(projects=True))
    first.text_model.load_state_dict(clip().state_dict())
    first.text_projection.weight.copy_(torch.eye(64))
    third = t5(), model.tokenizers.get("tokenizer_3", t5_words())
    encoders = (first, clip_words(), clip(17, projects=True), clip_words("!"), *third)
    pipeline = d.StableDiffusion3Pipeline(None, None, None, *encoders)
    embeddings, _, pooled, _ = pipeline.encode_prompt(PROMPT, PROMPT, PROMPT)
    (entry,) = encode_prompt(model, PROMPT).entries
    assert torch.equal(entry.tensors["pooled"], pooled)
    width = entry.embeddings.shape[-1]
    assert torch.equal(entry.embeddings, embeddings[:, : entry.embeddings.shape[1], :width])


@pytest.mark.slow
def test_wan_is_diffusers(tmp_path: Path) -> None:
    encoder = t5(UMT5_WORDS, tf.UMT5EncoderModel)
    tensors = named(encoder) | {"spiece_model": torch.zeros(8, dtype=torch.uint8)}
    model = loaded("wan", write(tmp_path / "umt5.safetensors", tensors))
    assert_loaded(model.modules["text_encoder"], encoder)

    pipeline = d.WanPipeline(model.tokenizers["tokenizer"], encoder, None, None)
    embeddings, _ = pipeline.encode_prompt(PROMPT, max_sequence_length=512)
    (entry,) = encode_prompt(model, PROMPT).entries
    assert torch.equal(entry.embeddings, embeddings)


def test_umt5_as_wan_names_it() -> None:
    encoder = t5(100, tf.UMT5EncoderModel)
    tensors = wan_file(encoder)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert UMT5_ORIGINAL.prefix(shapes) == ""
    config = UMT5_ORIGINAL.config(shapes)
    told = {name: getattr(encoder.config, name) for name in config}
    assert told | {"tie_word_embeddings": False} == config
    found = UMT5_ORIGINAL.convert(tensors, config)
    assert found.keys() == named(encoder).keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in named(encoder).items())


@pytest.mark.parametrize("prefix", ["", "text_encoders.clip_l.transformer.", "clip_l."])
def test_names_may_have_a_prefix(tmp_path: Path, prefix: str) -> None:
    file = write(tmp_path / "any.safetensors", clip_file(clip(), prefix))
    assert_loaded(loaded("sd1", file).modules["text_encoder"], clip())


def test_clip_g_as_openclip_names_it(tmp_path: Path, files: Path) -> None:
    second = clip(17, projects=True)
    tensors = ldm.open_clip(second, "") | {"logit_scale": torch.ones(())}
    file = write(tmp_path / "g.safetensors", {n: t.contiguous() for n, t in tensors.items()})
    model = loaded("sdxl", file, files / "clip_l.safetensors")
    assert_loaded(model.modules["text_encoder_2"], second)


def test_a_file_with_several_fills_each_role(tmp_path: Path) -> None:
    tensors = clip_file(clip(), "text_encoders.clip_l.transformer.") | {
        f"text_encoders.t5xxl.transformer.{name}": tensor for name, tensor in named(t5()).items()
    }
    model = loaded("flux", write(tmp_path / "both.safetensors", tensors))
    assert_loaded(model.modules["text_encoder_2"], t5())


def test_folders_may_be_named(tmp_path: Path, files: Path) -> None:
    folder = tmp_path / "text_encoder_2"
    t5().save_pretrained(folder)
    model = loaded("flux", folder, files / "clip_l.safetensors")
    assert_loaded(model.modules["text_encoder_2"], t5())


def test_what_it_takes_in_memory_is_told_before(files: Path) -> None:
    names = {"file": "clip_l", "file_2": "t5xxl"}
    found = find_text_encoder("flux", names, [files])
    recipe = open_text_encoder("flux", names, [files], dtype="bfloat16")
    assert text_encoder_bytes(found, dtype="bfloat16") == estimate_bytes(recipe)
    weights = 2 * sum(sum(w.numel() for w in named(m).values()) for m in (clip(), t5()))
    assert text_encoder_bytes(found, dtype="bfloat16") == pytest.approx(weights, rel=1e-3)


@pytest.mark.parametrize(
    ("family", "names", "port"),
    [
        ("flux", ["t5xxl"], "file_2"),
        ("flux", ["t5xxl", "t5xxl", "clip_l"], "file_2"),
        ("flux", ["clip_l", "t5xxl", "clip_g"], "file_3"),
        ("wan", ["t5xxl"], "file"),
        ("hidream", ["clip_l"], "file"),
        ("sdxl", ["tiny", "clip_g", "clip_l"], "file_3"),
        ("flux", [], "file"),
    ],
)
def test_wrong_files_are_told(files: Path, family: str, names: list[str], port: str) -> None:
    ports = ("file", "file_2", "file_3")
    with raises(InvalidFile) as failed:
        open_text_encoder(family, dict(zip(ports, names, strict=False)), [files])
    assert failed.value.problem.port == port


def test_missing_names_and_families_are_told(files: Path) -> None:
    with raises(ModelNotFound, port="file_2", given="t5xl") as failed:
        open_text_encoder("flux", {"file": "clip_l", "file_2": "t5xl"}, [files])
    assert "t5xxl" in (failed.value.problem.hint or "")
    with raises(NodegraphError, given="fluxx"):
        open_text_encoder("fluxx", {"file": "clip_l"}, [files])


@pytest.mark.parametrize(
    "change",
    [
        {"text_model.final_layer_norm.bias": None},
        pytest.param({"stray": torch.zeros(2)}, marks=pytest.mark.slow),
        pytest.param(
            {"text_model.encoder.layers.0.mlp.fc2.bias": torch.zeros(7)}, marks=pytest.mark.slow
        ),
    ],
)
def test_damaged_files_are_told_by_tensor(
    tmp_path: Path, files: Path, change: dict[str, Tensor | None]
) -> None:
    tensors = {n: t for n, t in (clip_file(clip()) | change).items() if t is not None}
    file = write(tmp_path / "damaged.safetensors", tensors)
    with raises(InvalidFile):
        loaded("flux", file, files / "t5xxl.safetensors")


@pytest.mark.slow
def test_float8_is_kept_or_widened(tmp_path: Path, files: Path) -> None:
    tensors = {
        name: tensor.to(torch.float8_e4m3fn) if tensor.ndim == 2 else tensor.to(torch.bfloat16)
        for name, tensor in named(t5()).items()
    }
    file = write(tmp_path / "t5xxl_fp8_e4m3fn.safetensors", tensors)
    names = {"file": str(file), "file_2": str(files / "clip_l.safetensors")}
    found = find_text_encoder("flux", names, [])
    entries, sizes = [], []
    for storage in ("auto", "full"):
        recipe = open_text_encoder("flux", names, [], dtype="bfloat16", storage=storage)
        model = load_component(recipe, "cpu")
        entries += encode_prompt(model, PROMPT).entries
        sizes.append(component_bytes(model))
        told = text_encoder_bytes(found, dtype="bfloat16", storage=storage)
        assert told == pytest.approx(sizes[-1], rel=0.01)
    assert torch.equal(entries[0].embeddings, entries[1].embeddings)
    assert sizes[0] < sizes[1]


def test_scaled_float8_is_multiplied(tmp_path: Path, files: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in named(t5()).items()}
    scaled = {"scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)}
    for name, tensor in tensors.items():
        if "SelfAttention.q" in name:
            scaled[name] = (tensor / 0.5).to(torch.float8_e4m3fn)
            scaled[name.replace(".weight", ".scale_weight")] = torch.tensor(0.5)
            tensors[name] = scaled[name].to(torch.float32) * 0.5
    file = write(tmp_path / "t5xxl_fp8_scaled.safetensors", {**tensors, **scaled})
    names = {"file": str(file), "file_2": str(files / "clip_l.safetensors")}
    model = load_component(open_text_encoder("flux", names, [], storage="full"), "cpu")
    found = model.modules["text_encoder_2"].state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.slow
def test_wans_eyes_come_from_a_file_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = tf.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=16,
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
    )
    eye = drawn(tf.CLIPVisionModel(config))
    tensors = {f"vision_model.{name}": tensor for name, tensor in eye.state_dict().items()}
    tensors["visual_projection.weight"] = torch.zeros(8, 32)
    tensors.pop("vision_model.embeddings.position_ids", None)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert CLIP_VISION.prefix(shapes) == ""
    found = CLIP_VISION.config(shapes)
    assert {name: getattr(config, name) for name in found} == found
    file = write(tmp_path / "clip_vision_h.safetensors", tensors)
    words = write(tmp_path / "umt5.safetensors", named(t5(UMT5_WORDS, tf.UMT5EncoderModel)))
    found_parts = find_text_encoder("wan", {"file": str(file), "file_2": str(words)}, [])
    assert [part.role for part in found_parts.parts] == [
        "text_encoder",
        "image_encoder",
        "tokenizer",
        "image_processor",
    ]
    processor = build_tokenizer(["CLIPImageProcessor"], found_parts.tokenizers[1].files)
    pixels = processor(torch.zeros(3, 300, 200), return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 224, 224)
    missing = {"file": str(file)}
    with raises(InvalidFile, port="file_2"):
        find_text_encoder("wan", missing, [])

    model = loaded("wan", file, words)
    (entry,) = encode_prompt(model, PROMPT).entries
    assert entry.embeddings.shape[-1] == 24
    picture = torch.rand(1, 64, 64, 3)
    (seen,) = embed_first_frame(model, picture).values()
    pixels = processor(to_pil(picture), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        assert torch.equal(seen, eye(pixels, output_hidden_states=True).hidden_states[-2])
