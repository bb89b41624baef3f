"""GLM-Image gives what diffusers' pipeline gives, to the last bit.

The prior tokens of a seed, the texts that ByT5 reads, text to image at several sizes, batches,
guidance of 1 and 7.3, negative prompts, bfloat16, the last steps from an image, and edits of one
and of several images. It takes negative prompts as embeddings alone.

Where an image is edited, diffusers 0.42.1 expects the features of images as an earlier transformers
returned them: `PackedFeatures` brings them to that form. It takes images alone whose sides divided
by 32 leave a remainder below 16, as it rounds those of tokens and latents differently.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from PIL import Image
from torch import Tensor

from nodegraph.diffusion import encode_image, encode_prompt
from nodegraph.errors import InvalidValue
from nodegraph.families import glm_image_prior
from nodegraph.families.glm_image import GLM_IMAGE
from nodegraph.families.image_conditioning import PRIOR_TOKENS
from nodegraph.families.model_step import SamplingRequest
from nodegraph.families.speed_options import Broadcast, Taylor
from nodegraph.models.conditioning import encode_edit, with_references
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import MostLikely, as_tensor
from .late_start import late_start
from .parts import dynamic_flow
from .words import byte_characters

ModelOf = Callable[[Callable[[], Any]], Pair]
CODES = 64
"""Image tokens, which are the first words of the language model; 16384 of the published one."""
SMALLEST = 64
"""Shorter side of images to edit that the processor enlarges to; 512 as published."""
QUOTED = "a sign 'open' that says \u201call day\u201d and \u300cred\u300d"
LONG = "a red cat on a mat, " * 60


def _words() -> Any:
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    codes = [f"<code {number}>" for number in range(CODES)]
    marks = ["<image>", "</image>", "<|user|>", "<|image|>", "<sop>", "<eop>", "<pad>"]
    words = [*codes, *marks, *byte_characters(), "16"]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    core = Tokenizer(BPE(vocab=vocabulary, merges=[("1", "6")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    found = tf.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<image>",
        eos_token="</image>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=4096,
        additional_special_tokens=["<|user|>"],
        extra_special_tokens={
            "image_token": "<|image|>",
            "grid_bos_token": "<sop>",
            "grid_eos_token": "<eop>",
        },
    )
    found.chat_template = (
        "{% for m in messages %}<|user|>\n{% for c in m.content %}"
        "{% if c.type == 'image' %}<image><|image|></image>{% else %}{{ c.text }}{% endif %}"
        "{% endfor %}{% endfor %}"
    )
    return found


def _writer(words: Any) -> Any:
    mark = words.convert_tokens_to_ids
    config = tf.GlmImageConfig(
        text_config={
            "vocab_size": len(words),
            "vision_vocab_size": CODES,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "pad_token_id": mark("<pad>"),
            "eos_token_id": mark("</image>"),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 2],
                "partial_rotary_factor": 1.0,
            },
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "image_size": 64,
            "patch_size": 16,
        },
        vq_config={"embed_dim": 16, "num_embeddings": CODES, "latent_channels": 32},
        image_token_id=mark("<|image|>"),
        image_start_token_id=mark("<image>"),
        image_end_token_id=mark("</image>"),
    )
    found = tf.GlmImageForConditionalGeneration(config)
    found.generation_config = tf.GenerationConfig(
        do_sample=True,
        temperature=0.9,
        top_p=0.75,
        top_k=40,
        eos_token_id=mark("</image>"),
        pad_token_id=mark("<pad>"),
    )
    return found


def glm_image() -> Any:
    words = _words()
    letters = tf.ByT5Tokenizer()
    autoencoder = d.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=16,
        latents_mean=[0.1 * number - 0.7 for number in range(16)],
        latents_std=[0.9 + 0.05 * number for number in range(16)],
        use_quant_conv=False,
        use_post_quant_conv=False,
        sample_size=64,
    )
    return d.GlmImagePipeline(
        tokenizer=letters,
        processor=tf.GlmImageProcessor(
            tf.GlmImageImageProcessorPil(
                patch_size=16,
                temporal_patch_size=1,
                merge_size=1,
                size={"shortest_edge": SMALLEST**2, "longest_edge": 256**2},
                image_mean=[0.5] * 3,
                image_std=[0.4] * 3,
            ),
            words,
            chat_template=words.chat_template,
        ),
        text_encoder=tf.T5EncoderModel(
            tf.T5Config(
                vocab_size=384,
                d_model=32,
                d_kv=8,
                d_ff=64,
                num_layers=2,
                num_heads=4,
                feed_forward_proj="gated-gelu",
            )
        ),
        vision_language_encoder=_writer(words),
        vae=autoencoder,
        transformer=d.GlmImageTransformer2DModel(
            in_channels=16,
            num_layers=2,
            num_attention_heads=2,
            attention_head_dim=40,
            text_embed_dim=32,
            time_embed_dim=16,
            condition_dim=8,
            prior_vq_quantizer_codebook_size=CODES,
        ),
        scheduler=dynamic_flow(
            shift=1.0, base_shift=0.25, max_shift=0.75, time_shift_type="linear"
        ),
    )


def fitted(model: Model, prompt: str, width: int, height: int, **request: Any) -> dict[str, Tensor]:
    """The tensors of a prompt for a sampling."""
    (entry,) = encode_prompt(model.part("text_encoder"), prompt).entries
    wanted: dict[str, Any] = {"side": "positive", "seed": SEED, "cfg": 1.0, **request}
    sizes: dict[str, Any] = {"width": width, "height": height}
    shape = (1, 16, height // 8, width // 8)
    return GLM_IMAGE.fit(
        model.part("model"), entry, SamplingRequest(shape=shape, **sizes, **wanted)
    )


def prior(model: Model, prompt: str, width: int, height: int, **request: Any) -> Tensor:
    """The prior tokens of a prompt as the pipeline takes them, (1, tokens)."""
    cells = fitted(model, prompt, width, height, **request)[PRIOR_TOKENS]
    return cells[:, 0, ::2, ::2].flatten(1)


def expected(
    pair: Pair,
    width: int,
    height: int,
    cfg: float,
    *,
    prompt: str = PROMPT,
    negative: str | None = None,
    batch: int = 1,
    **options: Any,
) -> Made:
    """What the pipeline gives by the same prior tokens."""
    pipeline, model = pair
    if negative is not None:
        with torch.no_grad():
            away = pipeline._get_glyph_embeds([negative])
        options["negative_prompt_embeds"] = away.repeat(batch, 1, 1)
    called: dict[str, Any] = {"width": width, "height": height, "guidance_scale": cfg, **options}
    called["prior_token_ids"] = prior(model, prompt, width, height)
    return stock(pipeline, prompt=prompt, batch=batch, **called)


def test_glm_image_is_diffusers(model_of: ModelOf) -> None:
    """Each generates the prior tokens by the seed."""
    pipeline, model = model_of(glm_image)
    found = model.make(64, 64, cfg=7.3, prompt=QUOTED)
    called: dict[str, Any] = {"width": 64, "height": 64, "guidance_scale": 7.3}
    assert_same(found, stock(pipeline, prompt=QUOTED, **called), pixels=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "height", "seed"), [(64, 96, 7), (160, 32, 7), (64, 64, 2**64 - 1)]
)
def test_prior_tokens_are_diffusers(model_of: ModelOf, width: int, height: int, seed: int) -> None:
    pipeline, model = model_of(glm_image)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        tokens, _, _ = pipeline.generate_prior_tokens(
            LONG, height=height, width=width, generator=generator
        )
    assert torch.equal(prior(model, LONG, width, height, seed=seed), tokens)
    assert len(tokens.unique()) > 1


@pytest.mark.slow
def test_prior_tokens_follow_the_seed_alone(model_of: ModelOf) -> None:
    """The global generator neither changes them, nor is it changed."""
    _, model = model_of(glm_image)
    first = prior(model, PROMPT, 64, 64, seed=1)
    glm_image_prior._PRIORS.clear()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert torch.equal(prior(model, PROMPT, 64, 64, seed=1), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(prior(model, PROMPT, 64, 64, seed=2), first)


@pytest.mark.parametrize("text", [PROMPT, QUOTED, "'one' and 'another'", '""'])
def test_quoted_texts_are_read_as_diffusers_reads_them(model_of: ModelOf, text: str) -> None:
    pipeline, model = model_of(glm_image)
    (entry,) = encode_prompt(model.part("text_encoder"), text).entries
    with torch.no_grad():
        states, _ = pipeline.encode_prompt(text, do_classifier_free_guidance=False)
    assert torch.equal(entry.embeddings, states)


@pytest.mark.parametrize(
    ("width", "height", "cfg", "negative", "batch"),
    [
        (96, 64, 1.0, None, 2),
        pytest.param(64, 128, 7.3, "no 'text'", 2, marks=pytest.mark.slow),
        pytest.param(64, 64, 7.3, NEGATIVE, 3, marks=pytest.mark.slow),
        pytest.param(64, 64, 0.0, NEGATIVE, 1, marks=pytest.mark.slow),
    ],
)
def test_guidance_and_batches_are_diffusers(
    model_of: ModelOf, width: int, height: int, cfg: float, negative: str | None, batch: int
) -> None:
    """At 0 and 1 the pipeline reads the positive prompt alone; here that is 1."""
    pair = model_of(glm_image)
    both: dict[str, Any] = {"negative": negative, "batch": batch}
    found = pair[1].make(width, height, cfg=max(cfg, 1.0), **both)
    assert_same(found, expected(pair, width, height, cfg, **both))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_the_schedule_is_diffusers(model_of: ModelOf, steps: int) -> None:
    pair = model_of(glm_image)
    found = pair[1].make(64, 64, cfg=1.0, steps=steps)
    assert_same(found, expected(pair, 64, 64, 1.0, steps=steps))


@pytest.mark.parametrize(
    ("denoise", "walked"),
    [
        (0.5, 4),
        pytest.param(0.13, 1, marks=pytest.mark.slow),
        pytest.param(0.99, 7, marks=pytest.mark.slow),
    ],
)
def test_pictures_of_pictures_are_diffusers(model_of: ModelOf, denoise: float, walked: int) -> None:
    """diffusers has no such pipeline: its own one walks the last levels."""
    pipeline, model = pair = model_of(glm_image)
    latent = encode_image(model.part("vae"), as_tensor(picture(64, 64)))
    found = model.make(64, 64, latent=latent, cfg=4.0, denoise=denoise, steps=8)
    assert latent.samples is not None
    with late_start(pipeline, walked=walked) as noised:
        expected(pair, 64, 64, 4.0, steps=8)
        wanted = expected(pair, 64, 64, 4.0, steps=8, latents=noised(latent.samples))
    assert_same(found, wanted)


def test_pictures_are_encoded_as_diffusers_does(model_of: ModelOf) -> None:
    """As the pipeline encodes pictures to edit: by the mean and deviation of each channel."""
    pipeline, model = model_of(glm_image)
    latent = encode_image(model.part("vae"), as_tensor(picture(64, 64)))
    pixels = pipeline.image_processor.preprocess(picture(64, 64)).contiguous()
    config = pipeline.vae.config
    mean, deviation = (
        torch.tensor(values).view(1, -1, 1, 1)
        for values in (config.latents_mean, config.latents_std)
    )
    with torch.no_grad():
        mode = pipeline.vae.encode(pixels).latent_dist.mode()
    assert latent.samples is not None
    assert torch.equal(latent.samples, (mode - mean) / deviation)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    """The noise is bfloat16 in the pipeline, and float32 after the first step."""
    noise = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(SEED))
    found, wanted = in_bfloat16(model_of(glm_image), latents=noise)
    assert torch.equal(found.latents, wanted.latents.float())


class PackedFeatures:
    """The language model of a pipeline, with features as an earlier transformers returned them."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def get_image_features(self, pixels: Tensor, grids: Tensor) -> Any:
        found = self._writer.get_image_features(pixels, grids)
        found.pooler_output = [item.flatten(1).T for item in found.pooler_output]
        return found

    def get_image_tokens(self, packed: Tensor, grids: Tensor) -> Tensor:
        parts = packed.split(grids.prod(1).tolist())
        sizes = [size[1:].tolist() for size in grids]
        found: Tensor = self._writer.get_image_tokens(
            [part.T.reshape(-1, *size) for part, size in zip(parts, sizes, strict=True)]
        )
        return found


