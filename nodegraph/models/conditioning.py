"""Conditioning: encode prompts, and add sizes, reference images or image embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.base import (
    CROP,
    INDEXED_REFERENCES,
    ORIGINAL_SIZE,
    SCORE,
    TARGET_SIZE,
    ZERO_TIMESTEP_REFERENCE,
    encoded,
)
from nodegraph.families.components import TextModel
from nodegraph.families.family_checks import (
    check_one_image_prompt,
    check_reads_image_prompt,
    check_reads_references,
)
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.prompt_media import ImagePromptReader, MediaReader, PromptMedia
from nodegraph.families.prompts import MUSIC_TASKS, MusicPrompt
from nodegraph.families.registry import FAMILIES, get_family
from nodegraph.models.helper_files import ENCODED
from nodegraph.models.prompt_preprocessing import (
    check_size_conditioning,
    escaper,
    translate_prompt,
    unsupported_tags,
)
from nodegraph.models.prompt_syntax import PromptPart, joint_parts, prompt_parts, texts_of
from nodegraph.weights.weight_files import read_tensors

_FAMILY = "sdxl"
_WITH_IMAGES = (_FAMILY, "stable-cascade")
"""Families whose prompts may be images of an image encoder."""
_POOLED = "pooled"
_NOISE = NoiseSchedule.from_config(
    {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2"}
)
"""Source: Ramesh et al. 2022, arXiv:2204.06125, as https://github.com/Stability-AI/stablediffusion
has it of unCLIP."""


def with_pooled_image(
    conditioning: Conditioning,
    embeddings: Tensor,
    strength: float,
    *,
    noise: float = 0.0,
    seed: int = 0,
    adds: bool = False,
) -> Conditioning:
    """Prompts whose pooled prompt is what images show.

    It works as CLIP was trained to say the same of an image and of its words.

    Args:
        embeddings: What the eyes of the prompt's second encoder say, float32, (images, width).
        strength: Of each.
        noise: Share of noise that is put on that, 0 to 1.
        seed: Of the noise.
        adds: Whether it is added to the pooled prompt.
    Raises:
        InvalidValue: The prompt is of other models, or the eyes are of another encoder.
    """
    check_pooled_image(conditioning.family)
    total = strength * _noised(embeddings, noise, seed).sum(0, keepdim=True)

    def shown(entry: ConditioningEntry) -> ConditioningEntry:
        pooled = entry.tensors[_POOLED]
        if pooled.shape != total.shape:
            raise InvalidValue(
                "the image encoder does not match the prompt's second text encoder",
                port="image_encoder",
                given=f"{total.shape[1]} numbers",
                expected=f"{pooled.shape[1]}: CLIP ViT-bigG's",
            )
        pooled_sum = pooled + total if adds else total
        return replace(entry, tensors={**entry.tensors, _POOLED: pooled_sum})

    return replace(conditioning, entries=tuple(map(shown, conditioning.entries)))


def check_pooled_image(family: str | None) -> None:
    """Refuse prompts of models that can't be led so.

    Raises:
        InvalidValue: On port ``conditioning``.
    """
    if family is not None and family in FAMILIES and family not in _WITH_IMAGES:
        raise InvalidValue(
            "image embeddings can be a prompt of Stable Diffusion XL or Stable Cascade only",
            port="conditioning",
            given=get_family(family).title,
            hint="Use ApplyIPAdapter or ReferenceLatents with other models.",
        )


def _noised(embeddings: Tensor, noise: float, seed: int) -> Tensor:
    if not noise:
        return embeddings
    level = round(noise * (_NOISE.timesteps - 1))
    kept, added = _NOISE.scales(timestep=level)
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn: Tensor = kept * embeddings + added * torch.randn(embeddings.shape, generator=generator)
    return drawn


def encode_prompt(
    text_model: TextModel,
    text: str,
    *,
    warn: Callable[[str], None] | None = None,
    syntax: str = "auto",
) -> Conditioning:
    """Encode a prompt for the denoiser of the same model.

    Prompts are encoded one by one, so that the bits of one do not depend on others.

    Args:
        warn: Called with one sentence if a part of the prompt is treated specially, for example
            a part beyond the encoder's maximum length.
        syntax: See `nodegraph.models.prompt_syntax`; or ``comfyui``, of
            `nodegraph.models.prompt_preprocessing`.
    Returns:
        One entry per text that the prompt expands to, usually one, and the replacement for a
        missing negative prompt as `unconditional`.
    Raises:
        InvalidValue: The prompt is far too long, or something in it is out of range.
        NumericalError: An encoder produces NaN or infinity.
    """
    family = get_family(text_model.family)
    _tell_unread(text_model, [text], warn, syntax)
    text_model = replace(text_model, as_comfyui=syntax == "comfyui")
    prompt, reading = translate_prompt(text, syntax, family)
    parts = prompt_parts(prompt, weighs_words=family.weighs_words, syntax=reading)
    return _parts_encoded(text_model, parts, lambda prompt: family.encode(text_model, prompt, warn))


def encode_prompts_per_encoder(
    text_model: TextModel,
    texts: Sequence[str],
    *,
    warn: Callable[[str], None] | None = None,
    syntax: str = "auto",
) -> Conditioning:
    """A prompt of which each encoder reads a text of its own.

    Args:
        texts: In the order of the family's `readers`.
        warn, syntax: As for `encode_prompt`; prompts side by side there can't be.
    Returns, Raises:
        As of `encode_prompt`.
    """
    family = get_family(text_model.family)
    _tell_unread(text_model, texts, warn, syntax)
    text_model = replace(text_model, as_comfyui=syntax == "comfyui")
    read = [translate_prompt(text, syntax, family) for text in texts]
    joint = joint_parts(
        [prompt for prompt, _ in read], weighs_words=family.weighs_words, syntax=read[0][1]
    )
    return _parts_encoded(
        text_model, joint, lambda prompt: family.encode_apart(text_model, texts_of(prompt), warn)
    )


def _tell_unread(
    text_model: TextModel,
    texts: Sequence[str],
    warn: Callable[[str], None] | None,
    syntax: str = "auto",
) -> None:
    """Warn of tags of other tools that do nothing, each once."""
    if warn is None:
        return
    words = {word for item in text_model.tokenizers.values() for word in getattr(item, "words", ())}
    escape = escaper(syntax, get_family(text_model.family))
    messages = (each for text in texts for each in unsupported_tags(text, words, escape))
    for message in dict.fromkeys(messages):
        warn(message)


def _parts_encoded(
    text_model: TextModel,
    parts: Sequence[PromptPart],
    encode: Callable[[str], ConditioningEntry],
) -> Conditioning:
    """Parts of a prompt; equal texts are encoded once."""
    known: dict[str, ConditioningEntry] = {}

    def entries() -> Iterator[ConditioningEntry]:
        for part in parts:
            if part.text not in known:
                known[part.text] = encode(part.text)
            yield replace(
                known[part.text],
                strength=part.strength,
                start=part.start,
                end=part.end,
                steps=part.steps,
            )

    return _conditioning(text_model, entries)


def encode_edit(
    text_model: TextModel,
    text: str,
    images: Sequence[Tensor],
    *,
    warn: Callable[[str], None] | None = None,
) -> Conditioning:
    """What to make of images, by an encoder that sees them, too.

    Args:
        images: float32 in 0..1, each of shape (images, height, width, 3), all of which it sees.
        warn: As for `encode_prompt`.
    Returns:
        As `encode_prompt`.
    Raises:
        InvalidValue: The encoder sees no images, or not so many.
        NumericalError: As of `encode_prompt`.
    """
    family = get_family(text_model.family)
    _tell_unread(text_model, [text], warn)
    pictures = [picture for image in images for picture in image]
    return _conditioning(text_model, lambda: [family.encode_edit(text_model, text, pictures, warn)])


def encode_image_prompt(text_model: TextModel, image: Tensor) -> Conditioning:
    """Encode an image as the prompt of a model that takes one in place of a text.

    Args:
        image: float32 in 0..1, shape (1, height, width, channels).
    Returns:
        As `encode_prompt`.
    Raises:
        InvalidValue: The model takes a text, on port ``encoder``; or there are several images.
        NumericalError: As of `encode_prompt`.
    """
    family = get_family(text_model.family)
    check_reads_image_prompt(family)
    check_one_image_prompt(len(image))
    assert isinstance(family, ImagePromptReader)
    return _conditioning(text_model, lambda: [family.encode_image(text_model, image[0])])


def encode_media(
    text_model: TextModel,
    text: str,
    media: Sequence[PromptMedia],
    *,
    warn: Callable[[str], None] | None = None,
) -> Conditioning:
    """Encode a prompt that names images, videos and sound.

    Args:
        text: They are ``<Picture 1>``, ``<Video 1>`` and ``<Audio 1>`` in it, and so on.
        media: In the order of the labels.
        warn: As for `encode_prompt`.
    Returns:
        As `encode_prompt`.
    Raises:
        InvalidValue: The encoder's models see none; on port ``encoder``.
        NumericalError: As of `encode_prompt`.
    """
    family = get_family(text_model.family)
    check_reads_references(family)
    assert isinstance(family, MediaReader)
    _tell_unread(text_model, [text], warn)
    return _conditioning(text_model, lambda: [family.encode_media(text_model, text, media, warn)])


def encode_music(
    text_model: TextModel,
    prompt: MusicPrompt,
    *,
    source: Latent | None = None,
    reference: Latent | None = None,
    silence: Latent | None = None,
    warn: Callable[[str], None] | None = None,
) -> Conditioning:
    """Encode tags and lyrics for a model that generates music.

    Args:
        source: The latent of the sound that the prompt's task edits.
        reference: The latent of sound whose timbre the music gets, from `encode_reference`.
        silence: The latent of `encode_silence`, for a text encoder from files without one.
        warn: As for `encode_prompt`.
    Returns:
        As `encode_prompt`.
    Raises:
        InvalidValue: The encoder is of a model that generates no music, or the task and the source
            do not fit.
        NumericalError: As of `encode_prompt`.
    """
    family = get_family(text_model.family)
    edited, heard, silent = (
        None if item is None else item.samples for item in (source, reference, silence)
    )
    if (edited is None) != (prompt.task == MUSIC_TASKS[0]):
        raise InvalidValue(
            f"the task {prompt.task} takes no source"
            if edited is not None
            else f"the task {prompt.task} needs a source",
            port="task" if edited is not None else "source",
            hint="Choose another task."
            if edited is not None
            else "Link the audio to edit, or choose text2music.",
        )
    return _conditioning(
        text_model, lambda: [family.encode_music(text_model, prompt, warn, edited, heard, silent)]
    )


def with_references(
    conditioning: Conditioning,
    latent: Latent | None,
    *,
    indexed: bool | None = None,
    zero_timestep: bool = False,
) -> Conditioning:
    """Prompts that bring images to look at, after those that they brought before.

    Args:
        latent: Of one image or several; the mask has no meaning here. None for those alone that
            they brought before.
        indexed: Whether Flux.1 tells all of them apart by their numbers; None: as before.
        zero_timestep: Whether Qwen-Image is told that all of them are without noise.
    Raises:
        InvalidValue: The latent is empty, or of another format than the model's.
    """
    pictures = () if latent is None else _pictures(conditioning, latent)
    flags = {INDEXED_REFERENCES: indexed, ZERO_TIMESTEP_REFERENCE: zero_timestep}
    made = {name: torch.ones(1) for name, is_so in flags.items() if is_so}
    dropped = {INDEXED_REFERENCES} if indexed is False else set[str]()

    def shown(entry: ConditioningEntry) -> ConditioningEntry:
        kept = {name: item for name, item in entry.tensors.items() if name not in dropped}
        tensors = {**kept, **made}
        return replace(entry, tensors=tensors, references=(*entry.references, *pictures))

    return replace(conditioning, entries=tuple(map(shown, conditioning.entries)))


def _pictures(conditioning: Conditioning, latent: Latent) -> tuple[Tensor, ...]:
    if latent.samples is None:
        raise InvalidValue(
            "the latent is empty: there is no reference image in it",
            port="latent",
            hint="Encode an image with VAEEncode.",
        )
    _check_format(conditioning, latent)
    return tuple(item[None] for item in latent.samples)


def with_sizes(
    conditioning: Conditioning,
    *,
    original: tuple[int, int] = (0, 0),
    crop: tuple[int, int] = (0, 0),
    target: tuple[int, int] = (0, 0),
    score: float | None = None,
) -> Conditioning:
    """Prompts that tell Stable Diffusion XL what an image is to look like, as it was trained.

    Args:
        original: Width and height that it had before it was scaled, in pixels; 0: as large as is
            asked for.
        crop: From where it was cut out, from the left and from above.
        target: Width and height that it was cut to; 0: as original.
        score: How beautiful it is, for the refiner, which takes it in place of the target; None:
            6.0, or 2.5 of a negative prompt.
    Raises:
        InvalidValue: The family's models are told no sizes.
    Source: Podell et al. 2023, arXiv:2307.01952, section 2.2.
    """
    check_size_conditioning(conditioning.family)
    pairs = {ORIGINAL_SIZE: original, CROP: crop, TARGET_SIZE: target}
    tensors = {name: torch.tensor([[y, x]], dtype=torch.float32) for name, (x, y) in pairs.items()}
    if score is not None:
        tensors[SCORE] = torch.tensor([[score]], dtype=torch.float32)
    entries = tuple(
        replace(entry, tensors={**entry.tensors, **tensors}) for entry in conditioning.entries
    )
    return replace(conditioning, entries=entries)


def _check_format(conditioning: Conditioning, latent: Latent) -> None:
    if conditioning.family is None or latent.format is None:
        return
    wanted = get_family(conditioning.family).latent.name
    if latent.format != wanted:
        raise InvalidValue(
            "the latent has another format than the model's",
            port="latent",
            given=latent.format,
            expected=wanted,
            hint="Encode the image with the VAE of the same LoadModel.",
        )


def _conditioning(
    text_model: TextModel, encode: Callable[[], Iterable[ConditioningEntry]]
) -> Conditioning:
    with text_model.turn, torch.no_grad():
        entries = tuple(encode())
        unconditional = _unconditional(text_model)
    for tensor in (tensor for entry in entries for tensor in entry.tensors.values()):
        if not torch.isfinite(tensor).all():
            raise NumericalError(
                "the text encoder produced NaN or infinity",
                hint="Load the model with dtype float32.",
            )
    return Conditioning(entries, text_model.family, unconditional)


def _unconditional(text_model: TextModel) -> ConditioningEntry | None:
    """What stands in for a missing negative prompt: encoded once for each encoder."""
    device = str(text_model.device)
    if device not in text_model.empty:
        text_model.empty[device] = get_family(text_model.family).unconditional(text_model)
    known = text_model.empty[device]
    if known is None:
        return None
    # A copy, as somebody may write into a result.
    return replace(known, tensors={name: item.clone() for name, item in known.tensors.items()})


def read_conditioning(path: Path) -> Conditioning:
    """An encoded prompt of a file, as ComfyUI's ConditioningLoader reads it.

    Args:
        path: Of `nodegraph.models.helper_files.find_conditioning`.
    """
    tensors = read_tensors([path], "float32")
    return Conditioning((encoded({ENCODED[name]: item for name, item in tensors.items()}),))
