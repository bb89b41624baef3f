"""Optimisers, learning rates and averaged weights of a training, and their state as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.errors import InvalidValue
from nodegraph.training.options import TrainingPlan

Parameters = Mapping[str, nn.Parameter]
"""What is taught, by name, in an order that is always the same."""

_BETAS = (0.9, 0.999)


def build_optimizer(
    parameters: Iterable[nn.Parameter], plan: TrainingPlan
) -> torch.optim.Optimizer:
    """The optimiser of a training.

    Raises:
        InvalidValue: Its library isn't installed.
    """
    name, decay = plan.options.optimizer, plan.options.weight_decay
    several, rate = list(parameters), plan.learning_rate
    if name == "adamw":
        return torch.optim.AdamW(several, lr=rate, betas=_BETAS, weight_decay=decay)
    if name == "adafactor":
        return torch.optim.Adafactor(several, lr=rate, weight_decay=decay)
    if name == "sgd":
        return torch.optim.SGD(several, lr=rate, momentum=0.9, weight_decay=decay)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise InvalidValue(
            "the optimiser adamw8bit needs bitsandbytes, which isn't installed",
            port="options",
            given=name,
            expected="adamw, adafactor or sgd",
            hint="Run `pip install bitsandbytes`.",
        ) from error
    made: torch.optim.Optimizer = AdamW8bit(several, lr=rate, betas=_BETAS, weight_decay=decay)
    return made


def rate_factors(plan: TrainingPlan) -> Callable[[int], float]:
    """What the learning rate is multiplied by at each step, counted from 0; as in diffusers."""
    from diffusers.optimization import get_scheduler

    # A scheduler of diffusers is made of these factors, and they are all that is wanted of it.
    options = plan.options
    name = options.schedule
    if name == "constant" and options.warmup:
        name = "constant_with_warmup"  # type: ignore[assignment]
    nothing = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(
        name, nothing, num_warmup_steps=options.warmup, num_training_steps=plan.steps
    )
    factor_of: Callable[[int], float] = scheduler.lr_lambdas[0]
    return factor_of


class AveragedWeights:
    """Weights that follow those that are taught, slowly.

    Args:
        decay: What they keep of themselves in a step at most; fewer in the first steps.
    """

    def __init__(self, parameters: Parameters, decay: float) -> None:
        self._parameters, self._decay = parameters, decay
        self.weights = {name: item.detach().clone() for name, item in parameters.items()}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Follow what the weights are after a step, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, weight in self.weights.items():
            weight.lerp_(self._parameters[name].detach(), 1 - decay)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as tensors on the CPU, copied, by number of the weight and name."""
    tensors = {}
    for number, of_weight in optimizer.state_dict()["state"].items():
        for name, value in of_weight.items():
            tensor = value if isinstance(value, Tensor) else torch.tensor(value)
            tensors[f"{number}.{name}"] = tensor.detach().to("cpu", copy=True)
    return tensors


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Bring back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
