"""Models that see answer as transformers does when it is called plainly."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image as Pillow
from torch.nn import functional

from nodegraph.families.helper_networks import sam_shape
from nodegraph.models.model_sources import list_models
from nodegraph.perception.vision.segmentation import trimap
from nodegraph.perception.vision.vision_model import class_labels
from tests.nodes.conftest import Bench, link
from tests.vision.foreground_files import save

Models = Callable[[str], Any]
WIDTH, HEIGHT = 60, 44


def seen(kind: str, model: str, batch: int = 1, **inputs: Any) -> dict[str, Any]:
    """An image, a model, and one node behind both."""
    picture = {"width": WIDTH, "height": HEIGHT, "batch": batch}
    return {
        "picture": {"type": "Picture", "inputs": picture},
        "load": {"type": "LoadVisionModel", "inputs": {"model": model}},
        "next": {
            "type": kind,
            "inputs": {"model": link("load"), "image": link("picture"), **inputs},
        },
    }


def pictures(bench: Bench, nodes: dict[str, Any]) -> list[Pillow.Image]:
    levels = (bench.value(nodes, "picture.image").numpy() * 255).round().astype(np.uint8)
    return [Pillow.fromarray(item) for item in levels]


@torch.inference_mode()
def test_sam_masks_what_it_masks_by_a_plain_call(bench: Bench, models: Models) -> None:
    model = models("sam")
    nodes = seen("SegmentAnything", "sam", 2, points="0.4 0.5; 0.8 0.5", excluded="0.1 0.1")
    found = bench.run(nodes, "next")
    assert not found.errors
    sizes = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    processor = tf.SamProcessor(image_processor=tf.SamImageProcessorPil(**sizes))
    points = [[[24.0, 22.0], [48.0, 22.0], [6.0, 4.0]]]
    for at, picture in enumerate(pictures(bench, nodes)):
        given = processor(
            picture, input_points=points, input_labels=[[1, 1, 0]], return_tensors="pt"
        )
        answer = model(**given, multimask_output=False)
        [masks] = processor.image_processor.post_process_masks(
            answer.pred_masks, given["original_sizes"], given["reshaped_input_sizes"]
        )
        assert 0 < masks.float().mean() < 1
        assert (found["next.mask"][at] != masks[0, 0].float()).float().mean() < 0.002
    box = bench.run(seen("SegmentAnything", "sam", points="", boxes="[[.1, .1, .5, .5]]"), "next")
    given = processor(
        pictures(bench, nodes)[0], input_boxes=[[[6.0, 4.4, 36.0, 26.4]]], return_tensors="pt"
    )
    answer = model(**given, multimask_output=False)
    [masks] = processor.image_processor.post_process_masks(
        answer.pred_masks, given["original_sizes"], given["reshaped_input_sizes"]
    )
    assert (box["next.mask"] != masks[0].float()).float().mean() < 0.002


_SAM_NAMES = (
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.patch_embed\.projection", "image_encoder.patch_embed.proj"),
    (r"^vision_encoder\.neck\.conv1", "image_encoder.neck.0"),
    (r"^vision_encoder\.neck\.layer_norm1", "image_encoder.neck.1"),
    (r"^vision_encoder\.neck\.conv2", "image_encoder.neck.2"),
    (r"^vision_encoder\.neck\.layer_norm2", "image_encoder.neck.3"),
    (r"^vision_encoder\.", "image_encoder."),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding",
     "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.point_embed", "prompt_encoder.point_embeddings"),
    (r"^prompt_encoder\.mask_embed\.conv1", "prompt_encoder.mask_downscaling.0"),
    (r"^prompt_encoder\.mask_embed\.layer_norm1", "prompt_encoder.mask_downscaling.1"),
    (r"^prompt_encoder\.mask_embed\.conv2", "prompt_encoder.mask_downscaling.3"),
    (r"^prompt_encoder\.mask_embed\.layer_norm2", "prompt_encoder.mask_downscaling.4"),
    (r"^prompt_encoder\.mask_embed\.conv3", "prompt_encoder.mask_downscaling.6"),
    (r"^mask_decoder\.upscale_conv1", "mask_decoder.output_upscaling.0"),
    (r"^mask_decoder\.upscale_layer_norm", "mask_decoder.output_upscaling.1"),
    (r"^mask_decoder\.upscale_conv2", "mask_decoder.output_upscaling.3"),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.0", r"\1.layers.1"),
    (r"(mlps\.\d|iou_prediction_head)\.proj_in", r"\1.layers.0"),
    (r"(mlps\.\d|iou_prediction_head)\.proj_out", r"\1.layers.2"),
    (r"layer_norm(\d|_final)", r"norm\1"),
)  # fmt: skip
"""Names in folders for transformers, and those of SAM's authors."""


