"""Small images in the forms that other tools write, and the settings that each means.

They are made here from the forms that the tools document; no image of anybody's is copied.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, PngImagePlugin

from nodegraph.interop.image_metadata.generation import (
    ControlUnit,
    DetailPass,
    ModelReference,
    Refiner,
    SeedVariation,
    SourceImage,
)

EXIF_IFD, USER_COMMENT, MAKER_NOTE, MODEL = 0x8769, 0x9286, 0x927C, 0x0110
Write = Callable[[Path], None]


def canvas(mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Image.Image:
    image = Image.effect_noise(size, 40).convert("RGB")
    if mode == "RGBA":
        image.putalpha(255)
    return image


def png(texts: Mapping[str, str], *, kind: str = "text") -> Write:
    """Text chunks: ``text`` (tEXt, or iTXt where Latin-1 does not do), ``ztxt``, ``itxt``."""

    def write(path: Path) -> None:
        info = PngImagePlugin.PngInfo()
        for name, text in texts.items():
            if kind == "itxt" or name.startswith("XML"):
                info.add_itxt(name, text)
            else:
                info.add_text(name, text, zip=kind == "ztxt")
        canvas().save(path, "PNG", pnginfo=info)

    return write


def exif(text: str, format: str = "JPEG", encoding: str = "utf-16-be", **tags: Any) -> Write:
    """The user comment of EXIF."""
    prefix = b"ASCII\0\0\0" if encoding == "ascii" else b"UNICODE\0"
    if encoding == "utf-8":
        prefix = b"\0" * 8

    def write(path: Path) -> None:
        block = Image.Exif()
        inner = block.get_ifd(EXIF_IFD)
        inner[USER_COMMENT] = prefix + text.encode(encoding)
        if "scheme" in tags:
            inner[MAKER_NOTE] = tags["scheme"].encode()
        canvas().save(path, format, exif=block.tobytes(), quality=80)

    return write


def legacy_exif(text: str) -> Write:
    """SwarmUI's first versions: the tag of the camera's model."""

    def write(path: Path) -> None:
        block = Image.Exif()
        block[MODEL] = text
        canvas().save(path, "JPEG", exif=block)

    return write


def comment(text: str) -> Write:
    """JPEG's own comment."""
    return lambda path: canvas().save(path, "JPEG", comment=text.encode())


def xmp(packet: str, format: str = "PNG") -> Write:
    if format == "PNG":
        return png({"XML:com.adobe.xmp": packet})
    return lambda path: canvas().save(path, format, xmp=packet.encode())


def stealth(text: str, *, is_packed: bool = True, length: int | None = None) -> Write:
    """The lowest bits of the alpha channel, column by column."""

    def write(path: Path) -> None:
        body = gzip.compress(text.encode()) if is_packed else text.encode()
        head = b"stealth_pngcomp" if is_packed else b"stealth_pnginfo"
        count = len(body) * 8 if length is None else length
        data = head + count.to_bytes(4, "big") + body
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        side = max(64, int(len(bits) ** 0.5) + 1)
        image = np.full((side, side, 4), 255, np.uint8)
        alpha = np.full(side * side, 254, np.uint8)
        alpha[: len(bits)] |= bits
        image[..., 3] = alpha.reshape(side, side).T
        Image.fromarray(image).save(path, "PNG")

    return write


@dataclass(frozen=True)
class Sample:
    """An image and what it means.

    Attributes:
        expected: Attributes of the `Generation`; ``model``, ``vae`` and ``loras`` by name and
            weight, ``hires`` by its attributes that are checked.
        reports: Words that the findings contain.
    """

    name: str
    tool: str
    write: Write
    expected: Mapping[str, Any]
    reports: tuple[str, ...] = ()
    suffix: str = ".png"
    base: Mapping[str, Any] = field(default_factory=dict)


def infotext(prompt: str, negative: str, line: str) -> str:
    return f"{prompt}\nNegative prompt: {negative}\n{line}" if negative else f"{prompt}\n{line}"


BASE = (
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x768, Model hash: 6ce0161689, "
    "Model: v1-5-pruned-emaonly"
)
PLAIN = {
    "seed": 42,
    "steps": 20,
    "cfg": 7.0,
    "sampler": "euler_ancestral",
    "schedule": "normal",
    "width": 512,
    "height": 768,
    "model": "v1-5-pruned-emaonly",
}


