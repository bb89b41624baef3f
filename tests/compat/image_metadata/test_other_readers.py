"""nodegraph reads the samples as `sd-parsers`, `sd-prompt-reader` and `invokeai` do.

See `read_by_others`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodegraph.interop.image_metadata import Generation
from nodegraph.interop.image_metadata.generation import to_integer, to_number
from nodegraph.interop.image_metadata.infotext import split_network_tags
from nodegraph.interop.image_metadata.sampler_names import read_sampler
from tests.compat.image_metadata.read_by_others import RECORD
from tests.compat.image_metadata.samples import SAMPLES
from tests.compat.image_metadata.test_tools import generation_of

READINGS: dict[str, dict[str, dict[str, Any]]] = json.loads(RECORD.read_text("utf-8"))
BY_NAME = {sample.name: sample for sample in SAMPLES}
CASES = [(reader, name) for reader, samples in READINGS.items() for name in samples]
THEIR_FAULTS: dict[tuple[str, str], set[str]] = {
    # It splits quoted values at their commas, and takes the model of a ControlNet for the model.
    ("sd-parsers", "a1111-extensions"): {"model"},
    ("sd-parsers", "a1111-units"): {"model"},
    # It pairs these with the ones of the refiner.
    ("sd-prompt-reader", "invokeai-controls"): {"model", "cfg", "sampler", "steps"},
}
"""Fields that a package reads in a way that the form of the tool does not bear out."""


@pytest.mark.parametrize(("reader", "name"), CASES)
def test_the_reading_is_the_same(reader: str, name: str, tmp_path: Path) -> None:
    theirs = READINGS[reader][name]
    sample = BY_NAME[name]
    ours = generation_of(sample, tmp_path)
    faults = THEIR_FAULTS.get((reader, name), set())

    checked = 0
    for key, value in theirs.items():
        if value in (None, "None", "", [], [""], [None]) or key in faults:
            continue
        assert same(key, value, ours), (key, value, ours)
        checked += 1
    assert checked >= 4 or faults


def same(key: str, value: Any, ours: Generation) -> bool:
    if key in ("prompt", "negative"):
        text = split_network_tags(", ".join(value))[0]
        return bool(text == getattr(ours, key))
    if key in ("model", "vae"):
        return bool(value == getattr(ours, key).name)
    if key == "refiner":
        return ours.refiner is not None and value == ours.refiner.model.name
    if key == "loras":
        return bool(value == [[lora.model.name, lora.weight] for lora in ours.loras])
    if key == "controls":
        return bool(value == [[each.model.name, each.weight, each.start] for each in ours.controls])
    if key == "sampler":
        is_comfyui = ours.tool in ("SwarmUI", "Fooocus")
        return read_sampler(Generation(""), value, is_comfyui=is_comfyui)[0] == ours.sampler
    return bool(to_number(value) == getattr(ours, key) or to_integer(value) == getattr(ours, key))
