import json

import pytest

from training.captions import POSITIONS
from training.config import ROOT, load_config
from training.objects import COLOUR_WORDS, load_objects
from training.tokenizer import corpus, encode, learn_merges, load_tokenizer, write_tokenizer


@pytest.fixture(scope="module")
def captions():
    return corpus(load_config(ROOT / "training/configs/tiny.toml"))


@pytest.fixture(scope="module")
def tokenizer(captions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, learn_merges(captions, 2086), 24)
    return load_tokenizer(folder)


def test_captions_come_back_unchanged(tokenizer, captions):
    for caption in captions[:200]:
        text = tokenizer.decode(tokenizer(caption)["input_ids"], skip_special_tokens=True)
        assert text.replace(" ,", ",").strip() == caption


def test_words_of_the_grammar_and_most_names_are_one_token(tokenizer):
    objects = load_objects(ROOT / "training/objects.json")
    grammar = {word for names in COLOUR_WORDS.values() for word in names}
    grammar |= {word for place in POSITIONS for word in place.split()}
    names = {word for item in objects for word in item.name.split()}
    split = {w for w in grammar | names if len(tokenizer(w)["input_ids"]) != 3}
    assert split & grammar == set()
    assert len(split) < 0.25 * len(names)


def test_rows_are_padded_with_the_end_token_to_the_tokenizers_length(tokenizer):
    empty, long = encode(tokenizer, ["", "cat " * 50])
    end = tokenizer.eos_token_id
    assert empty == [tokenizer.bos_token_id] + [end] * 23
    assert len(long) == 24
    assert long[-1] == end


def test_any_text_can_be_encoded_and_case_does_not_matter(tokenizer):
    assert encode(tokenizer, ["A CAT"]) == encode(tokenizer, ["a cat"])
    assert (
        tokenizer.decode(tokenizer("zebra 東 <3")["input_ids"][1:-1]).replace(" ", "")
        == "zebra東<3"
    )


def test_learning_again_gives_the_same_files(captions, tmp_path):
    for name in ("first", "second"):
        write_tokenizer(tmp_path / name, learn_merges(captions[:500], 100), 24)
    first, second = ((tmp_path / n / "vocab.json").read_text() for n in ("first", "second"))
    assert first == second
    assert len(json.loads(first)) == 512 + 100 + 2