def a1111() -> list[Sample]:
    def sample(
        name: str, text: str, expected: Mapping[str, Any], *reports: str, **more: Any
    ) -> Sample:
        write = more.pop("write", png({"parameters": text}))
        return Sample(f"a1111-{name}", more.pop("tool", "A1111"), write, expected, reports, **more)

    long_prompt = "a cat,\n(fluffy:1.2), \\(plain\\)\n\n[red:blue:0.5] AND a dog :0.8\nBREAK sofa"
    return [
        sample(
            "plain",
            infotext("a red apple", "blurry, (ugly:1.3)", f"{BASE}, Version: v1.6.0"),
            {**PLAIN, "prompt": "a red apple", "negative": "blurry, (ugly:1.3)"},
            "GPU",
        ),
        sample(
            "lines",
            infotext(long_prompt, "bad\nworse", f"{BASE}, Clip skip: 2, RNG: CPU, Version: v1.9.0"),
            {**PLAIN, "prompt": long_prompt, "negative": "bad\nworse", "clip_skip": 2},
            "AND",
        ),
        sample(
            "hires",
            infotext(
                "castle",
                "",
                "Steps: 30, Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG scale: 5.5, Seed: "
                "18446744073709551615, Size: 832x1216, Model hash: 31e35c80fc, Model: "
                "sd_xl_base_1.0, VAE hash: 235745af8d, VAE: sdxl_vae.safetensors, Denoising "
                "strength: 0.35, Hires upscale: 1.5, Hires steps: 12, Hires upscaler: "
                '4x-UltraSharp, Hires prompt: "castle, detailed", Version: v1.10.1',
            ),
            {
                "seed": 2**64 - 1,
                "sampler": "dpmpp_2m_sde",
                "schedule": "karras",
                "cfg": 5.5,
                "model": "sd_xl_base_1.0",
                "vae": "sdxl_vae.safetensors",
                "hires": {
                    "scale": 1.5,
                    "steps": 12,
                    "denoise": 0.35,
                    "upscaler": "4x-UltraSharp",
                    "prompt": "castle, detailed",
                },
            },
        ),
        sample(
            "networks",
            infotext(
                "girl <lora:add_detail:0.8>, <lora:style v2:0.5:0.7> <hypernet:old:1> easyneg",
                "<lora:negative:1>",
                f'{BASE}, Lora hashes: "add_detail: 7c6bad76eb54, style v2: 0123456789ab", '
                'TI hashes: "easyneg: c74b4e810b03", Version: v1.6.0',
            ),
            {
                "prompt": "girl ,   easyneg",
                "negative": "",
                "loras": {"add_detail": 0.8, "style v2": 0.7, "negative": 1.0},
            },
            "hypernetwork `old`",
        ),
        sample(
            "extensions",
            infotext(
                "portrait",
                "x",
                f'{BASE}, ADetailer model: face_yolov8n.pt, ADetailer prompt: "a, b: c", '
                'ADetailer confidence: 0.3, ControlNet 0: "Module: canny, Model: control_v11p, '
                'Weight: 1, Resize Mode: Crop and Resize", Odd setting: 3, Version: v1.7.0',
            ),
            {**PLAIN, "prompt": "portrait"},
            "ADetailer",
            "ControlNet",
            "Odd setting",
        ),
        sample(
            "refiner",
            infotext(
                "a fjord",
                "",
                f"{BASE}, Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8, "
                "Version: v1.9.4",
            ),
            {
                **PLAIN,
                "refiner": Refiner(ModelReference("sd_xl_refiner_1.0", ("7440042bbd",)), 0.8),
            },
        ),
        sample(
            "variation",
            infotext(
                "a fjord",
                "",
                f"{BASE}, Variation seed: 4251137659, Variation seed strength: 0.25, Eta: 0.5, "
                "Sigma churn: 2, ENSD: 31337, Version: v1.9.4",
            ),
            {
                **PLAIN,
                "variation": SeedVariation(4251137659, 0.25),
                "sampler_options": {"eta": 0.5, "s_churn": 2.0},
            },
            "31337",
            "no option `s_churn`",
        ),
        sample(
            "units",
            infotext(
                "a bridge",
                "",
                f'{BASE}, ControlNet 0: "Module: canny, Model: control_v11p_sd15_canny [d14c016b], '
                "Weight: 0.8, Resize Mode: Crop and Resize, Processor Res: 512, Threshold A: 100, "
                "Threshold B: 200, Guidance Start: 0.0, Guidance End: 0.9, Pixel Perfect: False, "
                'Control Mode: Balanced", ControlNet 1: "preprocessor: depth_midas, model: '
                "control_v11f1p_sd15_depth [cfd03158], weight: 1, starting/ending: (0.1, 0.75), "
                "resize mode: Crop and Resize, pixel perfect: False, control mode: Balanced, "
                'preprocessor params: (512, 64, 64)", ADetailer model: face_yolov8n.pt, ADetailer '
                "confidence: 0.3, ADetailer dilate erode: 4, ADetailer mask blur: 4, ADetailer "
                "denoising strength: 0.4, ADetailer inpaint only masked: True, ADetailer inpaint "
                "padding: 32, ADetailer model 2nd: hand_yolov8n.pt, ADetailer prompt 2nd: a hand, "
                "ADetailer version: 24.5.1, Version: v1.9.4",
            ),
            {
                **PLAIN,
                "controls": [
                    ControlUnit(
                        ModelReference("control_v11p_sd15_canny", ("d14c016b",)),
                        "canny",
                        0.8,
                        0.0,
                        0.9,
                    ),
                    ControlUnit(
                        ModelReference("control_v11f1p_sd15_depth", ("cfd03158",)),
                        "depth_midas",
                        1.0,
                        0.1,
                        0.75,
                    ),
                ],
                "details": [
                    DetailPass("face_yolov8n.pt", "face"),
                    DetailPass("hand_yolov8n.pt", "hand", "a hand"),
                ],
            },
            "2 parts",
            "`control_image_2`",
            "depth_midas",
        ),
        sample(
            "hires-model",
            infotext(
                "a fjord",
                "",
                f"{BASE}, Denoising strength: 0.4, Hires upscale: 2, Hires upscaler: Latent, Hires "
                "checkpoint: other [0123456789], Version: v1.9.4",
            ),
            {
                **PLAIN,
                "hires": {"model": ModelReference("other", ("0123456789",)), "denoise": 0.4},
            },
        ),
        sample(
            "templates",
            infotext("a red cat", "bad", f"{BASE}, Version: v1.6.0")
            + "\nTemplate: a {red|blue} cat\nNegative Template: __bad__",
            {**PLAIN, "prompt": "a red cat", "negative": "bad"},
            "wildcards",
            "{red|blue}",
        ),
        sample(
            "from-image",
            infotext("sky", "", f"{BASE}, Denoising strength: 0.6, Mask blur: 4, Version: v1.6.0"),
            {**PLAIN, "prompt": "sky", "hires": None, "source": SourceImage(0.6, "", True)},
            "another image",
            "Paint the mask",
        ),
        sample(
            "jpeg-japanese",
            "",
            {**PLAIN, "prompt": "猫と桜, “quotes”", "negative": "悪い"},
            write=exif(infotext("猫と桜, “quotes”", "悪い", BASE), "JPEG"),
            suffix=".jpg",
        ),
        sample(
            "webp-little-endian",
            "",
            {**PLAIN, "prompt": "naïve café"},
            write=exif(infotext("naïve café", "bad", BASE), "WEBP", "utf-16-le"),
            suffix=".webp",
        ),
        sample(
            "forge-flux",
            infotext(
                "a robot",
                "",
                "Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG "
                "Scale: 3.5, Seed: 7, Size: 896x1152, Model hash: aabbccddee, Model: flux1-dev-Q8, "
                "Version: f2.0.1v1.10.1-previous, Module 1: ae, Module 2: t5xxl_fp16, Module 3: "
                "clip_l",
            ),
            {
                "seed": 7,
                "guidance": 3.5,
                "cfg": 1.0,
                "sampler": "euler",
                "schedule": "simple",
                "modules": ("ae", "t5xxl_fp16", "clip_l"),
                "model": "flux1-dev-Q8",
            },
            tool="Forge",
        ),
        sample(
            "stealth",
            "",
            {**PLAIN, "prompt": "hidden", "negative": "seen"},
            write=stealth(infotext("hidden", "seen", BASE)),
        ),
    ]


