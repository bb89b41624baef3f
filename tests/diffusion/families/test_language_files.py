"""Language models in files of their own: loaded back tensor by tensor, and prompts as diffusers'
pipelines encode them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.modular_pipelines.flux3.encoders import Flux3TextEncoderStep
from torch import Tensor

from nodegraph.diffusion import encode_prompt, load_component, open_model
from nodegraph.errors import InvalidFile
from nodegraph.models.conditioning import encode_edit
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.weights.tokenizer_files import read_pieces
from tests.messages import raises

from .conftest import Pair
from .language_files import (
    gemma2,
    llama3,
    ministral3,
    mistral3,
    qwen3,
    qwen3_vl,
    qwen25_vl,
    sentencepiece,
    text_file,
)
from .test_hidream import hidream
from .test_qwen_image_21 import PictureProcessor
from .test_text_encoder_files import PROMPT, loaded
from .text_files import BYT5_WORDS, clip, clip_file, clip_words, named, t5, write
from .words import byte_characters, gemma_words, llama_words, qwen_words


def encoded(model: Any, text: str = PROMPT) -> Mapping[str, Tensor]:
    (entry,) = encode_prompt(model, text).entries
    return entry.tensors


def assert_holds(found: Any, given: Any) -> None:
    """The weights of one are those of the other, whose head and eyes it may do without."""
    there = {name.removeprefix("language_model."): t for name, t in found.state_dict().items()}
    wanted = {name.removeprefix("model."): tensor for name, tensor in text_file(given).items()}
    wanted.pop("lm_head.weight", None)
    assert there.keys() == wanted.keys()
    assert all(torch.equal(there[name], tensor) for name, tensor in wanted.items())


@pytest.mark.slow
def test_z_image_is_diffusers(tmp_path: Path) -> None:
    encoder = qwen3()
    model = loaded("z-image", write(tmp_path / "qwen_3_4b.safetensors", text_file(encoder)))
    assert_holds(model.modules["text_encoder"], encoder)
    pipeline = d.ZImagePipeline(None, None, encoder, model.tokenizers["tokenizer"], None)
    (expected,), _ = pipeline.encode_prompt(PROMPT, "cpu", do_classifier_free_guidance=False)
    assert torch.equal(encoded(model)["embeddings"][0], expected)


def test_anima_is_diffusers(tmp_path: Path) -> None:
    """Its file has the encoder without a head; T5's tokens come along."""
    encoder = qwen3(tf.Qwen3Model)
    model = loaded("anima", write(tmp_path / "qwen_3_06b_base.safetensors", text_file(encoder)))
    assert_holds(model.modules["text_encoder"], encoder)
    words = model.tokenizers
    pipeline = d.AnimaAutoBlocks().init_pipeline()
    pipeline.update_components(
        text_encoder=encoder, tokenizer=words["tokenizer"], t5_tokenizer=words["t5_tokenizer"]
    )
    (step,) = (
        block for block in pipeline.blocks.sub_blocks.values() if hasattr(block, "encode_prompt")
    )
    for text in (PROMPT, ""):
        with torch.no_grad():
            expected = step.encode_prompt(pipeline, text, prepare_unconditional_embeds=False)
        found = encoded(model, text)
        assert torch.equal(found["embeddings"], expected["qwen_prompt_embeds"])
        assert torch.equal(found["mask"], expected["qwen_attention_mask"].bool())
        assert torch.equal(found["t5_ids"], expected["t5_input_ids"])


