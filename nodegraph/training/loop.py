"""The training loop: optimizer, learning rate, averaged weights and saved state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.training.options import TrainingPlan

Parameters = Mapping[str, nn.Parameter]
"""What is taught, by name, in an order that is always the same."""

_BETAS = (0.9, 0.999)


def build_optimizer(
    parameters: Iterable[nn.Parameter], plan: TrainingPlan
) -> torch.optim.Optimizer:
    """The optimizer of a training.

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
            "the optimizer adamw8bit needs bitsandbytes, which is not installed",
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
    """An optimizer's state as tensors on the CPU, copied, by number of the weight and name."""
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


_WEIGHT, _MOMENT, _AVERAGE, _LOSSES, _SCALER = "weight.", "moment.", "average.", "losses", "scaler."


class TrainingTask(Protocol):
    """What is taught, and by what."""

    @property
    def parameters(self) -> Parameters:
        """The weights that learn; float32."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def loss(self, number: int) -> Tensor:
        """The loss of a batch; 0-dimensional, to be derived.

        Args:
            number: Of the batch, counted from 0: all that is drawn is a function of it.
        """

    def after_step(self) -> None:
        """Called when the weights have changed."""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One step of a training that is done.

    Attributes:
        step, total: Step `step` of `total`; counted from 1.
        loss: Before the step, mean over its batches.
        rate: The learning rate of the step.
    """

    step: int
    total: int
    loss: float
    rate: float


class Training:
    """A training, a step at a time: iterate over it.

    Between two steps, `state` saves and `restore` brings back all that decides how it goes on.

    A step is the one of a plain loop of torch: zero_grad, loss, backward, clip_grad_norm_, step.

    Args:
        task: What is learned.
        plan: How.
        check_cancelled: Called between parts of a step; may raise to stop it there.
    Raises:
        InvalidValue: A library isn't installed that the plan asks for.
    """

    def __init__(
        self,
        task: TrainingTask,
        plan: TrainingPlan,
        check_cancelled: Callable[[], object] = lambda: None,
    ) -> None:
        self._task, self._plan, self._breathe = task, plan, check_cancelled
        self._parameters = task.parameters
        self._optimizer = build_optimizer(self._parameters.values(), plan)
        self._factors = rate_factors(plan)
        average = plan.options.average
        self._average = AveragedWeights(self._parameters, average) if average else None
        is_half = plan.options.precision == "float16" and task.device.type == "cuda"
        self._scaler = torch.amp.GradScaler("cuda") if is_half else None
        self.losses: list[float] = []

    @property
    def step(self) -> int:
        """Steps that are done."""
        return len(self.losses)

    @property
    def total(self) -> int:
        """Steps in all."""
        return self._plan.steps

    def __iter__(self) -> Iterator[TrainingStep]:
        """Walk the remaining steps."""
        while self.step < self.total:
            yield self.advance()

    def advance(self) -> TrainingStep:
        """Walk one step.

        Raises:
            NumericalError: The loss is NaN or infinite; the weights are as before.
        """
        rate = self._plan.learning_rate * self._factors(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._derived()
        self._changed()
        self.losses.append(loss)
        if self._average is not None:
            self._average.follow(self.step)
        self._task.after_step()
        return TrainingStep(self.step, self.total, loss, rate)

    def _derived(self) -> float:
        """The loss of the step's batches, and the gradients of it."""
        count = self._plan.options.accumulate
        loss = 0.0
        for part in range(count):
            self._breathe()
            batch_loss = self._task.loss(self.step * count + part)
            batch_loss = batch_loss if count == 1 else batch_loss / count
            loss += float(batch_loss.detach())
            if not math.isfinite(loss):
                raise self._not_finite(loss)
            self._breathe()
            scaled = batch_loss if self._scaler is None else self._scaler.scale(batch_loss)
            torch.autograd.backward(scaled)
        return loss

    def _changed(self) -> None:
        several, clip = list(self._parameters.values()), self._plan.options.clip
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        if clip:
            nn.utils.clip_grad_norm_(several, clip)
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()

    def _not_finite(self, loss: float) -> NumericalError:
        return NumericalError(
            f"the loss of step {self.step + 1} of {self.total} is {loss}",
            hint="Lower learning_rate, raise warmup, or train in float32 or bfloat16.",
        )

    def weights(self) -> dict[str, Tensor]:
        """What was taught, as it is now: the averages, if there are some; float32 on the CPU."""
        tensors: Mapping[str, Tensor] = (
            self._parameters if self._average is None else self._average.weights
        )
        return {
            name: item.detach().to("cpu", torch.float32, copy=True)
            for name, item in tensors.items()
        }

    def averaged(self) -> AbstractContextManager[None]:
        """Inside the `with` the lesson's weights are the averages, if there are some."""
        return nullcontext() if self._average is None else _Swapped(self._parameters, self._average)

    def state(self) -> dict[str, Any]:
        """All that decides how it goes on: tensors on the CPU and numbers, by name."""
        tensors: dict[str, Any] = {_LOSSES: list(self.losses)}
        for name, item in self._parameters.items():
            tensors[_WEIGHT + name] = item.detach().to("cpu", copy=True)
        for name, moment in optimizer_tensors(self._optimizer).items():
            tensors[_MOMENT + name] = moment
        if self._average is not None:
            for name, average in self._average.weights.items():
                tensors[_AVERAGE + name] = average.to("cpu", copy=True)
        if self._scaler is not None:
            tensors |= {_SCALER + name: item for name, item in self._scaler.state_dict().items()}
        return tensors

    @property
    def state_bytes(self) -> int:
        """About how large `state` is."""
        own = sum(item.numel() * item.element_size() for item in self._parameters.values())
        return own * (3 + (self._average is not None))

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on, to the same bits, from what `state` gave in a training of equal arguments.

        Raises:
            ValueError: It is of another training.
        """
        weights = _below(state, _WEIGHT)
        averages = _below(state, _AVERAGE)
        if weights.keys() != self._parameters.keys():
            raise ValueError("the saved training belongs to other weights")
        if (self._average is None) != (not averages):
            raise ValueError("the saved training has other settings")
        for name, item in self._parameters.items():
            item.copy_(weights[name])
        if self._average is not None:
            for name, average in self._average.weights.items():
                average.copy_(averages[name])
        restore_optimizer(self._optimizer, _below(state, _MOMENT))
        if self._scaler is not None:
            self._scaler.load_state_dict(_below(state, _SCALER))
        self.losses = [float(loss) for loss in state[_LOSSES]]
        self._task.after_step()


class _Swapped:
    """Puts averages in the weights' place, and back."""

    def __init__(self, parameters: Parameters, average: AveragedWeights) -> None:
        self._parameters, self._average = parameters, average

    def __enter__(self) -> None:
        self._own = {name: item.detach().clone() for name, item in self._parameters.items()}
        self._put(self._average.weights)

    def __exit__(self, *_: object) -> None:
        self._put(self._own)

    @torch.no_grad()
    def _put(self, weights: Mapping[str, Tensor]) -> None:
        for name, item in self._parameters.items():
            item.copy_(weights[name])


def _below(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): item for name, item in state.items() if name.startswith(prefix)
    }
