"""What entries of the table work out."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.foreign_workflow import ForeignWorkflow, Source
from nodegraph.interop.comfyui.importer import entries_by_type, translate
from nodegraph.interop.comfyui.table import built_in
from nodegraph.media.images.colors import parse_color
from tests.compat.comfyui.making import graph, node
from tests.compat.comfyui.test_exporting import catalog

TABLE = entries_by_type(built_in())


def made(*nodes: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Type and inputs of the native nodes that some become, which are called 0, 1 and so on."""
    found = whole(*nodes)
    return {name: (entry.type, dict(entry.inputs)) for name, entry in found.nodes.items()}


def whole(*nodes: dict[str, Any]) -> Workflow:
    given = graph(**{str(at): each for at, each in enumerate(nodes)})
    return translate(ForeignWorkflow(given), TABLE).workflow


def one(type_name: str, /, **inputs: Any) -> dict[str, Any]:
    """The inputs of the only native node that one becomes."""
    ((_, found),) = made(node(type_name, **inputs)).values()
    return found


LOADED = node("LoadImage", image="a.png [input]")
IMAGE = Source("0", 0)


def test_files_of_other_folders_are_read_from_there() -> None:
    assert one("LoadImage", image="sub\\a.png [input]") == {"path": "sub/a.png"}
    assert one("LoadImage", image="a.png [output]") == {"path": "../outputs/a.png"}


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("/video\\a", "video/a"), ('a:b"c', "a_b_c"), ("%date:yyyy-MM-dd%/x", "%date:yyyy-MM-dd%/x")],
)
def test_names_of_results_are_such_as_can_be(prefix: str, name: str) -> None:
    found = made(LOADED, node("SaveImage", images=IMAGE, filename_prefix=prefix))
    assert found["save_image"][1]["name"] == name


def test_what_a_picture_becomes_goes_on_where_it_is_shown_or_saved() -> None:
    found = made(
        LOADED, node("PreviewImage", images=IMAGE), node("ImageInvert", image=Source("1", 0))
    )
    assert found["invert_image"][1] == {"image": {"from": "load_image.image"}}


def test_a_colour_is_text_also_where_its_number_is_linked() -> None:
    assert one("EmptyImage", color=0xFF8000)["color"] == "#ff8000"
    counted = node("StringLength", string="abc")
    found = made(counted, node("EmptyImage", color=Source("0", 0)))
    assert found["format_text"][1]["template"] == "#{a:06x}"
    assert found["empty_image"][1]["color"] == {"from": "format_text.text"}


def test_a_video_between_two_images_is_seen_by_the_encoder_of_the_first() -> None:
    encoder = node("CLIPVisionLoader", clip_name="clip_vision_h.safetensors")
    seen = node("CLIPVisionEncode", clip_vision=Source("1", 0), image=IMAGE)
    ends = {"start_image": IMAGE, "end_image": IMAGE, "clip_vision_start_image": Source("2", 0)}
    found = made(
        LOADED,
        encoder,
        seen,
        node("CLIPTextEncode", text="a"),
        node("WanFirstLastFrameToVideo", positive=Source("3", 0), length=9, **ends),
    )
    assert found["image_to_video_conditioning"][1] | {"conditioning": None} == {
        "conditioning": None,
        "image": {"from": "resize_image.image"},
        "last_image": {"from": "resize_image_2.image"},
        "frames": 9,
        "image_encoder": {"from": "load_image_encoder.image_encoder"},
    }
    file = {"image_encoder": "clip_vision_h.safetensors"}
    assert found["load_image_encoder"][1] == file


