"""Facts and checks of the region nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs

from ._region_prompts import check_region_prompts
from ._sampling_facts import check_findings
from ._vision_facts import check_task, check_things


def region_mask_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the mask: that of the image, if it is linked."""
    sides = {side: inputs.fact("image", side) for side in ("width", "height")}
    known = {side: pixels for side, pixels in sides.items() if pixels}
    return {"mask": {**known, "batch": 1}}


def check_labels(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task, unknown classes, and batches."""
    yield from check_things(inputs)
    yield from check_one_image(inputs)


def check_sam(inputs: HookInputs) -> Iterator[Finding]:
    """Find models for another task, and batches."""
    yield from check_task(inputs, "points")
    yield from check_one_image(inputs)


def check_one_image(inputs: HookInputs) -> Iterator[Finding]:
    """Find batches of several images: regions belong to one."""
    batch = inputs.fact("image", "batch")
    if isinstance(batch, int) and batch > 1:
        yield Finding(
            "image",
            "regions belong to one image",
            f"a batch of {batch}",
            "one image, or a list of images",
            "Take one image with ImageFromBatch, or use ForEach.",
        )


def check_detail(inputs: HookInputs) -> Iterator[Finding]:
    """Find batches, and details without a prompt."""
    yield from check_one_image(inputs)
    if "positive" in inputs.literals and "guider" in inputs.literals:
        yield Finding("positive", "there is no prompt", hint="Link a prompt, or a guider.")
    prompts = inputs.literals.get("prompts")
    if prompts:
        yield from check_findings(check_region_prompts, "prompts", prompts)
