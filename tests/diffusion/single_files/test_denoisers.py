"""Denoisers in files of their own: told from each other, configured, and every tensor back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import diffusers
import diffusers.loaders.single_file_utils as converters
import pytest
import torch
from torch import Tensor

from nodegraph.families.base import Family
from nodegraph.families.identification import find_unsupported_title
from nodegraph.families.registry import FAMILIES
from nodegraph.families.scheduler_file import check_supported, noise_kind
from nodegraph.sampling.guiders.decomposed_guidance import ProjectedGuidance
from nodegraph.weights.single_files.base import FileLayout
from nodegraph.weights.single_files.renamed_layouts import PREFIXES
from tests.diffusion.adapters.denoisers import on_meta
from tests.messages import raises

from . import double_stream
from .models import SMALL
from .originals import WRITERS

LAYOUTS: dict[str, FileLayout] = {
    layout.name: layout
    for family in FAMILIES.values()
    for part in family.denoisers
    for layout in part.files
}


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_config(module: Any, shapes: dict[str, tuple[int, ...]], layout: FileLayout) -> None:
    """The configuration that is found makes such a module, in all that its class is told."""
    with torch.device("meta"):
        built = type(module).from_config(layout.config(shapes))
    assert shapes_of(built.state_dict()) == shapes_of(module.state_dict())
    for key, value in module.config.items():
        assert key.startswith("_") or plain(built.config[key]) == plain(value), key


def plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@pytest.fixture(scope="module")
def files() -> dict[str, tuple[Any, dict[str, Tensor]]]:
    torch.manual_seed(0)
    made = {}
    for name, small in SMALL.items():
        module: Any = small.build()
        made[name] = module, WRITERS[small.writer](module.state_dict())
    return made


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("naming", ["original", "diffusers"])
def test_every_tensor_comes_back(files: dict[str, Any], name: str, naming: str) -> None:
    module, file = files[name]
    expected = module.state_dict()
    given = file if naming == "original" else dict(expected)
    layout = LAYOUTS[SMALL[name].layout]
    check_config(module, shapes_of(given), layout)
    found = layout.convert(given, layout.config(shapes_of(given)))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], item) for key, item in expected.items())


@pytest.mark.parametrize("name", SMALL)
def test_a_published_model_is_configured_as_it_says(name: str) -> None:
    module: Any = SMALL[name].on_meta()
    file = WRITERS[SMALL[name].writer](module.state_dict())
    layout = LAYOUTS[SMALL[name].layout]
    assert layout.prefix(shapes_of(file)) == ""
    check_config(module, shapes_of(file), layout)


ALIKE = {
    "skyreels-v2-transformer": "wan-transformer",
    "skyreels-v2-df-transformer": "wan-transformer",
    "hunyuan-video-i2v-transformer": "hunyuan-video-transformer",
}
"""Layouts with the tensors of another, which is taken unless somebody chooses the family."""


@pytest.mark.parametrize(
    # Files of Wan Animate 2 look like those of Wan 2.1: see test_wan_animate2.
    "name",
    [name for name in SMALL if not name.startswith("wan-animate-2")],
)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_file_is_one_layouts_alone(files: dict[str, Any], name: str, prefix: str) -> None:
    module, file = files[name]
    for given in (file, module.state_dict()):
        shapes = shapes_of({f"{prefix}{key}": item for key, item in given.items()})
        shapes |= {"vae.decoder.conv_in.weight": (8, 4, 3, 3), "text_encoders.x.weight": (8, 8)}
        found = {key: layout.prefix(shapes) for key, layout in LAYOUTS.items()}
        layout = SMALL[name].layout
        alike = {key for key, other in ALIKE.items() if other == layout}
        taken = {key: value for key, value in found.items() if value is not None}
        taken = {key: value for key, value in taken.items() if key not in alike}
        assert taken == {layout: prefix}


@pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")
@pytest.mark.parametrize("name", ["flux", "chroma", "sd3"])
def test_older_ones_are_not_taken_for_newer_ones(name: str) -> None:
    tensors = on_meta(name, **({} if name == "sd3" else _AXES)).state_dict()
    write = double_stream.sd3 if name == "sd3" else double_stream.flux
    for given in (write(tensors), tensors):
        taken = [key for key, layout in LAYOUTS.items() if layout.matches(shapes_of(given))]
        assert taken == [f"{name}-transformer"]


_AXES = {"attention_head_dim": 128, "axes_dims_rope": (16, 56, 56)}

CONVERTERS: dict[str, Callable[..., dict[str, Tensor]]] = {
    "z-image-omni": converters.convert_z_image_transformer_checkpoint_to_diffusers,
    "z-image": converters.convert_z_image_transformer_checkpoint_to_diffusers,
    "sana": converters.convert_sana_transformer_to_diffusers,
    "wan": converters.convert_wan_transformer_to_diffusers,
    "wan-i2v": converters.convert_wan_transformer_to_diffusers,
    "wan-vace": converters.convert_wan_transformer_to_diffusers,
    "wan-animate": converters.convert_wan_transformer_to_diffusers,
    "wan-animate-2": converters.convert_wan_animate_2_transformer_to_diffusers,
    "wan-animate-2-comfyui": converters.convert_wan_animate_2_transformer_to_diffusers,
    "ltx": converters.convert_ltx_transformer_checkpoint_to_diffusers,
    "flux2": converters.convert_flux2_transformer_checkpoint_to_diffusers,
}


@pytest.mark.parametrize("name", CONVERTERS)
def test_diffusers_reads_the_file_alike(files: dict[str, Any], name: str) -> None:
    _, file = files[name]
    zero = torch.zeros(1)
    more = {"pos_embed": zero, "y_embedder.y_embedding": zero} if name == "sana" else {}
    # The kernels of blurs, which its class computes, stay as they are there.
    file = {key: item for key, item in file.items() if not key.endswith(".kernel")}
    expected = CONVERTERS[name]({**more, **file})
    found = LAYOUTS[SMALL[name].layout].convert({**more, **file}, {})
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], item) for key, item in expected.items())


UNUSED = {
    "z-image": ("norm_final.weight",),
    "lumina2": ("norm_final.weight",),
    "sana": ("pos_embed", "y_embedder.y_embedding", "logvar_linear.weight", "logvar_linear.bias"),
    "sana-video": ("y_embedder.y_embedding", "logvar_linear.weight", "logvar_linear.bias"),
    "pixart-sigma": ("pos_embed", "y_embedder.y_embedding"),
    "qwen-image": ("__index_timestep_zero__",),
}


@pytest.mark.parametrize("name", UNUSED)
def test_what_no_picture_depends_on_is_left_out(files: dict[str, Any], name: str) -> None:
    module, file = files[name]
    given = {**file, **dict.fromkeys(UNUSED[name], torch.zeros(1))}
    layout = LAYOUTS[SMALL[name].layout]
    assert layout.prefix(shapes_of(given)) == ""
    assert layout.convert(given, {}).keys() == module.state_dict().keys()


def test_what_is_not_known_keeps_its_name(files: dict[str, Any]) -> None:
    given = {**files["wan"][1], "blocks.0.adapter.weight": torch.zeros(1)}
    assert "blocks.0.adapter.weight" in LAYOUTS["wan-transformer"].convert(given, {})


RELATIVES = {
    "clip_text_pooled_proj.0.weight": ("lumina2", "NewBie"),
    "cfg_embedder.mlp.0.weight": ("sana", "Sana Sprint"),
    "csize_embedder.mlp.0.weight": ("pixart-sigma", "PixArt-α"),
    "ref_conv.weight": ("wan", "reference"),
    "control_adapter.conv.weight": ("wan", "camera"),
    "face_adapter.fuser_blocks.0.k_norm.weight": ("wan", "Wan Animate"),
    "vision_in.proj.0.weight": ("hunyuan-image", "HunyuanVideo"),
}


@pytest.mark.parametrize("mark", RELATIVES)
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_relatives_are_told_as_what_they_are(files: dict[str, Any], mark: str, prefix: str) -> None:
    name, title = RELATIVES[mark]
    shapes = {f"{prefix}{k}": v for k, v in changed(files, name, {mark: (8, 8)}).items()}
    assert not any(layout.prefix(shapes) is not None for layout in LAYOUTS.values())
    assert title in str(find_unsupported_title(shapes))


def changed(
    files: dict[str, Any], name: str, shapes: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    return shapes_of(files[name][1]) | shapes


def test_wan_with_other_latents_or_a_film_of_another_kind_is_not_taken(
    files: dict[str, Any],
) -> None:
    for channels in (32, 52):
        shapes = changed(files, "wan", {"patch_embedding.weight": (256, channels, 1, 2, 2)})
        assert not any(layout.matches(shapes) for layout in LAYOUTS.values())


def test_pixart_alpha_is_told_by_its_shorter_prompts(files: dict[str, Any]) -> None:
    sigma, alpha = (
        changed(files, "pixart-sigma", {"y_embedder.y_embedding": (tokens, 48)})
        for tokens in (300, 120)
    )
    assert LAYOUTS["pixart-sigma-transformer"].matches(sigma)
    assert not LAYOUTS["pixart-sigma-transformer"].matches(alpha)


@pytest.mark.parametrize(
    ("name", "places", "sample", "scale"),
    [
        ("sana", None, 32, None),
        ("sana", (1,), 32, None),
        ("sana", (1, 256, 128), 16, None),
        ("sana", (1, 64 * 64, 128), 64, 1.0),
        ("sana", (1, 128 * 128, 128), 128, 2.0),
        ("pixart-sigma", None, 128, 2.0),
        ("pixart-sigma", (1, 32 * 32, 144), 64, 1.0),
        ("pixart-sigma", (1, 128 * 128, 144), 256, 4.0),
    ],
)
def test_the_table_of_places_tells_the_size(
    files: dict[str, Any], name: str, places: tuple[int, ...] | None, sample: int, scale: float
) -> None:
    shapes = changed(files, name, {} if places is None else {"pos_embed": places})
    config = LAYOUTS[SMALL[name].layout].config(shapes)
    assert (config["sample_size"], config["interpolation_scale"]) == (sample, scale)


def test_qwen_image_edit_of_november_is_told_by_comfyuis_mark(files: dict[str, Any]) -> None:
    layout = LAYOUTS["qwen-image-transformer"]
    marked = changed(files, "qwen-image", {"__index_timestep_zero__": (0,)})
    assert layout.config(marked)["zero_cond_t"]


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1, 1)])
def test_shapes_of_something_else_are_no_worse_than_a_missing_tensor(
    files: dict[str, Any], shape: tuple[int, ...]
) -> None:
    for _, file in files.values():
        junk = dict.fromkeys(file, shape)
        for layout in LAYOUTS.values():
            if layout.matches(junk):
                with contextlib.suppress(KeyError):
                    layout.config(junk)


def test_a_missing_tensor_is_a_key_error(files: dict[str, Any]) -> None:
    shapes = shapes_of(files["wan"][1])
    del shapes["text_embedding.0.weight"]
    with raises(KeyError):
        LAYOUTS["wan-transformer"].config(shapes)


def test_a_table_has_an_original_name_once() -> None:
    for layout in LAYOUTS.values():
        names = [original for _, original in layout.names.table]
        assert len(set(names)) == len(names), layout.name
        assert all(name.count("*") <= 1 for name in names), layout.name


FAMILY_LAYOUTS = [
    pytest.param(family, layout, id=f"{family.name}-{layout.name}")
    for family in FAMILIES.values()
    for layout in family.denoisers[0].files
    if layout.name in {small.layout for small in SMALL.values()}
]


@pytest.mark.parametrize(("family", "layout"), FAMILY_LAYOUTS)
def test_its_published_noise_schedule_is_one_that_is_sampled(
    files: dict[str, Any], family: Family, layout: FileLayout
) -> None:
    given = next(files[name][1] for name in SMALL if SMALL[name].layout == layout.name)
    schedule = dict(layout.scheduler(layout.config(shapes_of(given))))
    check_supported(schedule, kinds=(family.noise,))
    assert noise_kind(schedule) == family.noise
    unknown = schedule.keys() - getattr(diffusers, schedule["_class_name"])().config.keys()
    assert unknown == {"_class_name"}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("wan", {"boundary_ratio": 0.875}),
        ("wan22-i2v", {"boundary_ratio": 0.9}),
        ("wan22-5b", {"expand_timesteps": True}),
        ("wan22-5b-control", {"expand_timesteps": True}),
        ("wan22-control", {"boundary_ratio": 0.9}),
        ("wan22-camera", {"boundary_ratio": 0.9}),
        ("hunyuan-image-distilled", {}),
        ("qwen-image", {}),
    ],
)
def test_its_published_settings(files: dict[str, Any], name: str, settings: dict[str, Any]) -> None:
    layout = LAYOUTS[SMALL[name].layout]
    assert layout.settings(layout.config(shapes_of(files[name][1]))) == settings


def test_hunyuan_image_is_led_as_its_makers_do(files: dict[str, Any]) -> None:
    layout = LAYOUTS["hunyuan-image-transformer"]
    settings = layout.settings(layout.config(shapes_of(files["hunyuan-image"][1])))
    guiders = {name: ProjectedGuidance.from_config(item, 3.5) for name, item in settings.items()}
    assert {name: item.after for name, item in guiders.items() if item} == {
        "guider": 5,
        "ocr_guider": 38,
    }