def test_vace_takes_its_images_at_the_size_of_the_video() -> None:
    found = made(
        LOADED,
        node("ImageToMask", image=IMAGE),
        node("CLIPTextEncode", text="a"),
        node(
            "WanVaceToVideo",
            positive=Source("2", 0),
            width=64,
            height=32,
            length=9,
            strength=0.5,
            control_video=IMAGE,
            control_masks=Source("1", 0),
            reference_image=IMAGE,
        ),
        node("TrimVideoLatent", samples=Source("3", 2), trim_amount=Source("3", 3)),
    )
    assert found["vace_conditioning"][1] | {"conditioning": None} == {
        "conditioning": None,
        "width": 64,
        "height": 32,
        "frames": 9,
        "strength": 0.5,
        "video": {"from": "resize_image.image"},
        "reference": {"from": "image_from_batch.image"},
        "mask": {"from": "mask_from_channel_2.mask"},
    }
    assert found["image_from_batch"][1]["image"] == {"from": "resize_image_2.image"}
    size = {"width": 64, "height": 32, "fit": "crop", "method": "bilinear"}
    assert found["resize_image_3"][1] == {"image": {"from": "mask_to_image.image"}, **size}
    assert found["cut_latent_frames"][1] == {
        "latent": {"from": "vace_conditioning.latent"},
        "start": {"from": "vace_conditioning.references"},
    }


def test_a_fun_control_model_is_shown_the_control_video_and_the_first_image() -> None:
    encoder = node("CLIPVisionLoader", clip_name="clip_vision_h.safetensors")
    seen = node("CLIPVisionEncode", clip_vision=Source("1", 0), image=IMAGE)
    shown = {"start_image": IMAGE, "control_video": IMAGE, "clip_vision_output": Source("2", 0)}
    found = made(LOADED, encoder, seen, node("WanFunControlToVideo", length=9, **shown))
    assert found["control_video_conditioning"][1] == {
        "video": {"from": "resize_image.image"},
        "image": {"from": "resize_image_2.image"},
        "frames": 9,
        "image_encoder": {"from": "load_image_encoder.image_encoder"},
    }
    alone = made(LOADED, node("WanFunControlToVideo", start_image=IMAGE))
    assert "comfyui:WanFunControlToVideo" in [kind for kind, _ in alone.values()]


@pytest.mark.parametrize("sampler", ["KSampler", "guider"])
def test_a_first_image_of_a_latent_goes_to_the_prompt_of_its_sampling(sampler: str) -> None:
    prompt, latent = node("CLIPTextEncode", text="a"), {"start_image": IMAGE, "length": 9}
    first = node("Wan22ImageToVideoLatent", **latent)
    if sampler == "KSampler":
        sampling = [node("KSampler", positive=Source("1", 0), latent_image=Source("2", 0))]
    else:
        sampling = [
            node("BasicGuider", conditioning=Source("1", 0)),
            node("SamplerCustomAdvanced", guider=Source("3", 0), latent_image=Source("2", 0)),
        ]
    found = made(LOADED, prompt, first, *sampling)
    given = found["image_to_video_conditioning"][1]
    assert given["conditioning"] == {"from": "encode_prompt.conditioning"}
    readers = [kind for kind, inputs in found.values() if given_by_first(inputs)]
    assert readers == ["KSampler" if sampler == "KSampler" else "BasicGuider"]


def given_by_first(inputs: dict[str, Any]) -> bool:
    return {"from": "image_to_video_conditioning.conditioning"} in inputs.values()


def test_a_video_of_kandinsky5_begins_with_an_image() -> None:
    prompts = {"positive": Source("1", 0), "negative": Source("1", 0)}
    found = made(
        LOADED,
        node("CLIPTextEncode", text="a"),
        node("Kandinsky5ImageToVideo", start_image=IMAGE, length=25, **prompts),
        node("KSampler", positive=Source("2", 0), latent_image=Source("2", 2)),
        node("ReplaceVideoLatentFrames", destination=Source("3", 0), source=Source("2", 3)),
        node("NormalizeVideoLatentStart", latent=Source("4", 0), start_frame_count=2),
        node("VAEDecode", samples=Source("5", 0)),
    )
    assert found["image_to_video_conditioning"][1]["frames"] == 25
    assert found["vae_encode"][1]["image"] == {"from": "resize_image_2.image"}
    assert found["replace_latent_frames"][1] == {
        "destination": {"from": "ksampler.latent"},
        "source": {"from": "vae_encode.latent"},
        "index": 0,
    }
    assert found["match_first_frames"][1] == {
        "latent": {"from": "replace_latent_frames.latent"},
        "frames": 2,
        "reference": 5,
        "statistics": "per frame",
    }
    assert "VAEDecodeVideo" in [kind for kind, _ in found.values()]


