"""Shap-E gives what diffusers' pipelines give, to the last bit.

Colors of meshes are the renderer's own, in sRGB, which diffusers converts to linear ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.shap_e.renderer import ShapERenderer, _convert_srgb_to_linear
from torch import Tensor

from nodegraph.core.spatial_values import Mesh
from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import decode_latent, encode_prompt, sample
from nodegraph.errors import InvalidValue
from nodegraph.families.shap_e_renderer import extract_mesh, render_views
from nodegraph.models.conditioning import encode_edit, encode_image_prompt
from nodegraph.models.vae import decode_meshes, decode_views
from tests.messages import raises

from .conftest import Pair
from .equality import SEED, Model, picture
from .parts import clip_text
from .words import clip_words

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


def stock(pipeline: Any, prompt: Any, *, batch: int = 1, cfg: float = 4.0, steps: int = 2) -> Tensor:
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
    pixels = torch.from_numpy(__import__("numpy").asarray(image) / 255.0).float()[None]
    positive = encode_image_prompt(model.part("text_encoder"), pixels)
    found = sampled(model.part("model"), positive, cfg=cfg, batch=batch)
    assert_equal(found, stock(pipeline, image, cfg=cfg, batch=batch))
