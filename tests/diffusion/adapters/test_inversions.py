"""Textual inversions: words in prompts that stand for learned embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from nodegraph.core.values import TextEncoder
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.components import TextModel
from nodegraph.families.prompts import escape_prompt
from nodegraph.models.adapters.adapter_files import read_inversion
from nodegraph.models.adapters.recipes import OpenedAdapter, with_inversion
from nodegraph.models.conditioning import encode_prompt
from nodegraph.models.derived_components import derive
from nodegraph.models.loading import load_component
from nodegraph.models.model_recipes import open_model
from tests.messages import raises

from . import files


@pytest.fixture
def recipe(sd1_folder: Path) -> TextEncoder:
    return open_model(str(sd1_folder), []).text_encoder


@pytest.fixture(params=["emb_params", "<cat>"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A word of three tokens, as other tools write it, and as diffusers does."""
    torch.manual_seed(3)
    return files.saved({request.param: torch.randn(3, 32)}, tmp_path / "cat.safetensors")


def escape_comfyui(text: str) -> str:
    """The text in a prompt of ComfyUI, where brackets alone are markup."""
    return text.replace("(", "\\(").replace(")", "\\)")


def _live(recipe: TextEncoder) -> TextModel:
    found: Any = load_component(recipe.base, "cpu")
    made: TextModel = derive(found, recipe)
    return made


def _encoded(recipe: TextEncoder, text: str) -> Tensor:
    return encode_prompt(_live(recipe), text).entries[0].embeddings


def test_a_prompt_is_encoded_as_by_the_pipeline(
    recipe: TextEncoder, path: Path, sd1_folder: Path
) -> None:
    theirs: Any = StableDiffusionPipeline.from_pretrained(sd1_folder, local_files_only=True)
    theirs.load_textual_inversion(str(path), token="<cat>")
    expected, _ = theirs.encode_prompt("a <cat>, red", "cpu", 1, False)
    taught = with_inversion(recipe, read_inversion(path), "<cat>")
    assert torch.equal(_encoded(taught, "a <cat>, red"), expected)


def test_other_prompts_are_as_before(recipe: TextEncoder, path: Path) -> None:
    taught = with_inversion(recipe, read_inversion(path), "cat")
    for text in ("red apple", "cats, concat"):
        assert torch.equal(_encoded(taught, text), _encoded(recipe, text))
    assert not torch.equal(_encoded(taught, "cat"), _encoded(recipe, "cat"))


def test_the_word_is_the_file_s_own_or_its_name(recipe: TextEncoder, path: Path) -> None:
    taught = with_inversion(recipe, read_inversion(path))
    assert taught.adapters[0].token in ("cat", "<cat>")


@pytest.mark.parametrize("syntax", ["auto", "comfyui"])
@pytest.mark.parametrize(
    "word",
    [
        *("my style", "my style (v2)", "cat, red", "cat:2", "[cat]", "a|b", "<cat>", "a (b):1"),
        *("embedding:my style", "cat\\dog", "(cat)", "back\\(slash"),
    ],
)
def test_a_word_of_any_signs_is_written_with_backslashes(
    recipe: TextEncoder, path: Path, word: str, syntax: str
) -> None:
    taught = with_inversion(recipe, read_inversion(path), word)
    plain = with_inversion(recipe, read_inversion(path), "zebra")
    written = escape_prompt(word) if syntax == "auto" else escape_comfyui(word)
    found, expected = (
        encode_prompt(_live(model), f"red {text} apple", syntax=syntax).entries[0].embeddings
        for model, text in ((taught, written), (plain, "zebra"))
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("written", "syntax", "advised"),
    [
        ("my style (v2)", "auto", r"my style \(v2\)"),
        ("My Style (v2)", "comfyui", r"my style \(v2\)"),
        (r"my style \(v2\)", "auto", ""),
        ("my style (v2)", "off", ""),
        ("style", "auto", ""),
    ],
)
def test_a_word_whose_brackets_would_be_weights_is_told_as_it_is_written(
    recipe: TextEncoder, path: Path, written: str, syntax: str, advised: str
) -> None:
    taught = with_inversion(recipe, read_inversion(path), "my style (v2)")
    said: list[str] = []
    encode_prompt(_live(taught), f"red {written} apple", warn=said.append, syntax=syntax)
    assert [f"write {advised} for" in message for message in said] == [True] * bool(advised)


def test_the_longest_word_counts_where_one_holds_another(recipe: TextEncoder, path: Path) -> None:
    file = read_inversion(path)
    whole = with_inversion(with_inversion(recipe, file, "cat"), file, "fat cat")
    alone = with_inversion(with_inversion(recipe, file, "dog"), file, "fat cat")
    assert torch.equal(_encoded(whole, "red fat cat"), _encoded(alone, "red fat cat"))


@pytest.mark.parametrize("written", ["Cat", "CAT"])
def test_the_word_is_known_in_any_case(recipe: TextEncoder, path: Path, written: str) -> None:
    """As CLIP reads all other words."""
    taught = with_inversion(recipe, read_inversion(path), "cat")
    assert torch.equal(_encoded(taught, f"red {written}"), _encoded(taught, "red cat"))


