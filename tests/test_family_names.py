"""Code outside `families/` and `interop/comfyui/` names a model family only for a stated reason.

What is known of a family stands in its module in `nodegraph/families`. Names in docstrings and
comments are examples for readers and are not listed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache

import pytest

from nodegraph.families.index import INDEX
from nodegraph.families.item_family import ItemFamily
from tests.house import Module, read_modules

OWN_FOLDERS = ("nodegraph/families/", "nodegraph/interop/comfyui/")

REASONS: Mapping[str, Mapping[str, str]] = {
    "Tags by which nodes are searched, and descriptions of node inputs": {
        "nodes/conditioning.py": "flux sd3 sdxl",
        "nodes/diffusion_forcing.py": "skyreels",
        "nodes/guidance.py": "ltx sd3 wan",
        "nodes/guided_answers.py": "qwen",
        "nodes/guider.py": "flux",
        "nodes/helper.py": "flux sdxl",
        "nodes/ip_adapters.py": "flux",
        "nodes/language.py": "qwen",
        "nodes/latent.py": "qwen sd3",
        "nodes/latent_frames.py": "kandinsky qwen",
        "nodes/mask_make.py": "chroma",
        "nodes/media_conditioning.py": "minimax",
        "nodes/model_conditioning.py": "flux stablecascade",
        "nodes/model_sampling.py": "auraflow flux minimax sd3",
        "nodes/revision.py": "sdxl",
        "nodes/sound_models.py": "ace minimax",
        "nodes/shape_models.py": "shap",
        "nodes/text.py": "flux hidream kandinsky qwen sd3 sdxl shap",
        "nodes/latent_transform.py": "ltx",
        "nodes/video_conditioning.py": "cogvideox cosmos hunyuan ltx minimax skyreels wan",
        "nodes/video_latent.py": "ltx wan",
        "nodes/character_animation.py": "wan",
    },
    "What metadata call an architecture, and which adapter has widths of its own": {
        "nodegraph/models/adapters/adapter_files.py": "sd1 sd2 sdxl stablediffusion",
        "nodegraph/models/ip_adapters/image_prompt_files.py": "kolors",
    },
    "Error messages and examples of the API name models that work": {
        "nodes/_model_sampling_facts.py": "minimax",
        "nodes/_sampling_facts.py": "flux wan",
        "nodegraph/client/shapes/models.py": "flux sd1 sdxl stablediffusion",
        "nodes/_language_facts.py": "qwen",
        "nodegraph/models/adapters/recipes.py": "wan",
        "nodegraph/models/facts.py": "stablediffusion",
        "nodegraph/models/image_to_video.py": "hunyuan ltx wan",
        "nodegraph/models/character_animation.py": "wan",
        "nodegraph/models/driving_video.py": "wan",
        "nodegraph/models/prompt_preprocessing.py": "cogview stablediffusion",
        "nodegraph/models/speed/speed_support.py": "stablediffusion",
        "nodegraph/perception/language_model.py": "qwen",
        "nodegraph/sampling/guiders/checks.py": "sdxl stablediffusion",
        "nodegraph/sampling/prompts.py": "flux",
        "nodegraph/server/http/routes/model_downloads.py": "sdxl",
        "nodegraph/server/http/routes/node_types.py": "sd1",
        "nodegraph/training/textual_inversion.py": "stablediffusion",
        "nodegraph/training/whole_networks.py": "stablediffusion",
    },
    "Names of models and folders at other sites and in other programs": {
        "nodegraph/cli/model_downloads.py": "sd1 sdxl",
        "nodegraph/models/model_library.py": "stablediffusion",
        "nodegraph/models/model_sources.py": "stablediffusion",
        "nodegraph/server/protocols/comfyui/node_info.py": "stablediffusion",
        "nodegraph/models/remote/download_plans.py": (
            "flux qwen sd1 sd3 sdxl stablediffusion wan zimage"
        ),
    },
    "Language models of the same name, not families": {
        "nodegraph/models/language/chat_templates.py": "qwen",
        "nodegraph/models/language/media_inputs.py": "qwen",
        "nodegraph/models/language/text_generation.py": "qwen",
        "nodegraph/models/prompt_preprocessing.py": "qwen",
        "nodegraph/weights/single_files/language.py": "qwen wan",
        "nodegraph/weights/single_files/qwen35.py": "qwen",
        "nodegraph/weights/tokenizer_files.py": "qwen",
    },
    "Names that other tools write into images": {
        "nodegraph/interop/image_metadata/invokeai.py": "cogview flux qwen sd3 zimage",
        "nodegraph/interop/image_metadata/json_forms.py": "sdxl",
        "nodegraph/interop/image_metadata/sampler_names.py": "flux ltx",
    },
    "Color planes of videos": {
        "nodegraph/media/videos/colors.py": "chroma",
    },
    "Names under which the example models are published": {
        "nodegraph/server/http/routes/workflow_operations.py": "sd1 stablediffusion",
    },
    "Stands in for a model that is not known yet, and is compared with Stable Diffusion": {
        "nodes/_memory.py": "sd1 stablediffusion",
        "nodes/_training_facts.py": "sd1 stablediffusion",
    },
    "Nodes of one model: its image prompts, its schedule": {
        "nodegraph/models/conditioning.py": "sdxl stablecascade stablediffusion",
        "nodes/_conditioning_facts.py": "stablecascade",
        "nodes/revision.py": "stablecascade",
        "nodegraph/models/ip_adapters/image_prompts.py": "flux",
        "nodegraph/weights/single_files/clip.py": "flux",
        "nodes/_ip_adapter_facts.py": "flux sdxl stablecascade stablediffusion",
        "nodes/schedule_lists.py": "flux ideogram ltx",
    },
    "Says of which model diffusers ships ratios for MagCache": {
        "nodegraph/models/speed/speed_support.py": "flux",
        "nodegraph/models/speed/step_caches.py": "flux",
    },
    "The parts of one model or of one kind of network in files": {
        "nodegraph/models/ip_adapters/image_prompt_files.py": "sdxl stablediffusion",
    },
    "A sampler's name in diffusers": {
        "nodegraph/sampling/samplers/__init__.py": "cogvideox",
        "nodegraph/sampling/samplers/ddim.py": "cogvideox",
        "nodegraph/sampling/samplers/euler.py": "ltx",
    },
    "The size of latents of music": {
        "nodes/_sound_facts.py": "ace longcat ltx minimax stableaudio",
    },
    "Latent formats, which are shared by families": {
        "nodes/models.py": "flux qwen sd3 sdxl wan",
    },
}
"""By reason: the files, and the families that each names. Families of items aren't looked for:
their names are English words."""


_SPELLINGS = {
    "qwenimage": "qwen",
    "hunyuanimage": "hunyuan",
    "ltxv": "ltx",
    "kontext": "flux",
    "klein": "flux",
}
"""Other spellings, and models that have names of their own, with the stem of their family. Classes
that several families share, as `UNet2DConditionModel`, and text encoders, as UMT5, name none."""


_ENGLISH = ("stable",)
"""First words of names that are also English ones."""


def _stem(name: str) -> str:
    """The part of a family's name that its relatives share: ``flux`` of ``flux2-klein``."""
    first, _, _ = name.partition("-")
    if len(first) == 1 or first in _ENGLISH:
        first = name.replace("-", "")
    short = first.rstrip("0123456789")
    return short if len(short) > 2 else first


