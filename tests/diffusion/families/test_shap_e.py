"""Shap-E gives what diffusers' pipelines give, to the last bit.

Colors of meshes are the renderer's own, in sRGB, which diffusers converts to linear ones.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch
import transformers as tf
from diffusers.pipelines.shap_e.renderer import ShapERenderer, _convert_srgb_to_linear
from torch import Tensor

from nodegraph.core.spatial_values import Mesh
from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import (
    decode_latent,
    encode_prompt,
    load_component,
    open_model,
    sample,
)
from nodegraph.errors import InvalidValue, NumericalError, UnsafeFile
from nodegraph.families.shap_e_renderer import extract_mesh, render_views
from nodegraph.models.conditioning import encode_edit, encode_image_prompt
from nodegraph.models.vae import decode_meshes, decode_views
from tests.messages import raises

from .conftest import Pair
from .equality import SEED, Model, picture
from .parts import clip_text
from .words import clip_words

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
"""Of a function of numpy that diffusers' scheduler uses."""

ModelOf = Callable[[Callable[[], Any]], Pair]

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"seed": SEED, "steps": 2, "cfg": 4.0, "sampler": "heun", "schedule": "karras"}
)
TEXT = "a red cat"
SIDE = 1024
_FACES = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3))
"""Corners of each face of a cube, counter-clockwise as seen from outside; x, y and z in bits."""


def cube_edges() -> list[frozenset[int]]:
    """The edges of a cube in the order that the renderer gives them."""
    lower = {1: (0, 2, 4, 6), 2: (0, 1, 4, 5), 4: (0, 1, 2, 3)}
    return [frozenset((low, low + step)) for step, lows in lower.items() for low in lows]


def surface_table() -> tuple[Tensor, Tensor]:
    """A table for marching cubes: around each solid part of a face, a line goes from where the face
    enters it to where it leaves it, and lines that close are filled."""
    edges = cube_edges()
    cases = torch.zeros(256, 5, 3, dtype=torch.long)
    masks = torch.zeros(256, 5, dtype=torch.bool)
    for case in range(256):
        following = {}
        for face in _FACES:
            sides = [edges.index(frozenset((face[at - 1], face[at]))) for at in range(4)]
            inside = [case >> corner & 1 for corner in face]
            for at in range(4):
                if inside[at] and not inside[at - 1]:
                    end = next(at + n for n in range(1, 4) if not inside[(at + n) % 4])
                    following[sides[at]] = sides[end % 4]
        triangles = []
        while following:
            line = [next(iter(following))]
            while line[0] != (step := following.pop(line[-1])):
                line.append(step)
            triangles += [(line[0], line[at], line[at + 1]) for at in range(1, len(line) - 1)]
        for at, triangle in enumerate(triangles):
            cases[case, at], masks[case, at] = torch.tensor(triangle), True
    return cases, masks


def prior(embedding: int, **more: Any) -> Any:
    return d.PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        embedding_dim=SIDE,
        num_embeddings=SIDE,
        additional_embeddings=0,
        time_embed_act_fn="gelu",
        norm_in_type="layer",
        encoder_hid_proj_type=None,
        added_emb_type=None,
        time_embed_dim=32,
        embedding_proj_dim=embedding,
        clip_embed_dim=2 * SIDE,
        **more,
    )


def renderer() -> Any:
    made = ShapERenderer(
        param_shapes=((8, 93), (8, 8), (8, 8), (8, 8)), d_latent=SIDE, d_hidden=8, n_output=12
    )
    made.mesh_decoder.cases, made.mesh_decoder.masks = surface_table()
    return made


def schedule() -> Any:
    return d.HeunDiscreteScheduler(
        beta_schedule="exp",
        num_train_timesteps=1024,
        prediction_type="sample",
        use_karras_sigmas=True,
        clip_sample=True,
        clip_sample_range=1.0,
    )


