"""Teaching all weights of a denoiser, and recipes whose weights were taught."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.core.trained_values import TrainedKind, TrainedWeights
from nodegraph.core.values import DiffusionModel
from nodegraph.families.components import Denoiser
from nodegraph.training.denoising import own_denoiser
from nodegraph.training.files import CONFIG, DIFFUSERS_WEIGHTS, write_trained
from nodegraph.training.optimising import Parameters
from nodegraph.training.running import PreparedModel, TrainingOutcome, TrainingSetup
from nodegraph.training.teachable import check_no_adapters
from nodegraph.weights.weight_files import PRECISIONS


def train_whole_model(setup: TrainingSetup) -> TrainedWeights:
    """A whole denoiser that was taught: all of its weights learn.

    Raises:
        InvalidValue, NumericalError, OutputError: See `TrainingSetup.train` and `write_trained`.
    """
    check_no_adapters(setup.model)
    own: dict[str, nn.Module] = {}

    def prepare(shared: Denoiser) -> PreparedModel:
        role, module = next(iter(shared.modules.items()))
        own[role] = learner = trainable_copy(module)
        return own_denoiser(shared, {**shared.modules, role: learner}), trainable_parameters(
            learner
        )

    learned = setup.train(prepare)
    ((role, module),) = own.items()
    return write_module(setup, "model", role, module, learned, setup.model.dtype)


def trainable_copy(module: Any) -> Any:
    """A copy of a network, in float32, all of whose weights learn."""
    with torch.no_grad():
        own = deepcopy(module).float()
    return own.requires_grad_(True)


def trainable_parameters(module: nn.Module) -> Parameters:
    """The weights of a network that learn, by path."""
    return {name: item for name, item in module.named_parameters() if item.requires_grad}


def write_module(
    setup: TrainingSetup,
    kind: TrainedKind,
    role: str,
    module: Any,
    learned: TrainingOutcome,
    dtype: str,
) -> TrainedWeights:
    """A network that was taught, written with its configuration.

    Args:
        module: Of diffusers.
        dtype: What its weights are written in.
    """
    tensors = module_tensors(module, learned.weights, dtype)
    config: Mapping[str, Any] = json.loads(module.to_json_string())
    settings = (*setup.plan.to_settings(), ("pictures", str(len(setup.dataset.examples))))
    files = write_trained(
        setup.ctx.environment, role, tensors, name=DIFFUSERS_WEIGHTS, configs={CONFIG: config}
    )
    return TrainedWeights(kind, setup.model.family, files, (), settings, learned.losses)


def module_tensors(
    module: nn.Module, weights: Mapping[str, Tensor], dtype: str
) -> dict[str, Tensor]:
    """All tensors of a network, those that were taught as they were learned."""
    precision = PRECISIONS[dtype]
    tensors = {
        **{name: item.detach().cpu() for name, item in module.state_dict().items()},
        **weights,
    }
    return {
        name: (item.to(precision) if item.is_floating_point() else item).contiguous()
        for name, item in tensors.items()
    }


def with_trained_model(weights: TrainedWeights, model: DiffusionModel) -> DiffusionModel:
    """The recipe of a model whose weights are those that were taught."""
    return replace(model, files=weights.files, adapters=())