def test_words_that_differ_in_case_alone_are_told_apart(recipe: TextEncoder, path: Path) -> None:
    lower = with_inversion(recipe, read_inversion(path), "cat")
    other = files.saved({"emb_params": torch.randn(32)}, path.with_name("other.safetensors"))
    both = with_inversion(lower, read_inversion(other), "Cat")
    assert torch.equal(_encoded(both, "cat"), _encoded(lower, "cat"))
    assert not torch.equal(_encoded(both, "Cat"), _encoded(both, "cat"))


def test_a_word_longer_than_a_window_goes_on_in_the_next(
    recipe: TextEncoder, tmp_path: Path
) -> None:
    rows = torch.randn(100, 32)
    path = files.saved({"emb_params": rows}, tmp_path / "long.safetensors")
    begun = files.saved({"emb_params": rows[:75]}, tmp_path / "begun.safetensors")
    found = _encoded(with_inversion(recipe, read_inversion(path)), "long")
    assert found.shape[1] == 2 * 77
    first = _encoded(with_inversion(recipe, read_inversion(begun)), "begun")
    assert torch.equal(found[:, :77], first)


def test_it_can_be_weighted(recipe: TextEncoder, path: Path) -> None:
    taught = with_inversion(recipe, read_inversion(path), "cat")
    assert not torch.equal(_encoded(taught, "(cat:1.5)"), _encoded(taught, "cat"))


def test_several_words_and_a_lora_go_together(
    recipe: TextEncoder, path: Path, tmp_path: Path, sd1_pipeline: StableDiffusionPipeline
) -> None:
    other = files.saved({"emb_params": torch.randn(32)}, tmp_path / "ink.safetensors")
    both = with_inversion(
        with_inversion(recipe, read_inversion(path), "cat"), read_inversion(other)
    )
    assert torch.equal(
        _encoded(both, "a cat"),
        _encoded(with_inversion(recipe, read_inversion(path), "cat"), "a cat"),
    )
    assert torch.equal(
        _encoded(both, "ink"), _encoded(with_inversion(recipe, read_inversion(other)), "ink")
    )
    pairs = {
        name: pair
        for name, pair in files.own_pairs(sd1_pipeline.text_encoder).items()
        if "layers" in name
    }
    lora = files.saved(files.peft_file(pairs, "text_encoder."), tmp_path / "lora.safetensors")
    taught = OpenedAdapter(lora).apply_to(both, 1.0).recipe
    assert len(taught.adapters) == 3
    assert not torch.equal(_encoded(taught, "a cat, ink"), _encoded(both, "a cat, ink"))


def test_the_encoder_stays_as_it_is(recipe: TextEncoder, path: Path) -> None:
    base: Any = load_component(recipe, "cpu")
    before = encode_prompt(base, "cat").entries[0].embeddings
    derive(base, with_inversion(recipe, read_inversion(path), "cat"))
    assert torch.equal(encode_prompt(base, "cat").entries[0].embeddings, before)


def test_the_end_of_a_prompt_is_found_where_the_configuration_is_an_old_one(
    recipe: TextEncoder, path: Path
) -> None:
    taught = with_inversion(recipe, read_inversion(path), "cat")
    pooled = []
    for is_old in (False, True):
        base: Any = load_component(recipe, "cpu")
        for part in base.module.modules():
            if is_old and hasattr(part, "eos_token_id"):
                part.eos_token_id = 2
        made = derive(base, taught)
        (tokenizer,) = made.tokenizers.values()
        ids = torch.tensor([tokenizer("a cat, red").input_ids])
        pooled.append(made.module(ids).pooler_output)
    assert torch.equal(*pooled)


def test_one_for_another_encoder_is_refused_before_loading(
    recipe: TextEncoder, tmp_path: Path
) -> None:
    path = files.saved({"emb_params": torch.zeros(2, 48)}, tmp_path / "wide.safetensors")
    with raises(InvalidFile, given="embeddings 48 wide"):
        with_inversion(recipe, read_inversion(path))


def test_a_word_stands_for_one_thing(recipe: TextEncoder, path: Path) -> None:
    taught = with_inversion(recipe, read_inversion(path), "cat")
    with raises(InvalidValue, port="token", given="cat"):
        with_inversion(taught, read_inversion(path), "cat")
    with raises(InvalidValue, port="token", given="' '"):
        with_inversion(recipe, read_inversion(path), " ")


@pytest.mark.parametrize(
    "tensors",
    [
        {"a.lora_A.weight": torch.zeros(2, 8), "a.lora_B.weight": torch.zeros(8, 2)},
        {"weight": torch.zeros(800, 8)},
        {"weight": torch.zeros(4, 8, 3, 3)},
    ],
)
def test_what_is_none_is_refused(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = files.saved(tensors, tmp_path / "file.safetensors")
    with raises(InvalidFile):
        read_inversion(path)
