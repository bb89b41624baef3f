"""What attention loses in SageAttention's arithmetic, simulated on a CPU (minutes).

    python benchmarks/attention_loss.py [--json] [--quick]

No kernel runs: `sage_attention.py` computes what the published kernels round. The rest of a card's
arithmetic is exact here, so a card may lose a little more.

Each kernel attends to bfloat16 inputs, and is compared with attention of the same inputs in
float64: the relative error (root of the mean square, of all outputs) and 1 - the cosine similarity.
Beside it, torch's attention in bfloat16. Inputs are

- random, of the head sizes and lengths of published models: without structure; with keys that have
  a few large channels in common, as those of trained models do; and normalized and rotated, of
  tokens that resemble their neighbors, as in transformers with query and key norms,
- those of the embedded model at a few noise levels of a sampling.

At last, the embedded model samples with each kernel in place of torch's: how far latents are apart
in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from common import Figure, options, show
from rivals import embedded
from sage_attention import KERNELS, SageKernel, attend
from torch import Tensor
from torch.nn.functional import layer_norm, scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

Inputs = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values, each of shape (batch, heads, tokens, channels)."""
HEADS = 2
_OUTLIERS = 4
"""Channels of a head that keys have in common."""
_LIKENESS = 0.98
"""Correlation of neighbors among tokens."""


def plain(tokens: int, channels: int) -> Inputs:
    """Independent numbers of a normal distribution."""
    query, key, value = torch.randn(3, 1, HEADS, tokens, channels)
    return query, key, value


def outliers(tokens: int, channels: int) -> Inputs:
    """Keys with large channels in common.

    Source: figure 4 of arXiv:2410.02367, which shows such keys of a trained model.
    """
    query, key, value = plain(tokens, channels)
    common = torch.zeros(1, HEADS, 1, channels)
    common[..., :_OUTLIERS] = 12 * torch.randn(1, HEADS, 1, _OUTLIERS).sign()
    return query, key + common, value


def rotated(tokens: int, channels: int) -> Inputs:
    """Tokens that resemble their neighbors, with normed, rotated queries and keys."""
    steps = torch.randn(3, 1, HEADS, tokens, channels)
    drawn = [steps[..., 0, :]]
    for index in range(1, tokens):
        kept = _LIKENESS * drawn[-1]
        drawn.append(kept + (1 - _LIKENESS**2) ** 0.5 * steps[..., index, :])
    query, key, value = torch.stack(drawn, -2)
    # One source of queries and keys, so that tokens attend to their neighbors. The factors are
    # weights of norms, which sharpen attention.
    query, key = 1.5 * layer_norm(query, [channels]), 1.5 * layer_norm(query + key, [channels])
    return _rotate(query), _rotate(key), value


def _rotate(rows: Tensor) -> Tensor:
    tokens, channels = rows.shape[-2:]
    speeds = 10_000 ** (-torch.arange(0, channels, 2) / channels)
    angles = torch.arange(tokens)[:, None] * speeds
    turned = torch.view_as_complex(rows.reshape(*rows.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(turned * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


DISTRIBUTIONS: Mapping[str, Callable[[int, int], Inputs]] = {
    "normal": plain,
    "common channels in keys": outliers,
    "normed and rotated": rotated,
}


class _Recorded(TorchFunctionMode):
    """Inside the `with`, attention is computed by a function, or recorded."""

    def __init__(self, compute: Callable[..., Tensor]) -> None:
        super().__init__()
        self._compute = compute

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is scaled_dot_product_attention:
            return self._compute(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _unmasked(kwargs: Mapping[str, Any]) -> bool:
    return kwargs.get("attn_mask") is None and not kwargs.get("is_causal")


def losses(name: str, inputs: Sequence[Inputs]) -> Iterator[Figure]:
    """The error of each kernel over some inputs, beside that of torch in bfloat16."""
    halves = [(q.bfloat16(), k.bfloat16(), v.bfloat16()) for q, k, v in inputs]
    exact = [
        _flat(scaled_dot_product_attention(q.double(), k.double(), v.double()))
        for q, k, v in halves
    ]
    usual = [_flat(scaled_dot_product_attention(q, k, v)) for q, k, v in halves]
    beside = _error(usual, exact)
    yield Figure(f"{name}: torch in bfloat16, relative error", 100 * beside, "%")
    for title, kernel in KERNELS.items():
        found = [_flat(attend(q, k, v, kernel).bfloat16()) for q, k, v in halves]
        yield Figure(
            f"{name}: {title}, relative error",
            100 * _error(found, exact),
            "%",
            baseline=100 * beside,
            against="bfloat16",
        )
        yield Figure(f"{name}: {title}, 1 - cosine similarity", 1 - _cosine(found, exact), "")


def _flat(output: Tensor) -> Tensor:
    return output.double().flatten()


def _error(found: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    one, other = torch.cat(list(found)), torch.cat(list(exact))
    return float((one - other).norm() / other.norm())


def _cosine(found: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    one, other = torch.cat(list(found)), torch.cat(list(exact))
    return float(one @ other / one.norm() / other.norm())


def of_model(steps: int) -> Iterator[Figure]:
    """What the embedded model's attention loses, and its latents in the end."""
    rival = embedded(steps)
    recorded: list[Inputs] = []

    def record(query: Tensor, key: Tensor, value: Tensor, **kwargs: Any) -> Tensor:
        if _unmasked(kwargs):
            recorded.append((query, key, value))
        return scaled_dot_product_attention(query, key, value, **kwargs)

    with _Recorded(record):
        exact = rival.sample(rival.denoiser, 7)
    width = recorded[0][0].shape[-1]
    yield from losses(f"embedded model, {width} channels a head", recorded[:: max(1, steps // 4)])
    for title, kernel in KERNELS.items():
        with _Recorded(_by(kernel)):
            found = rival.sample(rival.denoiser, 7)
        apart = float((found - exact).norm() / exact.norm())
        yield Figure(f"embedded model sampled: {title}, relative error", 100 * apart, "%")


def _by(kernel: SageKernel) -> Callable[..., Tensor]:
    def compute(query: Tensor, key: Tensor, value: Tensor, **kwargs: Any) -> Tensor:
        if not _unmasked(kwargs):
            return scaled_dot_product_attention(query, key, value, **kwargs)
        return attend(query, key, value, kernel, kwargs.get("scale")).to(query.dtype)

    return compute


def figures(*, quick: bool) -> Iterator[Figure]:
    """All, as they are measured."""
    sizes = [(256, 64)] if quick else [(1024, 64), (4096, 64), (4096, 128)]
    for name, draw in DISTRIBUTIONS.items():
        for tokens, channels in sizes:
            torch.manual_seed(0)
            inputs = [draw(tokens, channels)]
            yield from losses(f"{name}, {tokens} tokens of {channels} channels", inputs)
    yield from of_model(2 if quick else 20)


def main() -> None:
    given = options(__doc__)
    with torch.no_grad():
        show(figures(quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