def stock_edit(pipeline: Any, drawn: list[Image.Image], **options: Any) -> Made:
    """What the pipeline makes of images."""
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vision_language_encoder = PackedFeatures(pipeline.vision_language_encoder)
    other.vae = MostLikely(pipeline.vae)
    called = {"width": 96, "height": 64, "image": drawn, **options}
    return stock(other, **called)


def edited(
    model: Model,
    drawn: list[Image.Image],
    *,
    sizes: list[tuple[int, int]] | None = None,
    prompt: str = PROMPT,
    **options: Any,
) -> Made:
    """An image made of images, as the nodes do it.

    Args:
        sizes: Of the images for the VAE; those that the pipeline scales to if None.
    """
    images = [as_tensor(item) for item in drawn]
    positive = encode_edit(model.part("text_encoder"), prompt, images)
    wanted = sizes or [(item.width // 16 * 16, item.height // 16 * 16) for item in drawn]
    for item, size in zip(drawn, wanted, strict=True):
        brought = item.resize(size, resample=Image.Resampling.LANCZOS)
        latent = encode_image(model.part("vae"), as_tensor(brought))
        positive = with_references(positive, latent)
    called: dict[str, Any] = {"change": lambda _: positive, "cfg": 4.0, **options}
    return model.make(96, 64, **called)


@pytest.mark.parametrize(
    ("sizes", "cfg", "batch"),
    [
        ([(96, 64)], 4.0, 1),
        pytest.param([(64, 64)], 1.0, 1, marks=pytest.mark.slow),
        pytest.param([(96, 64), (64, 128)], 7.3, 1, marks=pytest.mark.slow),
        pytest.param([(64, 64), (64, 64), (130, 75)], 4.0, 1, marks=pytest.mark.slow),
        pytest.param([(70, 109)], 4.0, 3, marks=pytest.mark.slow),
    ],
)
def test_edited_pictures_are_diffusers(
    model_of: ModelOf, sizes: list[tuple[int, int]], cfg: float, batch: int
) -> None:
    pipeline, model = model_of(glm_image)
    drawn = [picture(*size) for size in sizes]
    found = edited(model, drawn, cfg=cfg, batch=batch)
    expected = stock_edit(pipeline, drawn, guidance_scale=cfg, batch=batch)
    assert_same(found, expected, pixels=len(sizes) == batch == 1)


@pytest.mark.slow
def test_negative_prompts_of_edits_are_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(glm_image)
    drawn, negative = [picture(64, 64)], "no 'text'"
    with torch.no_grad():
        away = pipeline._get_glyph_embeds([negative])
    found = edited(model, drawn, negative=negative)
    called = {"guidance_scale": 4.0, "negative_prompt_embeds": away}
    assert_same(found, stock_edit(pipeline, drawn, **called))


@pytest.mark.slow
def test_edits_in_bfloat16_are_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(glm_image)
    loaded = type(pipeline).from_pretrained(model.folder, dtype=torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    drawn = [picture(64, 96)]
    noise = torch.randn(1, 16, 8, 12, generator=torch.Generator().manual_seed(SEED))
    found = edited(Model(model.folder, "bfloat16"), drawn)
    expected = stock_edit(loaded, drawn, guidance_scale=4.0, latents=noise)
    assert torch.equal(found.latents, expected.latents.float())


@pytest.mark.slow
def test_the_published_form_of_the_processor_is_read(model_of: ModelOf, tmp_path: Path) -> None:
    """Pictures are made ready as an own file says, with pixels in place of a size."""
    _, model = model_of(glm_image)
    folder = tmp_path / "model"
    shutil.copytree(model.folder, folder)
    file = folder / "processor" / "processor_config.json"
    config = json.loads(file.read_text())["image_processor"]
    size = config.pop("size")
    config |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
    file.write_text(json.dumps({"processor_class": "GlmImageProcessor"}))
    file.with_name("preprocessor_config.json").write_text(json.dumps(config))
    drawn, sizes = [picture(40, 40)], [(64, 64)]
    assert_same(edited(Model(folder), drawn, sizes=sizes), edited(model, drawn, sizes=sizes))


def test_a_small_picture_is_edited_at_the_size_of_its_tokens(model_of: ModelOf) -> None:
    """The pipeline cannot add latents of its own size to the tokens of the enlarged image."""
    _, model = model_of(glm_image)
    drawn = [picture(32, 40)]
    with raises(
        InvalidValue,
        port="positive",
        given="a prompt with 64 x 64, and reference latents of 32 x 32",
    ):
        edited(model, drawn)
    found = edited(model, drawn, sizes=[(64, 64)])
    assert found.latents.isfinite().all()


def test_references_and_pictures_of_a_prompt_belong_together(model_of: ModelOf) -> None:
    _, model = model_of(glm_image)
    latent = encode_image(model.part("vae"), as_tensor(picture(64, 64)))
    with raises(
        InvalidValue,
        port="positive",
        given="a prompt with no images, and reference latents of 64 x 64",
    ):
        model.make(64, 64, cfg=1.0, change=lambda prompt: with_references(prompt, latent))
    looks = encode_edit(model.part("text_encoder"), PROMPT, [as_tensor(picture(64, 64))])
    with raises(
        InvalidValue,
        port="positive",
        given="a prompt with 64 x 64, and reference latents of no images",
    ):
        model.make(64, 64, cfg=1.0, change=lambda _: looks)


def test_pictures_that_cannot_be_edited_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(glm_image)
    encoder = model.part("text_encoder")
    with raises(InvalidValue, port="images", given="320 x 64 pixels"):
        encode_edit(encoder, PROMPT, [torch.zeros(1, 64, 320, 3)])
    with raises(InvalidValue, port="text", given="<|image|>"):
        encode_edit(encoder, "a <|image|>", [torch.zeros(1, 64, 64, 3)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "caching", [Taylor(interval=2, warm_up=1), Broadcast(own=2, cleanest=0.0, noisiest=1.0)]
)
def test_step_caches_begin_behind_the_references(model_of: ModelOf, caching: Any) -> None:
    """Images are read before the first step, and are no step of a cache."""
    _, model = model_of(glm_image)
    drawn = [picture(64, 64), picture(64, 96)]
    cached = replace(model.part("model"), caching=caching)
    other = Model(model.folder, loaded={**model.loaded, "model": cached})
    assert_same(edited(other, drawn, steps=1), edited(model, drawn, steps=1))
    assert not torch.equal(
        edited(other, drawn, steps=8).latents, edited(model, drawn, steps=8).latents
    )


def test_negative_and_empty_prompts_have_no_prior_tokens(model_of: ModelOf) -> None:
    _, model = model_of(glm_image)
    tokens = prior(model, NEGATIVE, 64, 64, side="negative", seed=None)
    assert torch.equal(tokens, torch.full((1, 16), -1))
    empty = encode_prompt(model.part("text_encoder"), PROMPT).unconditional
    assert empty is not None
    assert set(empty.tensors) == {"embeddings"}


def test_a_part_of_a_picture_is_refused(model_of: ModelOf) -> None:
    """A tile has no seed."""
    _, model = model_of(glm_image)
    with raises(InvalidValue, port="positive"):
        prior(model, PROMPT, 64, 64, seed=None)


def test_a_picture_that_is_not_whole_is_refused(model_of: ModelOf) -> None:
    """The language model may end early, or generate another mark than an image token."""
    _, model = model_of(glm_image)
    loaded = model.part("model")
    network = d.GlmImageTransformer2DModel.from_config(
        {**loaded.module.config, "prior_vq_quantizer_codebook_size": 2}
    )
    few = replace(loaded, modules={**loaded.modules, "transformer": network})
    other = Model(model.folder, loaded={**model.loaded, "model": few})
    with raises(InvalidValue, port="positive"):
        other.make(64, 64, cfg=1.0)


def test_a_tokenizer_of_another_model_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(glm_image)
    encoder = model.part("text_encoder")
    letters = encoder.tokenizers["tokenizer"]
    other = replace(encoder, tokenizers={"tokenizer": letters, "processor": letters})
    with raises(InvalidValue, port="encoder"):
        encode_prompt(other, PROMPT)


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(glm_image)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta", "uni_pc": "karras"})
    assert_refuses(model, near="64 x 64")
