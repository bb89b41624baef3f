"""Train a whole network: a denoiser, or a control network.

Source for control networks: Zhang et al. 2023, arXiv:2302.05543 (ControlNet).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.core.training_values import Preprocessor, TrainedKind, TrainedWeights
from nodegraph.core.values import ControlNet, DiffusionModel
from nodegraph.errors import InvalidValue
from nodegraph.families.base import CONTROLS
from nodegraph.families.components import Denoiser
from nodegraph.families.model_step import DOWN, MID, Moment
from nodegraph.families.registry import get_family
from nodegraph.families.unet import UNetFamily
from nodegraph.training.denoising_task import DenoisingTask, EncodedDataset, own_denoiser
from nodegraph.training.examples import LatentKey
from nodegraph.training.files import CONFIG, DIFFUSERS_WEIGHTS, write_trained
from nodegraph.training.loop import Parameters
from nodegraph.training.options import check_no_adapters
from nodegraph.training.training_run import (
    PreparedModel,
    TrainingOutcome,
    TrainingSetup,
    enable_gradient_checkpointing,
    run_training,
)
from nodegraph.weights.weight_files import PRECISIONS

_ADDED_COND_KEYS = {"text_embeds": "pooled", "time_ids": "time_ids"}


def train_control_net(setup: TrainingSetup, preprocessor: Preprocessor) -> TrainedWeights:
    """A control network that was taught, from images and what a preprocessor makes of them.

    Raises:
        InvalidValue: The family's models are no UNets; see `TrainingSetup.train`.
        NumericalError, OutputError: See there and `write_trained`.
    """
    family = get_family(setup.model.family)
    if not isinstance(family, UNetFamily):
        raise InvalidValue(
            f"training of control networks is not supported for {family.title}",
            port="model",
            expected="a Stable Diffusion 1.x, 2.x or XL",
        )
    setup.check()
    datasets = setup.encode_datasets()
    prompts, _ = setup.prompts(datasets)
    hints = hints_of(datasets[0], preprocessor)
    with setup.ctx.weights(setup.training_model) as shared, torch.enable_grad():
        network = new_control(shared.module)
        if setup.saves_memory:
            enable_gradient_checkpointing(network)
        model = own_denoiser(shared, setup.own_modules(shared))
        control_inputs = ControlInputs(network, datasets[0], hints)
        task = DenoisingTask(
            model,
            trainable_parameters(network),
            datasets,
            prompts,
            setup.plan,
            extra_inputs=control_inputs,
        )
        learned = run_training(setup.ctx, task, setup.plan)
    return write_module(setup, "controlnet", "controlnet", network, learned, setup.model.dtype)


def new_control(unet: Any) -> Any:
    """A control network that changes nothing yet, in float32; all of its weights learn.

    Its zero layers are zeros, and what is drawn of its first layers is drawn by one generator.
    """
    from diffusers import ControlNetModel

    state = torch.get_rng_state()
    try:
        torch.manual_seed(0)
        control_net: nn.Module = ControlNetModel.from_unet(unet)
    finally:
        torch.set_rng_state(state)
    return control_net.float().requires_grad_(True)


def hints_of(dataset: EncodedDataset, preprocessor: Preprocessor) -> dict[LatentKey, Tensor]:
    """What leads to each reading; float32 in 0..1, (3, height, width) of its image."""
    hints = {}
    for key in dataset.latents:
        picture = dataset.reading.picture(key)
        hint = preprocessor.apply(picture.movedim(0, -1)[None])
        hint = hint.expand(*hint.shape[:3], 3).movedim(-1, 1)
        size = picture.shape[1:]
        if hint.shape[2:] != size:
            hint = nn.functional.interpolate(hint, size=size, mode="bilinear")
        hints[key] = hint[0].float().clamp(0, 1)
    return hints


class ControlInputs:
    """What a control network adds inside a UNet for the examples of a batch."""

    def __init__(
        self, network: Any, dataset: EncodedDataset, hints: Mapping[LatentKey, Tensor]
    ) -> None:
        self._network, self._taught, self._hints = network, dataset, hints

    def __call__(
        self, noisy: Tensor, moment: Moment, batch: Mapping[str, Any], keys: list[LatentKey]
    ) -> dict[str, Any]:
        added_cond = {name: batch[key] for name, key in _ADDED_COND_KEYS.items() if key in batch}
        hints = torch.stack([self._hints[key] for key in keys]).to(noisy.device, noisy.dtype)
        down, mid = self._network(
            noisy,
            moment.timestep,
            encoder_hidden_states=batch["embeddings"],
            controlnet_cond=hints,
            added_cond_kwargs=added_cond or None,
            return_dict=False,
        )
        return {CONTROLS: {DOWN: down, MID: [mid]}}


def control_recipe(weights: TrainedWeights, dtype: str) -> ControlNet:
    """The recipe of a control network that was taught."""
    return ControlNet(weights.family, weights.files, dtype)


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
