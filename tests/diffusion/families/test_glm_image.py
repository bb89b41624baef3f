"""GLM-Image gives what diffusers' pipeline gives, to the last bit.

The prior tokens of a seed, the texts that ByT5 reads, text to image at several sizes, batches,
guidance of 1 and 7.3, negative prompts, bfloat16, and the last steps from an image. The pipeline
edits images, too, which is not supported yet. It takes negative prompts as embeddings alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from torch import Tensor

from nodegraph.diffusion import encode_image, encode_prompt
from nodegraph.errors import InvalidValue
from nodegraph.families import glm_image as glm_module
from nodegraph.families.glm_image import GLM_IMAGE
from nodegraph.families.image_conditioning import PRIOR_TOKENS
from nodegraph.families.model_step import SamplingRequest
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .late_start import late_start
from .parts import dynamic_flow
from .words import byte_characters

ModelOf = Callable[[Callable[[], Any]], Pair]
CODES = 64
"""Image tokens, which are the first words of the language model; 16384 of the published one."""
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
            tf.GlmImageImageProcessorPil(patch_size=16), words, chat_template=words.chat_template
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
    glm_module._PRIORS.clear()
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