def test_sam_in_a_file_of_its_authors_is_the_one_of_the_folder(
    bench: Bench, models: Models
) -> None:
    # No tensor tells the heads of the mask decoder: published files have eight.
    model = models("sam")
    config = deepcopy(model.config)
    config.mask_decoder_config.num_attention_heads = 8
    model = tf.SamModel(config).eval()
    folder = bench.folder / "models" / "sam8"
    model.save_pretrained(folder)
    own = bench.folder / "models" / "sam" / "preprocessor_config.json"
    preparation = json.loads(own.read_text())
    spread = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation | spread))
    tensors = {}
    for name, tensor in model.state_dict().items():
        for pattern, other in _SAM_NAMES:
            name = re.sub(pattern, other, name)
        if not name.startswith("shared_image_embedding"):
            tensors[name] = tensor.contiguous()
    save(bench.folder / "models" / "sams" / "sam_vit_t.safetensors", tensors)
    asked = {"points": "0.4 0.5; 0.8 0.5", "excluded": "0.1 0.1"}
    folder_run = bench.run(seen("SegmentAnything", "sam8", **asked), "next")
    file_run = bench.run(seen("SegmentAnything", "sams/sam_vit_t.safetensors", **asked), "next")
    assert 0 < folder_run["next.mask"].mean() < 1
    assert torch.equal(file_run["next.mask"], folder_run["next.mask"])
    assert file_run["next.score"] == folder_run["next.score"]
    listed = {model.name: model for model in list_models([bench.folder / "models"])}
    known = listed["sams/sam_vit_t.safetensors"]
    assert (known.node, known.part, known.problem) == ("LoadVisionModel", "SAM", None)


def test_published_sam_sizes_are_told_by_names_and_shapes() -> None:
    spans = {at: 64 if at in (5, 11, 17, 23) else 14 for at in range(24)}
    shapes = {
        "image_encoder.patch_embed.proj.weight": (1024, 3, 16, 16),
        "image_encoder.pos_embed": (1, 64, 64, 1024),
        "image_encoder.neck.0.weight": (256, 1024, 1, 1),
        "image_encoder.blocks.0.mlp.lin1.weight": (4096, 1024),
        **{f"image_encoder.blocks.{at}.attn.qkv.weight": (3072, 1024) for at in spans},
        **{f"image_encoder.blocks.{at}.attn.rel_pos_h": (2 * span - 1, 64)
           for at, span in spans.items()},
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": (2, 128),
        "prompt_encoder.mask_downscaling.3.weight": (16, 4, 2, 2),
        **{f"prompt_encoder.point_embeddings.{at}.weight": (1, 256) for at in range(4)},
        **{f"mask_decoder.transformer.layers.{at}.norm1.weight": (256,) for at in range(2)},
        "mask_decoder.transformer.layers.0.mlp.lin1.weight": (2048, 256),
        "mask_decoder.transformer.layers.0.cross_attn_token_to_image.q_proj.weight": (128, 256),
        "mask_decoder.mask_tokens.weight": (4, 256),
        **{f"mask_decoder.iou_prediction_head.layers.{at}.weight": (256, 256) for at in range(3)},
    }  # fmt: skip
    shape = sam_shape(shapes)
    assert shape is not None
    assert (shape.width, shape.layers, shape.heads, shape.side) == (1024, 24, 16, 1024)
    assert (shape.window, shape.whole, shape.narrowed, shape.masks) == (14, (5, 11, 17, 23), 2, 4)
    assert sam_shape({**shapes, "mask_decoder.hf_token.weight": (1, 256)}) is None


