"""The tokenizer: byte-level BPE in CLIP's layout, learnt from the captions."""

import json
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from training.captions import FILLERS
from training.config import Config, command_line
from training.scenes import SceneMaker

START, END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""CLIP's pattern of what is a word."""
_CAPTIONS = 20_000


def corpus(config: Config) -> list[str]:
    """Captions to learn from: a draw of scenes, and every name and filler once."""
    maker = SceneMaker.from_config(config)
    rng = np.random.default_rng(config.seed)
    drawn = [maker.scene(rng).caption for _ in range(_CAPTIONS)]
    return [*drawn, *(name for item in maker.objects for name in item.names), *FILLERS]


def learn_merges(captions: list[str], count: int) -> list[tuple[str, str]]:
    """The most useful pairs of symbols to join, most frequent first; at most `count`."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix=_WORD_END))
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = _alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + count,
        initial_alphabet=alphabet,
        end_of_word_suffix=_WORD_END,
        show_progress=False,
    )
    bpe.train_from_iterator(captions, trainer)
    merges = json.loads(bpe.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges][:count]


def _alphabet() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def write_tokenizer(folder: Path, merges: list[tuple[str, str]], max_length: int) -> None:
    """Write vocab.json, merges.txt and the configuration that CLIP's tokenizer loads."""
    alphabet = _alphabet()
    # Every byte alone and at the end of a word, so that any text at all can be encoded.
    entries = alphabet + [symbol + _WORD_END for symbol in alphabet]
    entries += [left + right for left, right in merges]
    entries = [*dict.fromkeys(entries), START, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    _write_json(folder / "vocab.json", vocabulary, indent=None)
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": max_length,
        "do_lower_case": True,
        "add_prefix_space": False,
        "errors": "replace",
    }
    _write_json(folder / "tokenizer_config.json", settings | special)
    _write_json(folder / "special_tokens_map.json", special)


def _write_json(path: Path, value: object, indent: int | None = 2) -> None:
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer in a folder that `write_tokenizer` wrote."""
    return CLIPTokenizer.from_pretrained(folder)


def encode(tokenizer: CLIPTokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids, each row padded with the end token to the tokenizer's own length.

    This is what the diffusers pipeline feeds the text encoder, which sees no attention mask: the
    model must be trained on exactly this padding.
    """
    batch = tokenizer(texts, padding="max_length", truncation=True)
    return [list(row) for row in batch["input_ids"]]


def main() -> None:
    """Learn the tokenizer and write it to `tokenizer`/ in the work folder."""
    config, work = command_line(main.__doc__)
    captions = corpus(config)
    size = config.text.vocabulary - 2 * len(_alphabet()) - 2
    merges = learn_merges(captions, size)
    write_tokenizer(work / "tokenizer", merges, config.text.max_length)
    tokenizer = load_tokenizer(work / "tokenizer")
    longest = max(len(row) for row in tokenizer(captions)["input_ids"])
    print(f"{len(tokenizer)} entries, longest caption {longest} tokens")
    if longest > config.text.max_length:
        raise SystemExit(f"captions are longer than text.max_length {config.text.max_length}")


if __name__ == "__main__":
    main()