def civitai() -> list[Sample]:
    resources = [
        {
            "type": "checkpoint",
            "modelVersionId": 290640,
            "modelName": "Pony",
            "modelVersionName": "V6",
        },
        {"type": "lora", "weight": 0.65, "modelVersionId": 11, "modelName": "Ink, brush"},
        {"type": "lora", "weight": -1.5, "modelVersionId": 12, "modelName": "Detail"},
    ]
    line = (
        "Steps: 25, Sampler: DPM++ 2M Karras, CFG scale: 6, Seed: {seed}, Size: 832x1216, Clip "
        "skip: 2, Created Date: 2024-09-01T10:00:00.0000000Z, Civitai resources: {resources}, "
        "Civitai metadata: {{}}"
    )
    expected = {
        "sampler": "dpmpp_2m",
        "schedule": "karras",
        "clip_skip": 2,
        "width": 832,
        "model": "Pony V6",
        "loras": {"Ink, brush": 0.65, "Detail": -1.5},
    }
    writers: list[Callable[[str], tuple[Write, str]]] = [
        lambda text: (exif(text, "JPEG"), ".jpg"),
        lambda text: (exif(text, "JPEG", "utf-16-le"), ".jpg"),
        lambda text: (exif(text, "WEBP"), ".webp"),
        lambda text: (exif(text, "JPEG", "utf-8"), ".jpg"),
        lambda text: (png({"parameters": text}), ".png"),
        lambda text: (png({"parameters": text}, kind="ztxt"), ".png"),
        lambda text: (png({"parameters": text}, kind="itxt"), ".png"),
        lambda text: (exif(text, "AVIF"), ".avif"),
        lambda text: (exif(text.encode("ascii", "replace").decode(), "JPEG", "ascii"), ".jpg"),
        lambda text: (exif(text, "PNG"), ".png"),
    ]
    samples = []
    for number, make in enumerate(writers):
        text = infotext(
            f"score_9, {{cat}} number {number}",
            "score_4",
            line.format(seed=number, resources=json.dumps(resources)),
        )
        write, suffix = make(text)
        wanted = {**expected, "seed": number, "prompt": f"score_9, {{cat}} number {number}"}
        samples.append(Sample(f"civitai-{number}", "Civitai", write, wanted, (), suffix))
    return samples


