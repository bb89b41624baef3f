"""A model's noise schedule, read from its files without its weights. Imports no torch.

It is read once, when the model is opened, and travels in the recipe: what samples with the recipe
later doesn't look at the file again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import DiffusionModel
from nodegraph.diffusion import checkpoint
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.safetensors_header import Header
from nodegraph.errors import InvalidFile, InvalidValue

OPTION = "scheduler"
"""Option of a recipe that holds the noise schedule, as JSON."""

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")

SCHEDULER_CLASSES = frozenset(
    {
        "DDIMInverseScheduler",
        "DDIMParallelScheduler",
        "DDIMScheduler",
        "DDPMParallelScheduler",
        "DDPMScheduler",
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
"""Classes of diffusers whose files describe what is sampled here: a variance for each of a number
of training timesteps. Flow matching, EDM and cascades aren't among them."""

_SUPPORTED: Mapping[str, tuple[tuple[Any, ...], Any]] = {
    "prediction_type": (PREDICTION_TYPES, "epsilon"),
    "beta_schedule": (("linear", "scaled_linear", "squaredcos_cap_v2"), "linear"),
    "timestep_spacing": (("leading", "trailing", "linspace", None), None),
    "timestep_type": (("discrete",), "discrete"),
    "thresholding": ((False,), False),
    "use_flow_sigmas": ((False, None), False),
}
"""By key of a scheduler file: the values that are understood, and what a missing one means."""


def scheduler_config(recipe: DiffusionModel) -> dict[str, Any]:
    """The noise schedule of a model, as `NoiseSchedule.from_config` reads it.

    Raises:
        InvalidValue: The recipe wasn't made by `open_model`.
    """
    written = recipe.option(OPTION)
    if not written:
        raise InvalidValue(
            f"the recipe of {recipe.source} says nothing of the model's noise schedule",
            hint="Make recipes with `open_model`.",
        )
    found: dict[str, Any] = json.loads(written)
    return found


def scheduler_option(config: Mapping[str, Any]) -> tuple[str, str]:
    """The option of a recipe that holds a noise schedule."""
    return OPTION, json.dumps(config, sort_keys=True)


def folder_scheduler(folder: Path) -> dict[str, Any]:
    """The noise schedule of a model in the diffusers layout.

    Raises:
        InvalidFile: The scheduler file is missing, damaged or of a kind that isn't sampled here.
    """
    path = folder / layout.SCHEDULER / layout.SCHEDULER_FILE
    config = layout.read_config(path)
    _check_class(path, config.get("_class_name"))
    index = folder / layout.INDEX
    named = layout.read_config(index).get(layout.SCHEDULER)
    _check_class(index, named[-1] if isinstance(named, list) and named else None)
    refuse_unsupported(config, str(path))
    # The stock pipeline corrects these two in outdated files, so they mean the same here.
    return config | {"steps_offset": 1, "clip_sample": False}


def checkpoint_scheduler(header: Header) -> dict[str, Any]:
    """The noise schedule of a single file: SD 1.x's own, with what the file declares of itself."""
    return checkpoint.scheduler_config(header.metadata, header.shapes)


def overridden(
    config: Mapping[str, Any], prediction_type: str = "auto", zero_terminal_snr: str = "auto"
) -> dict[str, Any]:
    """A noise schedule with what somebody knows better than the file.

    Args:
        prediction_type: One of `PREDICTION_TYPES`; ``auto`` is what the file says.
        zero_terminal_snr: Whether nothing of the picture is left at the last training timestep:
            ``on``, ``off``; ``auto`` is what the file says. With ``on``, the normal schedule begins
            at that timestep.
    Raises:
        InvalidValue: There is no such prediction type, or it doesn't go together.
    """
    for port, given, values in (
        ("prediction_type", prediction_type, ("auto", *PREDICTION_TYPES)),
        ("zero_terminal_snr", zero_terminal_snr, ("auto", "on", "off")),
    ):
        if given not in values:
            raise InvalidValue(
                f"there is no {port} `{given}`",
                port=port,
                given=given,
                expected=", ".join(values),
                hint=did_you_mean(given, values),
            )
    found = dict(config)
    if prediction_type != "auto":
        found["prediction_type"] = prediction_type
    if zero_terminal_snr == "on":
        found |= checkpoint.ZERO_TERMINAL_SNR
        if found.get("prediction_type", "epsilon") == "epsilon":
            raise InvalidValue(
                "a model that predicts the noise can't be sampled with zero terminal SNR: where "
                "there is nothing but noise, that says nothing of the picture",
                port="zero_terminal_snr",
                given="on",
                expected="auto or off",
                hint="Models of this kind predict v: set prediction_type to v_prediction.",
            )
    elif zero_terminal_snr == "off":
        found["rescale_betas_zero_snr"] = False
    return found


def refuse_unsupported(
    config: Mapping[str, Any], place: str = "the model's scheduler file"
) -> None:
    """Refuse what would be sampled wrongly.

    Raises:
        InvalidFile: Names the key.
    """
    for key, (values, default) in _SUPPORTED.items():
        found = config.get(key, default)
        if not any(found is value or found == value for value in values):
            names = [str(value) for value in values]
            raise InvalidFile(
                f"{place} sets {key} to something that isn't supported",
                port="model",
                given=str(found),
                expected=", ".join(names),
                hint=did_you_mean(str(found), names),
            )


def _check_class(path: Path, name: object) -> None:
    if name is None or name in SCHEDULER_CLASSES:
        return
    raise InvalidFile(
        f"{path} names a noise schedule that this kind of model isn't sampled with",
        port="model",
        given=str(name),
        expected=", ".join(sorted(SCHEDULER_CLASSES)),
        hint=did_you_mean(str(name), sorted(SCHEDULER_CLASSES))
        or "Take the scheduler folder of the model that this one was made from.",
    )
