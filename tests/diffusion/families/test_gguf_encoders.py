"""Text encoders in GGUF files encode as what their blocks stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nodegraph.diffusion import encode_prompt, load_component
from nodegraph.models.text_encoder_files import (
    find_text_encoder,
    open_text_encoder,
    text_encoder_bytes,
)
from nodegraph.residency import component_bytes
from tests.diffusion.precision.gguf_files import everywhere, write_gguf

from .language_files import gguf_text, qwen3
from .text_files import clip, clip_file, gguf_t5, t5, write

pytest.importorskip("gguf")

Written = Callable[[], dict[str, torch.Tensor]]


@pytest.mark.parametrize(
    ("family", "make"),
    [
        ("flux", lambda: gguf_t5(t5())),
        pytest.param("z-image", lambda: gguf_text(qwen3(width=64)), marks=pytest.mark.slow),
    ],
)
def test_prompts_are_those_of_what_blocks_stand_for(
    tmp_path: Path, family: str, make: Written
) -> None:
    path = tmp_path / "encoder.gguf"
    save_file(write_gguf(path, make(), everywhere("Q8_0")), tmp_path / "whole.safetensors")
    names = {"file_2": "clip_l"} if family == "flux" else {}
    write(tmp_path / "clip_l.safetensors", clip_file(clip()))

    def opened(file: str) -> Any:
        recipe = open_text_encoder(family, {"file": file, **names}, [tmp_path])
        return load_component(recipe, "cpu")

    kept, whole = opened("encoder.gguf"), opened("whole.safetensors")
    found, expected = (encode_prompt(model, "a red cat").entries[0] for model in (kept, whole))
    assert torch.equal(found.embeddings, expected.embeddings)
    assert component_bytes(kept) < component_bytes(whole)
    told = text_encoder_bytes(
        find_text_encoder(family, {"file": "encoder.gguf", **names}, [tmp_path])
    )
    assert told == pytest.approx(component_bytes(kept), rel=0.02)
