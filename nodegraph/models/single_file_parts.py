"""Parts of a single-file model: which tensors belong to which part.

Imports no torch, and reads no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodegraph.errors import InvalidFile
from nodegraph.families.base import Config, Family, Part
from nodegraph.families.checkpoint_parts import (
    CHECKPOINT,
    CheckpointPart,
    checkpoint_prefix,
    denoiser_config,
    find_checkpoint_parts,
    get_checkpoint_part,
    vae_part,
)
from nodegraph.families.registry import get_family
from nodegraph.families.vocabulary import find_tokenizer
from nodegraph.models.model_sources import ModelSource
from nodegraph.weights.file_kinds import PartFiles
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.safetensors_header import Shapes, read_header
from nodegraph.weights.single_files.base import DAMAGED, fault_text


def ports_within(
    source: ModelSource, family: Family, folders: Sequence[Path]
) -> tuple[list[PartFiles], list[PartFiles], list[PartFiles]]:
    """The parts of a single file: the file itself, whichever part it is for."""
    shapes = header_of(source.path).shapes
    ports = find_checkpoint_parts(family, shapes)
    words = _tokenizers(source, family, shapes, ports[1], folders)
    denoiser, encoders, vae = (_within(source, family, parts) for parts in ports)
    return denoiser, [*encoders, *words], vae


def _within(source: ModelSource, family: Family, parts: Sequence[Part]) -> list[PartFiles]:
    shared = family.single_file is not None
    roles = [CHECKPOINT] if shared else [part.role for part in parts]
    return [PartFiles(role, [source.path], [source.path]) for role in roles]


def _tokenizers(
    source: ModelSource,
    family: Family,
    shapes: Shapes,
    encoders: Sequence[Part],
    folders: Sequence[Path],
) -> list[PartFiles]:
    """The words for a single file's encoders, which carries none; nothing where none are found."""
    tokenizers = []
    for encoder, tokenizer in zip(family.encoders, family.tokenizers, strict=False):
        if encoder not in encoders:
            continue
        try:
            config = get_checkpoint_part(family, encoder, shapes).config
            words = int((config.get("text_config") or config)["vocab_size"])
        except DAMAGED as error:
            message = f"the text encoder in {source.path} is damaged: {fault_text(error)}."
            raise InvalidFile(message, hint="Copy the file again.") from error
        files = find_tokenizer(tokenizer, words, [*folders, source.path.parent])
        tokenizers.append(PartFiles(tokenizer.role, files))
    return tokenizers


def denoiser_within(source: ModelSource) -> CheckpointPart:
    """The denoiser.

    Raises:
        InvalidFile: It is damaged.
    """
    family = get_family(source.family)
    try:
        return get_checkpoint_part(family, family.denoisers[0], header_of(source.path).shapes)
    except DAMAGED as error:
        message = f"the denoiser in {source.path} is damaged: {fault_text(error)}."
        raise InvalidFile(message, hint="Copy the file again.") from error


def configs_within(source: ModelSource) -> tuple[Config, Config]:
    """The configurations of the denoiser and the VAE."""
    shapes, family = header_of(source.path).shapes, get_family(source.family)
    autoencoder = get_checkpoint_part(family, vae_part(family.vae, family.latent), shapes)
    return denoiser_config(shapes, family), autoencoder.config


def prefixes_within(source: ModelSource) -> tuple[tuple[str, ...], ...]:
    """What names of tensors begin with, by port."""
    family = get_family(source.family)
    shapes = read_header(source.path).shapes
    return tuple(
        tuple(checkpoint_prefix(family, part, shapes) for part in parts)
        for parts in find_checkpoint_parts(family, shapes)
    )