@cache
def _pattern() -> re.Pattern[str]:
    families = {name: entry.family() for name, entry in INDEX.items()}
    images = {name: one for name, one in families.items() if not isinstance(one, ItemFamily)}
    titles = {re.sub(r"[^a-z]", "", one.title.lower()) for one in images.values()}
    stems = {_stem(name) for name in images} | {one for one in titles if one == "stablediffusion"}
    choices = "|".join("_?".join(stem) for stem in sorted(stems | _SPELLINGS.keys()))
    # diffusers joins `AutoencoderKL` and the name, as in `AutoencoderKLLTXVideo`.
    return re.compile(rf"(?:(?<![a-z])|(?<=_kl))({choices})(?![a-z])")


def named_families(text: str) -> set[str]:
    """The families that an identifier or a text names, by their stems."""
    borders = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-. ]"
    flat = re.sub(borders, "_", text).lower()
    words = (match[1].replace("_", "") for match in _pattern().finditer(flat))
    return {_SPELLINGS.get(word, word) for word in words}


def _texts(module: Module) -> Iterator[str]:
    """All identifiers of a module, and its strings except docstrings."""
    docstrings = {
        id(statement.value)
        for item in ast.walk(module.tree)
        if isinstance(item, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in item.body
        if isinstance(statement, ast.Expr)
    }
    for item in ast.walk(module.tree):
        match item:
            case ast.Constant(value=str(text)) if id(item) not in docstrings:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.arg(arg=str(name)) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=alias):
                yield f"{name} {alias or ''}"
            case ast.ImportFrom(module=str(name)):
                yield name


def mentions() -> dict[str, set[str]]:
    """The families that each file names, by the file's path."""
    named = {}
    for module in read_modules().values():
        path = module.path.as_posix()
        if not path.startswith(OWN_FOLDERS):
            words = {word for text in _texts(module) for word in named_families(text)}
            if words:
                named[path] = words
    return named


def test_each_mention_of_a_family_has_a_reason() -> None:
    listed: dict[str, set[str]] = {}
    for files in REASONS.values():
        for path, words in files.items():
            listed.setdefault(path, set()).update(words.split())
    actual = mentions()
    new = {path: words - listed.get(path, set()) for path, words in actual.items()}
    stale = {path: words - actual.get(path, set()) for path, words in listed.items()}
    assert {path: words for path, words in new.items() if words} == {}, (
        "let the family's module say it, or add the file to REASONS"
    )
    assert {path: words for path, words in stale.items() if words} == {}, "remove it from REASONS"


@pytest.mark.parametrize(
    ("text", "stems"),
    [
        ("FluxTransformer2DModel", {"flux"}),
        ("flux2_levels", {"flux"}),
        ("influx luminance wander", set()),
        ("z-image", {"zimage"}),
        ("Stable Diffusion 3 or HiDream", {"stablediffusion", "hidream"}),
        ("AutoencoderKLWan", {"wan"}),
        ("AutoencoderKLLTXVideo", {"ltx"}),
        ("ltxv qwenimage", {"ltx", "qwen"}),
        ("HunyuanImageTransformer2DModel hunyuanimage", {"hunyuan"}),
        ("kontext Klein", {"flux"}),
    ],
)
def test_a_family_is_recognised_in_a_text(text: str, stems: set[str]) -> None:
    assert named_families(text) == stems
