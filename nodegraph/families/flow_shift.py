"""How far a flow model's noise levels are shifted towards the noise by size, and lists of them.

Larger images need more noise to be drowned alike, so the shift grows with the tokens that the
model sees: Esser et al. 2024, arXiv:2403.03206, section 5.3.2. Families name one of these
functions, or have their own. Lists fall and end with 0; the model's own shift isn't applied to
them. Imports no torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from nodegraph.errors import InvalidValue

Mu = Callable[[Mapping[str, Any], int, int], float]
"""Of a scheduler file, the tokens of a latent and the steps: mu, the logarithm of the shift."""


def line_mu(config: Mapping[str, Any], tokens: float, steps: int) -> float:
    """On a line over the tokens, through the two points that the scheduler file names.

    As diffusers' pipelines of Flux.1, SD3, Qwen-Image, Z-Image, Lumina 2 and LTX find it.
    """
    fewest, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    rise = (high - low) / (most - fewest)
    return float(tokens * rise + (low - rise * fewest))


def flux2_mu(config: Mapping[str, Any], tokens: int, steps: int) -> float:
    """Flux.2's, measured: on a line over the steps, through points that depend on the tokens.

    Source: Black Forest Labs' flux2 repository, ``compute_empirical_mu`` in ``sampling.py``, as
    diffusers' pipeline has it.
    """
    at_200 = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return at_200
    at_10 = 8.73809524e-05 * tokens + 1.89833333
    rise = (at_200 - at_10) / 190.0
    return rise * steps + (at_200 - 200.0 * rise)


def karras_range(config: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the greatest and the least sigma / (1 - sigma) of a flow's scheduler file whose levels
    are spaced as Karras et al. 2022, arXiv:2206.00364, equation 5; None for other files.

    Of diffusers' schedulers, UniPC's alone spaces a flow so, and only a file with both ends says
    all of it.
    """
    is_spaced = config.get("use_flow_sigmas") and config.get("use_karras_sigmas")
    if config.get("_class_name") != "UniPCMultistepScheduler" or not is_spaced:
        return None
    ends = config.get("sigma_max"), config.get("sigma_min")
    high, low = (
        float(end) if isinstance(end, (int, float)) and not isinstance(end, bool) else math.nan
        for end in ends
    )
    return (high, low) if math.inf > high > low > 0 else None


def parse_numbers(text: str) -> list[float]:
    """The numbers of a text, with commas, semicolons or space between them, in brackets or not.

    Raises:
        InvalidValue: One isn't a number; on port ``sigmas``.
    """
    bare = text.strip().removeprefix("[").removesuffix("]").strip(" \t\r\n,;")
    numbers = []
    for word in re.split(r"[\s,;]+", bare) if bare else ():
        try:
            numbers.append(float(word))
        except ValueError:
            raise InvalidValue(
                "the list holds something that is not a number", port="sigmas", given=word[:40]
            ) from None
    return numbers


TOKEN_PIXELS = 256
"""Of Flux.2: a token is 16 by 16 pixels."""
LTX_TOKENS = (1024, 4096)
"""Between which LTX-Video's shift lies on a line."""
_LOG_NOISE = (-15.0, 18.0)
"""Least and greatest logarithm of the noise over the image, squared, of Ideogram 4's levels."""
_PLAIN_PIXELS = 512 * 512


def flux2_levels(steps: int, width: int, height: int) -> list[float]:
    """Evenly spaced times, shifted as Flux.2 does by the size and the number of steps.

    Args:
        width, height: In pixels.
    """
    mu = flux2_mu({}, round(width * height / TOKEN_PIXELS), steps)
    return _shifted(steps, mu)


def ltx_levels(
    steps: int,
    tokens: int,
    *,
    base_shift: float = 0.95,
    max_shift: float = 2.05,
    terminal: float | None = 0.1,
) -> list[float]:
    """Evenly spaced times, shifted as LTX-Video does by the tokens of the latent.

    Args:
        base_shift, max_shift: Logarithms of the shift at both of `LTX_TOKENS`.
        terminal: The levels are stretched so that the last one above 0 is this; None: they aren't.
    Source: Lightricks' LTX-Video repository, ``ltx_video/schedulers/rf.py``.
    """
    fewest, most = LTX_TOKENS
    mu = base_shift + (max_shift - base_shift) * (tokens - fewest) / (most - fewest)
    sigmas = _shifted(steps, mu)
    if terminal is None or steps == 1:
        return sigmas
    factor = (1 - terminal) / (1 - sigmas[-2])
    return [*(1 - (1 - level) * factor for level in sigmas[:-1]), 0.0]


def logit_normal_levels(
    steps: int, width: int, height: int, *, mu: float = 0.0, std: float = 1.75
) -> list[float]:
    """Levels whose logits are quantiles of a normal distribution, as Ideogram 4 takes them.

    Args:
        width, height: In pixels: of larger images the mean grows by half the logarithm of how
            many times 512 by 512 they are.
        mu: Mean of the logits of an image of that size; `std`: their deviation.
    Source: Ideogram 4's pipeline in diffusers.
    """
    mean = mu + 0.5 * math.log(width * height / _PLAIN_PIXELS)
    from statistics import NormalDist  # imports much, and few schedules are of this kind

    quantile = NormalDist(mean, std).inv_cdf
    least, most = (_sigmoid(0.5 * log_noise) for log_noise in _LOG_NOISE)
    logits = [math.inf, *(quantile(1 - step / steps) for step in range(1, steps))]
    return [*(min(max(_sigmoid(logit), least), most) for logit in logits), 0.0]


def _shifted(steps: int, mu: float) -> list[float]:
    factor = math.exp(mu)
    times = [1 - step / steps for step in range(steps)]
    return [*(factor / (factor + 1 / time - 1) for time in times), 0.0]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))