FOOOCUS: dict[str, Any] = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8Rundiffusion",
    "base_model_hash": "aeb7e9e689",
    "clip_skip": 2,
    "full_negative_prompt": ["bad hands", "blurry"],
    "full_prompt": ["cinematic still a fox . emotional", "a fox, intricate"],
    "guidance_scale": 4.0,
    "loras": [["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"]],
    "metadata_scheme": "fooocus",
    "negative_prompt": "bad hands",
    "performance": "Speed",
    "prompt": "a fox",
    "prompt_expansion": "a fox, intricate",
    "refiner_model": "None",
    "refiner_switch": 0.5,
    "resolution": "(1152, 896)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "8141234567890123456",
    "sharpness": 2.0,
    "steps": 30,
    "styles": "['Fooocus V2', 'Fooocus Cinematic']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}


def fooocus() -> list[Sample]:
    expected = {
        "prompt": "a fox",
        "negative": "bad hands",
        "encoded_prompt": "cinematic still a fox . emotional BREAK a fox, intricate",
        "seed": 8141234567890123456,
        "sampler": "dpmpp_2m_sde",
        "schedule": "karras",
        "steps": 30,
        "cfg": 4.0,
        "width": 1152,
        "height": 896,
        "clip_skip": 2,
        "model": "juggernautXL_v8Rundiffusion",
        "loras": {"sd_xl_offset_example-lora_1.0": 0.1},
    }

    def own(
        name: str, changes: Mapping[str, Any], differs: Mapping[str, Any], *reports: str
    ) -> Sample:
        document = {**FOOOCUS, **changes}
        texts = {"parameters": json.dumps(document), "fooocus_scheme": "fooocus"}
        return Sample(f"fooocus-{name}", "Fooocus", png(texts), {**expected, **differs}, reports)

    a1111_line = (
        "Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 99, Size: 1152x896, CFG scale: 4.0, "
        'Sharpness: 2.0, ADM Guidance: "(1.5, 0.8, 0.3)", Model: juggernautXL, Model hash: '
        "aeb7e9e689, Performance: Speed, Styles: \"['Fooocus V2']\", Lora hashes: "
        '"offset: 4852686128", Lora weights: "offset: 0.1", Raw prompt: a fox, Version: '
        "Fooocus v2.5.5"
    )
    a1111_expected = {
        "prompt": "cinematic a fox",
        "negative": "bad",
        "seed": 99,
        "sampler": "dpmpp_2m_sde",
        "schedule": "karras",
        "loras": {"offset": 0.1},
        "model": "juggernautXL",
    }
    text = infotext("cinematic a fox", "bad", a1111_line)
    document = json.dumps(FOOOCUS)
    scheme = {"parameters": text, "fooocus_scheme": "a1111"}
    return [
        own("styles", {}, {}, "Fooocus V2", "sharpens"),
        own(
            "plain",
            {"styles": "[]", "full_prompt": ["a fox"], "full_negative_prompt": [""]},
            {"encoded_prompt": "a fox"},
        ),
        own(
            "lightning",
            {
                "performance": "Lightning",
                "steps": 4,
                "sampler": "euler",
                "scheduler": "sgm_uniform",
            },
            {
                "steps": 4,
                "sampler": "euler",
                "schedule": "sgm_uniform",
                "loras": {
                    "sd_xl_offset_example-lora_1.0": 0.1,
                    "sdxl_lightning_4step_lora.safetensors": 1.0,
                },
            },
        ),
        own(
            "refiner",
            {"refiner_model": "sd_xl_refiner_1.0"},
            {"refiner": Refiner(ModelReference("sd_xl_refiner_1.0"), 0.5)},
        ),
        own("quotes", {"prompt": 'a "fox" \\ \n 狐'}, {"prompt": 'a "fox" \\ \n 狐'}),
        own("odd", {"steps": "many", "future": [1]}, {"steps": None}, "`steps`", "`future`"),
        Sample("fooocus-jpeg", "Fooocus", exif(document, scheme="fooocus"), expected, (), ".jpg"),
        Sample("fooocus-old", "Fooocus", comment(document), expected, (), ".jpg"),
        Sample("fooocus-a1111", "Fooocus", png(scheme), a1111_expected, ("Fooocus V2",)),
        Sample(
            "fooocus-a1111-webp",
            "Fooocus",
            exif(text, "WEBP", scheme="a1111"),
            a1111_expected,
            (),
            ".webp",
        ),
    ]


SWARM: dict[str, Any] = {
    "prompt": "a lighthouse, (storm:1.3)",
    "negativeprompt": "people",
    "model": "OfficialStableDiffusion/sd_xl_base_1.0",
    "images": 1,
    "seed": 1480395275,
    "steps": 25,
    "cfgscale": 6.5,
    "aspectratio": "1:1",
    "width": 1024,
    "height": 1024,
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "automaticvae": True,
    "loras": ["detail/tweaker", "style"],
    "loraweights": ["0.8", "-0.25"],
    "swarm_version": "0.9.5.0",
}


