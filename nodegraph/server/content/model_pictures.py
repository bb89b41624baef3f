"""Pictures of models, as people put them beside the files."""

from __future__ import annotations

from pathlib import Path

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_LARGEST = 32 << 20
"""Bytes of a picture that is read; a larger one is no picture of a model."""


def find_model_picture(model: Path) -> Path | None:
    """The picture of a model, in its folder or beside its file; None if there is none."""
    if model.is_dir():
        stems = [model / "preview", model / "thumbnail"]
    else:
        stems = [model.with_suffix(".preview"), model.with_suffix("")]
    # Not `with_suffix`, which would take a part of the name off: v1.5 is no suffix.
    places = (stem.with_name(f"{stem.name}{suffix}") for stem in stems for suffix in _SUFFIXES)
    return next((place for place in places if place.is_file()), None)


def read_model_picture(model: Path) -> bytes | None:
    """The bytes of a model's picture; None if there is none that can be read."""
    found = find_model_picture(model)
    try:
        if found is None or found.stat().st_size > _LARGEST:
            return None
        return found.read_bytes()
    except OSError:
        return None