@torch.inference_mode()
def test_sam_2_masks_what_it_masks_by_a_plain_call(bench: Bench, models: Models) -> None:
    model = models("sam2")
    nodes = seen("SegmentAnything", "sam2", points="0.5 0.5")
    found = bench.run(nodes, "next")
    assert not found.errors
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    image = (bench.value(nodes, "picture.image") - mean) / deviation
    pixels = functional.interpolate(
        image.movedim(-1, 1), size=(64, 64), mode="bilinear", antialias=True
    )
    answer = model(
        pixel_values=pixels,
        input_points=torch.tensor([[[[32.0, 32.0]]]]),
        input_labels=torch.tensor([[[1]]]),
        multimask_output=True,
    )
    best = int(answer.iou_scores[0, 0].argmax())
    logits = functional.interpolate(
        answer.pred_masks[:, 0, best : best + 1], size=(HEIGHT, WIDTH), mode="bilinear"
    )
    expected = (logits[0] > 0).float()
    assert (found["next.mask"] != expected).float().mean() < 0.01
    assert found["next.score"] == pytest.approx(
        float(answer.iou_scores[0, 0, best].clamp(0, 1)), abs=1e-3
    )


@torch.inference_mode()
def test_half_precision_is_that_of_a_plain_call(bench: Bench, models: Models) -> None:
    model = deepcopy(models("sam")).to(torch.bfloat16)
    nodes = seen("SegmentAnything", "sam", points="0.4 0.5; 0.7 0.5")
    nodes["load"]["inputs"]["dtype"] = "bfloat16"
    sizes = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    processor = tf.SamProcessor(image_processor=tf.SamImageProcessorPil(**sizes))
    given = processor(
        pictures(bench, nodes)[0],
        input_points=[[[24.0, 22.0], [42.0, 22.0]]],
        input_labels=[[1, 1]],
        return_tensors="pt",
    )
    given["pixel_values"] = given["pixel_values"].to(torch.bfloat16)
    answer = model(**given, multimask_output=False)
    [masks] = processor.image_processor.post_process_masks(
        answer.pred_masks.float(), given["original_sizes"], given["reshaped_input_sizes"]
    )
    found = bench.value(nodes, "next.mask")
    assert (found[0] != masks[0, 0].float()).float().mean() < 0.01


def test_several_boxes_mask_a_thing_each(bench: Bench, models: Models) -> None:
    models("sam2")
    boxes = ("[[0.1, 0.1, 0.3, 0.3]]", "[[0.5, 0.5, 0.4, 0.4]]")
    single = [
        bench.value(seen("SegmentAnything", "sam2", points="", boxes=box), "next.mask")
        for box in boxes
    ]
    both = " ".join(boxes).replace("]] [[", "], [")
    found = bench.value(seen("SegmentAnything", "sam2", points="", boxes=both), "next.mask")
    assert torch.equal(found, torch.maximum(*single))
    error = bench.failure(seen("SegmentAnything", "sam2", boxes=both), "next")
    assert "one box only" in str(error)