def swarmui() -> list[Sample]:
    expected = {
        "prompt": "a lighthouse, (storm:1.3)",
        "negative": "people",
        "seed": 1480395275,
        "steps": 25,
        "cfg": 6.5,
        "sampler": "dpmpp_2m_sde",
        "schedule": "karras",
        "width": 1024,
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "loras": {"detail/tweaker": 0.8, "style": -0.25},
    }
    more = {
        "sui_extra_data": {
            "date": "2025-01-01",
            "prep_time": "1.00 sec",
            "generation_time": "9 sec",
        },
        "sui_models": [
            {
                "name": "OfficialStableDiffusion/sd_xl_base_1.0.safetensors",
                "param": "model",
                "hash": "0x" + "ab" * 32,
            }
        ],
    }

    def document(changes: Mapping[str, Any], **extra: Any) -> str:
        values = {name: value for name, value in {**SWARM, **changes}.items() if value is not None}
        return json.dumps({"sui_image_params": values, **extra}, indent=2)

    def sample(
        name: str, changes: Mapping[str, Any], differs: Mapping[str, Any], *reports: str
    ) -> Sample:
        texts = {"parameters": document(changes, **more)}
        return Sample(f"swarmui-{name}", "SwarmUI", png(texts), {**expected, **differs}, reports)

    plain = document({})
    return [
        sample("plain", {}, {}),
        sample("clip", {"clipstopatlayer": -2, "vae": "vae/ft"}, {"clip_skip": 2, "vae": "vae/ft"}),
        sample(
            "refine",
            {
                "refinerupscale": 1.5,
                "refinercontrolpercentage": 0.4,
                "refinermethod": "PostApply",
                "refinerupscalemethod": "model-4x-UltraSharp.pth",
                "refinersteps": 15,
            },
            {"hires": {"scale": 1.5, "denoise": 0.4, "steps": 15, "upscaler": "4x-UltraSharp.pth"}},
        ),
        sample(
            "refine-latent",
            {"refinerupscale": 2, "refinercontrol": 0.5, "refinerupscalemethod": "latent-bislerp"},
            {"hires": {"upscaler": "Latent (bislerp)", "scale": 2.0}},
        ),
        sample("flux", {"fluxguidancescale": 3.5, "cfgscale": 1}, {"guidance": 3.5, "cfg": 1.0}),
        sample(
            "init",
            {"initimagecreativity": 0.6, "variationseed": 9, "variationseedstrength": 0.1},
            {"source": SourceImage(0.6), "variation": SeedVariation(9, 0.1)},
            "another image",
        ),
        sample(
            "swap",
            {
                "refinermodel": "sd_xl_refiner_1.0",
                "refinermethod": "StepSwap",
                "refinercontrolpercentage": 0.25,
                "controlnetmodel": "canny-sdxl",
                "controlnetstrength": 0.7,
            },
            {
                "refiner": Refiner(ModelReference("sd_xl_refiner_1.0"), 0.75),
                "controls": [ControlUnit(ModelReference("canny-sdxl"), "", 0.7)],
                "hires": None,
            },
        ),
        sample(
            "tags",
            {
                "prompt": "cat <lora:tag:0.5> <segment:face,0.6,0.5> x",
                "loras": None,
                "loraweights": None,
            },
            {"prompt": "cat  <segment:face,0.6,0.5> x", "loras": {"tag": 0.5}},
            "angle brackets",
        ),
        sample(
            "defaults",
            {"sampler": None, "scheduler": None},
            {"sampler": "euler", "schedule": "normal"},
        ),
        Sample("swarmui-jpeg", "SwarmUI", exif(plain), expected, (), ".jpg"),
        Sample("swarmui-webp", "SwarmUI", exif(plain, "WEBP", "utf-16-le"), expected, (), ".webp"),
        Sample(
            "swarmui-legacy",
            "SwarmUI",
            legacy_exif(json.dumps(json.loads(plain))),
            expected,
            (),
            ".jpg",
        ),
    ]


INVOKE: dict[str, Any] = {
    "app_version": "5.6.0",
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a (ship)1.2, sails++, [deck]",
    "negative_prompt": "fog--",
    "width": 1024,
    "height": 768,
    "seed": 2746398572,
    "rand_device": "cpu",
    "cfg_scale": 5.5,
    "cfg_rescale_multiplier": 0.0,
    "steps": 30,
    "scheduler": "dpmpp_2m_sde_k",
    "clip_skip": 0,
    "model": {
        "key": "0f0f",
        "hash": "blake3:" + "cd" * 32,
        "name": "Juggernaut XL v9",
        "base": "sdxl",
        "type": "main",
    },
    "loras": [
        {
            "model": {
                "key": "1",
                "hash": "random:12",
                "name": "ink",
                "base": "sdxl",
                "type": "lora",
            },
            "weight": 0.75,
        }
    ],
    "positive_style_prompt": "",
    "negative_style_prompt": "",
}


