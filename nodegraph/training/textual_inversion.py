"""Textual inversion: train a word's embedding for a frozen model.

Source: Gal et al. 2022, arXiv:2208.01618.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.core.training_values import Dataset, TrainedWeights
from nodegraph.core.values import ConditioningEntry, TextEncoder
from nodegraph.errors import InvalidValue
from nodegraph.families.components import TextModel
from nodegraph.families.prompts import parse_chunks
from nodegraph.families.registry import get_family
from nodegraph.families.text_encoders import prompt_gradients
from nodegraph.families.unet import UNetFamily
from nodegraph.models.adapters.adapter_files import read_inversion
from nodegraph.models.adapters.inversions import with_trainable_token
from nodegraph.models.adapters.recipes import with_inversion
from nodegraph.training.denoising_task import DenoisingTask, own_denoiser
from nodegraph.training.examples import plain_prompt
from nodegraph.training.files import write_trained
from nodegraph.training.training_run import TrainingSetup, run_training

_NAMED = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}


def check_word(word: str, template: str) -> None:
    """Refuse what is no word for a prompt, and templates without a place for it.

    Raises:
        InvalidValue: So it is.
    """
    if not word.strip() or word != word.strip():
        raise InvalidValue("this cannot be a word of a prompt", port="word", given=repr(word))
    chunks = parse_chunks(word)
    if len(chunks) > 1 or "".join(span.text for span in chunks[0]) != word:
        raise InvalidValue(
            "prompts do not accept this as a word",
            port="word",
            given=repr(word),
            expected="a word without BREAK and without brackets, which are weight markup",
            hint="Use a word like <thing>.",
        )
    if "{}" not in template:
        raise InvalidValue(
            "the template has no placeholder for the word",
            port="template",
            given=template,
            expected="a text with {} in it, for example `a photo of {}`",
        )


def captioned(dataset: Dataset, word: str, template: str) -> Dataset:
    """Examples whose captions have the word: of others the template is said."""
    caption = template.replace("{}", word)
    return dataset.with_examples(
        item if word in item.caption else replace(item, caption=caption)
        for item in dataset.examples
    )


def train_word(
    setup: TrainingSetup,
    word: str,
    *,
    begin: str = "",
    vectors: int = 1,
    template: str = "a photo of {}",
) -> TrainedWeights:
    """A word that was taught.

    Args:
        begin: A word like it: its embedding is what it begins as; at random if empty.
        vectors: Tokens that it stands for.
    Raises:
        InvalidValue: The model's encoders learn no words, or it is none.
        NumericalError, OutputError: See `TrainingSetup.train` and `write_trained`.
    """
    check_word(word, template)
    family = get_family(setup.model.family)
    if not isinstance(family, UNetFamily):
        raise InvalidValue(
            f"the text encoders of {family.title} do not support training of words",
            port="text_encoder",
            expected="a Stable Diffusion 1.x, 2.x or XL",
            hint="Train a LoRA instead.",
        )
    setup = replace(setup, dataset=captioned(setup.dataset, word, template))
    setup.check()
    datasets, ctx = setup.encode_datasets(), setup.ctx
    with (
        ctx.weights(setup.text_encoder) as text_model,
        ctx.weights(setup.training_model) as shared,
        torch.enable_grad(),
    ):
        rows = first_rows(text_model, begin, vectors, setup.plan.seed)
        learner, learnt = with_trainable_token(text_model, word, rows)
        model = own_denoiser(shared, setup.own_modules(shared))
        task = DenoisingTask(model, learnt, datasets, prompt_encoder(learner), setup.plan)
        learned = run_training(ctx, task, setup.plan)
    settings = (*setup.plan.to_settings(), ("vectors", str(vectors)), ("begin", begin))
    files = write_trained(
        ctx.environment, "embedding", named_rows(learned.weights, word), dict(settings)
    )
    return TrainedWeights("embedding", setup.model.family, files, (word,), settings, learned.losses)


def prompt_encoder(learner: TextModel) -> Callable[[str], ConditioningEntry]:
    """Encodes captions so that it can be derived."""
    family = get_family(learner.family)

    def entry(text: str) -> ConditioningEntry:
        with learner.turn, prompt_gradients():
            return family.encode(learner, plain_prompt(family, text))

    return entry


def first_rows(text_model: TextModel, begin: str, vectors: int, seed: int) -> dict[str, Tensor]:
    """What a word's tokens begin as, by the role of the encoder: the tokens of a word like it, the
    last one again where there are too few; or embeddings of words drawn at random.

    Raises:
        InvalidValue: The word to begin with has no tokens.
    """
    rows = {}
    for role, module in text_model.modules.items():
        tokenizer = text_model.tokenizers[role.replace("text_encoder", "tokenizer")]
        embeddings: nn.Embedding = module.get_input_embeddings()
        if begin:
            tokens = tokenizer(begin, add_special_tokens=False).input_ids
        else:
            tokens = _drawn(embeddings, vectors, seed)
        if not tokens:
            raise InvalidValue(
                "the training cannot start from this word", port="begin", given=begin
            )
        taken = [tokens[min(at, len(tokens) - 1)] for at in range(vectors)]
        ids = torch.tensor(taken, device=embeddings.weight.device)
        rows[role] = embeddings(ids).detach().clone()
    return rows


def _drawn(embeddings: Any, count: int, seed: int) -> list[int]:
    from nodegraph.training.examples import generator_of

    # The last two words of CLIP's vocabulary begin and end prompts.
    most = embeddings.num_embeddings - 2
    drawn: list[int] = torch.randint(most, (count,), generator=generator_of(seed, "word")).tolist()
    return drawn


def named_rows(rows: Mapping[str, Tensor], word: str) -> dict[str, Tensor]:
    """As diffusers' `load_textual_inversion` reads them."""
    if len(rows) == 1:
        return {word: next(iter(rows.values())).contiguous()}
    return {_NAMED[role]: item.contiguous() for role, item in rows.items()}


def with_trained_word(weights: TrainedWeights, text_encoder: TextEncoder) -> TextEncoder:
    """A text encoder that knows a word that was taught.

    Raises:
        InvalidFile: It isn't for this encoder.
        InvalidValue: The encoder has such a word.
    """
    from pathlib import Path

    opened = read_inversion(Path(weights.files[0].path))
    return with_inversion(text_encoder, opened, weights.words[0])
