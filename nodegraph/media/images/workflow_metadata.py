"""Workflow metadata in image files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidValue
from nodegraph.media.images.images import (
    OPAQUE_HINT,
    PARAMETERS,
    ImageFormat,
    encode_image_file,
    is_transparent,
)

if TYPE_CHECKING:
    from torch import Tensor

WORKFLOW, VERSION_KEY = "workflow", "nodegraph"
"""Names of the texts in an image: the workflow as JSON, and nodegraph's version."""


def encode_with_workflow(
    image: Tensor,
    workflow: Mapping[str, Any],
    format: ImageFormat = "png",
    quality: int = 95,
    *,
    bits: int = 8,
    warn: Callable[[str], None] | None = None,
    infotext: str = "",
) -> bytes:
    """An image as the bytes of a file that holds its workflow.

    Args:
        workflow: As it ran; left out if empty.
        bits: Of each channel.
        warn: Told what the format can't hold and so is left out: a workflow that is too long for
            it, transparency.
        infotext: The settings in A1111's form; left out if empty.
    Raises:
        InvalidValue: See `encode_image_file`.
    """
    if warn is not None and format == "jpeg" and is_transparent(image):
        warn(f"JPEG has no transparency, so it is dropped. {OPAQUE_HINT}")
    settings = {PARAMETERS: infotext} if infotext else {}
    texts = {**workflow_metadata(workflow), **settings}
    try:
        return encode_image_file(image, format, texts, quality, bits=bits)
    except InvalidValue as error:
        data = encode_image_file(
            image, format, {**workflow_metadata({}), **settings}, quality, bits=bits
        )
        if warn is not None:
            warn(f"The image was saved without its workflow: {error}")
        return data


def workflow_metadata(workflow: Mapping[str, Any]) -> dict[str, str]:
    """The texts that a file carries by which it can be made again, by name.

    Args:
        workflow: As it ran; left out if empty.
    """
    # In ASCII, with escapes, which every reader of PNG texts and EXIF understands.
    text = {WORKFLOW: json.dumps(dict(workflow))} if workflow else {}
    return {**text, VERSION_KEY: VERSION}