def test_a_video_of_kandinsky5_without_an_image_begins_empty() -> None:
    prompts = {"positive": Source("0", 0), "negative": Source("0", 0)}
    found = made(
        node("CLIPTextEncode", text="a"),
        node("Kandinsky5ImageToVideo", **prompts),
        node("KSampler", positive=Source("1", 0), latent_image=Source("1", 2)),
        node("ReplaceVideoLatentFrames", destination=Source("2", 0)),
        node("VAEDecode", samples=Source("3", 0)),
    )
    assert "EmptyVideoLatent" in [kind for kind, _ in found.values()]
    assert "ReplaceLatentFrames" not in [kind for kind, _ in found.values()]


def test_each_encoder_of_kandinsky5_reads_its_text_there_and_back() -> None:
    loaded = node(
        "DualCLIPLoader",
        clip_name1="qwen_2.5_vl_7b.safetensors",
        clip_name2="clip_l.safetensors",
        type="kandinsky5",
    )
    prompt = node("CLIPTextEncodeKandinsky5", clip=Source("0", 0), clip_l="a", qwen25_7b="b")
    found = whole(loaded, prompt)
    nodes = {name: (entry.type, dict(entry.inputs)) for name, entry in found.nodes.items()}
    assert nodes["load_text_encoder"][1]["family"] == "kandinsky5-video"
    texts = nodes["encode_prompt_apart"][1]
    assert (texts["clip_l"], texts["qwen"]) == ("a", "b")
    back = export(found, TABLE.values(), catalog()).foreign.graph.nodes
    (there,) = [each for each in back.values() if each.type == "CLIPTextEncodeKandinsky5"]
    assert (there.inputs["clip_l"], there.inputs["qwen25_7b"]) == ("a", "b")


def test_what_changes_unets_alone_leaves_wan_as_it_is() -> None:
    loader = node("UNETLoader", unet_name="wan2.1_fun_inp_1.3B_bf16.safetensors")
    factors = {"cross_structural": 1.2, "cross_temporal": 1.3}
    skipped = {"double_layers": "9", "single_layers": "10"}
    found = made(
        loader,
        node("UNetTemporalAttentionMultiply", model=Source("0", 0), **factors),
        node("SkipLayerGuidanceDiT", model=Source("1", 0), **skipped),
        node("KSampler", model=Source("2", 0)),
    )
    assert "ScaleAttention" not in [kind for kind, _ in found.values()]
    [layers] = [inputs["layers"] for kind, inputs in found.values() if kind == "SkipLayerGuidance"]
    assert layers == "9"


def test_a_video_that_only_ends_with_an_image_keeps_its_place() -> None:
    found = made(LOADED, node("WanFunInpaintToVideo", end_image=IMAGE))
    assert "comfyui:WanFunInpaintToVideo" in [kind for kind, _ in found.values()]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"resize_type": "scale longer dimension", "resize_type.longer_size": 640},
            {"by": "longer side", "amount": 640, "method": "area"},
        ),
        (
            {"resize_type.width": 64, "resize_type.height": 32, "scale_method": "nearest-exact"},
            {"width": 64, "height": 32, "method": "nearest", "fit": "crop"},
        ),
    ],
)
def test_pictures_are_scaled_as_they_were(values: dict[str, Any], expected: Any) -> None:
    found = made(LOADED, node("ResizeImageMaskNode", input=IMAGE, **values))
    ((_, inputs),) = (each for name, each in found.items() if name != "load_image")
    assert inputs == {"image": {"from": "load_image.image"}, **expected}


def test_a_mask_is_scaled_by_way_of_a_picture() -> None:
    given = node("ResizeImageMaskNode", input=Source("0", 1), resize_type="scale to multiple")
    assert [kind for kind, _ in made(LOADED, given).values()] == [
        *("LoadImage", "MaskToImage", "ImageSize", "Formula", "Formula", "ResizeImage"),
        "MaskFromChannel",
    ]


def test_expressions_keep_their_letters_or_get_those_that_there_are() -> None:
    size = node("GetImageSize", image=IMAGE)
    links = {"values.a": Source("1", 0), "values.x": Source("1", 1)}
    found = made(LOADED, size, node("ComfyMathExpression", expression="x * 2 + x", **links))
    assert found["formula"][1] == {
        "expression": "a * 2 + a",
        "a": {"from": "image_size.height"},
        "whole": "cut off",
    }


