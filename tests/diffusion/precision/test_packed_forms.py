"""Files of SVDQuant (Nunchaku), GPTQ and AWQ: refused by their names, as whole models and parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.file_digests import FileDigests
from nodegraph.diffusion import open_model
from nodegraph.errors import InvalidFile
from nodegraph.models.denoiser_files import DenoiserRequest, find_denoiser
from nodegraph.models.model_sources import describe_model

PACKED, ONES = torch.zeros(4, 4, dtype=torch.int8), torch.ones(1, 4)


def _nunchaku(low_rank: str, smooth: str) -> dict[str, Tensor]:
    """A block of Flux.1, as Nunchaku's first and second form name its tensors."""
    tensors = {"x_embedder.weight": torch.ones(8, 4), "x_embedder.bias": torch.ones(8)}
    for layer in ("attn.to_qkv", "mlp_fc1"):
        stem = f"transformer_blocks.0.{layer}"
        tensors |= {f"{stem}.qweight": PACKED.clone(), f"{stem}.wscales": ONES.clone()}
        tensors |= {f"{stem}.{low_rank}_{way}": torch.ones(4, 2) for way in ("down", "up")}
        tensors |= {f"{stem}.{smooth}": torch.ones(4)}
    return tensors


FORMS: Mapping[str, tuple[dict[str, Tensor], str]] = {
    "nunchaku, first": (_nunchaku("lora", "smooth"), "SVDQuant (Nunchaku)"),
    "nunchaku, second": (_nunchaku("proj", "smooth_factor"), "SVDQuant (Nunchaku)"),
    "gptq": ({"blocks.0.q.qweight": PACKED, "blocks.0.q.qzeros": ONES}, "GPTQ or AWQ"),
}
METADATA = {"quantization_config": json.dumps({"method": "svdquant"})}
Opened = Callable[[Path], Any]
OPENED: Mapping[str, Opened] = {
    "whole": lambda path: open_model(str(path), [], digests=FileDigests()),
    "denoiser": lambda path: find_denoiser(DenoiserRequest(str(path)), [], allow_pickle=False),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("opened", OPENED)
def test_packed_weights_are_refused_by_name(form: str, opened: str, tmp_path: Path) -> None:
    tensors, title = FORMS[form]
    path = tmp_path / "svdq-int4_r32-flux.1-dev.safetensors"
    save_file(tensors, path, METADATA)
    with pytest.raises(InvalidFile) as caught:
        OPENED[opened](path)
    problem = caught.value.problem
    assert f"is a model quantized with {title}" in problem.message
    assert "fp8_scaled or as GGUF" in (problem.hint or "")


def test_a_list_of_models_names_the_form(tmp_path: Path) -> None:
    path = tmp_path / "flux.safetensors"
    save_file(FORMS["nunchaku, first"][0], path)
    found = describe_model("flux", path, "checkpoint")
    assert "quantized with SVDQuant (Nunchaku)" in (found.problem or "")
