"""What the sampling nodes check before anything runs. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nodegraph import Finding, HookInputs, InvalidValue
from nodegraph.diffusion.names import check_combination
from nodegraph.diffusion.steps import last_step, steps_walked

LATENT_FACTS = {name: f"latent.{name}" for name in ("width", "height", "batch", "channels")}
"""Facts of a latent that a node hands on."""


def check_sampling(inputs: HookInputs) -> Iterator[Finding]:
    """Find a sampler and schedule that don't go together, and step counts that can't be."""
    yield from _findings(check_combination, inputs, "sampler", "schedule")
    if inputs.literals.get("end_step") is None:
        yield from check_steps(inputs)
    else:
        yield from _findings(last_step, inputs, "steps", "denoise", "end_step")


def check_steps(inputs: HookInputs) -> Iterator[Finding]:
    """Find step counts out of range, and those that denoise leaves nothing of."""
    yield from _findings(steps_walked, inputs, "steps", "denoise")


def _findings(check: Callable[..., Any], inputs: HookInputs, *ports: str) -> Iterator[Finding]:
    """What a check says of some inputs, unless one of them is linked and so not yet known."""
    values = [inputs.literals.get(port) for port in ports]
    if None in values:
        return
    try:
        check(*values)
    except InvalidValue as error:
        found = error.problem
        yield Finding(
            found.port or ports[0], found.message, found.given, found.expected, found.hint
        )
