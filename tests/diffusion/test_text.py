"""Prompts become the embeddings that the stock pipeline makes, and beyond them weights apply."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from nodegraph.core.file_digests import FileDigests
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.components import TextModel
from nodegraph.families.registry import get_family
from nodegraph.models.conditioning import encode_prompt
from nodegraph.models.loading import load_component
from nodegraph.models.model_recipes import open_model
from nodegraph.models.prompt_preprocessing import unsupported_tags
from tests.diffusion.conftest import SD1_SCHEDULER, write_sd1, write_tokenizer
from tests.messages import raises

LONG = "a red fox and apple, " * 30


@pytest.fixture(scope="module")
def text_model(sd1_folder: Path) -> TextModel:
    return open_text_model(sd1_folder)


def open_text_model(folder: Path) -> TextModel:
    recipe = open_model(str(folder), [], digests=FileDigests()).text_encoder
    component = load_component(recipe, "cpu")
    assert isinstance(component, TextModel)
    return component


def embeddings(text_model: TextModel, text: str) -> Tensor:
    conditioning = encode_prompt(text_model, text)
    assert conditioning.family == "sd1"
    return conditioning.entries[0].embeddings


@pytest.mark.parametrize("text", ["", "a red apple", "Ünïcode 日本 🦊", "red  \n apple", "!?." * 9])
def test_without_weights_the_bits_are_those_of_the_pipeline(
    text_model: TextModel, sd1_pipeline: StableDiffusionPipeline, text: str
) -> None:
    expected, _ = sd1_pipeline.encode_prompt(text, "cpu", 1, False)

    found = embeddings(text_model, text)

    assert torch.equal(found, expected)
    assert found.dtype == torch.float32
    assert not found.requires_grad


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("<lora:ink:0.8>", "LoadLora"),
        ("<lyco:ink>", "LoadLora"),
        ("<hypernet:ink:1>", "hypernetworks are not supported"),
        ("embedding:ink", "LoadTextualInversion"),
        (
            "(embedding:ink:1.2)",
            "embedding:ink is read as plain words: link a LoadTextualInversion",
        ),
        ("embedding:ink:1.2", "embedding:ink is read as plain words: link a LoadTextualInversion"),
    ],
)
def test_a_tag_that_does_nothing_here_is_told(text_model: TextModel, tag: str, told: str) -> None:
    said: list[str] = []
    encode_prompt(text_model, f"a red apple, {tag}", warn=said.append)
    [found] = said
    assert told in found


@pytest.mark.parametrize(
    "prompt", ["a embedding:MyWord", "(Embedding:myword:1.2), x", "embedding:MyWord."]
)
def test_a_tag_of_a_linked_inversion_is_answered_with_its_word(prompt: str) -> None:
    [found] = unsupported_tags(prompt, ["MyWord"])
    assert "LoadTextualInversion" not in found
    assert "write MyWord for the linked" in found


def test_a_weight_without_brackets_behind_a_word_that_is_read_is_told() -> None:
    words = ["embedding:ink"]
    assert list(unsupported_tags("(embedding:ink:1.2), a embedding:ink.", words)) == []
    [found] = unsupported_tags("embedding:ink:1.2 and", words)
    assert "(embedding:ink:1.2)" in found


def test_a_shorter_window_is_taken_from_the_tokenizer(tmp_path: Path) -> None:
    folder = write_sd1(tmp_path / "short", SD1_SCHEDULER)
    write_tokenizer(folder / "tokenizer", max_length=24)
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    expected, _ = pipeline.encode_prompt("a red apple", "cpu", 1, False)

    found = embeddings(open_text_model(folder), "a red apple")

    assert found.shape == (1, 24, 32)
    assert torch.equal(found, expected)


def test_weight_one_changes_no_bit(text_model: TextModel) -> None:
    plain = embeddings(text_model, "a red apple")

    assert torch.equal(embeddings(text_model, "a (red:1.0) apple"), plain)


def test_a_weight_moves_its_tokens_away_from_the_empty_prompt(text_model: TextModel) -> None:
    plain, empty = embeddings(text_model, "a red apple"), embeddings(text_model, "")

    found = embeddings(text_model, "a (red:1.5) apple")

    # Places: begin, a, red, apple, end, padding.
    assert torch.equal(found[:, [0, 1, *range(3, 77)]], plain[:, [0, 1, *range(3, 77)]])
    expected = empty[:, 2] + (plain[:, 2] - empty[:, 2]) * 1.5
    torch.testing.assert_close(found[:, 2], expected, rtol=0, atol=1e-6)


def test_weight_zero_gives_the_empty_prompts_embedding(text_model: TextModel) -> None:
    found = embeddings(text_model, "(red apple:0)")

    torch.testing.assert_close(found[:, 1:3], embeddings(text_model, "")[:, 1:3], rtol=0, atol=1e-6)


def test_a_long_prompt_takes_several_windows_and_says_so(text_model: TextModel) -> None:
    said: list[str] = []

    found = encode_prompt(text_model, LONG, warn=said.append).entries[0].embeddings

    assert found.shape == (1, 4 * 77, 32)
    assert len(said) == 1
    assert "75" in said[0]
    assert "4 parts" in said[0]


def test_each_window_is_what_its_words_give_alone(text_model: TextModel) -> None:
    words = "red " * 75

    found = embeddings(text_model, words + "apple fox")

    assert torch.equal(found[:, :77], embeddings(text_model, words))
    assert torch.equal(found[:, 77:], embeddings(text_model, "apple fox"))


def test_a_word_is_not_split_between_windows(text_model: TextModel) -> None:
    # `pear` has four tokens here; three places are left in the first window.
    found = embeddings(text_model, "red " * 72 + "pear")

    assert torch.equal(found[:, :77], embeddings(text_model, "red " * 72))
    assert torch.equal(found[:, 77:], embeddings(text_model, "pear"))


def test_a_very_long_word_is_split(text_model: TextModel) -> None:
    assert embeddings(text_model, "x" * 100).shape == (1, 2 * 77, 32)


def test_weights_reach_into_later_windows(text_model: TextModel) -> None:
    found = embeddings(text_model, "red " * 75 + "(apple:2) fox")

    assert torch.equal(found[:, 77:], embeddings(text_model, "(apple:2) fox"))


@pytest.mark.parametrize("text", ["red BREAK apple fox", "red BREAK BREAK apple fox BREAK"])
def test_a_break_begins_the_next_window(text_model: TextModel, text: str) -> None:
    said: list[str] = []
    found = encode_prompt(text_model, text, warn=said.append).entries[0].embeddings

    assert torch.equal(found[:, :77], embeddings(text_model, "red"))
    assert torch.equal(found[:, 77:], embeddings(text_model, "apple fox"))
    assert said == []


def test_texts_of_a_schedule_are_encoded_as_they_would_be_alone(text_model: TextModel) -> None:
    long = "red " * 80
    found = encode_prompt(text_model, f"{long}[(apple:1.5):fox:0.5] [x|y]")
    alone = [f"{long}{word} {turn}" for word in ("(apple:1.5)", "fox") for turn in "xy"]

    assert [(item.start, item.end) for item in found.entries] == [(0, 0.5)] * 2 + [(0.5, 1)] * 2
    for entry, text in zip(found.entries, alone, strict=True):
        assert torch.equal(entry.embeddings, embeddings(text_model, text))
    assert found.unconditional is not None


def test_equal_texts_of_a_prompt_are_encoded_once(sd1_folder: Path) -> None:
    text_model = open_text_model(sd1_folder)
    asked: list[int] = []
    text_model.module.register_forward_pre_hook(lambda *_: asked.append(1))

    found = encode_prompt(text_model, "[a|b|a|c] AND a")
    assert len(found.entries) == 5
    # and the empty one, in place of a negative prompt
    assert len(asked) == 3 + 1


def test_a_prompt_without_end_is_refused(text_model: TextModel) -> None:
    with raises(InvalidValue, port="text", given="more than 100 parts"):
        encode_prompt(text_model, "red " * 8000)


def test_infinite_embeddings_are_told(sd1_folder: Path) -> None:
    broken = open_text_model(sd1_folder)
    with torch.no_grad():
        next(broken.module.parameters()).fill_(float("nan"))

    with raises(NumericalError):
        encode_prompt(broken, "red")


def test_a_tokenizer_without_a_length_takes_the_encoders(text_model: TextModel) -> None:
    class Unlimited:
        model_max_length = 10**30

        def __getattr__(self, name: str) -> object:
            return getattr(text_model.tokenizers["tokenizer"], name)

        def __call__(self, *args: object, **options: object) -> object:
            return text_model.tokenizers["tokenizer"](*args, **options)

    unlimited = replace(text_model, tokenizers={"tokenizer": Unlimited()})

    assert torch.equal(embeddings(unlimited, "fox"), embeddings(text_model, "fox"))


def joined(*embeddings: Tensor) -> Tensor:
    """Of prompts for one call of a UNet."""
    joined: Tensor = get_family("sd1").join([{"embeddings": item} for item in embeddings], 1)[
        "embeddings"
    ]
    return joined


def test_lengths_are_matched_by_repeating() -> None:
    two, three = torch.randn(1, 4, 3), torch.randn(1, 6, 3)

    first, second = joined(two, three)

    assert torch.equal(first[None], torch.cat([two, two, two], dim=1))
    assert torch.equal(second[None], torch.cat([three, three], dim=1))
    assert torch.equal(joined(two, two), torch.cat([two, two]))


def test_repeating_changes_nothing_in_what_attention_gives() -> None:
    torch.manual_seed(0)
    query, context = torch.randn(1, 5, 8), torch.randn(1, 4, 8)
    repeated = joined(context, torch.randn(1, 12, 8))[:1]
    attend = torch.nn.functional.scaled_dot_product_attention

    torch.testing.assert_close(
        attend(query, repeated, repeated), attend(query, context, context), rtol=0, atol=1e-6
    )


def test_the_empty_prompt_is_encoded_once_for_each_encoder(sd1_folder: Path) -> None:
    text_model = load_component(open_model(str(sd1_folder), []).text_encoder, "cpu")
    asked: list[int] = []
    text_model.module.register_forward_pre_hook(lambda *_: asked.append(1))

    first = encode_prompt(text_model, "a red apple")
    assert len(asked) == 2
    second = encode_prompt(text_model, "a fox")
    assert len(asked) == 3
    empty = encode_prompt(text_model, "")
    assert len(asked) == 3

    given, expected = (made.unconditional.embeddings for made in (first, second))
    assert torch.equal(given, expected)
    assert torch.equal(empty.entries[0].embeddings, expected)
    given.zero_()
    empty.entries[0].embeddings.zero_()
    again = encode_prompt(text_model, "a fox")
    assert torch.equal(again.unconditional.embeddings, expected)


class Crowded:
    """A tokenizer that notes how many call it at once, and waits a little for a second one."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._both = tokenizer, Event()
        self.inside = self.most = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.most > 1:
            self._both.set()
        self._both.wait(0.05)
        self.inside -= 1
        return self._tokenizer(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def test_a_tokenizer_reads_one_prompt_at_a_time(sd1_folder: Path) -> None:
    # It keeps how it pads and cuts, which another thread would change between the two.
    text_model = load_component(open_model(str(sd1_folder), []).text_encoder, "cpu")
    crowded = Crowded(text_model.tokenizers["tokenizer"])
    shared = replace(text_model, tokenizers={"tokenizer": crowded})
    adapted = replace(shared, empty={})

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda model: encode_prompt(model, "a fox"), (shared, adapted)))

    assert crowded.most == 1