def shap_e() -> Any:
    words = clip_words()
    return d.ShapEPipeline(
        prior=prior(24),
        text_encoder=clip_text(words, 32, 24),
        tokenizer=words,
        scheduler=schedule(),
        shap_e_renderer=renderer(),
    )


def shap_e_image() -> Any:
    config = tf.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    )
    return d.ShapEImg2ImgPipeline(
        prior=prior(32, embedding_proj_norm_type="layer"),
        image_encoder=tf.CLIPVisionModel(config),
        image_processor=tf.CLIPImageProcessor(size=32, crop_size=32),
        scheduler=schedule(),
        shap_e_renderer=renderer(),
    )


def sampled(
    model: Any, positive: Conditioning, negative: Conditioning | None = None, **more: Any
) -> Tensor:
    latent = more.pop("latent", None) or Latent(None, SIDE, SIDE, more.pop("batch", 1))
    found = sample(model, positive, negative, latent, **{**OPTIONS, **more})
    assert found.samples is not None
    return found.samples


def stock(
    pipeline: Any, prompt: Any, *, batch: int = 1, cfg: float = 4.0, steps: int = 2
) -> Tensor:
    made = pipeline(
        prompt,
        num_images_per_prompt=batch,
        guidance_scale=cfg,
        num_inference_steps=steps,
        generator=[torch.Generator().manual_seed(SEED + item) for item in range(batch)],
        output_type="latent",
    )
    latents: Tensor = made.images
    return latents[:, None]


def pixels_of(image: Any) -> Tensor:
    return torch.from_numpy(np.asarray(image) / 255.0).float()[None]


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-3
    assert torch.equal(found, expected), (found - expected).abs().max()


@pytest.mark.parametrize(
    ("text", "cfg", "steps", "batch"),
    [
        (TEXT, 4.0, 2, 1),
        pytest.param("a dog", 1.0, 1, 1, marks=pytest.mark.slow),
        pytest.param("", 0.0, 3, 1, marks=pytest.mark.slow),
        pytest.param("a cat and a dog " * 40, 7.3, 4, 3, marks=pytest.mark.slow),
    ],
)
def test_solids_of_a_text_are_those_of_diffusers(
    model_of: ModelOf, text: str, cfg: float, steps: int, batch: int
) -> None:
    pipeline, model = model_of(shap_e)
    positive = encode_prompt(model.part("text_encoder"), text)
    found = sampled(model.part("model"), positive, cfg=cfg, steps=steps, batch=batch)
    assert_equal(found, stock(pipeline, text, cfg=cfg, steps=steps, batch=batch))


@pytest.mark.parametrize(
    ("size", "cfg", "batch"),
    [((40, 32), 4.0, 1), pytest.param((61, 33), 7.3, 3, marks=pytest.mark.slow)],
)
def test_solids_of_an_image_are_those_of_diffusers(
    model_of: ModelOf, size: tuple[int, int], cfg: float, batch: int
) -> None:
    pipeline, model = model_of(shap_e_image)
    image = picture(*size)
    pixels = pixels_of(image)
    positive = encode_image_prompt(model.part("text_encoder"), pixels)
    found = sampled(model.part("model"), positive, cfg=cfg, batch=batch)
    assert_equal(found, stock(pipeline, image, cfg=cfg, batch=batch))