def test_an_expression_of_bits_that_means_powers_here_stays() -> None:
    found = whole(node("ComfyMathExpression", expression="1 ^ 2"))
    assert [entry.type for entry in found.nodes.values()] == ["comfyui:ComfyMathExpression"]


def test_proportions_say_which_side_is_longer() -> None:
    found = one("ResolutionSelector", aspect_ratio="9:16 (Portrait Widescreen)", megapixels=2.0)
    assert found == {
        "aspect": "16:9",
        "portrait": True,
        "megapixels": pytest.approx(2.097152),
        "multiple": 8,
    }


def test_flags_of_a_pattern_stand_before_it() -> None:
    found = one("RegexReplace", string="a", regex_pattern="^b", replace="c", dotall=True, count=2)
    assert (found["find"], found["ignore_case"], found["most"]) == ("(?s)^b", True, 2)


@pytest.mark.parametrize(("mode", "group", "most"), [("First Group", 2, 1), ("All Matches", 0, 0)])
def test_what_is_extracted_is_found_and_joined(mode: str, group: int, most: int) -> None:
    found = made(node("RegexExtract", string="a", regex_pattern="b", mode=mode, group_index=2))
    assert (found["find_text"][1]["group"], found["find_text"][1]["most"]) == (group, most)
    assert found["join_texts"][1]["separator"] == "\\n"


def test_a_text_between_two_is_part_of_the_template() -> None:
    found = one("StringConcatenate", string_a="x", string_b="y", delimiter="{,}")
    assert found == {"template": "{a}{{,}}{b}", "a": "x", "b": "y"}


def test_a_combo_has_its_own_lines() -> None:
    found = one("CustomCombo", choice="b", index=1, option1="a", option2="b", option3="")
    assert found == {"lines": "a\nb", "choice": "b"}


def test_more_pictures_than_a_list_takes_are_joined_in_parts() -> None:
    many = {f"images.image{at}": IMAGE for at in range(11)}
    found = made(LOADED, node("BatchImagesNode", **many))
    assert [kind for kind, _ in found.values()].count("JoinImages") == 2
    assert len(found["list_2"][1]) == 4


def test_a_slice_of_seconds_is_one_of_frames() -> None:
    video = node("LoadVideo", file="a.mp4")
    assert len(made(video, node("Video Slice", video=IMAGE))) == 1
    found = made(video, node("Video Slice", video=IMAGE, duration=2.0))
    assert found["trim_video"][1]["count"] == {"from": "formula.integer"}
    assert "first" not in found["trim_video"][1]


def test_one_node_stands_for_what_is_shown_unless_its_text_is_used() -> None:
    assert [kind for kind, _ in made(node("PreviewAny", source=1)).values()] == ["ShowValue"]
    used = made(node("PreviewAny", source=1), node("StringLength", string=IMAGE))
    assert used["text_length"][1]["text"] == {"from": "to_text.text"}


def test_nothing_that_was_painted_masks_nothing() -> None:
    found = made(
        LOADED, node("Painter", image=IMAGE, mask=""), node("MaskPreview", mask=Source("1", 1))
    )
    assert found["solid_mask"][1] == {"image": {"from": "load_image.image"}, "value": 0.0}


def test_a_switch_between_ways_to_sample_stays_at_the_one_that_is_chosen() -> None:
    model = node("UNETLoader", unet_name="a.safetensors")
    patched = node("SkipLayerGuidanceDiTSimple", model=IMAGE)
    switch = node("ComfySwitchNode", switch=True, on_false=IMAGE, on_true=Source("1", 0))
    given = whole(model, patched, switch)
    assert "Switch" not in {entry.type for entry in given.nodes.values()}
    alike = switch | {"inputs": {**switch["inputs"], "on_true": IMAGE}}
    assert "Switch" in {entry.type for entry in whole(model, patched, alike).nodes.values()}


def test_a_node_with_an_open_input_is_translated_as_it_is() -> None:
    assert one("SaveImage", filename_prefix="a") == {"name": "a", "rounding": "down"}


