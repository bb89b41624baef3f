"""What a model's index says enters the recipe of the part that heeds it, and no other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodegraph.diffusion import open_model

from .conftest import Pair
from .test_stable_diffusion import sdxl
from .video_models import wan22

ModelOf = Callable[[Callable[[], Any]], Pair]


@pytest.mark.parametrize(
    ("build", "changed", "part"),
    [
        (wan22, {"boundary_ratio": 0.5}, "model"),
        (sdxl, {"force_zeros_for_empty_prompt": False}, "text_encoder"),
    ],
)
def test_an_edit_of_a_setting_changes_one_part(
    model_of: ModelOf,
    tmp_path: Path,
    build: Callable[[], Any],
    changed: dict[str, Any],
    part: str,
) -> None:
    folder = tmp_path / "edited"
    shutil.copytree(model_of(build)[1].folder, folder)
    before = open_model(folder.name, [tmp_path])
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text("utf-8")) | changed), "utf-8")

    after = open_model(folder.name, [tmp_path])

    pairs = zip(before._fields, before, after, strict=True)
    assert [name for name, old, new in pairs if old != new] == [part]
