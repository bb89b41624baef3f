"""Words that prompts can be completed with are read from tokenizers of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodegraph.families.embedded_models import embedded_folder
from nodegraph.models.known_words import MOST_WORDS, known_words
from nodegraph.models.model_sources import FoundModel


def model(path: Path, family: str | None = "sd1") -> FoundModel:
    return FoundModel(path.name, path, "diffusers", family, 0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "vocab.json",
            {"cat</w>": 1, "red</w>": 0, "Red</w>": 5, "ing": 2, "a</w>": 3, "12345</w>": 4},
            ("red", "cat"),
        ),
        # Its letters stand for bytes: ä and ö are two each.
        ("vocab.json", {"Ġgrün": 0, "ĠsÃ¤ule": 1, "ing": 2, "ĠhÃ": 3}, ("säule",)),
        (
            "tokenizer.json",
            {"model": {"vocab": [["▁the", -3.0], ["er", -3.5], ["▁säule", -9.0]]}},
            ("the", "säule"),
        ),
        ("tokenizer.json", {"model": {"vocab": {"Ġtree": 9, "Ġhouse": 4}}}, ("house", "tree")),
        ("vocab.json", "not a vocabulary", ()),
        ("vocab.json", "5", ()),
        ("tokenizer.json", [], ()),
        ("tokenizer.json", {"model": {"vocab": [5]}}, ()),
    ],
)
def test_whole_words_come_in_the_order_of_their_numbers(
    tmp_path: Path, name: str, content: object, words: tuple[str, ...]
) -> None:
    (tmp_path / "tokenizer").mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "tokenizer" / name).write_text(text, encoding="utf-8")
    assert known_words(model(tmp_path), []) == words


def test_a_vocabulary_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer" / "vocab.json"
    file.parent.mkdir()
    file.write_text('{"red</w>": 0}')
    assert known_words(model(tmp_path), []) == ("red",)
    file.write_text('{"green</w>": 0}')
    assert known_words(model(tmp_path), []) == ("green",)


def test_the_embedded_model_and_files_without_a_tokenizer_have_words(tmp_path: Path) -> None:
    assert "leaf" in known_words(model(embedded_folder()), [])
    file = tmp_path / "a.safetensors"
    file.touch()
    words = known_words(FoundModel(file.name, file, "checkpoint", "sd1", 0), [])
    assert {"apple", "photo", "painting"} <= set(words)
    assert len(words) <= MOST_WORDS
    assert known_words(model(tmp_path, family=None), []) == ()
