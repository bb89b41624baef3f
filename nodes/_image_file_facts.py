"""What nodes that read and write pictures know and check before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError

from ._facts import finding_of, input_path


def image_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the picture that LoadImage reads."""
    from nodegraph.images.images import picture_size

    path = input_path(inputs)
    if path is None:
        return {}
    try:
        width, height = picture_size(path)
    except NodegraphError:
        # `check_image` tells.
        return {}
    size = {"width": width, "height": height, "batch": 1}
    return {"image": {**size, "channels": 3}, "mask": size}


def check_image(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing or no pictures."""
    from nodegraph.images.images import picture_size

    path = input_path(inputs)
    if path is not None:
        try:
            # Whom a server serves is told nothing of files that somebody else put there.
            picture_size(path, names=inputs.environment.readable is None)
        except NodegraphError as error:
            yield finding_of("path", error)
