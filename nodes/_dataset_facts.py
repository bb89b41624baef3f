"""Facts and checks of the dataset nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp

from ._facts import error_to_finding


def check_dataset_path(inputs: HookInputs) -> Iterator[Finding]:
    """Find paths without training data."""
    from nodegraph.media.datasets.disk_formats import detect_source
    from nodegraph.media.datasets.folders import find_files

    path, form = inputs.literals.get("path"), inputs.literals.get("format", "auto")
    if path is None:
        return
    try:
        kind, _ = detect_source(path, inputs.environment, form)
        if kind != "folder":
            return
        recursive = inputs.literals.get("recursive", True)
        folder_files = find_files(path, inputs.environment, recursive=recursive)
    except NodegraphError as error:
        yield error_to_finding("path", error)
        return
    if not folder_files.pictures and not folder_files.unusable:
        yield Finding(
            "path",
            "the folder contains no image",
            str(path),
            "images, a COCO file, or tar files",
            "Set `recursive` to include subfolders." if not recursive else None,
        )


def dataset_state(inputs: HookInputs) -> str:
    """Changes when an image, a caption or a table changes, or when one is added."""
    from nodegraph.media.datasets.disk_formats import source_files

    literals = inputs.literals
    paths = list(
        source_files(
            literals["path"],
            inputs.environment,
            format=literals.get("format", "auto"),
            recursive=literals.get("recursive", True),
            mask_suffix=literals.get("mask_suffix", "_mask"),
        )
    )
    inputs.files.extend(paths)
    return "\n".join(file_stamp(path) for path in paths)


def check_captions(inputs: HookInputs) -> Iterator[Finding]:
    """Find templates and regular expressions that are not valid."""
    from nodegraph import Dataset
    from nodegraph.media.datasets.editing import edit_captions

    literals = inputs.literals
    try:
        edit_captions(
            Dataset(()),
            literals.get("template") or "",
            find=literals.get("find") or "",
            replacement=literals.get("replacement") or "",
            is_pattern=bool(literals.get("is_pattern")),
        )
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "template", error)


def check_shares(inputs: HookInputs) -> Iterator[Finding]:
    """Find shares that leave no training examples."""
    validation, test = (inputs.literals.get(name) for name in ("validation", "test"))
    if validation is not None and test is not None and validation + test >= 1:
        yield Finding(
            "validation",
            "the shares leave no training examples",
            f"{validation:g} + {test:g}",
            "less than 1 together",
        )


def check_likeness(inputs: HookInputs) -> Iterator[Finding]:
    """Find a comparison by meaning without an image encoder."""
    literals = inputs.literals
    if literals.get("by") == "meaning" and "encoder" in literals and literals["encoder"] is None:
        yield Finding(
            "encoder",
            "images are compared by meaning, and no image encoder is linked",
            expected="an image encoder",
            hint="Link a LoadImageEncoder node, or compare by pixels.",
        )
