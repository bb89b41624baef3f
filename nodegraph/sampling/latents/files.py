"""Latent files: safetensors with metadata for resuming and the workflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.values import FrameGuide, Latent, Leftover
from nodegraph.errors import InvalidFile
from nodegraph.media.images.input_files import missing_file_error
from nodegraph.weights.safetensors_header import read_header

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"
_TEXTS, _SIZE = "__metadata__", 8
"""Entry of a header with the texts, and bytes of the header's length, by which it is aligned."""
_ABOUT = "latent"
_SAMPLES, _MASK, _ORIGINAL, _SOUND = "samples", "noise_mask", "original", "sound"
_SOUND_MASK = "sound_mask"
_GUIDE = "guide {}"
_GUIDE_FIELDS = ("frame", "count", "strength", "is_appended")
_PLAIN = ("width", "height", "batch_size", "format", "frames")


@dataclass(frozen=True, slots=True)
class AboutLatent:
    """What a file says of its latent."""

    width: int
    height: int
    batch_size: int
    format: str | None
    frames: int
    batch_index: tuple[int, ...] | None
    sigma: float | None
    form: Any
    gradual: float = 0.0
    guides: tuple[Mapping[str, Any], ...] = ()
    any_size: bool = False


def encode_latent(latent: Latent, texts: Mapping[str, str]) -> bytes:
    """A latent as the bytes of a file.

    Args:
        texts: What the file carries besides, such as its workflow.
    """
    from safetensors.torch import save

    left = latent.leftover
    about = {name: getattr(latent, name) for name in _PLAIN} | {
        "batch_index": latent.batch_index,
        "sigma": None if left is None else left.sigma,
        "form": None if left is None else left.form,
        "gradual": latent.gradual,
        "any_size": latent.any_size,
        "guides": [{name: getattr(each, name) for name in _GUIDE_FIELDS} for each in latent.guides],
    }
    parts = {
        _SAMPLES: latent.samples,
        _MASK: latent.noise_mask,
        _SOUND: latent.sound,
        _SOUND_MASK: latent.sound_mask,
        _ORIGINAL: None if left is None else left.original,
        **{_GUIDE.format(index): each.samples for index, each in enumerate(latent.guides)},
    }
    # clones, as the format refuses tensors that share memory
    tensors = {name: item.contiguous().clone() for name, item in parts.items() if item is not None}
    content: bytes = save(tensors, {_ABOUT: json.dumps(about), **texts})
    return _with_sorted_texts(content)


def _with_sorted_texts(content: bytes) -> bytes:
    """A file of safetensors whose texts have one order; the library writes them in any order.

    So equal latents have equal files.
    """
    size = int.from_bytes(content[:_SIZE], "little")
    header = json.loads(content[_SIZE : _SIZE + size])
    header[_TEXTS] = dict(sorted(header[_TEXTS].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    padded = text + b" " * (-len(text) % _SIZE)
    return len(padded).to_bytes(_SIZE, "little") + padded + content[_SIZE + size :]


def about_latent(path: Path, *, names: bool = True) -> AboutLatent:
    """What a file says of its latent, by its header. Imports no torch.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, can't be read, is damaged, or holds no latent.
    """
    try:
        is_there = path.is_file()
    except OSError as error:  # a name that is too long, a loop of links
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    if not is_there:
        raise missing_file_error(path, names=names)
    text = read_header(path).metadata.get(_ABOUT)
    try:
        about = json.loads(text or "")
        index = about["batch_index"]
        return AboutLatent(
            **{name: about[name] for name in _PLAIN},
            batch_index=None if index is None else tuple(map(int, index)),
            sigma=about["sigma"],
            form=about["form"],
            gradual=float(about.get("gradual", 0.0)),
            guides=tuple(
                {name: each[name] for name in _GUIDE_FIELDS} for each in about.get("guides", ())
            ),
            any_size=bool(about.get("any_size", False)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidFile(
            f"{path.name} holds no latent",
            port="path",
            expected="a file written by SaveLatent",
            hint=None
            if text
            else "Files of other tools do not say which model their latent belongs to.",
        ) from error


def read_latent(path: Path, *, names: bool = True) -> Latent:
    """The latent of a file.

    Args:
        names: As for `about_latent`.
    Raises:
        InvalidFile: As of `about_latent`, or its tensors aren't what it says.
    """
    from nodegraph.weights.weight_files import read_tensors

    about = about_latent(path, names=names)
    tensors = read_tensors([path], "float32")
    samples, original = tensors.get(_SAMPLES), tensors.get(_ORIGINAL)
    _check(path, about, tensors)
    left = None if about.sigma is None else Leftover(about.sigma, about.form, original)
    return Latent(
        samples,
        about.width,
        about.height,
        about.batch_size,
        tensors.get(_MASK),
        about.format,
        about.batch_index,
        about.frames,
        left,
        about.gradual,
        tensors.get(_SOUND),
        tuple(
            FrameGuide(tensors[_GUIDE.format(index)], **fields)
            for index, fields in enumerate(about.guides)
        ),
        tensors.get(_SOUND_MASK),
        about.any_size,
    )


def _check(path: Path, about: AboutLatent, tensors: Mapping[str, Tensor]) -> None:
    samples, index, counts = tensors.get(_SAMPLES), about.batch_index, (1, about.batch_size)
    mask, original, sound = (tensors.get(name) for name in (_MASK, _ORIGINAL, _SOUND))
    fits_sound = sound is None or (sound.ndim == 4 and len(sound) in counts)
    fits = index is None or len(index) == about.batch_size
    fits &= mask is None or (mask.ndim == 3 and len(mask) in counts)
    # The original of a video with sound has its sound in further frames.
    parts = (slice(None),) if sound is None else (slice(2), slice(3, None))
    fits &= original is None or (
        samples is not None and all(original.shape[at] == samples.shape[at] for at in parts)
    )
    fits &= fits_sound
    heard = tensors.get(_SOUND_MASK)
    fits &= heard is None or (
        sound is not None and heard.shape[1:] == sound.shape[2:3] and len(heard) in counts
    )
    guides = [tensors.get(_GUIDE.format(index)) for index in range(len(about.guides))]
    fits &= all(guide is not None and guide.ndim == 5 and len(guide) == 1 for guide in guides)
    if samples is not None:
        fits &= samples.ndim in (4, 5) and len(samples) == about.batch_size
        fits &= about.width % samples.shape[-1] == 0 == about.height % samples.shape[-2]
    if not fits:
        raise InvalidFile(
            f"{path.name} is damaged: its tensor does not have the stated size", port="path"
        )