@pytest.mark.slow
@torch.inference_mode()
def test_sam_3_masks_the_things_that_a_text_says_as_by_a_plain_call(
    bench: Bench, models: Models
) -> None:
    model = models("sam3")
    nodes = seen("SegmentByText", "sam3", 2, text="a hat", threshold=0.49)
    found = bench.value(nodes, "next.mask")
    words = tf.CLIPTokenizer.from_pretrained(bench.folder / "models" / "sam3")(
        ["a hat"], padding="max_length", max_length=32, return_tensors="pt"
    )
    image = (bench.value(nodes, "picture.image").movedim(-1, 1) - 0.5) / 0.5
    square = functional.interpolate(image, size=(56, 56), mode="bilinear", antialias=True)
    for at in range(2):
        answer = model(pixel_values=square[at : at + 1], **words)
        # As its processor does it, which needs torchvision.
        sure = answer.pred_logits[0].sigmoid() * answer.presence_logits[0].sigmoid()
        things = answer.pred_masks[0].sigmoid()[sure > 0.49]
        assert 0 < len(things) < 5
        whole = functional.interpolate(things[None], size=(HEIGHT, WIDTH), mode="bilinear")[0]
        expected = (whole > 0.5).any(0).float()
        assert 0 < expected.mean() < 1
        assert (found[at] != expected).float().mean() < 0.01
    soft = bench.value(seen("SegmentByText", "sam3", text="a hat", threshold=0.0), "next.mask")
    assert 0 < soft.max() < 1
    none = bench.value(seen("SegmentByText", "sam3", text="a hat", threshold=1.0), "next.mask")
    assert not none.any()


@torch.inference_mode()
def test_clipseg_masks_what_a_text_says_as_by_a_plain_call(bench: Bench, models: Models) -> None:
    model = models("clipseg")
    nodes = seen("SegmentByText", "clipseg", 2, text="a hat", threshold=0.0)
    found = bench.value(nodes, "next.mask")
    tokenizer = tf.CLIPTokenizer.from_pretrained(bench.folder / "models" / "clipseg")
    processor = tf.ViTImageProcessorPil(size={"height": 32, "width": 32})
    for at, picture in enumerate(pictures(bench, nodes)):
        answer = model(
            **tokenizer(["a hat"], padding=True, return_tensors="pt"),
            **processor(picture, return_tensors="pt"),
        )
        logits = functional.interpolate(
            answer.logits.reshape(1, 1, 32, 32), size=(HEIGHT, WIDTH), mode="bilinear"
        )
        torch.testing.assert_close(found[at], logits[0, 0].sigmoid(), rtol=0, atol=1e-4)
    level = float(found.median())
    hard = bench.value(
        seen("SegmentByText", "clipseg", 2, text="a hat", threshold=level), "next.mask"
    )
    assert torch.equal(hard, (found >= level).float())


@pytest.mark.parametrize("name", ["segformer", "mask2former"])
@torch.inference_mode()
def test_classes_are_masked_as_by_a_plain_call(bench: Bench, models: Models, name: str) -> None:
    model = models(name)
    kind = tf.SegformerImageProcessorPil if name == "segformer" else tf.Mask2FormerImageProcessorPil
    processor = kind(size={"height": 64, "width": 64})
    nodes = seen("SegmentClass", name, labels="Sky, tree")
    [picture] = pictures(bench, nodes)
    given = processor(picture, return_tensors="pt")
    [classes] = processor.post_process_semantic_segmentation(
        model(**given), target_sizes=[(HEIGHT, WIDTH)]
    )
    found = bench.value(nodes, "next.mask")
    assert torch.equal(found[0], ((classes == 1) | (classes == 2)).float())
    all_of_them = bench.value(seen("SegmentClass", name, labels="sky, tree, wall"), "next.mask")
    assert all_of_them.min() == 1


