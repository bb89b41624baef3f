"""Naming rules for parameters and results of pipelines.

No pipeline is named here. Rules are tried from the top, and the first that fits decides; they are
asked only where annotation, documentation and default leave a question open (`inputs.py`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nodegraph.interop.pipelines.classes import Kind


class NameRule(NamedTuple):
    """A pattern that a name has to contain, and why it matters."""

    pattern: re.Pattern[str]
    why: str

    def fits(self, name: str) -> bool:
        return self.pattern.search(name) is not None


def _rules(*rows: tuple[str, str]) -> tuple[NameRule, ...]:
    return tuple(NameRule(re.compile(pattern), why) for pattern, why in rows)


HIDDEN = _rules(
    (r"^return_dict$", "results are always returned by name"),
    (r"^output_type$", "chosen for the type of each output"),
    (r"callback", "the engine tracks the steps"),
    (r"^_", "a private switch of diffusers"),
)
"""Parameters that aren't shown, whatever their annotation."""

KEYWORDS = "additional keywords: {}"
NEVER_READ = "declared by diffusers and never read"
LATENTS = "latents: drawn from the seed, or encoded from the given images"
FOREIGN = "an object that only code can create: {}"
STOOD_FOR = "the images at `{}` replace it"
RATE = "taken from the given audio"

SEED = re.compile(r"(^|_)generator$")
PLAIN_SEED = re.compile(r"(^|_)seed$")

LATENTLIKE = re.compile(r"(^|_)latents?(_image|_videos?|_local_latents|_bb_ca)?(_\d)?$")
"""Images, videos or sound as an autoencoder sees them. Not ``latents_normalized``: a switch."""

ENCODED = re.compile(
    r"(embeds?|embeddings?|hidden_states|attention_mask|embeds_mask|pooled|projections|_encoding|"
    r"input_ids|token_ids|token_image_ids|cu_seqlens|id_cond|id_vit_hidden|codes|grid_thw|"
    r"prompt_embeds\w*)(_\w+)?$"
)
"""What an encoder gives; only another node can."""

AUDIO = re.compile(r"(^|_)(audios?|waveforms?|sound)$")
RATE_OF_AUDIO = re.compile(r"^(?P<of>\w+?)_?(waveforms?_)?(sampling|sample)_rate$")
FRAME_RATE = re.compile(r"^fps$|_fps$|frame_rate")
MASK = re.compile(r"(^|_)masks?(_image|_video|_images)?$|mask_image$")
VIDEO = re.compile(r"(^|_)(videos?|clip|frames)(_\d)?$")
PICTURE = re.compile(r"(^|_)(images?|img|frames?|photo|picture|hint|image_reference)(_\d)?$")
PROMPT = re.compile(r"prompt|(^|_)(caption|lyrics|instruction|transcription)s?(_\d)?$|^text$")

ADVANCED = _rules(
    (r"_kwargs$", "passed to a model unchanged"),
    (r"^eta$|^sigmas$|^timesteps$|_sigmas$|_timesteps$|^mu$", "belongs to the sampler"),
    (r"clip_skip|max_sequence_length|max_\w*_length|_template$|system_prompt|use_chat|"
     r"complex_human_instruction|clean_caption|chi_prompt|text_encoder_out_layers|_max_new_tokens",
     "how the text is read"),
    (r"crops_coords|original_size|target_size|aesthetic_score|micro_conditioning",
     "size conditioning of the image, not its actual size"),
    (r"guess_mode|guidance_rescale|pag_adaptive|cfg_(?!scale)|_norm(alization)?$|guidance_(start|end)$|"
     r"skip_layer|denoising_(start|end)|_interval|noise_scale", "fine adjustments of guidance"),
    (r"decode_|resolution_binning|padding_mask_crop|_chunk_size$|_batch_size$|tile",
     "how the image is decoded or cut"),
    (r"^prior_|^decoder_|^super_res_", "for one of several stages"),
    (r"ip_adapter", "requires a loaded adapter"),
)  # fmt: skip
"""Inputs that are folded away."""


class NumberRange(NamedTuple):
    """Limits that make sense for a number of this name; not limits that diffusers checks."""

    pattern: re.Pattern[str]
    minimum: float | None
    maximum: float | None
    step: float | None = None


def _range(
    pattern: str, low: float | None, high: float | None, step: float | None = None
) -> NumberRange:
    return NumberRange(re.compile(pattern), low, high, step)


RANGES: tuple[NumberRange, ...] = (
    _range(r"num_\w*steps$|^steps$|inference_steps$|denoising_steps$", 1, 1000, 1),
    _range(r"_steps$", 0, 1000, 1),
    _range(r"^(height|width)$|_height$|_width$", 1, 16384, 8),
    _range(r"^num_\w+_per_(prompt|image)$|^batch_size$", 1, 64, 1),
    _range(r"num_frames|video_length|^frames$", 1, 8192, 1),
    NumberRange(FRAME_RATE, 1, 240, 1),
    _range(r"^strength$|^(prompt|denoise|inpaint|upsampling)_strength$", 0, 1, 0.01),
    _range(r"guidance_(start|end)$|denoising_(start|end)$|_interval_(start|end)$", 0, 1, 0.01),
    _range(r"guidance_rescale|top_p$|cfg_truncation|cfg_trunc_ratio", 0, 1, 0.01),
    _range(r"^eta$", 0, 1, 0.05),
    _range(r"guidance_scale|cfg_scale|pag_scale|sag_scale|stg_scale|modality_scale", 0, 100, 0.1),
    _range(r"conditioning_scale$|_strength$|conditioning_factor$", 0, 10, 0.05),
    _range(r"max_sequence_length|max_\w*_length|max_new_tokens", 1, 8192, 1),
    _range(r"_in_s$|duration|_seconds?$|_secs$|_duration_s$", 0, 3600, 0.5),
    _range(r"temperature", 0, 10, 0.05),
    _range(r"clip_skip", 0, 48, 1),
)
"""By name, from the top; a default outside widens a range on that side."""


class FieldRule(NamedTuple):
    """What a field of a result is, by its name."""

    pattern: re.Pattern[str]
    kind: Kind
    why: str


def _field(pattern: str, kind: Kind, why: str) -> FieldRule:
    return FieldRule(re.compile(pattern), kind, why)


FIELDS: tuple[FieldRule, ...] = (
    _field(r"^unsafe_images$", "image", "images removed by a filter"),
    _field(r"nsfw|_detected$|^has_", "flag", "result of a filter for each image"),
    _field(r"^(images?|prediction|depth|rgb|normals?)$", "image", "images"),
    _field(r"^(frames|videos?)$", "video", "frames of a video"),
    _field(r"^audios?$|^sound$|waveform", "audio", "sound"),
    _field(r"^(texts?|\w*prompts)$|_concept$", "text", "words"),
    _field(r"^mesh(es)?$", "mesh", "a surface"),
    _field(
        r"latent|embed|mask|^sequences$|coords|logits|token|states?$", "tensor", "for another node"
    ),
)  # fmt: skip
"""Asked from the top; where none fits, the annotation decides."""
