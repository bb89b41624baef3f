"""A model's noise schedule: read from its files without its weights, and overridden.

It is read once, when the model is opened, and travels in the recipe: what samples with the recipe
later does not look at the file again. A recipe with another shift or prediction type shares its
weights with the recipe that it was made of. Imports no torch.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family
from nodegraph.families.flow_shift import karras_range, line_mu
from nodegraph.weights.safetensors_header import Header
from nodegraph.weights.single_files import unet

if TYPE_CHECKING:
    from nodegraph.core.values import DiffusionModel

OPTION = "scheduler"
"""Option of a recipe that holds the noise schedule, as JSON."""

SAMPLED_ON = f"{SPEED_PREFIX}noise_schedule"
"""Option of a recipe that holds another schedule than its files', over the same weights."""
CHOSEN, ENTRIES = "shift_chosen", "shift_entries"
"""Keys that no file has: that somebody chose the shift, and how many levels the table has then by
which ComfyUI lays some schedules."""

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")

VARIANCES = (
    *("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
    *("learned", "learned_range"),
)
"""Variances of a scheduler file, by which only `ddpm` samples."""

FLOW_MATCHING_CLASSES = frozenset(
    {
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
        "FlowMatchLCMScheduler",
        "MiniMaxH3Scheduler",
    }
)
"""Classes of diffusers whose files describe flow matching."""

FLOW_SOLVER_CLASSES = frozenset({"DPMSolverMultistepScheduler", "UniPCMultistepScheduler"})
"""Those that describe it with ``use_flow_sigmas``, and else what the next ones do."""

EDM_CLASS = "EDMEulerScheduler"
"""Class of diffusers whose files describe a continuous range of noise levels; see
`nodegraph.families.base.Family.preconditioned`."""

_EDM_FILES = frozenset({EDM_CLASS, "FlowMatchEulerDiscreteScheduler"})
"""Classes that folders of preconditioned models name. The pipelines of Cosmos Predict2 set the
range of a flow-matching scheduler themselves."""

CONTINUOUS_CLASSES = frozenset({"CosineDPMSolverMultistepScheduler"})
"""Classes of diffusers whose files describe noise of any level between two, of which there is no
table."""

SNR_SHIFT_CLASSES = frozenset({"CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"})
"""Classes of diffusers whose files shift the signal-to-noise ratio of each timestep by a factor,
``snr_shift_scale``."""

SCHEDULER_CLASSES = (
    CONTINUOUS_CLASSES
    | SNR_SHIFT_CLASSES
    | frozenset(
        {
            "DDIMInverseScheduler",
            "DDIMParallelScheduler",
            "DDIMScheduler",
            "DDPMParallelScheduler",
            "DDPMScheduler",
            "DDPMWuerstchenScheduler",
            "DEISMultistepScheduler",
            "DPMSolverMultistepInverseScheduler",
            "DPMSolverMultistepScheduler",
            "DPMSolverSDEScheduler",
            "DPMSolverSinglestepScheduler",
            "EulerAncestralDiscreteScheduler",
            "EulerDiscreteScheduler",
            "HeunDiscreteScheduler",
            "KDPM2AncestralDiscreteScheduler",
            "KDPM2DiscreteScheduler",
            "LCMScheduler",
            "LMSDiscreteScheduler",
            "PNDMScheduler",
            "SASolverScheduler",
            "TCDScheduler",
            "UniPCMultistepScheduler",
        }
    )
)
"""Classes of diffusers with a variance for each training timestep, or of a continuous time."""

_CLASSES = {"discrete": SCHEDULER_CLASSES, "flow": FLOW_MATCHING_CLASSES | FLOW_SOLVER_CLASSES}

_SUPPORTED: Mapping[str, tuple[tuple[Any, ...], Any]] = {
    "prediction_type": (PREDICTION_TYPES, "epsilon"),
    "beta_schedule": (("linear", "scaled_linear", "squaredcos_cap_v2", "exp"), "linear"),
    "timestep_spacing": (("leading", "trailing", "linspace", None), None),
    "timestep_type": (("discrete",), "discrete"),
    "thresholding": ((False,), False),
    "use_flow_sigmas": ((False, None), False),
    "variance_type": ((*VARIANCES, None), "fixed_small"),
}
"""By key of a scheduler file: the values that are understood, and what a missing one means."""

_SUPPORTED_FLOW: Mapping[str, tuple[tuple[Any, ...], Any]] = {
    "time_shift_type": (("exponential", "linear"), "exponential"),
    "invert_sigmas": ((False, None), False),
    "use_beta_sigmas": ((False, None), False),
    "scale_factors": ((None,), None),
}
_SUPPORTED_FLOW_SOLVER: Mapping[str, tuple[tuple[Any, ...], Any]] = {
    **_SUPPORTED_FLOW,
    "prediction_type": (("flow_prediction",), "epsilon"),
    "thresholding": ((False,), False),
    "use_karras_sigmas": ((False, None), False),
    "use_exponential_sigmas": ((False, None), False),
}
_SUPPORTED_EDM: Mapping[str, tuple[tuple[Any, ...], Any]] = {
    "sigma_schedule": (("karras",), "karras"),
    "prediction_type": (("epsilon", "v_prediction"), "epsilon"),
}


_SHOWN = 80
"""Characters of a value that a message tells at most."""
_INF = float("inf")
_NUMBERS: Mapping[str, tuple[float, float, float]] = {
    "num_train_timesteps": (1, 1e6, 1000),
    "beta_start": (0, 1, 0.0001),
    "beta_end": (0, 1, 0.02),
    "steps_offset": (-1, 1000, 0),
    "original_inference_steps": (0, 1e6, 50),
    "timestep_scaling": (0, 1e9, 10.0),
    "clip_sample_range": (0, 1e9, 1.0),
    "snr_shift_scale": (0, 1e9, 3.0),
    **dict.fromkeys(("s", "scaler"), (0, 1e3, 1.0)),
}
"""By key: what a number has to lie between, and what a missing one means."""
_FLOW_NUMBERS: Mapping[str, tuple[float, float, float]] = {
    "num_train_timesteps": (0, _INF, 1000),
    "shift": (0, _INF, 1),
    "flow_shift": (0, _INF, 1),
    "base_shift": (-_INF, _INF, 0.5),
    "max_shift": (-_INF, _INF, 1.15),
    "shift_terminal": (-_INF, 1, 0),
}
"""By key of a flow's scheduler file: what a number lies between, and what a missing one means."""
_EDM_NUMBERS: Mapping[str, tuple[float, float, float]] = {
    "sigma_min": (0, _INF, 0.002),
    "sigma_max": (0, _INF, 80.0),
    "sigma_data": (0, _INF, 0.5),
    "rho": (0, _INF, 7.0),
}
"""The same of a continuous range of noise levels."""

_BY_SIZE = frozenset({"base_shift", "max_shift"})
"""Those that say something only where a size shifts noise levels."""


def noise_kind(config: Mapping[str, Any]) -> str:
    """Which of `nodegraph.families.sampler_names.NOISE_KINDS` a scheduler file describes."""
    name = config.get("_class_name")
    is_solver = name in FLOW_SOLVER_CLASSES and config.get("use_flow_sigmas")
    return "flow" if name in FLOW_MATCHING_CLASSES or is_solver else "discrete"


def scheduler_config(recipe: DiffusionModel) -> dict[str, Any]:
    """The noise schedule of a model, as `NoiseSchedule.from_config` reads it.

    Raises:
        InvalidValue: The recipe was not created by `open_model`.
    """
    written = recipe.option(SAMPLED_ON) or recipe.option(OPTION)
    if not written:
        raise InvalidValue(
            f"the recipe of {recipe.source} does not contain the model's noise schedule",
            hint="Create recipes with `open_model`.",
        )
    config: dict[str, Any] = json.loads(written)
    return config


def scheduler_option(config: Mapping[str, Any]) -> tuple[str, str]:
    """The option of a recipe that holds a noise schedule."""
    return OPTION, json.dumps(config, sort_keys=True)


def folder_scheduler(folder: Path, family: Family) -> dict[str, Any]:
    """The noise schedule of a model in the diffusers layout.

    Returns:
        The file's content; of flow models, with the name of its class.
    Raises:
        InvalidFile: The scheduler file is missing, damaged or of a kind that isn't sampled here.
    """
    path = folder / layout.SCHEDULER / layout.SCHEDULER_FILE
    if layout.lacks_scheduler(folder, family):
        return _published(folder, family)
    config = layout.read_config(path)
    if family.preconditioned:
        return _folder_edm(path, config, family)
    kinds = (family.noise,)
    _check_class(path, config.get("_class_name"), kinds)
    index = layout.index_file(folder)
    entries = layout.read_config(index)
    named = entries.get(layout.SCHEDULER)
    of_index = named[:2][-1] if isinstance(named, list) and named else None
    _check_class(index, of_index, kinds)
    if of_index is not None and "flow" in kinds:
        # the pipeline's loader makes this class, whatever the scheduler's own file says
        config = config | {"_class_name": of_index}
    _check_numbers(config, str(path))
    config = config | dict(family.scheduler)
    check_supported(config, str(path), kinds)
    return dict(family.adjust_schedule(config, entries))


def _published(folder: Path, family: Family) -> dict[str, Any]:
    """The noise schedule that a pipeline makes: the family's, or that of its single files."""
    if "_class_name" in family.scheduler:
        return {**family.scheduler}
    denoiser = family.denoisers[0]
    config = layout.read_config(folder / denoiser.role / layout.CONFIG)
    for file in denoiser.files:
        if published := file.scheduler(config):
            return {**published, **family.scheduler}
    # said as of other folders without one
    return layout.read_config(folder / layout.SCHEDULER / layout.SCHEDULER_FILE)


def _folder_edm(path: Path, config: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """The noise levels of a preconditioned model; errors as of `folder_scheduler`."""
    if config.get("_class_name") not in _EDM_FILES:
        raise _unexpected_class(str(path), config.get("_class_name"), _EDM_FILES)
    keys = (*_EDM_NUMBERS, *_SUPPORTED_EDM)
    levels = {key: config[key] for key in keys if config.get(key) is not None}
    levels |= {**family.scheduler, "_class_name": EDM_CLASS}
    check_supported(levels, str(path))
    return levels


def checkpoint_scheduler(header: Header, family: Family) -> dict[str, Any]:
    """The noise schedule of a single file: SD 1.x's own, with what the file declares of itself."""
    says = family.single_file is None or family.single_file.says_prediction
    return unet.scheduler_config(header.metadata, header.shapes, says_prediction=says)


_YAML_SUFFIXES = (".yaml", ".yml")
_TARGET = re.compile(r"^\s*target:\s*\S+\.(?:Latent|Improved)\w*Diffusion\s*$", re.MULTILINE)
_PARAMETERIZATION = re.compile(r"^\s*parameterization:\s*[\"']?(\w+)", re.MULTILINE)
_SCALING = re.compile(r"denoiser_scaling\.(V|Eps)\w*Scaling")
"""Of Stable Diffusion XL's."""
_MOST_CONFIG = 1_000_000
"""Bytes of a configuration beside a checkpoint that are read."""


def find_original_config(checkpoint: Path) -> Path | None:
    """The original configuration of a checkpoint, which A1111 and others read where it has the
    checkpoint's name; None where there is none."""
    places = (checkpoint.with_suffix(suffix) for suffix in _YAML_SUFFIXES)
    return next((path for path in places if path.is_file()), None)


def with_original_config(header: Header, checkpoint: Path) -> Header:
    """The header of a checkpoint, with what its original configuration says that it doesn't: what
    the model predicts.

    Raises:
        InvalidFile: The configuration can't be read.
    """
    config = find_original_config(checkpoint)
    if (
        config is None
        or unet.DECLARED_PREDICTION in header.metadata
        or unet.V_MARK in header.shapes
    ):
        return header
    try:
        with config.open("rb") as file:
            text = file.read(_MOST_CONFIG).decode("utf-8", "replace")
    except OSError as error:
        raise InvalidFile(f"cannot read {config}: {error.strerror or error}") from error
    match = _PARAMETERIZATION.search(text) or _SCALING.search(text)
    if match is None and _TARGET.search(text) is None:
        return header  # it is about something else
    # some say "v_prediction", as diffusers does
    prediction = "v" if match is not None and match[1].lower().startswith("v") else "epsilon"
    return replace(header, metadata={**header.metadata, unet.DECLARED_PREDICTION: prediction})


def override_schedule(
    config: Mapping[str, Any], prediction_type: str = "auto", zero_terminal_snr: str = "auto"
) -> dict[str, Any]:
    """A noise schedule with what somebody knows better than the file.

    Args:
        prediction_type: One of `PREDICTION_TYPES`; ``auto`` is what the file says.
        zero_terminal_snr: Whether nothing of the image is left at the last training timestep:
            ``on``, ``off``; ``auto`` is what the file says. With ``on``, the normal schedule begins
            at that timestep.
    Raises:
        InvalidValue: There is no such prediction type, or it doesn't go together.
    """
    for port, choice, values in (
        ("prediction_type", prediction_type, ("auto", *PREDICTION_TYPES)),
        ("zero_terminal_snr", zero_terminal_snr, ("auto", "on", "off")),
    ):
        if choice not in values:
            raise InvalidValue(
                f"there is no {port} `{choice}`",
                port=port,
                given=choice,
                expected=", ".join(values),
                hint=did_you_mean(choice, values),
            )
    overrides = dict(config)
    if noise_kind(config) == "flow":
        _refuse_of_flow(prediction_type, zero_terminal_snr)
    if prediction_type != "auto":
        overrides["prediction_type"] = prediction_type
    if overrides.get("prediction_type", "epsilon") is None:
        raise InvalidValue(
            "the file does not state the prediction type, and models of this kind differ",
            port="prediction_type",
            given="auto",
            expected="epsilon or v_prediction",
            hint="Models made for 768 x 768 pixels mostly predict v (v_prediction), those for "
            "512 x 512 the noise (epsilon).",
        )
    if zero_terminal_snr == "on":
        overrides |= unet.ZERO_TERMINAL_SNR
        if overrides.get("prediction_type", "epsilon") == "epsilon":
            raise InvalidValue(
                "an epsilon model cannot be sampled with zero terminal SNR: at pure noise, "
                "its prediction says nothing about the image",
                port="zero_terminal_snr",
                given="on",
                expected="auto or off",
                hint="Models of this kind predict v: set prediction_type to v_prediction.",
            )
    elif zero_terminal_snr == "off":
        overrides["rescale_betas_zero_snr"] = False
    return overrides


def with_shift(config: Mapping[str, Any], shift: float, entries: int = 1000) -> dict[str, Any]:
    """A flow's noise schedule whose levels are shifted towards the noise by a factor.

    Args:
        shift: On sigma / (1 - sigma), whatever the size; 0 leaves the schedule as it is.
        entries: See `ENTRIES`.
    Raises:
        InvalidValue: It isn't a flow's.
    """
    if not shift:
        return dict(config)
    if noise_kind(config) != "flow":
        raise InvalidValue(
            "the model is not a flow-matching model, so its noise levels are not shifted",
            port="shift",
            given=f"{shift:g}",
            expected="0",
        )
    name = "shift" if config.get("_class_name") in FLOW_MATCHING_CLASSES else "flow_shift"
    shifted = {name: shift, "use_dynamic_shifting": False, CHOSEN: True, ENTRIES: entries}
    return {**config, **shifted}


def _refuse_of_flow(prediction_type: str, zero_terminal_snr: str) -> None:
    options = {"prediction_type": prediction_type, "zero_terminal_snr": zero_terminal_snr}
    for port, value in options.items():
        if value != "auto":
            raise InvalidValue(
                "the model is a flow-matching model, which has no such option",
                port=port,
                given=value,
                expected="auto",
            )


def check_supported(
    config: Mapping[str, Any],
    origin: str = "the model's scheduler file",
    kinds: Collection[str] = ("discrete",),
) -> None:
    """Refuse what would be sampled wrongly.

    Args:
        kinds: Of `nodegraph.families.sampler_names.NOISE_KINDS`: what is sampled.
    Raises:
        InvalidFile: Names the key.
    """
    for key, (values, default) in _supported(config, origin, kinds).items():
        setting = config.get(key, default)
        if not any(setting is value or setting == value for value in values):
            names = [str(value) for value in values]
            raise InvalidFile(
                f"{origin} sets {key} to an unsupported value",
                port="model",
                given=str(setting),
                expected=", ".join(names),
                hint=did_you_mean(str(setting), names),
            )
    _check_numbers(config, origin)


def _check_numbers(config: Mapping[str, Any], origin: str) -> None:
    """Refuse numbers that would give no noise levels."""
    heeds_size = config.get("use_dynamic_shifting", False)
    numbers = _FLOW_NUMBERS if noise_kind(config) == "flow" else _NUMBERS
    if config.get("_class_name") == EDM_CLASS:
        numbers = _EDM_NUMBERS
    trained = config.get("trained_betas")
    if trained is not None and not _are_variances(trained):
        raise InvalidFile(
            f"{origin} sets trained_betas to values that give no noise levels",
            port="model",
            given=str(trained)[:_SHOWN],
            expected="two or more numbers from 0 to below 1, the first above 0",
            hint="Use the scheduler folder of the original model.",
        )
    for key, (least, most, default) in numbers.items():
        number = config.get(key, default)
        if number is None and (key == "shift_terminal" or (not heeds_size and key in _BY_SIZE)):
            continue
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not (is_number and least < number < most):
            raise InvalidFile(
                f"{origin} sets {key} to a value that gives no noise levels",
                port="model",
                given=str(number),
                expected=f"a number between {least:g} and {most:g}",
                hint="Use the scheduler folder of the original model.",
            )


def _are_variances(value: object) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        return False
    numbers = [item for item in value if isinstance(item, (int, float)) and 0 <= item < 1]
    return len(numbers) == len(value) and numbers[0] > 0


def _supported(
    config: Mapping[str, Any], origin: str, kinds: Collection[str]
) -> Mapping[str, tuple[tuple[Any, ...], Any]]:
    """What a file may say, by what it describes."""
    if config.get("_class_name") == EDM_CLASS and "discrete" in kinds:
        return _SUPPORTED_EDM
    kind = noise_kind(config)
    if kind not in kinds and "discrete" not in kinds:
        raise _wrong_class(origin, config.get("_class_name"), kinds)
    if kind not in kinds or kind == "discrete":
        return _SUPPORTED
    if karras_range(config) is not None:
        return {**_SUPPORTED_FLOW_SOLVER, "use_karras_sigmas": ((True,), True)}
    solver = config.get("_class_name") in FLOW_SOLVER_CLASSES
    return _SUPPORTED_FLOW_SOLVER if solver else _SUPPORTED_FLOW


def _check_class(path: Path, name: object, kinds: Collection[str]) -> None:
    if name is not None and not any(name in _CLASSES[kind] for kind in kinds):
        raise _wrong_class(str(path), name, kinds)


def _wrong_class(origin: str, name: object, kinds: Collection[str]) -> InvalidFile:
    return _unexpected_class(origin, name, set().union(*(_CLASSES[kind] for kind in kinds)))


def _unexpected_class(origin: str, name: object, classes: Collection[str]) -> InvalidFile:
    known = sorted(classes)
    return InvalidFile(
        f"{origin} names a noise schedule that this kind of model does not use",
        port="model",
        given=str(name),
        expected=", ".join(known),
        hint=did_you_mean(str(name), known) or "Use the scheduler folder of the original model.",
    )


PIXELS_A_TOKEN = 256
"""Of the models whose shift goes by size: a patch of two by two cells of eight by eight pixels."""
LINE_ENTRIES = 10_000
"""Levels of ComfyUI's table where the shift goes by size."""
MOST_SHIFT = 100.0


def with_flow_shift(recipe: DiffusionModel, shift: float, entries: int = 1000) -> DiffusionModel:
    """A flow model whose noise levels are shifted by a factor, whatever the size.

    Args:
        shift: On sigma / (1 - sigma): 1 shifts nothing, more takes more steps where there is much
            noise. Above 0.
        entries: See `nodegraph.families.scheduler_file.ENTRIES`.
    Raises:
        InvalidValue: It isn't trained by flow matching, or the shift is out of range; on port
            ``shift``.
    """
    if not (math.isfinite(shift) and shift > 0):
        raise InvalidValue(
            "the shift is out of range", port="shift", given=f"{shift:g}", expected="above 0"
        )
    return _sampled_on(recipe, with_shift(scheduler_config(recipe), shift, entries))


SOUND_SHIFT = "audio_shift"
"""Key that no file has: the shift of the noise levels of a video's sound."""
SOUND_CLASSES = frozenset({"MiniMaxH3Scheduler"})
"""Classes of diffusers of which a model has one for the video and one for its sound."""


def with_sound_shift(recipe: DiffusionModel, shift: float) -> DiffusionModel:
    """A model of videos with sound, with another shift of the noise levels of the sound.

    Args:
        shift: As of `with_flow_shift`.
    Raises:
        InvalidValue: The sound has no noise levels of its own, on port ``model``; or the shift is
            out of range, on port ``shift``.
    """
    config = scheduler_config(recipe)
    if config.get("_class_name") not in SOUND_CLASSES:
        raise InvalidValue(
            "the model has no noise levels for sound that could be shifted",
            port="model",
            given=f"family {recipe.family}",
            expected="MiniMax H3",
        )
    if not (math.isfinite(shift) and shift > 0):
        raise InvalidValue(
            "the shift is out of range", port="shift", given=f"{shift:g}", expected="above 0"
        )
    return _sampled_on(recipe, {**config, SOUND_SHIFT: shift})


def with_shift_by_size(
    recipe: DiffusionModel, width: int, height: int, base_shift: float, max_shift: float
) -> DiffusionModel:
    """A flow model shifted as images of a size need it.

    Args:
        width, height: In pixels.
        base_shift, max_shift: Logarithms of the shift for 256 and for 4096 tokens.
    Raises:
        InvalidValue: As of `with_flow_shift`.
    Source: Esser et al. 2024, arXiv:2403.03206, section 5.3.2, on the line of Flux.1.
    """
    return with_flow_shift(
        recipe, shift_of_size(width, height, base_shift, max_shift), LINE_ENTRIES
    )


def shift_of_size(width: int, height: int, base_shift: float, max_shift: float) -> float:
    """The shift that `with_shift_by_size` takes."""
    line = {"base_shift": base_shift, "max_shift": max_shift}
    tokens = width * height / PIXELS_A_TOKEN
    return math.exp(line_mu(line, tokens, 0))


def with_prediction(
    recipe: DiffusionModel, prediction_type: str, zero_terminal_snr: str = "auto"
) -> DiffusionModel:
    """A model whose output is taken for something else than its files say.

    Arguments and errors are those of `nodegraph.families.scheduler_file.override_schedule`.
    """
    config = override_schedule(scheduler_config(recipe), prediction_type, zero_terminal_snr)
    return _sampled_on(recipe, config)


def _sampled_on(recipe: DiffusionModel, config: dict[str, object]) -> DiffusionModel:
    from nodegraph.families.speed_options import with_option  # imports values, which no check does

    return with_option(recipe, SAMPLED_ON, scheduler_option(config)[1])