def identifier(name: str, kind: str) -> dict[str, str]:
    """A model as InvokeAI identifies it."""
    return {
        "key": name,
        "hash": "blake3:" + "12" * 32,
        "name": name,
        "base": "sdxl",
        "type": kind,
    }


def invokeai() -> list[Sample]:
    expected = {
        "prompt": "a (ship)1.2, sails++, [deck]",
        "encoded_prompt": r"a (ship:1.2), (sails:1.21), \[deck\]",
        "encoded_negative": "(fog:0.81)",
        "seed": 2746398572,
        "steps": 30,
        "cfg": 5.5,
        "sampler": "dpmpp_2m_sde",
        "schedule": "karras",
        "width": 1024,
        "height": 768,
        "model": "Juggernaut XL v9",
        "loras": {"ink": 0.75},
        "convention": "diffusers",
    }
    graph = {"id": "g", "nodes": {"noise": {"type": "noise", "seed": 1}}, "edges": []}

    def sample(
        name: str, changes: Mapping[str, Any], differs: Mapping[str, Any], *reports: str
    ) -> Sample:
        values = {name: value for name, value in {**INVOKE, **changes}.items() if value is not None}
        texts = {"invokeai_metadata": json.dumps(values), "invokeai_graph": json.dumps(graph)}
        return Sample(f"invokeai-{name}", "InvokeAI", png(texts), {**expected, **differs}, reports)

    old = {
        "model_weights": "stable-diffusion-1.5",
        "model_hash": "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516",
        "app_id": "invoke-ai/InvokeAI",
        "app_version": "2.3.5",
        "image": {
            "prompt": [{"prompt": "a barn [people, cars]", "weight": 1.0}],
            "steps": 50,
            "cfg_scale": 7.5,
            "sampler": "k_euler_a",
            "seed": 4242,
            "width": 512,
            "height": 640,
            "type": "txt2img",
        },
    }
    old_expected = {
        "prompt": "a barn",
        "negative": "people, cars",
        "seed": 4242,
        "sampler": "euler_ancestral",
        "height": 640,
    }
    return [
        sample("plain", {}, {}),
        sample("skip", {"clip_skip": 1, "rand_device": "cuda"}, {"clip_skip": 2}, "GPU"),
        sample(
            "v3",
            {
                "model": {"model_name": "sd15", "base_model": "sd-1", "model_type": "main"},
                "loras": [{"lora": {"model_name": "old", "base_model": "sd-1"}, "weight": 1.0}],
            },
            {"model": "sd15", "loras": {"old": 1.0}},
        ),
        sample(
            "hires",
            {
                "hrf_enabled": True,
                "hrf_width": 512,
                "hrf_height": 384,
                "hrf_strength": 0.4,
                "hrf_method": "ESRGAN",
            },
            {
                "width": 512,
                "height": 384,
                "hires": {"width": 1024, "height": 768, "denoise": 0.4, "upscaler": "ESRGAN"},
            },
        ),
        sample(
            "img2img",
            {
                "generation_mode": "sdxl_inpaint",
                "strength": 0.5,
                "init_image": "f0e1.png",
            },
            {"source": SourceImage(0.5, "f0e1.png", True)},
            "`f0e1.png`",
        ),
        sample(
            "controls",
            {
                "controlnets": [
                    {
                        "image": {"image_name": "raw.png"},
                        "processed_image": {"image_name": "edges.png"},
                        "control_model": {
                            "key": "2",
                            "hash": "blake3:" + "ab" * 32,
                            "name": "canny",
                            "base": "sdxl",
                            "type": "controlnet",
                        },
                        "control_weight": 0.6,
                        "begin_step_percent": 0.1,
                        "end_step_percent": 0.9,
                    }
                ],
                "refiner_model": {
                    "key": "3",
                    "hash": "blake3:" + "ef" * 32,
                    "name": "SDXL Refiner",
                    "base": "sdxl-refiner",
                    "type": "main",
                },
                "refiner_start": 0.7,
            },
            {
                "controls": [
                    ControlUnit(
                        ModelReference("canny", ("ab" * 32,)), "", 0.6, 0.1, 0.9, "edges.png"
                    )
                ],
                "refiner": Refiner(ModelReference("SDXL Refiner", ("ef" * 32,)), 0.7),
            },
            "`edges.png`",
        ),
        sample(
            "flux",
            {
                "generation_mode": "flux_txt2img",
                "guidance": 4.0,
                "cfg_scale": None,
                "scheduler": None,
                "model": {
                    "key": "4",
                    "name": "FLUX Dev",
                    "base": "flux",
                    "hash": "random:1",
                    "type": "main",
                },
                "t5_encoder": {"name": "t5_base"},
                "positive_prompt": "a (ship)",
            },
            {
                "guidance": 4.0,
                "cfg": 1.0,
                "sampler": "euler",
                "schedule": "normal",
                "model": "FLUX Dev",
                "prompt": "a (ship)",
                "encoded_prompt": "",
                "encoded_negative": "",
                "modules": ("t5_base",),
            },
        ),
        sample(
            "vae",
            {"vae": identifier("sdxl-vae-fp16-fix", "vae"), "seed": 2**32 - 1},
            {"vae": "sdxl-vae-fp16-fix", "seed": 2**32 - 1},
        ),
        sample(
            "loras",
            {
                "loras": [
                    {"model": identifier("ink", "lora"), "weight": -0.5},
                    {"model": identifier("neon", "lora"), "weight": 1.25},
                ],
                "scheduler": "unipc",
            },
            {
                "loras": {"ink": -0.5, "neon": 1.25},
                "sampler": "uni_pc",
                "schedule": "normal",
            },
        ),
        sample(
            "tiles",
            {"seamless_x": True, "cfg_rescale_multiplier": 0.7, "scheduler": "euler_a"},
            {"sampler": "euler_ancestral", "schedule": "normal"},
            "Seamless",
            "rescaled",
        ),
        sample(
            "and",
            {"positive_prompt": '("a cat", "a dog").and()'},
            {"prompt": '("a cat", "a dog").and()', "encoded_prompt": r'"a cat", "a dog".and\(\)'},
            "`.and()`",
        ),
        Sample(
            "invokeai-2",
            "InvokeAI",
            png({"sd-metadata": json.dumps(old)}),
            {**old_expected, "model": "stable-diffusion-1.5"},
        ),
        Sample(
            "invokeai-1",
            "InvokeAI",
            png(
                {"Dream": '"a barn [people, cars]" -s 50 -S 4242 -W 512 -H 640 -C 7.5 -A k_euler_a'}
            ),
            old_expected,
        ),
    ]


