"""SAM 3 and SAM 3.1 in files of their authors find what their folders find.

The counts of tensors of published files are those of facebookresearch/sam3 (1156 of the detector)
and of its multiplex file (1166).
"""

from __future__ import annotations

import json

import pytest
import torch
import transformers as tf
from torch import Tensor

from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidFile
from nodegraph.families.building import clip_tokenizer
from nodegraph.families.vocabulary import MERGES
from nodegraph.models.model_sources import list_models
from nodegraph.models.sam3_files import sam3_as_transformers
from nodegraph.perception.vision.vision_model import open_vision_model
from tests.nodes.conftest import Bench
from tests.vision.foreground_files import save
from tests.vision.sam3_files import authors_tensors, tiny_sam3
from tests.vision.test_segmenting import seen


def extras(tensors: dict[str, Tensor], *, multiplex: bool) -> dict[str, Tensor]:
    """What the authors' files hold besides."""
    wide = tensors["detector.geometry_encoder.norm.weight"]
    found = {}
    for layer in ("direct", "pool", "pos_enc"):
        for kind in ("weight", "bias"):
            found[f"detector.geometry_encoder.points_{layer}_project.{kind}"] = wide.clone()
    necks = ("interactive_convs", "propagation_convs") if multiplex else ("sam2_convs",)
    for name, item in tensors.items():
        if ".convs." in name:
            found |= {name.replace(".convs.", f".{neck}."): item.clone() for neck in necks}
        elif name.endswith("attn.qkv.weight"):
            found[name.replace("qkv.weight", "freqs_cis")] = wide.clone()
    return found


@pytest.mark.parametrize(("levels", "count"), [(4, 1156), (3, 1166)])
def test_every_published_tensor_comes_to_its_place(levels: int, count: int) -> None:
    with torch.device("meta"):
        model = tf.Sam3Model(tf.Sam3Config())
    state = model.state_dict()
    tensors = authors_tensors(state, levels=levels)
    assert len(tensors | extras(tensors, multiplex=levels == 3)) == count
    back = sam3_as_transformers(tensors | extras(tensors, multiplex=levels == 3))
    unused = {name for name in state if "fpn_layers.3." in name} if levels == 3 else set()
    assert set(back) == set(state) - unused
    assert all(back[name].shape == state[name].shape for name in back)


@pytest.mark.parametrize("levels", [pytest.param(4, marks=pytest.mark.slow), 3])
def test_a_file_finds_what_the_folder_finds(bench: Bench, levels: int) -> None:
    model = tiny_sam3()
    folder = bench.folder / "models" / "sam3"
    if levels == 3:
        # What the missing level would give changes nothing.
        state = model.state_dict()
        for name in state:
            if "fpn_layers.3." in name:
                state[name].fill_(7.0)
    model.save_pretrained(folder)
    clip_tokenizer(MERGES, "<|endoftext|>").save_pretrained(folder)
    prepared = {"image_processor_type": "Sam3ImageProcessor", "image_mean": [0.5] * 3}
    prepared |= {"image_std": [0.5] * 3, "size": {"height": 1008, "width": 1008}}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    tensors = authors_tensors(model.state_dict(), levels=levels)
    tensors |= {"tracker.model.obj_ptr_proj.layers.0.weight": torch.zeros(4, 4)}
    if levels == 3:
        del tensors["detector.backbone.language_backbone.encoder.text_projection"]
    plain = {name: item.contiguous() for name, item in tensors.items()}
    save(bench.folder / "models" / "checkpoints" / "sam3_file.safetensors", plain)
    asked = {"text": "a hat", "threshold": 0.0}
    expected = bench.value(seen("SegmentByText", "sam3", **asked), "next.mask")
    name = "checkpoints/sam3_file.safetensors"
    found = bench.value(seen("SegmentByText", name, **asked), "next.mask")
    assert expected.std() > 0
    assert torch.equal(found, expected)
    listed = {each.name: each for each in list_models([bench.folder / "models"])}[name]
    assert (listed.node, listed.part, listed.problem) == ("LoadVisionModel", "SAM 3", None)


def test_a_file_that_lacks_layers_says_so(bench: Bench) -> None:
    tensors = authors_tensors(tiny_sam3().state_dict(), levels=3)
    cut = {
        name: item.contiguous() for name, item in tensors.items() if "mask_predictor" not in name
    }
    save(bench.folder / "models" / "cut.safetensors", cut)
    result = bench.run(seen("SegmentByText", "cut.safetensors", text="a hat"), "next")
    assert "mask_embedder" in str(result.errors[0])


@pytest.mark.parametrize("name", ["mlp.c_fc.weight", "encoder.text_projection", "qkv.weight"])
def test_tensors_of_other_dimensions_are_refused(bench: Bench, name: str) -> None:
    tensors = authors_tensors(tiny_sam3().state_dict(), levels=3)
    bent = {
        key: torch.tensor(1.0) if key.endswith(name) else item.contiguous()
        for key, item in tensors.items()
    }
    save(bench.folder / "models" / "bent.safetensors", bent)
    failed = bench.failure(seen("SegmentByText", "bent.safetensors", text="a hat"), "next")
    assert "bent.safetensors" in failed.problem.message


def test_a_checkpoint_of_weights_alone_is_read_where_pickles_are(bench: Bench) -> None:
    tensors = authors_tensors(tiny_sam3().state_dict(), levels=4)
    path = bench.folder / "models" / "sam3.pt"
    torch.save(tensors, path)
    folders = [bench.folder / "models"]
    model = open_vision_model("sam3.pt", folders, allow_pickle=True)
    assert load_component(model.model, "cpu").module.config.model_type == "sam3"
    with pytest.raises(InvalidFile, match="If it is SAM or SAM 3"):
        open_vision_model("sam3.pt", folders)
