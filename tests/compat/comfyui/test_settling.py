"""What only a graph as a whole tells: that a latent is a video's, and which node a name means."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.foreign_workflow import ForeignWorkflow, Source
from nodegraph.interop.comfyui.importer import translate
from nodegraph.interop.comfyui.table import built_in
from tests.compat.comfyui.making import block, graph, node
from tests.compat.comfyui.test_exporting import catalog


def _sampled(empty: str, **size: int) -> dict[str, dict[str, Any]]:
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "2": node("CLIPTextEncode", clip=Source("1", 1), text="a wave"),
        "3": node(empty, **size),
        "4": node(
            "KSampler",
            model=Source("1", 0),
            positive=Source("2", 0),
            negative=Source("2", 0),
            latent_image=Source("3", 0),
        ),
        "5": node("VAEDecode", samples=Source("4", 0), vae=Source("1", 2)),
    }


def _translated(nodes: dict[str, dict[str, Any]], **more: Any) -> Workflow:
    return translate(ForeignWorkflow(graph(**nodes), **more), built_in()).workflow


def test_a_latent_that_is_a_video_is_decoded_as_one() -> None:
    nodes = _sampled("EmptyHunyuanLatentVideo", length=9)
    found = _translated({**nodes, "6": node("SaveImage", images=Source("5", 0))}).nodes
    assert "VAEDecode" not in {entry.type for entry in found.values()}
    film = found["vae_decode_video"]
    assert film.type == "VAEDecodeVideo"
    assert film.inputs["latent"] == {"from": "ksampler.latent"}
    assert found["vae_decode"].type == "ImagesFromVideo"
    assert found["vae_decode"].inputs == {"video": {"from": "vae_decode_video.video"}}
    assert found["save_image"].inputs["image"] == {"from": "vae_decode.image"}


def test_an_encoder_in_a_block_of_loaders_is_of_its_models_family() -> None:
    inner = block(
        graph(
            **{
                "1": node("UNETLoader", unet_name="qwen_image_edit_2509.safetensors"),
                "2": node("CLIPLoader", clip_name="qwen.safetensors", type="qwen_image"),
            }
        ),
        MODEL=Source("1", 0),
        CLIP=Source("2", 0),
    )
    use = {
        "1": node("B"),
        "2": node("TextEncodeQwenImageEditPlus", clip=Source("1", 1), prompt="a wave"),
        "3": node("KSampler", model=Source("1", 0), positive=Source("2", 0)),
    }
    (made,) = _translated(use, blocks={"B": inner}).subgraphs.values()
    loaded = {entry.type: entry.inputs["family"] for entry in made.nodes.values()}
    assert loaded == dict.fromkeys(
        ("LoadDiffusionModel", "LoadTextEncoder"), "qwen-image-edit-plus"
    )


def test_what_leaves_a_block_are_its_frames() -> None:
    nodes = _sampled("EmptyHunyuanLatentVideo", length=9)
    inner = block(graph(**nodes), IMAGE=Source("5", 0))
    use = {"1": node("B"), "2": node("SaveImage", images=Source("1", 0))}
    found = _translated(use, blocks={"B": inner})
    (made,) = found.subgraphs.values()
    assert list(made.outputs.values()) == ["vae_decode.image"]


@pytest.mark.parametrize(
    ("empty", "size"), [("EmptyLatentImage", {}), ("EmptyHunyuanLatentVideo", {"length": 1})]
)
def test_a_latent_that_is_a_picture_is_decoded_as_one(empty: str, size: dict[str, int]) -> None:
    assert _translated(_sampled(empty, **size)).nodes["vae_decode"].type == "VAEDecode"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("%KSampler.steps%-%EmptyLatentImage.width%", "%ksampler.steps%-%empty_latent.width%"),
        ("%CheckpointLoaderSimple.ckpt_name%", "%load_model.model%"),
        ("%My words.text%", "%my_words.text%"),
        ("%KSampler.nothing% %Nobody.seed% %date:yyyy%",) * 2,
    ],
)
def test_names_of_files_say_inputs_by_the_nodes_names(theirs: str, ours: str) -> None:
    nodes = _sampled("EmptyLatentImage", width=64, height=64)
    nodes["2"]["title"], nodes["4"]["inputs"]["steps"] = "My words", 5
    saved = node("SaveImage", images=Source("5", 0), filename_prefix=theirs)
    workflow = _translated({**nodes, "6": saved})
    assert workflow.nodes["save_image"].inputs["name"] == ours
    back = export(workflow, built_in(), catalog()).foreign
    (written,) = (each for each in back.graph.nodes.values() if each.type == "SaveImage")
    assert written.inputs["filename_prefix"] == theirs