NOVELAI: dict[str, Any] = {
    "prompt": "{{1girl}}, [hat], (plain)",
    "steps": 28,
    "height": 1216,
    "width": 832,
    "scale": 5.0,
    "uncond_scale": 1.0,
    "cfg_rescale": 0.0,
    "seed": 1838401821,
    "n_samples": 1,
    "hide_debug_overlay": False,
    "noise_schedule": "karras",
    "legacy_v3_extend": False,
    "sampler": "k_euler_ancestral",
    "controlnet_strength": 1.0,
    "controlnet_model": None,
    "dynamic_thresholding": False,
    "sm": False,
    "sm_dyn": False,
    "lora_unet_weights": None,
    "uc": "lowres, {bad}",
    "request_type": "PromptGenerateRequest",
    "signed_hash": "abc",
}


def novelai() -> list[Sample]:
    expected = {
        "prompt": "{{1girl}}, [hat], (plain)",
        "negative": "lowres, {bad}",
        "encoded_prompt": r"(1girl:1.103), (hat:0.952), \(plain\)",
        "encoded_negative": "lowres, (bad:1.05)",
        "seed": 1838401821,
        "steps": 28,
        "cfg": 5.0,
        "sampler": "euler_ancestral",
        "schedule": "karras",
        "width": 832,
        "height": 1216,
        "model": "NovelAI Diffusion V3",
    }

    def texts(changes: Mapping[str, Any], **more: str) -> dict[str, str]:
        document = {**NOVELAI, **changes}
        return {
            "Title": "NovelAI generated image",
            "Description": document["prompt"],
            "Software": "NovelAI",
            "Source": "NovelAI Diffusion V3 4BDE2A90",
            "Generation time": "5.6",
            "Comment": json.dumps(document),
            **more,
        }

    def sample(
        name: str,
        changes: Mapping[str, Any],
        differs: Mapping[str, Any],
        *reports: str,
        **more: str,
    ) -> Sample:
        return Sample(
            f"novelai-{name}",
            "NovelAI",
            png(texts(changes, **more)),
            {**expected, **differs},
            (*reports, "cannot be downloaded"),
        )

    v4 = {
        "prompt": "park, 1.2::sun::",
        "uc": "dark",
        "v4_prompt": {
            "caption": {
                "base_caption": "park, 1.2::sun::",
                "char_captions": [
                    {"char_caption": "girl, red dress", "centers": [{"x": 0.3, "y": 0.5}]},
                    {"char_caption": "boy", "centers": [{"x": 0.7, "y": 0.5}]},
                ],
            },
            "use_coords": True,
            "use_order": True,
        },
        "v4_negative_prompt": {"caption": {"base_caption": "dark", "char_captions": []}},
    }
    v4_expected = {
        "prompt": "park, 1.2::sun::",
        "negative": "dark",
        "encoded_prompt": "park, (sun:1.2) BREAK girl, red dress BREAK boy",
        "encoded_negative": "dark",
        "model": "NovelAI Diffusion V4.5",
    }
    hidden = json.dumps(texts({}))
    return [
        sample("v3", {}, {}),
        sample("v4", v4, v4_expected, "2 characters", Source="NovelAI Diffusion V4.5 4BDE2A90"),
        sample("smea", {"sm": True, "dynamic_thresholding": True}, {}, "SMEA", "Decrisper"),
        sample("rescale", {"cfg_rescale": 0.2}, {}, "RescaleGuidance"),
        sample(
            "img2img",
            {"request_type": "Img2ImgRequest", "strength": 0.7},
            {"source": SourceImage(0.7)},
            "another image",
        ),
        sample(
            "ddim",
            {"sampler": "ddim_v3", "noise_schedule": "native"},
            {"sampler": "ddim", "schedule": "leading"},
        ),
        sample(
            "v1",
            {"noise_schedule": None, "sampler": "k_dpmpp_2m"},
            {"sampler": "dpmpp_2m", "schedule": "normal", "model": "Stable Diffusion"},
            Source="Stable Diffusion 1D44365E",
        ),
        sample(
            "vibe",
            {
                "reference_information_extracted_multiple": [1.0],
                "reference_strength_multiple": [0.6],
            },
            {},
            "vibe",
        ),
        Sample("novelai-stealth", "NovelAI", stealth(hidden), expected),
        Sample("novelai-stealth-plain", "NovelAI", stealth(hidden, is_packed=False), expected),
    ]


