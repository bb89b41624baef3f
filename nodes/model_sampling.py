"""Sampling settings of models: shift of the noise levels, and prediction type."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Choices, DiffusionModel, Range, node
from nodegraph.families.scheduler_file import (
    PREDICTION_TYPES,
    with_flow_shift,
    with_prediction,
    with_shift_by_size,
    with_sound_shift,
)

from ._model_sampling_facts import (
    check_flow,
    check_prediction,
    check_sound_levels,
    predicting_outputs,
    same_model,
)
from ._speed_facts import added_weights

Side = Annotated[int, Range(16, 16384)]
Log = Annotated[float, Range(-10, 10, step=0.01)]


class ShiftedModel(NamedTuple):
    """The model with changed noise levels."""

    model: DiffusionModel


@node(
    category="models",
    label="Flow shift",
    infer=same_model,
    validate=check_flow,
    estimate=added_weights,
    tags=("ModelSamplingSD3", "ModelSamplingAuraFlow", "shift", "sigma shift", "flow matching"),
)
def SetFlowShift(
    model: DiffusionModel, shift: Annotated[float, Range(0.01, 100, step=0.01)] = 3.0
) -> ShiftedModel:
    """Set the shift of a flow matching model: more steps for the layout, or for details.

    Use it for Stable Diffusion 3, Wan, Z-Image, Qwen-Image and other flow matching models. The
    weights are shared with the unchanged model.

    Args:
        model: The model to change. The shift is the same for all image sizes.
        shift: 1 is no shift. Larger values spend more steps at high noise.
    """
    return ShiftedModel(with_flow_shift(model, shift))


@node(
    category="models",
    infer=same_model,
    validate=check_sound_levels,
    estimate=added_weights,
    tags=("MiniMaxH3SigmaShift", "minimax", "audio shift", "sigma shift"),
)
def SetSoundShift(
    model: DiffusionModel, shift: Annotated[float, Range(0.01, 100, step=0.01)] = 3.0
) -> ShiftedModel:
    """Set the shift of the sound's noise levels for a MiniMax H3 model.

    Videos and sound have noise levels of their own. Set those of the video with SetFlowShift. The
    weights are shared with the unchanged model.

    Args:
        model: A MiniMax H3 model.
        shift: 1 is no shift. Larger values spend more steps at high noise.
    """
    return ShiftedModel(with_sound_shift(model, shift))


@node(
    category="models",
    label="Flow shift by size",
    infer=same_model,
    validate=check_flow,
    estimate=added_weights,
    tags=("ModelSamplingFlux", "max_shift", "base_shift", "dynamic shifting", "flux"),
)
def SetFlowShiftBySize(
    model: DiffusionModel,
    width: Side = 1024,
    height: Side = 1024,
    base_shift: Log = 0.5,
    max_shift: Log = 1.15,
) -> ShiftedModel:
    """Set the shift of a flow matching model by image size. Larger images get a larger shift.

    Args:
        model: The model to change.
        width, height: Size of the image, in pixels.
        base_shift: Logarithm of the shift for images of 256 x 256.
        max_shift: Logarithm of the shift for images of 1024 x 1024. Other sizes are on a line over
            the number of pixels.
    """
    return ShiftedModel(with_shift_by_size(model, width, height, base_shift, max_shift))


@node(
    category="models",
    label="Prediction type",
    infer=predicting_outputs,
    validate=check_prediction,
    estimate=added_weights,
    tags=("ModelSamplingDiscrete", "v_prediction", "v-pred", "eps", "zsnr", "zero terminal SNR"),
)
def SetPrediction(
    model: DiffusionModel,
    prediction_type: Annotated[str, Choices(("auto", *PREDICTION_TYPES))] = "auto",
    zero_terminal_snr: Annotated[str, Choices(("auto", "on", "off"))] = "auto",
) -> ShiftedModel:
    """Set what a model predicts, if its file does not say or is wrong.

    Args:
        model: A model with a discrete noise schedule, for example Stable Diffusion.
        prediction_type: The noise (epsilon), v, or the clean sample. auto uses the value in the
            file.
        zero_terminal_snr: Whether the model was trained with zero terminal SNR. Sampling then
            starts from pure noise. auto uses the value in the file.
    """
    return ShiftedModel(with_prediction(model, prediction_type, zero_terminal_snr))