@torch.inference_mode()
def test_an_edge_is_refined_as_by_a_plain_call(bench: Bench, models: Models) -> None:
    model = models("vitmatte")
    ellipse = {"type": "ShapeMask", "inputs": {"image": link("picture"), "shape": "ellipse"}}
    nodes = {**seen("RefineMask", "vitmatte", mask=link("mask"), width=3), "mask": ellipse}
    result = bench.run(nodes, "next", "mask")
    assert not result.errors
    known = trimap(result["mask.mask"], 3)[0]
    levels = (known * 255).round().byte().numpy()
    [picture] = pictures(bench, nodes)
    given = tf.VitMatteImageProcessorPil()(images=picture, trimaps=levels, return_tensors="pt")
    alpha = model(**given).alphas[0, 0, :HEIGHT, :WIDTH]
    found = result["next.mask"][0]
    assert known.unique().tolist() == [0, 0.5, 1]
    assert torch.equal(found[known != 0.5], known[known != 0.5])
    torch.testing.assert_close(found[known == 0.5], alpha[known == 0.5], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_depth_is_that_of_a_plain_call(bench: Bench, models: Models) -> None:
    model = models("depth")
    nodes = seen("EstimateDepth", "depth", 2)
    found = bench.value(nodes, "next.image")
    processor = tf.DPTImageProcessorPil(
        size={"height": 56, "width": 56}, keep_aspect_ratio=True, ensure_multiple_of=14
    )
    for at, picture in enumerate(pictures(bench, nodes)):
        depth = model(**processor(picture, return_tensors="pt")).predicted_depth[None]
        depth = functional.interpolate(depth, size=(HEIGHT, WIDTH), mode="bilinear")[0, 0]
        expected = (depth - depth.min()) / (depth.max() - depth.min())
        torch.testing.assert_close(found[at, :, :, 0], expected, rtol=0, atol=1e-4)


def test_where_a_model_tells_distances_near_is_white_too(bench: Bench, models: Models) -> None:
    models("depth")
    folder = bench.folder / "models" / "metric"
    shutil.copytree(bench.folder / "models" / "depth", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "depth_estimation_type": "metric"}))
    near, far = (
        bench.value(seen("EstimateDepth", name), "next.image").flatten()
        for name in ("depth", "metric")
    )
    assert torch.corrcoef(torch.stack((near, far)))[0, 1] < -0.5


def test_what_is_wrong_is_told_before_anything_is_loaded(bench: Bench, models: Models) -> None:
    models("segformer")
    [missing] = bench.problems(seen("SegmentAnything", "segformr"), "load")
    assert "Did you mean" in str(missing) or "under a models folder" in str(missing)
    assert "models/segment" in str(missing)
    [other] = bench.problems(seen("SegmentAnything", "segformer"), "next")
    assert other.expected == "a model for SegmentAnything"
    [unknown] = bench.problems(seen("SegmentClass", "segformer", labels="sky, sea"), "next")
    assert (unknown.port, unknown.given) == ("labels", "sea")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["Unheard"], "auto_map": {"AutoConfig": "b.C"}}, "its own code"),
        ({"architectures": ["BertModel"]}, "is not a vision model"),
        ({}, "is not a vision model"),
    ],
)
def test_other_models_and_code_of_their_own_are_refused(
    bench: Bench, config: dict[str, Any], said: str
) -> None:
    folder = bench.folder / "models" / "other"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").touch()
    (folder / "config.json").write_text(json.dumps(config))
    [problem] = bench.problems(seen("SegmentClass", "other", labels="sky"), "load")
    assert said in str(problem)


def test_a_model_that_sees_is_listed_by_a_name_that_opens_it(bench: Bench, models: Models) -> None:
    models("segformer")
    listed = {model.name: model for model in list_models([bench.folder / "models"])}
    found = listed["segformer/model.safetensors"]
    assert (found.node, found.problem) == ("LoadVisionModel", None)
    assert found.part == "a vision model (SegformerForSemanticSegmentation)"
    assert not bench.problems(seen("SegmentClass", found.name, labels="sky"), "next")


def test_labels_are_in_the_order_of_their_numbers() -> None:
    assert class_labels({"id2label": {"10": "k", "2": "c", "0": "a"}}) == ("a", "c", "k")
    assert class_labels({}) == ()
