"""Audio sample rates and video frame rates of pipelines. Imports no torch.

No output of diffusers says its rate: that of sound lies in the configuration of the part that
makes or reads it, that of videos in examples and in inputs of some.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.interop.pipelines.classes import Pipeline, PipelineClass, PipelineInput

AUDIO_RATE = "audio_rate"
"""Input that tells it where no part does."""

_NAMES = (
    "output_sampling_rate",
    "sampling_rate",
    "sample_rate",
    "audio_sampling_rate",
    "audio_sample_rate",
)
"""Of a part that says several, the first is what comes out."""
_MAKES = ("vocoder", "vae", "unet", "tokenizer")
"""Parts that make or read sound, what has it at its end first; any other but those that hear for
themselves, in between."""
_HEARS = ("feature_extractor", "processor")
_ATTRIBUTE = re.compile(r"\bself\.(audio_)?(sampling|sample)_rate\s*=")
_FRAMES = ("frame_rate", "fps")
_EXAMPLE = re.compile(r"export_to_\w+\([^)]*\bfps\s*=\s*(\d+)")
_USUAL = 10
"""What diffusers' ``export_to_video`` takes where nothing is said."""


def with_audio_rate_input(pipeline_class: PipelineClass) -> PipelineClass:
    """A class with an input for the rate of its sound, `AUDIO_RATE`, where nothing in its source
    says that; any other as it is."""
    gives = any(output.kind == "audio" for output in pipeline_class.outputs)
    if not gives or may_say_audio_rate(pipeline_class):
        return pipeline_class
    rate_input = PipelineInput(
        AUDIO_RATE,
        "integer",
        advanced=True,
        minimum=1_000,
        maximum=384_000,
        help="Sample rate of the audio, if no component of the pipeline states it.",
    )
    return replace(pipeline_class, inputs=(*pipeline_class.inputs, rate_input))


def audio_rate(pipeline: Pipeline) -> int | None:
    """Samples a second of what a pipeline makes or hears, by its parts' files.

    Returns:
        None if no part says it.
    """
    rates = list(_stated_rates(pipeline))
    for wanted in (*_MAKES, ""):
        for part, rate in rates:
            if wanted in part:
                return rate
    return None


def _stated_rates(pipeline: Pipeline) -> Iterator[tuple[str, int]]:
    yield from _rates("", pipeline.config)
    for name, recipe in pipeline.parts.items():
        if name.endswith(_HEARS):
            continue
        for path in map(Path, recipe.paths(name)):
            if path.name == layout.CONFIG:
                try:
                    yield from _rates(name, layout.read_config(path))
                except NodegraphError:
                    # Who reads it tells.
                    continue


def _rates(part: str, config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name in _NAMES:
        rate = config.get(name)
        if isinstance(rate, (int, float)) and rate >= 1:
            yield part, int(rate)


def live_audio_rate(made: Any) -> int | None:
    """The same of a pipeline's object, which may say it itself."""
    for name in _NAMES:
        rate = getattr(made, name, None)
        if isinstance(rate, (int, float)):
            return int(rate)
    mel = getattr(made, "mel", None)
    return int(mel.get_sample_rate()) if mel is not None else None


def may_say_audio_rate(pipeline_class: PipelineClass) -> bool:
    """Whether a pipeline's object may say the rate of its sound itself, by its source."""
    has_mel = any(part.name == "mel" for part in pipeline_class.parts)
    return has_mel or bool(_ATTRIBUTE.search(_source(pipeline_class.module)))


def frame_rate(pipeline_class: PipelineClass, inputs: Mapping[str, Any]) -> Fraction:
    """Frames a second of the videos that a pipeline makes: as an input says, else as its example
    does."""
    defaults = {item.name: item.default for item in pipeline_class.inputs}
    for name in _FRAMES:
        rate = inputs.get(name, defaults.get(name))
        if isinstance(rate, (int, float)) and not isinstance(rate, bool) and rate > 0:
            return Fraction(rate).limit_denominator(1001)
    return Fraction(_example_rate(pipeline_class.module))


def _example_rate(module: str) -> int:
    rates = [int(rate) for rate in _EXAMPLE.findall(_source(module))]
    return rates[0] if rates else _USUAL


@lru_cache(maxsize=64)
def _source(module: str) -> str:
    package, *within = module.split(".")
    # Of the package alone: to find a module inside, all above it would be imported.
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    path = Path(next(iter(places or []), ""), *within).with_suffix(".py")
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