def test_a_detector_is_opened_by_the_name_of_its_checkpoint() -> None:
    loaded = node("CheckpointLoaderSimple", ckpt_name="sam3.safetensors")
    text = node("CLIPTextEncode", text="a guitar", clip=Source("0", 1))
    given = {"image": Source("2", 0), "conditioning": Source("1", 0), "threshold": 0.25}
    picture = node("LoadImage", image="a.png")
    boxes = node("DrawBBoxes", image=Source("2", 0), bboxes=Source("4", 1))
    found = made(loaded, text, picture, boxes, node("SAM3_Detect", model=IMAGE, **given))
    assert found["load_vision_model"][1] == {"model": "sam3.safetensors"}
    assert (found["segment_by_text"][1]["text"], found["segment_by_text"][1]["threshold"]) == (
        "a guitar",
        0.25,
    )
    assert found["draw_boxes"][1]["boxes"] == {"from": "format_text.text"}
    # Neither could open the file.
    assert not {"load_model", "encode_prompt"} & set(found)


def test_a_loader_that_something_else_reads_stays_beside_a_detector() -> None:
    loaded = node("CheckpointLoaderSimple", ckpt_name="sam3.safetensors")
    text = node("CLIPTextEncode", text="a guitar", clip=Source("0", 1))
    picture = node("LoadImage", image="a.png")
    detect = node("SAM3_Detect", model=IMAGE, image=Source("2", 0), conditioning=Source("1", 0))
    found = made(
        loaded, text, picture, detect, node("ConditioningZeroOut", conditioning=Source("1", 0))
    )
    assert {"load_model", "encode_prompt"} <= set(found)


def test_things_of_a_class_are_found_by_a_detector_in_pixels() -> None:
    loaded = node("CheckpointLoaderSimple", ckpt_name="rtdetr.safetensors")
    found = made(loaded, node("RTDETR_detect", model=IMAGE, class_name="person", max_detections=2))
    assert found["load_vision_model"][1] == {"model": "rtdetr.safetensors"}
    given = found["detect_things"][1]
    assert (given["labels"], given["most"], given["unit"]) == ("person", 2, "pixels")
    every = made(loaded, node("RTDETR_detect", model=IMAGE, class_name="all"))
    assert every["detect_things"][1]["labels"] == ""


def test_loras_that_are_switched_on_are_loaded_one_after_the_other() -> None:
    rows = {
        "row_1": {"on": True, "lora": "a.safetensors", "strength": 0.5, "strengthTwo": None},
        "row_2": {"on": False, "lora": "b.safetensors", "strength": 1},
        "row_3": {"on": True, "lora": "c.safetensors", "strength": 1, "strengthTwo": 0.25},
    }
    model = node("UNETLoader", unet_name="m.safetensors")
    found = made(model, node("Power Lora Loader (rgthree)", model=IMAGE, **rows))
    assert found["load_lora"][1]["strength_encoder"] == 0.5
    assert found["load_lora_2"][1]["model"] == {"from": "load_lora.model"}
    assert found["load_lora_2"][1]["strength_encoder"] == 0.25


@pytest.mark.parametrize(("value", "native"), [(3, "Integer"), (0.5, "Number"), (True, "Boolean")])
def test_a_primitive_is_of_its_values_type(value: Any, native: str) -> None:
    ((found, inputs),) = made(node("PrimitiveNode", value=value)).values()
    assert (found, inputs) == (native, {"value": value})


def test_a_primitive_text_is_what_each_input_is_given() -> None:
    found = made(node("PrimitiveNode", value="abc"), node("StringLength", string=IMAGE))
    assert found == {"text_length": ("TextLength", {"text": "abc"})}


@pytest.mark.parametrize(
    ("kind", "x", "unit"),
    [
        ("ConditioningSetArea", 68, "pixels"),
        ("ConditioningSetAreaPercentage", 0.25, "shares"),
    ],
)
def test_an_area_is_sampled_alone_in_whole_cells_and_fades_in(
    kind: str, x: float, unit: str
) -> None:
    area = {"x": x, "y": 0, "width": 256 if x > 1 else 0.5, "height": 128 if x > 1 else 1.0}
    prompt = node("CLIPTextEncode", text="a cat", clip=Source("load", 1))
    nodes = graph(**{
        "load": node("CheckpointLoaderSimple", ckpt_name="a"),
        "0": prompt,
        "1": node(kind, conditioning=Source("0", 0), **area, strength=1.0),
    })  # fmt: skip
    found = translate(ForeignWorkflow(nodes), TABLE)
    inputs = dict(found.workflow.nodes["area_conditioning"].inputs)
    del inputs["conditioning"]
    cells = {"x": 64} if unit == "pixels" else {}
    alone = {"unit": unit, "feather": 64.0, "sampled": "area"}
    assert inputs == area | cells | alone
    assert found.differences == ()
    back = export(found.workflow, TABLE.values(), catalog())
    assert [each.type for each in back.foreign.graph.nodes.values()][2:] == [kind]
    assert back.messages == ()