@pytest.mark.slow
@pytest.mark.parametrize("build", [shap_e, shap_e_image])
def test_in_bfloat16_as_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    narrow = Model(model.folder, "bfloat16")
    loaded = type(pipeline).from_pretrained(model.folder, dtype=torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    encoder, image = narrow.part("text_encoder"), picture(40, 32)
    if build is shap_e:
        prompt, positive = TEXT, encode_prompt(encoder, TEXT)
    else:
        prompt, positive = image, encode_image_prompt(encoder, pixels_of(image))
    assert_equal(sampled(narrow.part("model"), positive), stock(loaded, prompt).float())


def denoised_by_diffusers(
    pipeline: Any, away: Tensor, start: Tensor, steps: int, denoise: float
) -> Tensor:
    """From a latent instead of noise, as diffusers' pipelines of images do it: its parts around a
    loop, since no pipeline of Shap-E does.

    Args:
        away: What guidance goes from, and behind it what it goes to.
    """
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(steps)
    first = max(steps - int(steps * denoise), 0) * scheduler.order
    scheduler.set_begin_index(first)
    noise = torch.randn(start.shape, generator=torch.Generator().manual_seed(SEED))
    timesteps = scheduler.timesteps[first:]
    x = scheduler.add_noise(start, noise, timesteps[:1])
    for time in timesteps:
        scaled = scheduler.scale_model_input(torch.cat([x] * 2), time)
        output = pipeline.prior(scaled, timestep=time, proj_embedding=away)
        without, towards = output.predicted_image_embedding[..., :SIDE].chunk(2)
        x = scheduler.step(without + 4.0 * (towards - without), time, x).prev_sample
    return torch.as_tensor(x)


@pytest.mark.parametrize(
    "denoise", [0.5, *(pytest.param(each, marks=pytest.mark.slow) for each in (0.13, 0.99))]
)
def test_from_another_solid_as_the_parts_of_diffusers(model_of: ModelOf, denoise: float) -> None:
    pipeline, model = model_of(shap_e)
    positive, negative = (encode_prompt(model.part("text_encoder"), text) for text in (TEXT, "dog"))
    start = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) - 0.5
    latent = Latent(start, SIDE, SIDE, format="shap-e")
    found = sampled(
        model.part("model"), positive, negative, latent=latent, steps=8, denoise=denoise
    )
    both = torch.cat([item.entries[0].embeddings[:, 0] for item in (negative, positive)])
    expected = denoised_by_diffusers(pipeline, both, start[:, 0], 8, denoise)
    assert_equal(found[:, 0], expected)


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [
        ("euler", "karras"),
        pytest.param("dpmpp_2m", "karras", marks=pytest.mark.slow),
        pytest.param("ddim", "normal", marks=pytest.mark.slow),
        pytest.param("dpmpp_2m_sde", "exponential", marks=pytest.mark.slow),
    ],
)
def test_other_samplers_predict_the_same_kind_of_latent(
    model_of: ModelOf, sampler: str, scheduler: str
) -> None:
    """Predictions are clipped to -1..1 where the scheduler file says so, and the last one is the
    result."""
    _, model = model_of(shap_e)
    positive = encode_prompt(model.part("text_encoder"), TEXT)
    found = sampled(
        model.part("model"), positive, sampler=sampler, schedule=scheduler, steps=3, cfg=15.0
    )
    assert torch.isfinite(found).all()
    assert found.std() > 1e-3


def solid(scale: float = 1.0) -> Tensor:
    return torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(5)) * scale


def half_inside(model_of: ModelOf) -> Any:
    """See `half_inside_of`."""
    return half_inside_of(model_of(shap_e)[0].shap_e_renderer)


