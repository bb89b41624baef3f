"""Videos from noise, and between frames and latents, in a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionModelWithProjection

from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_ltx2 import ltx2
from tests.diffusion.families.test_ltx2_files import ltx20, upsampler, write_files
from tests.diffusion.families.test_wan_animate2 import wan_animate_2
from tests.diffusion.families.video_models import wan, wan_animate, wan_i2v, wan_vace
from tests.nodes.conftest import Bench, link


def saved(tmp_path_factory: pytest.TempPathFactory, build: Callable[[], Any]) -> Path:
    folder: Path = tmp_path_factory.mktemp("models") / "wan"
    random_pipeline(build).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory, wan)


@pytest.fixture(scope="module")
def picture_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory, wan_i2v)


def graph(model: Path, frames: int = 5, width: int = 48) -> dict[str, Any]:
    size = {"width": width, "height": 32, "frames": frames}
    options = {"steps": 2, "cfg": 3.0, "sampler": "uni_pc", "schedule": "normal"}
    sampled = {
        "model": link("load.model"),
        "positive": link("prompt"),
        "latent": link("empty"),
    }
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a red cat"},
        },
        "empty": {"type": "EmptyVideoLatent", "inputs": size},
        "sample": {"type": "KSampler", "inputs": {**sampled, **options}},
        "decode": {
            "type": "VAEDecodeVideo",
            "inputs": {"vae": link("load.vae"), "latent": link("sample"), "rate": 16.0},
        },
        "encode": {
            "type": "VAEEncodeVideo",
            "inputs": {"vae": link("load.vae"), "video": link("decode")},
        },
    }


def test_a_prompt_becomes_a_video_and_a_latent_again(bench: Bench, model: Path) -> None:
    result = bench.run(graph(model), "decode", "encode")

    video, latent = result["decode.video"], result["encode.latent"]
    assert video.frames.shape == (5, 32, 48, 3)
    assert video.rate == 16
    assert float(video.frames.std()) > 0
    assert (latent.width, latent.height, latent.frames, latent.format) == (48, 32, 5, "wan")
    assert latent.samples.shape == (1, 16, 2, 4, 6)
    assert torch.isfinite(latent.samples).all()


def test_a_video_is_sampled_in_context_windows(bench: Bench, model: Path) -> None:
    def node(kind: str, **inputs: Any) -> dict[str, Any]:
        return {"type": kind, "inputs": inputs}

    nodes = graph(model, frames=13) | {
        "plain": node("CFGGuider", positive=link("prompt"), cfg=3.0),
        "windows": node("ContextWindows", guider=link("plain"), length=9, overlap=4),
        "noise": node("RandomNoise", seed=3),
        "method": node("SelectSampler", sampler="uni_pc"),
        "levels": node("BasicSchedule", schedule="normal", steps=2),
    }
    del nodes["decode"], nodes["encode"]
    names = {"noise": "noise", "sampler": "method", "schedule": "levels", "latent": "empty"}
    linked = {port: link(name) for port, name in names.items()}
    nodes["sample"] = node(
        "SampleCustom", model=link("load.model"), guider=link("windows"), **linked
    )

    def samples(length: int, guider: str = "windows") -> Any:
        nodes["windows"]["inputs"]["length"] = length
        nodes["sample"]["inputs"]["guider"] = link(guider)
        return bench.value(nodes, "sample.latent").samples

    assert samples(9).shape == (1, 16, 4, 4, 6)
    assert torch.isfinite(samples(9)).all()
    assert not torch.equal(samples(9), samples(9, "plain"))
    assert torch.equal(samples(13), samples(9, "plain"))


@pytest.mark.slow
def test_videos_are_coded_in_tiles(bench: Bench, model: Path) -> None:
    nodes = graph(model)
    whole = bench.run(nodes, "decode", "encode")
    nodes["decode"]["inputs"] |= {"tile": 64, "overlap": 16}
    nodes["encode"]["inputs"] |= {"tile": 32, "overlap": 16}
    found = bench.run(nodes, "decode", "encode")
    assert torch.equal(found["decode.video"].frames, whole["decode.video"].frames)
    assert found["encode.latent"].samples.shape == whole["encode.latent"].samples.shape
    nodes["encode"]["inputs"]["overlap"] = 24
    [problem] = bench.problems(nodes, "encode")
    assert (problem.port, problem.expected) == ("overlap", "16 at most")


def test_a_number_of_frames_that_does_not_fit_is_told_beforehand(bench: Bench, model: Path) -> None:
    [problem] = bench.problems(graph(model, frames=6), "sample")

    assert problem.port == "latent"
    assert problem.expected == "5 or 9"


def test_a_picture_is_decoded_as_one_and_a_video_is_not(bench: Bench, model: Path) -> None:
    nodes = graph(model, frames=1) | {
        "picture": {
            "type": "VAEDecode",
            "inputs": {"vae": link("load.vae"), "latent": link("sample")},
        }
    }
    assert bench.run(nodes, "picture")["picture.image"].shape == (1, 32, 48, 3)

    nodes["empty"]["inputs"]["frames"] = 5
    [problem] = bench.problems(nodes, "picture")
    assert problem.hint is not None
    assert "VAEDecodeVideo" in problem.hint


def with_picture(nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    shown = {"vae": link("load.vae"), "image": link("picture"), "frames": 5, **more}
    nodes = nodes | {
        "picture": {"type": "Picture", "inputs": {"width": 48, "height": 32}},
        "show": {
            "type": "ImageToVideoConditioning",
            "inputs": {"conditioning": link("prompt"), **shown},
        },
    }
    sampled = {"positive": link("show.conditioning"), "latent": link("show.latent")}
    nodes["sample"]["inputs"] |= sampled
    return nodes


def test_a_picture_becomes_a_video(bench: Bench, picture_model: Path) -> None:
    nodes = with_picture(graph(picture_model), encoder=link("load.text_encoder"))
    video = bench.value(nodes, "decode.video")

    assert video.frames.shape == (5, 32, 48, 3)
    assert torch.isfinite(video.frames).all()


@pytest.fixture(scope="module")
def vace_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory, wan_vace)


def test_reference_images_of_vace_are_cut_off_after_sampling(
    bench: Bench, vace_model: Path
) -> None:
    nodes = graph(vace_model)
    size = {"width": 48, "height": 32, "frames": 5}
    shown = {"video": link("picture"), "reference": link("picture")}
    nodes |= {
        "picture": {"type": "Picture", "inputs": {"width": 48, "height": 32}},
        "control": {
            "type": "VaceConditioning",
            "inputs": {"conditioning": link("prompt"), "vae": link("load.vae"), **size, **shown},
        },
        "cut": {
            "type": "CutLatentFrames",
            "inputs": {"latent": link("sample"), "start": link("control.references")},
        },
    }
    sampled = {"positive": link("control.conditioning"), "latent": link("control.latent")}
    nodes["sample"]["inputs"] |= sampled
    nodes["decode"]["inputs"]["latent"] = link("cut")
    result = bench.run(nodes, "decode", "control", "sample")
    assert (result["control.references"], result["sample.latent"].frames) == (1, 9)
    assert result["decode.video"].frames.shape == (5, 32, 48, 3)
    nodes["control"]["inputs"]["frames"] = 6
    [problem] = bench.problems(nodes, "control")
    assert (problem.port, problem.expected) == ("frames", "5 or 9")


def test_a_character_is_animated_in_two_segments(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nodes = graph(saved(tmp_path_factory, wan_animate))
    shown = {
        "conditioning": link("prompt"),
        "vae": link("load.vae"),
        "encoder": link("load.text_encoder"),
        "image": link("picture"),
        "pose": link("picture"),
        "face": link("face"),
        "frames": 5,
    }
    nodes |= {
        "picture": {"type": "Picture", "inputs": {"width": 48, "height": 32}},
        "face": {"type": "Picture", "inputs": {"width": 16, "height": 16}},
        "first": {"type": "AnimationConditioning", "inputs": shown},
        "frames": {"type": "ImagesFromVideo", "inputs": {"video": link("decode.video")}},
        "second": {
            "type": "AnimationConditioning",
            "inputs": {
                **shown,
                "previous": link("frames.image"),
                "start": link("first.next_start"),
            },
        },
    }
    sampled = {"positive": link("first.conditioning"), "latent": link("first.latent")}
    nodes["sample"]["inputs"] |= sampled
    result = bench.run(nodes, "decode", "first", "second")
    assert result["decode.video"].frames.shape == (5, 32, 48, 3)
    assert (result["first.next_start"], result["second.next_start"]) == (4, 8)
    films = [
        result[f"{name}.conditioning"].entries[0].tensors["film"] for name in ("first", "second")
    ]
    assert not torch.equal(*films)
    del nodes["first"]["inputs"]["encoder"]
    nodes["first"]["inputs"]["frames"] = 6
    [problem] = bench.problems(nodes, "first")
    assert (problem.port, problem.expected) == ("frames", "5 or 9")


@pytest.mark.slow
def test_a_character_moves_as_in_a_video_in_two_segments(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = saved(tmp_path_factory, wan_animate_2)
    nodes = graph(folder)
    shown = {
        "conditioning": link("prompt"),
        "vae": link("load.vae"),
        "encoder": link("load.text_encoder"),
        "image": link("picture"),
        "video": link("picture"),
        "frames": 5,
    }
    # Chosen by a switch, which says no type, they are one batch, too.
    chosen = {"condition": False, "on_false": link("frames.image")}
    nodes |= {
        "picture": {"type": "Picture", "inputs": {"width": 48, "height": 32}},
        "first": {"type": "DrivingVideoConditioning", "inputs": shown},
        "frames": {"type": "ImagesFromVideo", "inputs": {"video": link("decode.video")}},
        "chosen": {"type": "Switch", "inputs": chosen},
        "again": {"type": "VideoFromImages", "inputs": {"images": link("chosen")}},
        "motion": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a dance"},
        },
        "second": {
            "type": "DrivingVideoConditioning",
            "inputs": {
                **shown,
                "motion": link("motion"),
                "previous": link("chosen"),
                "start": link("first.next_start"),
                "motion_strength": 0.5,
            },
        },
    }
    sampled = {"positive": link("first.conditioning"), "latent": link("first.latent")}
    nodes["sample"]["inputs"] |= sampled | {"sampler": "euler"}
    result = bench.run(nodes, "again", "first", "second")
    assert result["again.video"].frames.shape == (5, 32, 48, 3)
    assert (result["first.next_start"], result["second.end"]) == (4, 9)
    first, second = (
        result[f"{name}.conditioning"].entries[0].tensors for name in ("first", "second")
    )
    assert not torch.equal(first["film"], second["film"])
    assert not torch.equal(first["driving_prompt"], second["driving_prompt"])
    assert second.keys() - first.keys() == {"motion_strength"}

    nodes["first"]["inputs"]["image_encoder"] = link("eyes")
    eyes, vision = tmp_path_factory.mktemp("eyes"), folder / "image_encoder"
    CLIPVisionModelWithProjection.from_pretrained(vision).save_pretrained(eyes)
    nodes["eyes"] = {"type": "LoadImageEncoder", "inputs": {"image_encoder": str(eyes)}}
    assert "seen by one image encoder" in str(bench.failure(nodes, "first"))
    del nodes["first"]["inputs"]["encoder"]
    alone = bench.value(nodes, "first.conditioning").entries[0].tensors
    assert torch.equal(alone["sight"], first["sight"])
    # Without the text encoder, the prompt itself stands for one about the motion.
    assert torch.equal(alone["driving_prompt"], alone["embeddings"])


def test_an_image_encoder_of_its_own_sees_the_same(
    bench: Bench, picture_model: Path, tmp_path: Path
) -> None:
    # Published files have a projection, too, which videos don't need.
    folder = picture_model / "image_encoder"
    CLIPVisionModelWithProjection.from_pretrained(folder).save_pretrained(tmp_path)
    last = {"last_image": link("picture")}
    own = with_picture(graph(picture_model), encoder=link("load.text_encoder"), **last)
    other = with_picture(graph(picture_model), image_encoder=link("eyes"), **last)
    other["eyes"] = {"type": "LoadImageEncoder", "inputs": {"image_encoder": str(tmp_path)}}
    wanted, found = (bench.value(nodes, "show.conditioning").entries[0] for nodes in (own, other))
    assert found.tensors.keys() == wanted.tensors.keys()
    assert all(torch.equal(found.tensors[name], each) for name, each in wanted.tensors.items())

    other["show"]["inputs"]["encoder"] = link("load.text_encoder")
    assert "two are linked" in str(bench.failure(other, "show"))


def test_a_model_of_prompts_alone_has_no_use_for_a_picture(bench: Bench, model: Path) -> None:
    [problem] = bench.problems(with_picture(graph(model)), "decode")

    assert (problem.node, problem.port) == ("sample", "positive")
    assert problem.hint == "Load the image-to-video model of this family."


def test_lengths_that_a_picture_can_not_begin_are_told_beforehand(
    bench: Bench, picture_model: Path
) -> None:
    problems = bench.problems(with_picture(graph(picture_model), frames=8), "show")

    assert [(problem.port, problem.expected) for problem in problems] == [("frames", "5 or 9")]


def test_what_a_prompt_is_told_beside_it(bench: Bench, model: Path) -> None:
    nodes = graph(model) | {
        "late": {
            "type": "SecondExpertCfg",
            "inputs": {"conditioning": link("prompt"), "cfg": 2.5},
        },
        "rate": {
            "type": "FrameRateConditioning",
            "inputs": {"conditioning": link("late"), "rate": 23.976},
        },
    }
    found = bench.value(nodes, "rate.conditioning").entries[0].tensors

    assert found["late_cfg"].tolist() == [2.5]
    assert found["rate"].tolist() == [[24000, 1001]]


def test_a_vae_in_a_file_of_its_own_does_for_the_models(bench: Bench, model: Path) -> None:
    file = model / "vae" / "diffusion_pytorch_model.safetensors"
    own, other = graph(model), graph(model)
    other["alone"] = {"type": "LoadVae", "inputs": {"vae": str(file), "latents": "wan"}}
    for name in ("decode", "encode"):
        other[name]["inputs"]["vae"] = link("alone")
    wanted, found = (bench.value(nodes, "decode.video").frames for nodes in (own, other))
    assert torch.equal(found, wanted)
    latent = bench.value(other, "encode.latent")
    assert (latent.format, latent.frames) == ("wan", 5)


def test_frames_that_do_not_fit_a_vae_alone_are_told_beforehand(
    bench: Bench, picture_model: Path
) -> None:
    file = picture_model / "vae" / "diffusion_pytorch_model.safetensors"
    nodes = with_picture(graph(picture_model), frames=8)
    nodes["alone"] = {"type": "LoadVae", "inputs": {"vae": str(file), "latents": "wan"}}
    nodes["show"]["inputs"]["vae"] = link("alone")
    problems = bench.problems(nodes, "show")
    assert [(problem.port, problem.expected) for problem in problems] == [("frames", "5 or 9")]


def test_a_prompt_becomes_a_video_with_sound(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nodes = graph(saved(tmp_path_factory, ltx2), frames=9, width=64)
    nodes["empty"]["inputs"]["height"] = 64
    nodes["sample"]["inputs"]["sampler"] = "euler"
    nodes |= {
        "split": {"type": "SplitSoundLatent", "inputs": {"latent": link("sample")}},
        "silence": {"type": "EmptyAudioLatent", "inputs": {"frames": 9, "rate": 24.0}},
        "both": {
            "type": "CombineSoundLatent",
            "inputs": {"video": link("split.video"), "sound": link("silence")},
        },
        "sound": {
            "type": "VAEDecodeAudio",
            "inputs": {"vae": link("load.vae"), "latent": link("split.sound")},
        },
        "again": {
            "type": "VAEEncodeAudio",
            "inputs": {"vae": link("load.vae"), "audio": link("sound")},
        },
    }
    result = bench.run(nodes, "decode", "sound", "again", "both")
    assert not result.errors
    assert result["decode.video"].frames.shape == (9, 64, 64, 3)
    sound = result["sound.audio"]
    assert sound.rate == 24_000
    assert sound.waveform.shape[0] == 2
    assert float(sound.waveform.std()) > 0
    assert result["again.latent"].sound.shape[1::2] == (8, 16)
    assert not result["both.latent"].sound.any()


@pytest.mark.slow
def test_the_parts_of_a_published_file_make_a_video_with_sound(
    bench: Bench, tmp_path: Path
) -> None:
    whole, gemma = map(str, write_files(random_pipeline(ltx20), tmp_path))
    nodes = graph(tmp_path, frames=9, width=64)
    nodes["empty"]["inputs"]["height"] = 64
    nodes["sample"]["inputs"] |= {"model": link("net"), "sampler": "euler", "cfg": 1.0}
    nodes["prompt"]["inputs"]["encoder"] = link("words")
    nodes["decode"]["inputs"]["vae"] = link("vae")
    encoders = {"family": "ltx2", "file": gemma, "file_2": whole}
    nodes |= {
        "net": {"type": "LoadDiffusionModel", "inputs": {"model": whole}},
        "words": {"type": "LoadTextEncoder", "inputs": encoders},
        "vae": {"type": "LoadVae", "inputs": {"vae": whole}},
        "sound": {
            "type": "VAEDecodeAudio",
            "inputs": {"vae": link("vae"), "latent": link("sample")},
        },
    }
    save_file(upsampler().state_dict(), tmp_path / "up.safetensors")
    larger = {"latent": link("sample"), "model": link("up"), "vae": link("vae")}
    nodes |= {
        "up": {
            "type": "LoadLatentUpscaleModel",
            "inputs": {"model": str(tmp_path / "up.safetensors")},
        },
        "larger": {"type": "UpscaleLatent", "inputs": larger},
    }
    del nodes["load"], nodes["encode"]
    result = bench.run(nodes, "decode", "sound", "larger")
    assert not result.errors
    latent = result["larger.latent"]
    assert (latent.width, latent.height, latent.frames) == (128, 128, 9)
    assert latent.sound is not None
    assert float(result["decode.video"].frames.std()) > 0
    assert float(result["sound.audio"].waveform.std()) > 0


def test_a_graph_guides_frames_of_a_video(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nodes = graph(saved(tmp_path_factory, ltx2), frames=9, width=64)
    nodes["empty"]["inputs"]["height"] = 64
    nodes["sample"]["inputs"] |= {"sampler": "euler", "latent": link("guide")}
    nodes |= {
        "picture": {"type": "Picture", "inputs": {"width": 80, "height": 64}},
        "guide": {
            "type": "AddFrameGuide",
            "inputs": {
                "latent": link("empty"),
                "vae": link("load.vae"),
                "image": link("picture.image"),
            },
        },
        "plain": {"type": "RemoveFrameGuides", "inputs": {"latent": link("sample")}},
    }
    result = bench.run(nodes, "guide", "plain")
    assert not result.errors
    (held,) = result["guide.latent"].guides
    plain = result["plain.latent"]
    assert plain.guides == ()
    assert torch.equal(plain.samples[:, :, :1], held.samples)