@pytest.mark.parametrize("masks", [True, False])
def test_an_inpainting_latent_has_a_mask_where_that_is_said(masks: bool) -> None:
    loaded, image = node("CheckpointLoaderSimple", ckpt_name="a"), Source("picture", 0)
    prompt = node("CLIPTextEncode", text="a cat", clip=Source("load", 1))
    given = {"positive": Source("prompt", 0), "negative": Source("prompt", 0), "pixels": image}
    shown = node(
        "InpaintModelConditioning",
        **given,
        vae=Source("load", 2),
        mask=Source("picture", 1),
        noise_mask=masks,
    )
    decoded = node("VAEDecode", samples=Source("shown", 2), vae=Source("load", 2))
    nodes = graph(load=loaded, prompt=prompt, picture=LOADED, shown=shown, decoded=decoded)
    found = translate(ForeignWorkflow(nodes), TABLE).workflow.nodes
    source = found["vae_decode"].inputs["latent"]["from"]
    made = found[source.partition(".")[0]].type
    assert made == ("InpaintConditioning" if masks else "ClearNoiseMask")


def test_what_is_new_around_a_picture_is_half_grey() -> None:
    found = made(LOADED, node("ImagePadForOutpaint", image=IMAGE, left=8))
    assert parse_color(found["pad_for_outpaint"][1]["color"])[:3] == (0.5, 0.5, 0.5)


def test_batches_of_images_are_made_of_all_items_of_a_list() -> None:
    batches = node("RebatchImages", images=IMAGE, batch_size=4)
    found = made(LOADED, batches, node("SaveImage", images=Source("1", 0)))
    assert found["join_images"][1] == {"images": {"from": "load_image.image"}}
    assert found["image_list"][1] == {"image": {"from": "join_images.image"}}
    alone = made(LOADED, node("RebatchImages", images=IMAGE, batch_size=1))
    assert "join_images" not in alone


def test_a_negative_prompt_beside_an_image_has_none_of_it() -> None:
    loader = node("CheckpointLoaderSimple", ckpt_name="m.safetensors")
    words = [node("CLIPTextEncode", text=text, clip=Source("0", 1)) for text in "ab"]
    sides = {"positive": Source("1", 0), "negative": Source("2", 0), "vae": Source("0", 2)}
    shown = node("InstructPixToPixConditioning", **sides, pixels=Source("3", 0))
    prompts = {"cond1": Source("4", 0), "cond2": Source("4", 1), "negative": Source("2", 0)}
    guider = node("DualCFGGuider", model=Source("0", 0), **prompts, cfg_conds=5.0)
    parts = {"noise": Source("6", 0), "guider": Source("5", 0), "sampler": Source("7", 0)}
    sigmas = node("BasicScheduler", model=Source("0", 0))
    sampled = node(
        "SamplerCustomAdvanced", **parts, sigmas=Source("8", 0), latent_image=Source("4", 2)
    )
    found = made(
        loader, *words, node("LoadImage", image="a.png"), shown, guider, node("RandomNoise"),
        node("KSamplerSelect"), sigmas, sampled,
    )  # fmt: skip
    (dual,) = (inputs for kind, inputs in found.values() if kind == "DualCFGGuider")
    hidden = found[dual["negative"]["from"].partition(".")[0]]
    assert hidden[0] == "ImageConditioning"
    assert hidden[1]["shown"] is False
    assert hidden[1]["conditioning"] == dual["second"]
    seen = found[dual["positive"]["from"].partition(".")[0]]
    assert (seen[0], "shown" in seen[1]) == ("ImageConditioning", False)
