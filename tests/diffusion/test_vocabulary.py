"""Tokenizers that come along give the ids of published ones; others are found, or asked for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nodegraph.errors import InvalidFile
from nodegraph.families.base import Part
from nodegraph.families.building import build_tokenizer
from nodegraph.families.flux2 import FLUX2, SYSTEM
from nodegraph.families.qwen_image import _TEMPLATE, _TEMPLATE_TOKENS
from nodegraph.families.registry import FAMILIES
from nodegraph.families.vocabulary import VOCABULARIES, find_tokenizer, missing_tokenizer_error
from nodegraph.perception.language_model import FILE_VOCABULARIES
from tests.messages import raises

from .families.words import llama_words

KINDS = {
    "t5": "T5Tokenizer",
    "umt5": "T5Tokenizer",
    "byt5": "ByT5Tokenizer",
    "qwen2.5-vl": "Qwen2Tokenizer",
    "qwen3": "Qwen2Tokenizer",
    "mistral3": "PreTrainedTokenizerFast",
}


@cache
def tokenizer(name: str) -> Any:
    return build_tokenizer([KINDS[name]], VOCABULARIES[name].files)


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("t5", "a red cat", [3, 9, 1131, 1712, 1]),
        ("t5", "Hello,  world!\nnaïve <extra_id_0>", None),
        ("t5", "", [1]),
        pytest.param("umt5", "a red cat", [289, 4062, 6283, 1], marks=pytest.mark.slow),
        ("byt5", 'Text "é"', [87, 104, 123, 119, 35, 37, 198, 172, 37, 1]),
        ("qwen2.5-vl", "Hello world", [9707, 1879]),
        ("qwen2.5-vl", "<|im_start|>user\n", [151644, 872, 198]),
        ("qwen2.5-vl", "<|image_pad|><|endoftext|>", [151655, 151643]),
        pytest.param(
            "qwen3", "<think>\n\n</think>\n\n", [151667, 271, 151668, 271], marks=pytest.mark.slow
        ),
        pytest.param(
            "mistral3", "[INST]Hello world[/INST]", [1, 3, 22177, 4304, 4], marks=pytest.mark.slow
        ),
    ],
)
def test_ids_are_those_of_published_tokenizers(name: str, text: str, ids: list[int] | None) -> None:
    found = tokenizer(name)(text)["input_ids"]
    if ids is None:
        assert found == [8774, 6, 296, 55, 3, 29, 9, 2, 162, 32099, 1]
    else:
        assert found == ids


@pytest.mark.parametrize(
    ("name", "words", "pad", "end", "side"),
    [
        ("t5", 32100, 0, 1, "right"),
        pytest.param("umt5", 256300, 0, 1, "right", marks=pytest.mark.slow),
        ("qwen2.5-vl", 151665, 151643, 151645, "right"),
        pytest.param("qwen3", 151669, 151643, 151645, "right", marks=pytest.mark.slow),
        pytest.param("mistral3", 131072, 11, 2, "left", marks=pytest.mark.slow),
    ],
)
def test_they_pad_and_end_as_published_ones(
    name: str, words: int, pad: int, end: int, side: str
) -> None:
    found = tokenizer(name)
    assert (len(found), found.pad_token_id, found.eos_token_id) == (words, pad, end)
    assert found.padding_side == side
    if name == "mistral3":
        assert found.bos_token_id == 1


def test_templates_are_as_long_as_the_models_were_trained_with() -> None:
    before = _TEMPLATE.split("{}")[0]
    assert len(tokenizer("qwen2.5-vl")(before)["input_ids"]) == _TEMPLATE_TOKENS


@pytest.mark.slow
def test_chats_are_written_as_published_templates_write_them() -> None:
    said = [{"role": "user", "content": "a cat"}]
    chat = "<|im_start|>user\na cat<|im_end|>\n<|im_start|>assistant\n"
    options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
    write = tokenizer("qwen3").apply_chat_template
    assert write(said, enable_thinking=True, **options) == chat
    assert write(said, enable_thinking=False, **options) == chat + "<think>\n\n</think>\n\n"
    assert FLUX2.chat(tokenizer("mistral3"), "a cat") == (
        f"<s>[SYSTEM_PROMPT]{SYSTEM}[/SYSTEM_PROMPT][INST]a cat[/INST]"
    )


def test_families_and_language_models_name_vocabularies_that_are_known() -> None:
    named = {part.vocabulary for family in FAMILIES.values() for part in family.tokenizers}
    named |= set(FILE_VOCABULARIES.values())
    assert named - {""} == set(VOCABULARIES)


GEMMA = Part("tokenizer", ("GemmaTokenizer",), vocabulary="gemma2")


def test_others_are_found_in_their_folder_or_a_model(tmp_path: Path) -> None:
    assert find_tokenizer(GEMMA, 256000, [tmp_path]) == []
    model = tmp_path / "sana"
    for file, content in (
        ("model_index.json", {"_class_name": "SanaPipeline"}),
        ("tokenizer/tokenizer.json", {}),
    ):
        (model / file).parent.mkdir(parents=True, exist_ok=True)
        (model / file).write_text(json.dumps(content))
    assert find_tokenizer(GEMMA, 256000, [tmp_path]) == [model / "tokenizer/tokenizer.json"]
    own = tmp_path / "tokenizers" / "gemma2"
    own.mkdir(parents=True)
    (own / "tokenizer.json").write_text("{}")
    assert find_tokenizer(GEMMA, 256000, [tmp_path]) == [own / "tokenizer.json"]


def test_a_missing_one_is_told_with_what_to_copy() -> None:
    said = str(missing_tokenizer_error(GEMMA, "gemma.safetensors", port="file"))
    assert "its tokenizer.json in tokenizers/gemma2 under a models folder" in said
    assert "Copy tokenizer.json from the `tokenizer` folder of Gemma 2" in said


def test_a_tokenizer_of_another_model_is_told_before_a_prompt_is_split(tmp_path: Path) -> None:
    """Llama's in place of Gemma's: what Gemma's takes for unknown words isn't among its own."""
    llama_words().save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    with raises(InvalidFile):
        build_tokenizer(["GemmaTokenizer"], sorted(tmp_path.iterdir()))
