"""What models are sampled on: the shift of their noise levels, and what they predict."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Choices, DiffusionModel, Range, node
from nodegraph.families.scheduler_file import PREDICTION_TYPES
from nodegraph.sampling.model_sampling import with_flow_shift, with_prediction, with_shift_by_size

from ._model_sampling_facts import check_flow, check_prediction, predicting_outputs, same_model
from ._speed_facts import added_weights

Side = Annotated[int, Range(16, 16384)]
Log = Annotated[float, Range(-10, 10, step=0.01)]


class ShiftedModel(NamedTuple):
    """A model that is sampled on other noise levels."""

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
    """Shift a flow model's noise levels: more steps for the layout, or for details.

    For Stable Diffusion 3, Wan, Z-Image, Qwen-Image and all others that were trained by flow
    matching. The weights are shared with all who use the model as it is.

    Args:
        model: Whose levels are shifted, whatever the size of the picture.
        shift: 1 not at all; the larger, the more steps are spent where there is much noise.
    """
    return ShiftedModel(with_flow_shift(model, shift))


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
    """Shift a flow model's noise levels as a size of pictures needs it: the larger, the more.

    Args:
        model: Whose levels are shifted.
        width, height: Of the pictures, in pixels.
        base_shift: The logarithm of the shift of pictures of 256 x 256.
        max_shift: That of pictures of 1024 x 1024; on a line over the pixels between and beyond.
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
    """Say what a model predicts, where its file doesn't or says it wrongly.

    Args:
        model: Of a table of noise levels, such as Stable Diffusion's.
        prediction_type: The noise (epsilon), v, or the clean sample; auto is what the file says.
        zero_terminal_snr: Whether it was trained to begin at noise alone, where sampling begins
            then; auto is what the file says.
    """
    return ShiftedModel(with_prediction(model, prediction_type, zero_terminal_snr))