DRAW_THINGS: dict[str, Any] = {
    "c": "a fjord at dawn <3 & more",
    "uc": "text",
    "model": "sd_xl_base_1.0_f16.ckpt",
    "sampler": "DPM++ 2M Karras",
    "scale": 6.5,
    "seed": 3211234567,
    "seed_mode": "Scale Alike",
    "size": "1024x1024",
    "steps": 30,
    "strength": 1,
    "lora": [{"model": "offset_lora_f16.ckpt", "weight": 0.6}],
}


def draw_things() -> list[Sample]:
    expected = {
        "prompt": "a fjord at dawn <3 & more",
        "negative": "text",
        "seed": 3211234567,
        "steps": 30,
        "cfg": 6.5,
        "sampler": "dpmpp_2m",
        "schedule": "karras",
        "width": 1024,
        "model": "sd_xl_base_1.0_f16.ckpt",
        "loras": {"offset_lora_f16.ckpt": 0.6},
    }

    def packet(changes: Mapping[str, Any], *, is_short: bool = False) -> str:
        text = escape(json.dumps({**DRAW_THINGS, **changes}, ensure_ascii=False))
        body = (
            f"<exif:UserComment>{text}</exif:UserComment>"
            if is_short
            else f'<exif:UserComment>\n<rdf:Alt>\n<rdf:li xml:lang="x-default">{text}</rdf:li>\n'
            "</rdf:Alt>\n</exif:UserComment>"
        )
        return (
            '<?xpacket begin="\ufeff"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
            'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">'
            f"{body}<xmp:CreatorTool>Draw Things</xmp:CreatorTool></rdf:Description></rdf:RDF>"
            '</x:xmpmeta><?xpacket end="w"?>'
        )

    def sample(
        name: str,
        changes: Mapping[str, Any],
        differs: Mapping[str, Any],
        *reports: str,
        **more: Any,
    ) -> Sample:
        file_format = more.get("format", "PNG")
        write = xmp(packet(changes, is_short=more.get("is_short", False)), file_format)
        suffix = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}[file_format]
        return Sample(
            f"draw-things-{name}", "Draw Things", write, {**expected, **differs}, reports, suffix
        )

    full = {
        "hiresFix": True,
        "hiresFixWidth": 512,
        "hiresFixHeight": 512,
        "hiresFixStrength": 0.6,
        "loras": [{"file": "second.ckpt", "weight": 0.3}],
        "clipSkip": 2,
    }
    return [
        sample("plain", {}, {}),
        sample("jpeg", {}, {}, format="JPEG"),
        sample("webp", {}, {}, format="WEBP"),
        sample("short", {}, {}, is_short=True),
        sample(
            "trailing",
            {"sampler": "Euler A Trailing"},
            {"sampler": "euler_ancestral", "schedule": "trailing"},
        ),
        sample("ays", {"sampler": "DPM++ 2M AYS"}, {"schedule": "align_your_steps"}),
        sample("image", {"strength": 0.4}, {}, "another image"),
        sample(
            "v2",
            {"v2": full},
            {
                "width": 512,
                "clip_skip": 2,
                "hires": {"width": 1024, "denoise": 0.6},
                "loras": {"offset_lora_f16.ckpt": 0.6, "second.ckpt": 0.3},
            },
        ),
        sample("upscaler", {"upscaler": "realesrgan_x2plus_f16.ckpt"}, {}, "realesrgan"),
        sample(
            "refiner",
            {"refiner": "sd_xl_refiner_1.0_f16.ckpt", "refiner_start": 0.7},
            {"refiner": Refiner(ModelReference("sd_xl_refiner_1.0_f16.ckpt"), 0.7)},
        ),
    ]


SAMPLES = [
    *a1111(),
    *civitai(),
    *fooocus(),
    *swarmui(),
    *invokeai(),
    *novelai(),
    *draw_things(),
]
