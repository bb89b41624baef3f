"""Files that hold no diffusion model, or a damaged one, are told as what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import load_component, locate_model
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound
from nodegraph.models.model_sources import describe_model
from tests.diffusion import ldm_export
from tests.messages import raises

from .denoiser_writing import HEAD, Written, WrittenOf, flux, opened
from .parts import flux_vae

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


def changed(made: Written, tmp_path: Path, changes: Mapping[str, Tensor | None]) -> Path:
    """A file of its tensors but for these; None leaves one out."""
    tensors = {**made.tensors, **changes}
    path = tmp_path / "changed.safetensors"
    save_file({name: item for name, item in tensors.items() if item is not None}, path)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"final_layer.linear.bias": None},
        {"something.else": torch.ones(1)},
        {"single_blocks.0.linear2.bias": torch.ones(3)},
    ],
)
def test_a_file_that_does_not_fit_says_which_tensors(
    written: WrittenOf, tmp_path: Path, changes: Mapping[str, Tensor | None]
) -> None:
    recipe = opened(changed(written(flux), tmp_path, changes))
    with raises(InvalidFile):
        load_component(recipe, "cpu")


@pytest.mark.parametrize(
    "extra", ["norm_out.linear.bias", "transformer_blocks.0.norm1.linear.weight"]
)
def test_a_file_with_a_tensor_by_two_names_is_refused(
    written: WrittenOf, tmp_path: Path, extra: str
) -> None:
    """At once, and not loaded with one of the two."""
    path = changed(written(flux), tmp_path, {extra: torch.ones(1)})
    with raises(InvalidFile) as caught:
        opened(path)
    assert re.search(f"damaged: the tensors .* are both {extra}", str(caught.value))


def test_a_file_that_lacks_what_tells_its_sizes_is_refused(
    written: WrittenOf, tmp_path: Path
) -> None:
    path = changed(written(flux), tmp_path, {"txt_in.weight": None})
    with raises(InvalidFile):
        opened(path)


def test_what_takes_more_than_a_latent_is_not_taken_for_it(
    written: WrittenOf, tmp_path: Path
) -> None:
    path = changed(written(flux), tmp_path, {"img_in.weight": torch.ones(HEAD, 96)})
    with raises(InvalidFile):
        opened(path)


def alone(name: str) -> dict[str, Tensor]:
    """Files that hold something else."""
    kinds: dict[str, Callable[[], Mapping[str, Tensor]]] = {
        "vae": lambda: ldm_export._vae_tensors(flux_vae()),
        "lora": lambda: {"a.lora_A.weight": torch.ones(1, 1)},
        "nothing": lambda: {"anything": torch.ones(1)},
    }
    return {key: item.detach().clone().contiguous() for key, item in kinds[name]().items()}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("vae", "Load it with LoadVae"),
        ("lora", "a LoRA.*Load it with LoadLora"),
        ("nothing", "no model"),
    ],
)
def test_what_holds_something_else_is_told_with_the_node_that_takes_it(
    tmp_path: Path, kind: str, words: str
) -> None:
    save_file(alone(kind), tmp_path / "other.safetensors")
    with raises(InvalidFile):
        opened(tmp_path / "other.safetensors")
    with pytest.raises(ModelNotFound):
        opened(tmp_path / "nowhere.safetensors")


def test_load_model_and_lists_say_what_it_is(written: WrittenOf) -> None:
    path = written(flux).file()
    with raises(InvalidFile):
        locate_model(str(path), [])
    listed = describe_model(path.name, path, "checkpoint")
    assert (listed.problem, listed.family) == (None, "flux")
    assert (listed.part, listed.node) == ("the transformer of Flux.1", "LoadDiffusionModel")


def test_a_model_that_is_one_has_no_second_expert(written: WrittenOf) -> None:
    path = written(flux).file()
    with raises(InvalidValue, port="second"):
        opened(path, second=str(path))


def test_a_family_that_it_is_not_of_is_refused(written: WrittenOf) -> None:
    with raises(InvalidValue, port="family", given="chroma"):
        opened(written(flux).file(), family="chroma")
