"""A multistep sampler."""

from torch import Tensor

from nodegraph.diffusion import (
    CONTINUOUS,
    STRAIGHT,
    Done,
    Evaluate,
    Steps,
    StraightSpace,
    Walk,
    sampler,
)


@sampler("ab2", STRAIGHT, CONTINUOUS, order=2)
def ab2(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Second order: this slope and the one before. Source: Adams and Bashforth, for equal steps."""
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        x = x.float()
        denoised = here.denoised(output, x)
        slope = here.slope(output, x, denoised).float()
        before = walk.memory.get("slope", slope)  # in the first step both are one: Euler
        walk.memory["slope"] = slope
        x = yield Done(x + (after.sigma - here.sigma) * (1.5 * slope - 0.5 * before), denoised)
