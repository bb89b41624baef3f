"""Facts and checks of nodes that load and save images, before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.media.images.output_names import check_folder, check_pattern, pattern_findings

from ._facts import error_to_finding, input_path


def image_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the image that LoadImage loads."""
    frame, alpha = inputs.literals.get("frame", 0), inputs.literals.get("alpha")
    size = _size(inputs)
    if not size:
        return {}
    known = {} if alpha is None else {"channels": 4 if alpha else 3}
    if frame != 0:
        # The pages of a file may be of different sizes.
        size = {}
    return {"image": {**size, "batch": 1, **known}, "mask": {**size, "batch": 1}}


def frames_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the images that LoadImageFrames loads."""
    size = _size(inputs)
    return {"image": {**size, "channels": 3}, "mask": size} if size else {}


def _size(inputs: HookInputs) -> dict[str, int]:
    from nodegraph.media.images.images import picture_size

    path = input_path(inputs)
    if path is None:
        return {}
    try:
        width, height = picture_size(path, max_pixels=inputs.environment.max_image_pixels)
    except NodegraphError:
        # `check_image` reports it.
        return {}
    return {"width": width, "height": height}


def check_image(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing or not an image."""
    from nodegraph.media.images.images import picture_size

    path = input_path(inputs)
    if path is not None:
        try:
            # Clients of a server must not learn of files that other people put there.
            world = inputs.environment
            picture_size(path, max_pixels=world.max_image_pixels, names=world.readable is None)
        except NodegraphError as error:
            yield error_to_finding("path", error)


def check_image_text(inputs: HookInputs) -> Iterator[Finding]:
    """Find texts that are no base64."""
    from nodegraph.media.images.input_files import decode_base64

    text = inputs.literals.get("data")
    if text is not None:
        try:
            decode_base64(text, "data")
        except NodegraphError as error:
            yield error_to_finding("data", error)


def check_pictures(inputs: HookInputs) -> Iterator[Finding]:
    """Find folders and patterns without images."""
    from nodegraph.media.images.input_files import find_pictures

    path = inputs.literals.get("path")
    if path is not None:
        try:
            paths = find_pictures(path, inputs.environment)
        except NodegraphError as error:
            yield error_to_finding("path", error)
            return
        start = inputs.literals.get("start") or 0
        if start >= len(paths):
            yield Finding(
                "start", "the start is after the last image", str(start), f"less than {len(paths)}"
            )


def pictures_state(inputs: HookInputs) -> str:
    """Changes when one of the images changes, or when one is added."""
    from nodegraph.media.images.input_files import find_pictures

    paths = find_pictures(inputs.literals["path"], inputs.environment)
    inputs.files.extend(paths)
    return "\n".join(file_stamp(path) for path in paths)


def check_picture_name(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid names, formats without 16 bits, and output folders without write access."""
    name, bits = inputs.literals.get("name"), inputs.literals.get("bits")
    try:
        if name is not None:
            check_pattern(name)
            yield from pattern_findings(name, inputs.nodes)
        check_folder(inputs.environment.outputs)
    except NodegraphError as error:
        yield error_to_finding("name", error)
    form = inputs.literals.get("format")
    if bits == "16" and form not in (None, "png"):
        yield Finding("bits", "16 bits need the format png", str(form), "png")
