"""Names and shapes of tensors in published files of BiRefNet and U²-Net, at any width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

Shapes = dict[str, tuple[int, ...]]
TINY = {"width": 8, "depths": (2, 1, 1, 1), "heads": (1, 1, 2, 2), "window": 4}


def birefnet_shapes(
    width: int,
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    window: int,
    inner: int = 64,
    branch: int = 256,
) -> Shapes:
    found = dict(_swin(width, depths, heads, window))
    a, b, c, d = channels = [2 * width * scale for scale in (8, 4, 2, 1)]
    found |= _block("squeeze_module.0.", sum(channels), a, inner, branch)
    decoder: Shapes = {}
    for at, grid, made in ((5, 32, a), (4, 16, a), (3, 8, b), (2, 4, c), (1, 1, d)):
        decoder |= _conv(f"ipt_blk{at}.conv1", 3 * grid * grid, inner, 3)
        decoder |= _conv(f"ipt_blk{at}.conv_out", inner, made // 8, 3)
    for at, given, made in ((4, a + a // 8, b), (3, b + a // 8, c), (2, c + b // 8, d)):
        decoder |= _block(f"decoder_block{at}.", given, made, inner, branch)
        decoder |= _conv(f"lateral_block{at}.conv", made, made, 1)
        decoder |= _conv(f"conv_ms_spvn_{at}", made, 1, 1)
        decoder |= _conv(f"gdt_convs_{at}.0", made, 16, 3) | _norm(f"gdt_convs_{at}.1", 16)
        decoder |= _conv(f"gdt_convs_pred_{at}.0", 16, 1, 1)
        decoder |= _conv(f"gdt_convs_attn_{at}.0", 16, 1, 1)
    decoder |= _block("decoder_block1.", d + c // 8, d // 2, inner, branch)
    decoder |= _conv("conv_out1.0", d // 2 + d // 8, 1, 1)
    return found | {f"decoder.{name}": shape for name, shape in decoder.items()}


def _conv(name: str, given: int, made: int, kernel: int, *, bias: bool = True) -> Shapes:
    weight: Shapes = {f"{name}.weight": (made, given, kernel, kernel)}
    return weight | ({f"{name}.bias": (made,)} if bias else {})


def _norm(name: str, channels: int, *, batch: bool = True) -> Shapes:
    kinds = ("weight", "bias", *(("running_mean", "running_var") if batch else ()))
    return {f"{name}.{kind}": (channels,) for kind in kinds}


def _block(name: str, given: int, made: int, inner: int, branch: int) -> Shapes:
    found = _conv(f"{name}conv_in", given, inner, 3) | _norm(f"{name}bn_in", inner)
    found |= _conv(f"{name}conv_out", inner, made, 3) | _norm(f"{name}bn_out", made)
    pyramid = f"{name}dec_att."
    for part, kernel in (
        ("aspp1", 1),
        *((f"aspp_deforms.{at}", k) for at, k in enumerate((1, 3, 7))),
    ):
        conv = f"{pyramid}{part}.atrous_conv."
        found |= _conv(f"{conv}offset_conv", inner, 2 * kernel**2, kernel)
        found |= _conv(f"{conv}modulator_conv", inner, kernel**2, kernel)
        found |= _conv(f"{conv}regular_conv", inner, branch, kernel, bias=False)
        found |= _norm(f"{pyramid}{part}.bn", branch)
    found |= _conv(f"{pyramid}global_avg_pool.1", inner, branch, 1, bias=False)
    found |= _norm(f"{pyramid}global_avg_pool.2", branch)
    found |= _conv(f"{pyramid}conv1", 5 * branch, inner, 1, bias=False)
    return found | _norm(f"{pyramid}bn1", inner)


def _swin(
    width: int, depths: tuple[int, ...], heads: tuple[int, ...], window: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _conv("bb.patch_embed.proj", 3, width, 4).items()
    yield from _norm("bb.patch_embed.norm", width, batch=False).items()
    for stage, (depth, number) in enumerate(zip(depths, heads, strict=True)):
        size, layer = width * 2**stage, f"bb.layers.{stage}."
        for at in range(depth):
            block = f"{layer}blocks.{at}."
            for which in ("norm1", "norm2"):
                yield from _norm(f"{block}{which}", size, batch=False).items()
            yield f"{block}attn.relative_position_bias_table", ((2 * window - 1) ** 2, number)
            for name, times, of in (
                ("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4),
            ):  # fmt: skip
                yield f"{block}{name}.weight", (times * size, of * size)
                yield f"{block}{name}.bias", (times * size,)
        if stage < 3:
            yield f"{layer}downsample.reduction.weight", (2 * size, 4 * size)
            yield from _norm(f"{layer}downsample.norm", 4 * size, batch=False).items()
        yield from _norm(f"bb.norm{stage}", size, batch=False).items()


def u2net_shapes(stages: dict[str, tuple[int, int, int]], stem: int | None) -> Shapes:
    """ISNet's with a stem, U²-Net's without."""
    found: Shapes = {} if stem is None else _conv("conv_in", 3, stem, 3)
    for name, (given, within, made) in stages.items():
        depth = {"1": 7, "2": 6, "3": 5}.get(name[0], 4)
        found |= _layer(f"stage{name}.rebnconvin", given, made)
        for at in range(1, depth + 1):
            found |= _layer(f"stage{name}.rebnconv{at}", made if at == 1 else within, within)
        for at in range(1, depth):
            found |= _layer(f"stage{name}.rebnconv{at}d", 2 * within, made if at == 1 else within)
    for at in range(1, 7):
        found |= _conv(f"side{at}", stages[f"{at}d" if at < 6 else "6"][2], 1, 3)
    return found | (_conv("outconv", 6, 1, 1) if stem is None else {})


def _layer(name: str, given: int, made: int) -> Shapes:
    return _conv(f"{name}.conv_s1", given, made, 3) | _norm(f"{name}.bn_s1", made)


def small_u2net(stem: int | None) -> Shapes:
    """One of few channels, as U²-Netp's are all alike."""
    down = dict.fromkeys("23456", (8, 4, 8))
    up = {f"{at}d": (16, 4, 8) for at in (5, 4, 3, 2, 1)}
    return u2net_shapes({"1": (stem or 3, 4, 8), **down, **up}, stem)


def weights_of(shapes: Shapes, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random ones by which masks differ from place to place."""
    draw = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes.items():
        drawn = torch.randn(shape, generator=draw)
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            found[name] = 1 + 0.1 * drawn.abs()
        else:
            spread = 1.5 * drawn[0].numel() ** -0.5 if len(shape) > 1 else 0.1
            found[name] = drawn * spread
    return found


def save(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path))
