"""Pre-flight checks of a pipeline call. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nodegraph.core.values import Audio, Video
from nodegraph.errors import InvalidValue
from nodegraph.families.diffusers_folder import CONFIG, read_config
from nodegraph.interop.pipelines.classes import Pipeline, PipelineClass, PipelineInput
from nodegraph.interop.pipelines.rates import AUDIO_RATE, audio_rate, may_say_audio_rate

PIPELINE = "pipeline"
"""Port of a pipeline's node."""

OUTPUT_TYPE, _LATENT = "output_type", "latent"
"""An input that asks for another form of the answer, and the one that is no image."""

_INSTALLED_AS = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "skimage": "scikit-image",
}
"""Packages whose names to install differ from those to import."""

_STANDS_FOR = "_embeds"
"""At the end of an input that stands in for the one named before it."""
_WITH_ALPHA = "RGBA"
_ADAPTER = "ip_adapter"
_PROJECTS, _SEES = "encoder_hid_dim_type", "ip_image_proj"
"""What the configuration of a UNet says that was saved with an IP-Adapter."""
_ONE_BY_ONE = ("video", "audio")
_COUNTS = ("num_videos_per_prompt", "num_waveforms_per_prompt", "batch_size")


def missing_packages(pipeline_class: PipelineClass) -> list[str]:
    """What a class needs and isn't installed, as named to install it."""
    return [_INSTALLED_AS.get(name, name) for name in pipeline_class.needs if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def missing_parts(pipeline_class: PipelineClass, names: frozenset[str]) -> list[str]:
    """Parts that a class can't do without, and a pipeline hasn't.

    Args:
        names: Of the parts that the pipeline has.
    """
    return [
        part.name for part in pipeline_class.parts if not part.optional and part.name not in names
    ]


def check_call(
    pipeline_class: PipelineClass, pipeline: Pipeline, inputs: Mapping[str, Any]
) -> None:
    """Refuse a call that would fail once all is loaded.

    Raises:
        InvalidValue: The first fault that was found.
    """
    for fault in call_faults(pipeline_class, pipeline, inputs):
        raise fault


def call_faults(
    pipeline_class: PipelineClass, pipeline: Pipeline, inputs: Mapping[str, Any]
) -> Iterator[InvalidValue]:
    """What is wrong with a call; see `check_call`."""
    yield from class_faults(pipeline_class, pipeline.class_name, pipeline.names)
    yield from _missing_inputs(pipeline_class, inputs)
    rate = audio_rate(pipeline)
    for item in pipeline_class.inputs:
        value = inputs.get(item.name)
        if isinstance(value, Audio):
            yield from _audio_faults(item, value, rate, pipeline_class)
        elif value is not None and item.kind in ("image", "video"):
            yield from _picture_faults(pipeline_class, item, value)
    output_type = inputs.get(OUTPUT_TYPE)
    if output_type == _LATENT and not any(
        output.word == output_type for output in pipeline_class.outputs
    ):
        # Packed ones would pass for gray images.
        yield InvalidValue(
            f"{pipeline_class.name} has no output for latents",
            port=OUTPUT_TYPE,
            given=output_type,
        )
    yield from count_faults(pipeline_class, inputs)
    yield from _adapter_faults(pipeline_class, pipeline, inputs)
    gives_audio = any(output.kind == "audio" for output in pipeline_class.outputs)
    is_told = inputs.get(AUDIO_RATE) is not None
    if gives_audio and rate is None and not is_told and not may_say_audio_rate(pipeline_class):
        yield InvalidValue(
            f"no component of this {pipeline.class_name} states the sample rate of its audio",
            port=AUDIO_RATE,
            expected="samples per second, for example 44100",
        )


def class_faults(
    pipeline_class: PipelineClass, class_name: str, names: frozenset[str]
) -> Iterator[InvalidValue]:
    """What keeps a class from being made of a pipeline's parts.

    Args:
        class_name: Of the pipeline's folder.
        names: Of its parts.
    """
    packages = missing_packages(pipeline_class)
    if packages:
        yield InvalidValue(
            f"{pipeline_class.name} needs {' and '.join(packages)}, which is not installed",
            hint=f"Run `pip install {' '.join(packages)}`.",
        )
    if first := pipeline_class.settings.get("first"):
        yield InvalidValue(
            f"{pipeline_class.name} works only after a call of its method `{first}`, which "
            "no node makes",
            hint="Call it in your own node.",
        )
    missing = missing_parts(pipeline_class, names)
    if missing:
        yield InvalidValue(
            f"a {class_name} has no {', no '.join(missing)} for a {pipeline_class.name}",
            port=PIPELINE,
            given=class_name,
            expected=f"a pipeline with {', '.join(part.name for part in pipeline_class.parts)}",
            hint=f"Load the folder of a {pipeline_class.name}.",
        )


def _missing_inputs(
    pipeline_class: PipelineClass, inputs: Mapping[str, Any]
) -> Iterator[InvalidValue]:
    known = {item.name: item for item in pipeline_class.inputs}
    for item in pipeline_class.inputs:
        if inputs.get(item.name) is not None:
            continue
        stands = next((name for name in _stand_ins(item.name) if name in known), None)
        if stands is None and not item.required:
            continue
        if stands is not None and (inputs.get(stands) is not None or not _is_due(item)):
            continue
        also = f", or `{stands}` instead" if stands else ""
        yield InvalidValue(f"{pipeline_class.name} needs `{item.name}`{also}", port=item.name)


def _stand_ins(name: str) -> tuple[str, ...]:
    return (name + _STANDS_FOR, f"{name}_embeddings")


def _is_due(item: PipelineInput) -> bool:
    """Whether a prompt or what stands in for it has to be there, whatever its default says."""
    return item.name == "prompt" and item.default is None


def count_faults(
    pipeline_class: PipelineClass, inputs: Mapping[str, Any]
) -> Iterator[InvalidValue]:
    """Calls for several videos or sounds where the class's output is one."""
    single = [item for item in pipeline_class.outputs if item.kind in _ONE_BY_ONE and not item.many]
    for name in _COUNTS:
        count = inputs.get(name)
        if single and isinstance(count, int) and count > 1:
            yield InvalidValue(
                f"{pipeline_class.name} returns one {single[0].kind} at a time",
                port=name,
                given=str(count),
                expected="1",
                hint="To get several, use a list of seeds: the node runs once per seed.",
            )


def _adapter_faults(
    pipeline_class: PipelineClass, pipeline: Pipeline, inputs: Mapping[str, Any]
) -> Iterator[InvalidValue]:
    """Images for an IP-Adapter where the network was saved without one."""
    ports = [name for name, value in inputs.items() if _ADAPTER in name and value is not None]
    if ports and not any(config.get(_PROJECTS) == _SEES for config in _configs(pipeline)):
        yield InvalidValue(
            f"the networks of this {pipeline_class.name} have no IP-Adapter for this input",
            port=ports[0],
            expected="a folder that was saved with an IP-Adapter",
        )


def _configs(pipeline: Pipeline) -> Iterator[Mapping[str, Any]]:
    for recipe in pipeline.recipes:
        for file in recipe.files:
            if Path(file.path).name == CONFIG:
                yield read_config(Path(file.path))


def _audio_faults(
    item: PipelineInput, value: Audio, rate: int | None, pipeline_class: PipelineClass
) -> Iterator[InvalidValue]:
    if rate is not None and value.rate != rate:
        yield InvalidValue(
            f"the audio has another sample rate than {pipeline_class.name} expects",
            port=item.name,
            given=f"{value.rate} Hz",
            expected=f"{rate} Hz",
            hint="Put a ResampleAudio before this node.",
        )


def _picture_faults(
    pipeline_class: PipelineClass, item: PipelineInput, value: Any
) -> Iterator[InvalidValue]:
    frames = value.frames if isinstance(value, Video) else value
    if isinstance(frames, (list, tuple)) or getattr(frames, "ndim", 0) != 4:
        return
    channels = frames.shape[-1]
    if channels not in (1, 3) and _WITH_ALPHA not in f"{item.help} {pipeline_class.help}":
        # As a tensor it would be taken for latents, as an image fail in the autoencoder.
        yield InvalidValue(
            f"{pipeline_class.name} takes images with three channels",
            port=item.name,
            given=f"{channels} channels",
            expected="3 channels",
            hint="Use the colors of the image without its transparency.",
        )