def half_inside_of(renderer: Any) -> Any:
    """A copy of a renderer by which half of the box is inside of `solid`, and all of it dense."""
    made = copy.deepcopy(renderer)
    # It leaves the weights of the latent in the network.
    made.decode_to_image(solid()[None], "cpu", size=2, ray_batch_size=80)
    points = torch.rand(1, 500, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = made.mlp(position=points, direction=None, ts=None, rendering_mode="stf")
    made.mlp.mlp[-1].bias[1:3] += 1  # densities
    made.mlp.mlp[-1].bias[0] -= found.signed_distance.atanh().median()
    return made


def test_views_are_those_of_diffusers(model_of: ModelOf) -> None:
    """In batches of 160 rays, as its method drops the rays behind the last full batch."""
    made = copy.deepcopy(model_of(shap_e)[0].shap_e_renderer)
    found = render_views(made, solid(), size=8, at_once=160)
    expected = made.decode_to_image(solid()[None], "cpu", size=8, ray_batch_size=160)
    assert expected.std() > 1e-3
    assert torch.equal(found, expected)


def test_views_of_a_batch_come_solid_after_solid(model_of: ModelOf) -> None:
    vae, shares = model_of(shap_e)[1].part("vae"), list[float]()
    samples = torch.stack([solid(), solid(2.0)])[:, None]
    latent = Latent(samples, SIDE, SIDE, 2, format="shap-e")
    found = decode_views(vae, latent, views=2, size=4, on_progress=shares.append)
    views = [render_views(vae.module, item[0], views=2, size=4) for item in samples]
    assert not torch.equal(*views)
    assert torch.equal(found, torch.cat(views).clamp(0, 1))
    assert shares == [0.5, 1.0]


def test_views_that_fill_no_batch_are_whole(model_of: ModelOf) -> None:
    made = model_of(shap_e)[0].shap_e_renderer
    shares = list[float]()
    found = render_views(made, solid(), views=3, size=5, at_once=40, on_progress=shares.append)
    assert found.shape == (3, 5, 5, 3)
    assert shares == [40 / 75, 1.0]
    assert found.flatten(1).std(1).min() > 1e-4


def closed_edges(mesh: Mesh) -> bool:
    """Whether each edge has as many triangles on one side as on the other."""
    edges = torch.cat([mesh.faces[:, pair] for pair in ((0, 1), (1, 2), (2, 0))])
    ahead, back = (
        (edges[:, 0] * len(mesh.vertices) + edges[:, 1]),
        (edges[:, 1] * len(mesh.vertices) + edges[:, 0]),
    )
    return torch.equal(ahead.sort().values, back.sort().values)


@pytest.mark.parametrize("grid", [12, pytest.param(33, marks=pytest.mark.slow)])
def test_a_mesh_is_that_of_diffusers(model_of: ModelOf, grid: int) -> None:
    """With y up instead of z, and with colors before their conversion."""
    made = half_inside(model_of)
    found = extract_mesh(made, solid(), grid=grid)
    expected = made.decode_to_mesh(solid()[None], "cpu", grid_size=grid)
    assert found is not None
    x, y, z = expected.verts.unbind(1)
    assert torch.equal(found.vertices, torch.stack([x, z, -y], 1))
    assert torch.equal(found.faces, expected.faces)
    assert found.colors is not None
    channels = torch.stack([expected.vertex_channels[name] for name in "RGB"], 1)
    assert torch.equal(_convert_srgb_to_linear(found.colors), channels)
    assert len(found.faces) > 50
    assert closed_edges(found)


def volume(mesh: Mesh) -> float:
    """Above 0 if triangles are counter-clockwise as seen from outside."""
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def test_triangles_face_outwards(model_of: ModelOf) -> None:
    """Where all is inside, the surface is the border of the grid."""
    made = copy.deepcopy(model_of(shap_e)[0].shap_e_renderer)
    made.mlp.mlp[-1].bias[0] = 1e3
    found = extract_mesh(made, solid(), grid=4)
    assert found is not None
    assert 2.0 < volume(found) < 8.0
    made.mlp.mlp[-1].bias[0] = -1e3
    assert extract_mesh(made, solid(), grid=4) is None


def no_progress(share: float) -> None: ...


def test_solids_without_a_surface_are_left_out(model_of: ModelOf) -> None:
    vae = replace(model_of(shap_e)[1].part("vae"), modules={"vae": half_inside(model_of)})
    latent = Latent(solid()[None, None].repeat(2, 1, 1, 1), SIDE, SIDE, 2, format="shap-e")
    assert len(decode_meshes(vae, latent, grid=8, on_progress=no_progress)) == 2
    vae.module.mlp.mlp[-1].bias[0] = -1e3
    with raises(InvalidValue, port="latent", given="2 solids"):
        decode_meshes(vae, latent, grid=8, on_progress=no_progress)


def test_a_renderer_without_a_table_makes_no_mesh(model_of: ModelOf) -> None:
    _, model = model_of(shap_e)
    bare = copy.deepcopy(model.part("vae"))
    bare.module.mesh_decoder.masks.zero_()
    latent = Latent(solid()[None, None], SIDE, SIDE, format="shap-e")
    with raises(InvalidValue, port="vae"):
        decode_meshes(bare, latent, grid=8, on_progress=no_progress)


def test_cropped_latents_are_not_decoded(model_of: ModelOf) -> None:
    _, model = model_of(shap_e)
    latent = Latent(solid()[None, None, :, :512], 512, SIDE, format="shap-e")
    with raises(InvalidValue, port="latent", given="512 x 1024"):
        decode_meshes(model.part("vae"), latent, grid=8, on_progress=no_progress)


def test_distances_without_a_value_are_an_error(model_of: ModelOf) -> None:
    made = copy.deepcopy(model_of(shap_e)[0].shap_e_renderer)
    made.mlp.mlp[-1].bias[0] = float("nan")
    with pytest.raises(NumericalError):
        extract_mesh(made, solid(), grid=4)


def test_a_solid_is_no_image(model_of: ModelOf) -> None:
    _, model = model_of(shap_e)
    latent = Latent(solid()[None, None], SIDE, SIDE, format="shap-e")
    with raises(InvalidValue, port="vae", given="one of format shap-e"):
        decode_latent(model.part("vae"), latent)


def test_latents_of_images_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(shap_e)
    positive = encode_prompt(model.part("text_encoder"), TEXT)
    with raises(InvalidValue, port="latent", given="512 x 512"):
        sampled(model.part("model"), positive, latent=Latent(None, 512, 512))


def test_texts_and_images_are_not_confused(model_of: ModelOf) -> None:
    _, model = model_of(shap_e)
    _, other = model_of(shap_e_image)
    pixels = pixels_of(picture(32, 32))
    with raises(InvalidValue, port="encoder"):
        encode_prompt(other.part("text_encoder"), TEXT)
    with raises(InvalidValue, port="encoder"):
        encode_edit(other.part("text_encoder"), TEXT, [pixels])
    with raises(InvalidValue, port="encoder", given="shap-e"):
        encode_image_prompt(model.part("text_encoder"), pixels)
    with raises(InvalidValue, port="image", given="2 images"):
        encode_image_prompt(other.part("text_encoder"), pixels.repeat(2, 1, 1, 1))
    with raises(InvalidValue, port="positive"):
        sampled(other.part("model"), encode_prompt(model.part("text_encoder"), TEXT))


def test_a_renderer_in_a_pickle_file_is_read_if_allowed(model_of: ModelOf, tmp_path: Path) -> None:
    """As it is published, beside other parts in float16."""
    pipeline, model = model_of(shap_e)
    folder = tmp_path / "shap-e"
    shutil.copytree(model.folder, folder)
    weights = "diffusion_pytorch_model"
    (folder / "shap_e_renderer" / f"{weights}.safetensors").unlink()
    renderer = pipeline.shap_e_renderer
    torch.save(renderer.state_dict(), folder / "shap_e_renderer" / f"{weights}.bin")
    prior = folder / "prior" / f"{weights}.safetensors"
    prior.rename(prior.with_name(f"{weights}.fp16.safetensors"))
    with pytest.raises(UnsafeFile):
        open_model(str(folder), [])
    loaded = load_component(open_model(str(folder), [], allow_pickle=True).vae, "cpu").module
    assert torch.equal(loaded.mesh_decoder.cases, renderer.mesh_decoder.cases)
    assert torch.equal(loaded.mesh_decoder.masks, renderer.mesh_decoder.masks)
    found, expected = (render_views(each, solid(), views=1, size=4) for each in (loaded, renderer))
    assert torch.equal(found, expected)
