"""Requests of AUTOMATIC1111's API become workflows that do what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.interop.image_metadata.a1111 import read_a1111
from nodegraph.interop.image_metadata.infotext import with_parameters
from nodegraph.interop.image_metadata.model_finder import ListedModels
from nodegraph.interop.image_metadata.sampler_names import match_sampler, read_schedule
from nodegraph.interop.image_metadata.source_images import BroughtImage, plan_upscale
from nodegraph.interop.image_metadata.webui_fields import (
    ExtraImage,
    Img2ImgFields,
    Txt2ImgFields,
    read_scripts,
    request_values,
)
from nodegraph.interop.image_metadata.webui_request import (
    RequestImages,
    RequestPlan,
    plan_detection,
    plan_request,
)
from nodegraph.interop.image_metadata.workflow_settings import sampler_titles, schedule_titles
from nodegraph.models.model_sources import FoundModel, list_models
from nodegraph.session.session import Session

DIGEST = "ab" * 32
IMAGE = BroughtImage("upload:image.png", 192, 160)
MASK = BroughtImage("upload:mask.png", 192, 160)
FLUX = FoundModel(
    "flux/dev.safetensors", Path(), "checkpoint", "flux", 1, node="LoadDiffusionModel"
)
DREAM = FoundModel("sd/Dream_8.safetensors", Path(), "checkpoint", "sd1", 1, node="LoadModel")
VAE = FoundModel("vae/clear.safetensors", Path(), "checkpoint", None, 1, node="LoadVae")
WORD = FoundModel(
    "embeddings/bad-hands.pt", Path(), "checkpoint", None, 1, node="LoadTextualInversion"
)
BOXES = FoundModel(
    "vision/faces", Path(), "diffusers", None, 1, None, "YolosForObjectDetection", "LoadVisionModel"
)
DEPTH = FoundModel(
    "vision/depth", Path(), "diffusers", None, 1, None, "Depth Anything", "LoadVisionModel"
)
MODELS = [*list_models([]), DREAM, FLUX, VAE, WORD]


def plan(
    fields: Mapping[str, Any],
    images: RequestImages | None = None,
    models: list[FoundModel] | None = None,
    styles: Mapping[str, tuple[str, str]] | None = None,
) -> RequestPlan:
    kind = Txt2ImgFields if images is None or not images.init else Img2ImgFields
    values = request_values(kind.model_validate({"seed": 5, "steps": 8, **fields}))
    scripts = read_scripts(values)
    if images is None or len(images.controls) != len(scripts.controls):
        given = images or RequestImages()
        images = RequestImages(given.init, given.mask, [(IMAGE, None)] * len(scripts.controls))
    listed = ListedModels(models or MODELS, {DREAM.name: DIGEST})
    return plan_request(values, scripts, images, listed, styles or {})


def nodes(fields: Mapping[str, Any], *args: Any, **options: Any) -> dict[str, Any]:
    found = plan(fields, *args, **options)
    document: dict[str, Any] = found.jobs[0].document["nodes"]
    return document


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    from nodegraph.session.settings import Settings

    return Session(Settings(home=tmp_path_factory.mktemp("home")))


REQUESTS: dict[str, tuple[dict[str, Any], RequestImages | None]] = {
    "plain": ({}, None),
    "hires": ({"enable_hr": True, "hr_upscaler": "upscaler", "hr_second_pass_steps": 3}, None),
    "variation": ({"subseed": 3, "subseed_strength": 0.4, "batch_size": 2}, None),
    "refiner": ({"refiner_checkpoint": "Dream_8", "refiner_switch_at": 0.5}, None),
    "lora": ({"prompt": "a cat <lora:style_lora:0.5>"}, None),
    "image": ({"batch_size": 2}, RequestImages([IMAGE])),
    "padded": ({"resize_mode": 2}, RequestImages([IMAGE])),
    "latent": ({"resize_mode": 3}, RequestImages([IMAGE])),
    **{
        f"fill {fill}": (
            {"inpainting_fill": fill, "inpaint_full_res": False},
            RequestImages([IMAGE], MASK),
        )
        for fill in range(4)
    },
    "area": ({"inpaint_full_res_padding": 16}, RequestImages([IMAGE], MASK)),
    "inverted": (
        {"inpainting_mask_invert": 1, "mask_blur": 0, "inpaint_full_res": False},
        RequestImages([IMAGE], BroughtImage("upload:m.png", 9, 9, is_alpha=True)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_the_workflow_is_one_that_can_run(session: Session, name: str) -> None:
    fields, images = REQUESTS[name]
    found = plan({"override_settings": {"sd_model_checkpoint": "tiny"}, **fields}, images)
    for job in found.jobs:
        text = json.dumps(job.document).replace("sd/Dream_8.safetensors", "tiny")
        problems = session.check(Workflow.from_json(text))
        assert [each for each in problems if "upload:" not in str(each)] == []


def test_seeds_count_up_over_batches_and_runs() -> None:
    found = plan({"batch_size": 2, "n_iter": 2, "seed": 7})
    assert [job.seeds for job in found.jobs] == [(7, 8), (9, 10)]
    document = found.jobs[1].document["nodes"]
    assert document["sample"]["inputs"]["seed"] == 9
    assert document["size"]["inputs"]["batch_size"] == 2


def test_variations_count_the_second_seed_up() -> None:
    found = plan({"batch_size": 2, "seed": 7, "subseed": 1, "subseed_strength": 0.5})
    assert [(job.seeds, job.subseeds) for job in found.jobs] == [((7,), (1,)), ((7,), (2,))]


def test_a_seed_that_is_left_open_is_drawn() -> None:
    seeds = {plan({"seed": -1}).jobs[0].seeds[0] for _ in range(4)}
    assert len(seeds) > 1
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize(
    "name",
    ["sd/Dream_8.safetensors", "Dream_8", "dream_8.safetensors", "Dream_8.ckpt [ababababab]",
     "other [ababababab]", "ababababab"],
)  # fmt: skip
def test_models_are_found_by_titles_names_and_hashes(name: str) -> None:
    if name == "ababababab":
        with pytest.raises(InvalidValue, match="there is no model"):
            plan({"override_settings": {"sd_model_checkpoint": name}})
        return
    found = nodes({"override_settings": {"sd_model_checkpoint": name}})
    assert found["load"]["inputs"]["model"] == DREAM.name


def test_without_a_choice_the_first_whole_model_is_used() -> None:
    assert nodes({})["load"]["inputs"]["model"] == DREAM.name
    assert nodes({}, models=list_models([]))["load"]["inputs"]["model"] == "tiny"


def test_parts_are_loaded_with_forges_modules() -> None:
    options = {"sd_model_checkpoint": "dev", "forge_additional_modules": ["clear.safetensors"]}
    found = nodes({"override_settings": options, "distilled_cfg_scale": 3.5})
    assert found["load"]["type"] == "LoadDiffusionModel"
    assert found["vae"]["inputs"]["vae"] == VAE.name
    assert found["guidance"]["inputs"]["guidance"] == 3.5


def test_words_of_textual_inversions_load_them() -> None:
    found = nodes({"negative_prompt": "bad-hands, blurry"})
    assert found["embedding"]["inputs"]["token"] == "bad-hands"
    assert "embedding" not in nodes({"negative_prompt": "bad-handshake"})


def test_styles_stand_around_the_prompts() -> None:
    styles = {"ink": ("ink drawing of {prompt}, black", "photo"), "dark": ("dark", "")}
    found = plan({"prompt": "a cat", "styles": ["ink", "dark", "none such"]}, styles=styles)
    assert (found.prompt, found.negative) == ("ink drawing of a cat, black, dark", "photo")
    assert any("none such" in note for note in found.notes)


@pytest.mark.parametrize("name", list(sampler_titles().values()))
def test_each_listed_sampler_is_the_one_that_it_is_listed_for(name: str) -> None:
    here = next(key for key, title in sampler_titles().items() if title == name)
    match = match_sampler(name)
    assert match is not None
    assert match[0] == here
    assert nodes({"sampler_name": name})


@pytest.mark.parametrize("name", [*schedule_titles(), *schedule_titles().values()])
def test_each_listed_schedule_is_known(name: str) -> None:
    from nodegraph.interop.image_metadata.generation import Generation

    generation = Generation("A1111")
    assert read_schedule(generation, name)
    assert not generation.findings


def test_options_of_samplers_count_where_they_differ() -> None:
    usual = {"eta": 1.0, "s_churn": 0, "s_tmax": 0, "s_tmin": 0, "s_noise": 1}
    assert nodes({"sampler_name": "Euler a", **usual})["sample"]["type"] == "KSampler"
    found = nodes({"sampler_name": "DDIM", **usual})
    assert found["sampler"]["inputs"] == {"sampler": "ddim", "eta": 1.0}
    found = nodes({"sampler_name": "Euler", "s_churn": 2.5, "s_tmax": 0})
    assert found["sampler"]["inputs"] == {"sampler": "euler", "s_churn": 2.5}


def test_a_mask_keeps_what_is_outside_of_it() -> None:
    found = nodes({"inpaint_full_res": False, "mask_blur": 6}, RequestImages([IMAGE], MASK))
    assert found["soft"]["inputs"] == {"mask": {"from": "mask"}, "radius": 6.0, "side": "both"}
    assert found["save"]["inputs"]["image"] == {"from": "result"}
    assert found["picture"]["inputs"]["path"] == IMAGE.path
    assert found["mask_file"]["inputs"]["path"] == MASK.path
    area = nodes({"inpaint_full_res_padding": 24}, RequestImages([IMAGE], MASK))
    assert area["area"]["inputs"]["margin"] == 24
    assert area["result"]["type"] == "StitchCrop"


UNIT = {"module": "canny", "model": "controlnet", "image": "aGk=", "weight": 0.5}


def script(*args: Any, name: str = "controlnet") -> dict[str, Any]:
    return {"alwayson_scripts": {name: {"args": list(args)}}}


@pytest.mark.parametrize(
    "fields",
    [
        script(UNIT),
        script(UNIT, name="ControlNet"),
        {"controlnet_units": [UNIT]},
        script({**UNIT, "image": None, "input_image": "aGk="}),
        script({**UNIT, "image": {"image": "aGk=", "mask": None}}),
        script(None, False, UNIT, {"enabled": False, "module": "reference_only"}),
        script({**UNIT, "resize_mode": "Scale to Fit (Inner Fit)", "control_mode": "Balanced"}),
        script({**UNIT, "lowvram": True, "guidance": 1, "guessmode": False, "is_ui": False}),
    ],
)
def test_units_of_controlnet_in_all_their_forms(fields: dict[str, Any]) -> None:
    found = nodes(fields)
    assert found["control"]["inputs"]["strength"] == 0.5
    assert found["load_control"]["inputs"]["control_net"] == "tiny/controlnet"
    assert found["hint"]["type"] == "CannyEdges"
    assert found["hint_fitted"]["inputs"]["fit"] == "crop"


def test_what_a_unit_says_is_done() -> None:
    unit = {**UNIT, "guidance_start": 0.2, "guidance_end": 0.7, "control_mode": 2, "resize_mode": 0}
    unit |= {"threshold_a": 153, "threshold_b": 306, "processor_res": 256}
    found = nodes(script(unit))
    assert found["control"]["inputs"]["guess"] is True
    assert (found["control"]["inputs"]["start"], found["control"]["inputs"]["end"]) == (0.2, 0.7)
    assert found["hint"]["inputs"]["low"] == pytest.approx(0.1)
    assert found["hint_size"]["inputs"]["width"] == 256
    assert found["hint_fitted"]["inputs"]["fit"] == "stretch"
    assert "hint_size" not in nodes(script({**unit, "pixel_perfect": True}))


def test_a_unit_without_an_image_takes_the_source_image() -> None:
    images = RequestImages([IMAGE], None, [(None, MASK)])
    found = nodes(script({**UNIT, "image": ""}), images)
    assert found["control_image"]["inputs"]["path"] == IMAGE.path
    assert found["control_area"]["inputs"]["path"] == MASK.path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (script({**UNIT, "module": "depth_midas"}), "vision model"),
        (script({**UNIT, "module": "ip-adapter_clip_sd15"}), "module_list"),
        (script({"module": "reference_only", "image": "x"}), "needs a model"),
        (script({**UNIT, "model": "none such"}), "no ControlNet of this name"),
        (script({**UNIT, "weight": "x"}), "out of range"),
        (script({**UNIT, "image": 7}), "base64"),
        (script({**UNIT, "control_mode": "no"}), "control_mode"),
        (script("x"), "not an object"),
        (script(*[UNIT] * 11), "too many"),
        (script("x", name="roop"), "ControlNet or ADetailer"),
        (script(True, {"ad_model": "face_yolov8n.pt"}, name="ADetailer"), "detects"),
        ({"script_name": "SD upscale"}, "selectable"),
    ],
)
def test_what_is_not_here_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        plan(fields)


def test_vision_models_make_depth_maps_and_find_faces() -> None:
    models = [*MODELS, BOXES, DEPTH]
    found = nodes(script({**UNIT, "module": "depth_midas"}), models=models)
    assert found["hint"]["type"] == "EstimateDepth"
    assert found["hint_model"]["inputs"]["model"] == DEPTH.name
    entry = {"ad_model": "hand_yolov8n.pt", "ad_prompt": "a hand", "ad_use_steps": True}
    entry |= {"ad_steps": 3, "ad_denoising_strength": 0.5, "ad_x_offset": 4}
    fields = {**script(True, False, entry, {"ad_model": "None"}, name="ADetailer"), "batch_size": 2}
    result = plan(fields, models=models)
    assert [job.seeds for job in result.jobs] == [(5,), (6,)]
    document = result.jobs[0].document["nodes"]
    assert document["found"]["inputs"]["labels"] == "hand"
    assert document["detector"]["inputs"]["model"] == BOXES.name
    assert document["detail"]["inputs"]["steps"] == 3
    assert all("mode" not in node for node in document.values())
    assert any("ad_x_offset" in note for note in result.notes)


def test_what_has_no_counterpart_is_noted() -> None:
    found = plan({"tiling": True, "restore_faces": True, "s_min_uncond": 1, "infotext": "x"})
    for name in ("tiling", "restore_faces", "s_min_uncond", "infotext"):
        assert any(f"`{name}`" in note for note in found.notes)


def test_the_text_of_an_image_gives_the_settings_back() -> None:
    fields = {"prompt": "a, b: c", "negative_prompt": "d", "cfg_scale": 4.5, "seed": 9}
    fields |= {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.4}
    found = plan(fields | {"sampler_name": "DPM++ SDE", "scheduler": "Exponential"})
    read = read_a1111(found.jobs[0].infotexts[0])
    assert (read.prompt, read.negative, read.cfg, read.seed) == ("a, b: c", "d", 4.5, 9)
    assert (read.sampler, read.schedule) == ("dpmpp_sde", "exponential")
    assert read.hires is not None
    assert (read.hires.scale, read.hires.denoise) == (1.5, 0.4)


def test_prompts_that_look_like_settings_stay_prompts() -> None:
    prompt = "Steps: 3, Sampler: Euler, Seed: 1\nNegative prompt: x"
    found = nodes({"prompt": prompt})
    assert found["positive"]["inputs"]["text"] == prompt
    assert found["sample"]["inputs"]["steps"] == 8


def test_images_are_enlarged_by_models_and_interpolation() -> None:
    listed = ListedModels(MODELS, {})

    def enlarged(**fields: Any) -> dict[str, Any]:
        values = ExtraImage.model_validate(fields).model_dump()
        document, _ = plan_upscale(values, IMAGE, listed)
        found: dict[str, Any] = document["nodes"]
        return found

    found = enlarged(upscaler_1="upscaler", upscaling_resize=1.5)
    assert found["fitted"]["inputs"]["width"] == 288
    assert found["upscaler"]["inputs"]["model"] == "tiny/upscaler"
    assert list(enlarged()) == ["picture", "save"]
    size = {"resize_mode": 1, "upscaling_resize_w": 50, "upscaling_resize_h": 60}
    assert enlarged(**size, upscaler_1="Nearest")["fitted"]["inputs"]["method"] == "nearest"
    both = enlarged(upscaler_1="upscaler", upscaler_2="Lanczos", extras_upscaler_2_visibility=0.3)
    assert both["blended"]["inputs"]["opacity"] == 0.3
    with pytest.raises(InvalidValue, match="no upscale model"):
        enlarged(upscaler_1="LDSR")


def test_preprocessors_are_run_alone() -> None:
    fields = {"controlnet_module": "canny", "controlnet_processor_res": 64}
    fields |= {"controlnet_threshold_a": 100, "controlnet_threshold_b": 200}
    found = plan_detection(fields, IMAGE, ListedModels(MODELS, {}))["nodes"]
    assert found["hint"]["type"] == "CannyEdges"
    assert found["save"]["inputs"]["image"] == {"from": "hint"}


def test_a_text_takes_the_place_of_another_in_a_png(tmp_path: Path) -> None:
    from io import BytesIO

    from PIL import Image

    made = BytesIO()
    Image.new("RGB", (3, 2), "red").save(made, "PNG")
    data = made.getvalue()
    for text in ("a cat", "eine Kätzchen", "猫", "", "x" * 100_000):
        data = with_parameters(data, text)
        with Image.open(BytesIO(data)) as image:
            image.load()
            assert image.info["parameters"] == text
            assert image.size == (3, 2)
        assert data.count(b"parameters\0") == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip
UNITS = st.dictionaries(
    st.sampled_from(
        ["enabled", "module", "model", "image", "mask", "weight", "control_mode", "resize_mode",
         "threshold_a", "processor_res", "guidance_start", "ad_model", "ad_steps", "ad_use_steps"]
    ),
    JSON | st.sampled_from(["canny", "controlnet", "none", "face_yolov8n.pt"]),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["ControlNet", "ADetailer", "x"]), JSON | st.lists(UNITS)))
def test_any_script_is_read_or_refused(scripts: dict[str, Any]) -> None:
    entries = {
        name: {"args": value} if isinstance(value, list) else value
        for name, value in scripts.items()
    }
    with suppress(NodegraphError):
        plan({"alwayson_scripts": entries}, models=[*MODELS, BOXES])


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_prompt_gives_a_workflow(prompt: str, negative: str) -> None:
    try:
        found = plan({"prompt": prompt, "negative_prompt": negative})
    except InvalidValue:
        return  # of a LoRA that is not here
    for job in found.jobs:
        Workflow.from_dict(job.document)