@pytest.mark.slow
def test_flux2_klein_is_diffusers(tmp_path: Path) -> None:
    encoder = qwen3(tf.Qwen3ForCausalLM, 28)
    model = loaded("flux2-klein", write(tmp_path / "qwen.safetensors", text_file(encoder)))
    tokenizer = model.tokenizers["tokenizer"]
    pipeline = d.Flux2KleinPipeline(None, None, encoder, tokenizer, None)
    expected, _ = pipeline.encode_prompt(PROMPT, "cpu")
    assert torch.equal(encoded(model)["embeddings"], expected)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of Qwen2.5-VL."""
    file = tmp_path_factory.mktemp("qwen") / "qwen_2.5_vl_7b.safetensors"
    return write(file, text_file(qwen25_vl()))


def test_qwen_image_is_diffusers(seeing: Path) -> None:
    encoder = qwen25_vl()
    model = loaded("qwen-image", seeing)
    assert_holds(model.modules["text_encoder"], encoder)
    tokenizer = model.tokenizers["tokenizer"]
    pipeline = d.QwenImagePipeline(None, None, encoder, tokenizer, None)
    expected, _ = pipeline.encode_prompt(PROMPT, "cpu")
    assert torch.equal(encoded(model)["embeddings"], expected)


@pytest.mark.slow
def test_qwen_image_without_eyes_is_diffusers(tmp_path: Path) -> None:
    encoder = qwen25_vl()
    blind = {name: t for name, t in text_file(encoder).items() if not name.startswith("visual.")}
    file = write(tmp_path / "blind.safetensors", blind)
    model = loaded("qwen-image", file)
    pipeline = d.QwenImagePipeline(None, None, encoder, model.tokenizers["tokenizer"], None)
    expected, _ = pipeline.encode_prompt(PROMPT, "cpu")
    assert torch.equal(encoded(model)["embeddings"], expected)
    with raises(InvalidFile, port="file"):
        open_text_encoder("qwen-image-edit", {"file": str(file)}, [])


@pytest.mark.slow
def test_krea2_is_diffusers(tmp_path: Path) -> None:
    encoder = qwen3_vl(36)
    model = loaded("krea2", write(tmp_path / "qwen3vl_4b.safetensors", text_file(encoder)))
    assert_holds(model.modules["text_encoder"], encoder)
    pipeline = d.Krea2Pipeline(None, None, encoder, model.tokenizers["tokenizer"], None)
    expected, mask = pipeline.encode_prompt(PROMPT, "cpu")
    found = encoded(model)
    assert torch.equal(found["embeddings"], expected.flatten(2))
    assert torch.equal(found["mask"], mask)


@pytest.mark.slow
# diffusers calls transformers by a name of old
@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")
def test_ideogram4_is_diffusers(tmp_path: Path) -> None:
    encoder = qwen3_vl(36)
    model = loaded("ideogram4", write(tmp_path / "qwen3vl_8b.safetensors", text_file(encoder)))
    assert_holds(model.modules["text_encoder"], encoder)
    words = deepcopy(model.tokenizers["tokenizer"])
    words.chat_template = qwen_words().chat_template
    pipeline = d.Ideogram4Pipeline(None, None, encoder.model, words, None, None)
    found = encoded(model)["embeddings"]
    expected = pipeline.encode_prompt(PROMPT, 0, 0, found.shape[1], "cpu")[0]
    assert torch.equal(found, expected)


@pytest.mark.slow
def test_fibo2_is_diffusers(tmp_path: Path) -> None:
    encoder = qwen3_vl(36)
    model = loaded("fibo2", write(tmp_path / "qwen3vl_4b.safetensors", text_file(encoder)))
    assert_holds(model.modules["text_encoder"], encoder)
    processor = PictureProcessor(None, model.tokenizers["processor"])
    pipeline = d.BriaFibo2Pipeline(None, None, None, encoder, processor)
    expected, _ = pipeline.encode_prompt(PROMPT, device="cpu")
    assert torch.equal(encoded(model)["embeddings"], expected.transpose(1, 2).flatten(2))


@pytest.mark.slow
def test_flux3_klein_is_diffusers(tmp_path: Path) -> None:
    encoder = qwen3_vl(36)
    model = loaded("flux3-klein", write(tmp_path / "qwen3vl_4b.safetensors", text_file(encoder)))
    assert_holds(model.modules["text_encoder"], encoder)
    processor = PictureProcessor(None, deepcopy(model.tokenizers["tokenizer"]))
    processor.chat_template = qwen_words().chat_template
    expected = Flux3TextEncoderStep._get_qwen3_vl_prompt_embeds(encoder, processor, PROMPT)
    assert torch.equal(encoded(model)["embeddings"], expected)


def test_qwen_image_21_is_diffusers(tmp_path: Path) -> None:
    encoder = qwen3_vl()
    model = loaded("qwen-image-21", write(tmp_path / "qwen3vl_8b.safetensors", text_file(encoder)))
    assert_holds(model.modules["text_encoder"], encoder)
    words = model.tokenizers["processor"]
    pictures = tf.Qwen2VLImageProcessorPil(patch_size=16)
    processor = PictureProcessor(pictures, words)
    processor.chat_template = qwen_words().chat_template
    pipeline = d.QwenImage21Pipeline(None, None, encoder, processor, None)
    expected, _, _ = pipeline.encode_prompt(PROMPT, device="cpu")
    assert torch.equal(encoded(model)["embeddings"], expected)
    picture = torch.rand(1, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    (entry,) = encode_edit(model, "make it red", [picture]).entries
    assert int(entry.tensors["slots"].sum()) == 6


@pytest.mark.slow
def test_hunyuan_image_is_diffusers(seeing: Path, tmp_path: Path) -> None:
    encoder, letters = qwen25_vl(), t5(BYT5_WORDS)
    model = loaded("hunyuan-image", write(tmp_path / "byt5.safetensors", named(letters)), seeing)
    one, two = model.tokenizers["tokenizer"], model.tokenizers["tokenizer_2"]
    pipeline = d.HunyuanImagePipeline(None, None, encoder, one, letters, two, None)
    text = 'a sign that says "red cat"'
    expected = pipeline.encode_prompt(text, "cpu")
    found = encoded(model, text)
    names = ("embeddings", "mask", "glyphs", "glyph_mask")
    assert all(torch.equal(found[name], item) for name, item in zip(names, expected, strict=True))


@pytest.mark.slow
def test_hunyuan_video_15_is_diffusers(seeing: Path, tmp_path: Path) -> None:
    encoder, letters = qwen25_vl(), t5(BYT5_WORDS)
    file = write(tmp_path / "byt5.safetensors", named(letters))
    model = loaded("hunyuan-video-15", file, seeing)
    one, two = model.tokenizers["tokenizer"], model.tokenizers["tokenizer_2"]
    one.chat_template = qwen_words().chat_template
    asked = encoder.model.language_model
    text = 'a sign that says "red cat"'
    found = encoded(model, text)
    pipeline = d.HunyuanVideo15Pipeline
    expected = (
        *pipeline._get_mllm_prompt_embeds(asked, one, text, "cpu"),
        *pipeline._get_byt5_prompt_embeds(two, letters, text, "cpu"),
    )
    masks = {"embeddings": "mask", "glyphs": "glyph_mask"}
    names = ("embeddings", "mask", "glyphs", "glyph_mask")
    wanted = dict(zip(names, expected, strict=True))
    for name, mask in masks.items():
        is_there = wanted[mask].bool()
        assert torch.equal(found[mask], wanted[mask])
        # What stands for padding counts for nothing, and eyes change its positions.
        assert torch.equal(found[name][is_there], wanted[name][is_there])


@pytest.mark.slow
def test_flux2_is_diffusers_without_the_layers_that_nobody_asks(tmp_path: Path) -> None:
    """As its file in circulation, which ends with the thirtieth of forty layers."""
    encoder = mistral3(32)
    first = {
        name: tensor
        for name, tensor in text_file(encoder).items()
        if not name.startswith(("model.layers.30.", "model.layers.31."))
    }
    first["tekken_model"] = torch.zeros(4, dtype=torch.uint8)
    model = loaded("flux2", write(tmp_path / "mistral_3_small.safetensors", first))
    tokenizer = model.tokenizers["tokenizer"]
    pipeline = d.Flux2Pipeline(None, None, encoder, tokenizer, None)
    expected, _ = pipeline.encode_prompt(PROMPT, "cpu")
    assert torch.equal(encoded(model)["embeddings"], expected)


@pytest.mark.parametrize("kind", [tf.Ministral3Model, tf.Ministral3ForCausalLM])
def test_ernie_image_is_diffusers(tmp_path: Path, kind: Any) -> None:
    """Of its text encoder, and of its prompt enhancer, a model that writes."""
    encoder = ministral3(kind)
    model = loaded(
        "ernie-image", write(tmp_path / "ministral-3-3b.safetensors", text_file(encoder))
    )
    assert_holds(model.modules["text_encoder"], encoder)
    pipeline = d.ErnieImagePipeline(None, None, encoder, model.tokenizers["tokenizer"], None)
    for text in (PROMPT, ""):
        (expected,) = pipeline.encode_prompt(text, "cpu")
        assert torch.equal(encoded(model, text)["embeddings"][0], expected)


def gemma_pieces() -> list[str]:
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    words += [f"<0x{byte:02X}>" for byte in range(256)]
    return [*words, "▁", *map(chr, range(33, 127)), "ca", "cat", "▁cat", "re", "red", "▁red"]


@pytest.mark.parametrize("family", ["lumina2", pytest.param("sana", marks=pytest.mark.slow)])
def test_gemma_brings_its_tokenizer(tmp_path: Path, family: str) -> None:
    pieces = gemma_pieces()
    encoder = gemma2(len(pieces))
    tensors = text_file(encoder) | {"spiece_model": sentencepiece(pieces)}
    model = loaded(family, write(tmp_path / "gemma_2_2b.safetensors", tensors))
    assert_holds(model.modules["text_encoder"], encoder)
    tokenizer = model.tokenizers["tokenizer"]
    ids = tokenizer("a red cat").input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == ["<bos>", "a", "▁red", "▁cat"]

    if family == "sana":
        pipeline: Any = d.SanaPipeline(tokenizer, encoder, None, None, None)
        name = "plain_embeddings"
    else:
        pipeline = d.Lumina2Pipeline(None, None, None, encoder, tokenizer)
        name = "embeddings"
    expected = pipeline.encode_prompt("a red cat", False, device="cpu")[0]
    assert torch.equal(encoded(model, "a red cat")[name], expected)


def test_gemma_brings_its_tokenizer_in_a_pickle(tmp_path: Path) -> None:
    pieces = gemma_pieces()
    tensors = text_file(gemma2(len(pieces))) | {"spiece_model": sentencepiece(pieces)}
    torch.save(tensors, tmp_path / "gemma_2_2b.pth")
    names = {"file": str(tmp_path / "gemma_2_2b.pth")}
    model = load_component(open_text_encoder("sana", names, [], allow_pickle=True), "cpu")
    tokenizer = model.tokenizers["tokenizer"]
    ids = tokenizer("a red cat").input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == ["<bos>", "a", "▁red", "▁cat"]


def test_gemma_without_one_is_told_and_given_by_a_folder(tmp_path: Path) -> None:
    words = gemma_words()
    file = write(tmp_path / "gemma.safetensors", text_file(gemma2(len(words))))
    with raises(InvalidFile, port="file"):
        open_text_encoder("sana", {"file": str(file)}, [tmp_path])
    words.save_pretrained(tmp_path / "tokenizers" / "gemma2")
    model = loaded("sana", file, models=tmp_path)
    assert model.tokenizers["tokenizer"]("a cat").input_ids == words("a cat").input_ids


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "gemma.safetensors", text_file(gemma2(100)))
    gemma_words().save_pretrained(tmp_path / "tokenizers" / "gemma2")
    with raises(InvalidFile):
        loaded("sana", file, models=tmp_path)


@pytest.fixture(scope="module")
def hidream_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hidream")
    words = llama_words()
    write(folder / "clip_l.safetensors", clip_file(clip(projects=True, length=248)))
    write(folder / "clip_g.safetensors", clip_file(clip(17, projects=True, length=248)))
    write(folder / "t5xxl.safetensors", named(t5()))
    write(folder / "llama.safetensors", text_file(llama3(len(words))))
    words.save_pretrained(folder / "tokenizers" / "llama3")
    return folder


@pytest.mark.slow
def test_hidream_is_diffusers(hidream_files: Path) -> None:
    names = ("llama", "t5xxl", "clip_g", "clip_l")
    model = loaded("hidream", *names, models=hidream_files)
    one, two = clip(projects=True, length=248), clip(17, projects=True, length=248)
    third, llama = model.tokenizers["tokenizer_3"], model.tokenizers["tokenizer_4"]
    encoder = llama3(len(llama))
    assert_holds(model.modules["text_encoder_4"], encoder)
    encoders = (one, clip_words(), two, clip_words("!"), t5(), third, encoder, llama)
    pipeline = d.HiDreamImagePipeline(None, None, *encoders, None)
    expected = pipeline.encode_prompt(PROMPT, do_classifier_free_guidance=False, device="cpu")
    found = encoded(model)
    assert torch.equal(found["embeddings"], expected[0])
    assert torch.equal(found["layers"].transpose(0, 1), expected[2])
    assert torch.equal(found["pooled"], expected[4])


def test_a_folder_without_llama_is_opened_and_loadtextencoder_gives_it(
    hidream_files: Path, tmp_path: Path, model_of: Callable[[Callable[[], Any]], Pair]
) -> None:
    whole = model_of(hidream)[1].folder
    folder = Path(shutil.copytree(whole, tmp_path / "models" / "hidream"))
    for role in ("text_encoder_4", "tokenizer_4"):
        shutil.move(folder / role, tmp_path / role)
    with raises(InvalidFile):
        load_component(open_model(str(folder), []).text_encoder, "cpu")

    shutil.move(tmp_path / "tokenizer_4", tmp_path / "models" / "tokenizers" / "llama3")
    names = {"file": str(folder), "file_2": str(tmp_path / "text_encoder_4")}
    with raises(InvalidFile, port="file_3"):
        open_text_encoder("hidream", names | {"file_3": str(folder / "text_encoder_3")}, [])
    recipe = open_text_encoder("hidream", names, [tmp_path / "models"])
    found = encoded(load_component(recipe, "cpu"), "a cat")
    expected = encoded(load_component(open_model(str(whole), []).text_encoder, "cpu"), "a cat")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_an_editing_model_is_given_eyes_that_fit(seeing: Path) -> None:
    model = loaded("qwen-image-edit", seeing)
    picture = torch.rand(1, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    (entry,) = encode_edit(model, "make it red", [picture]).entries
    assert torch.isfinite(entry.embeddings).all()
    processor = model.tokenizers["processor"]
    assert (processor.patch_size, processor.merge_size) == (14, 2)
    assert (processor.size["shortest_edge"], processor.size["longest_edge"]) == (3136, 12845056)


def test_damaged_sentencepiece_models_are_told() -> None:
    whole = bytes(sentencepiece(gemma_pieces()).tolist())
    assert [piece.text for piece in read_pieces(whole)] == gemma_pieces()
    for damaged in (b"", whole[:-3], b"\xff" * 20, b"no model at all"):
        with pytest.raises(ValueError, match="not a SentencePiece model"):
            read_pieces(damaged)


def test_byte_characters_are_gpt2s() -> None:
    from nodegraph.weights.tokenizer_files import byte_characters as packed

    assert sorted(packed()) == sorted(byte_characters())
