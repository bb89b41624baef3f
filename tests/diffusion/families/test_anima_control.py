"""ControlNet-LLLite of Anima changes what layers get as its authors' code does.

diffusers has no such network. What it adds is computed here from the tensors of the file, by the
formulas alone, and put into the transformer of diffusers' own pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.anima_control_network import AnimaControlLLLite
from nodegraph.families.identification import identify_tensors
from nodegraph.sampling.controls.control_conditioning import control_of, with_control
from nodegraph.sampling.controls.files import find_control, open_control
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, Model, assert_same, stock
from .test_anima import anima

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH = 32
TARGETS = {
    "self_attn_q_proj": "attn1.to_q",
    "self_attn_k_proj": "attn1.to_k",
    "self_attn_v_proj": "attn1.to_v",
    "cross_attn_q_proj": "attn2.to_q",
    "mlp_layer1": "ff.net.0.proj",
}
LAYERS = [f"lllite_dit_blocks_{block}_{target}" for block in range(2) for target in TARGETS]


def anima_lllite(**changed: Any) -> AnimaControlLLLite:
    usual = {"image_dim": 16, "embedding_dim": 8, "inner_dim": 12, "image_blocks": 1}
    return AnimaControlLLLite(LAYERS, WIDTH, **{**usual, "dilations": (1, 3), **changed})


def anima_fill() -> AnimaControlLLLite:
    """One that is shown what it fills."""
    return anima_lllite(image_channels=4, mask_channels=1)


def lllite(**changed: Any) -> dict[str, Tensor]:
    """The tensors of a network."""
    torch.manual_seed(5)
    network = anima_lllite(**changed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    return {name: item.detach() for name, item in network.state_dict().items()}


def written(to: Path, tensors: dict[str, Tensor], **metadata: str) -> Path:
    stated = {"lllite.version": "2", "lllite.aspp_dilations": "1,3", **metadata}
    save_file(tensors, to, metadata=stated)
    return to


def vectors(tensors: dict[str, Tensor], image: Tensor) -> Tensor:
    """An image's vectors, by the formulas.

    Args:
        image: In -1..1, shape (1, 3 or 4, height, width).
    """
    own = {name.removeprefix("lllite_conditioning1."): item for name, item in tensors.items()}

    def conv(x: Tensor, name: str, **how: Any) -> Tensor:
        return functional.conv2d(x, own[f"{name}.weight"], own[f"{name}.bias"], **how)

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.group_norm(x, 8, own[f"{name}.weight"], own[f"{name}.bias"])

    def layer(x: Tensor, name: str, **how: Any) -> Tensor:
        return functional.silu(norm(conv(x, f"{name}.0", **how), f"{name}.1"))

    x = functional.silu(norm(conv(image, "conv1", stride=4), "norm1"))
    x = functional.silu(norm(conv(x, "conv2", padding=1), "norm2"))
    x = functional.silu(norm(conv(x, "conv3", stride=4), "norm3"))
    inner = conv(functional.silu(norm(x, "resblocks.0.norm1")), "resblocks.0.conv1", padding=1)
    x = x + conv(functional.silu(norm(inner, "resblocks.0.norm2")), "resblocks.0.conv2", padding=1)
    if "aspp.proj.0.weight" in own:
        whole = layer(functional.adaptive_avg_pool2d(x, 1), "aspp.global_conv")
        branches = [
            layer(x, "aspp.branches.0"),
            layer(x, "aspp.branches.1", padding=3, dilation=3),
            functional.interpolate(whole, x.shape[-2:], mode="bilinear"),
        ]
        x = layer(torch.cat(branches, 1), "aspp.proj")
    flat = conv(x, "proj").flatten(2).transpose(1, 2)
    return functional.layer_norm(
        flat, flat.shape[-1:], own["out_norm.weight"], own["out_norm.bias"]
    )


class Changed(nn.Module):
    """A layer of the transformer that gets its input and what the network adds."""

    def __init__(self, layer: nn.Module, tensors: dict[str, Tensor], image: Tensor, by: float):
        super().__init__()
        self.layer, self.tensors, self.image, self.by = layer, tensors, image, by

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def forward(self, x: Tensor) -> Tensor:
        image = self.image + self.tensors["depth_embed"]
        image = image.expand(len(x), -1, -1)
        inner = functional.silu(self._linear(x, "down"))
        scale, shift = self._linear(image, "cond_to_film").chunk(2, dim=-1)
        inner = self._linear(torch.cat((image, inner), dim=-1), "mid")
        change = self._linear(functional.silu(inner * (1 + scale) + shift), "up")
        found: Tensor = self.layer(x + change * self.by)
        return found


def led(pipeline: Any, tensors: dict[str, Tensor], image: Tensor, by: float) -> Any:
    """diffusers' pipeline, with the changes of a network in its transformer."""
    changed = deepcopy(pipeline)
    shown = vectors(tensors, image)
    for name in LAYERS:
        block, target = name.removeprefix("lllite_dit_blocks_").split("_", 1)
        part = changed.components["transformer"].transformer_blocks[int(block)]
        own = {
            key.removeprefix(f"{name}."): item
            for key, item in tensors.items()
            if key.startswith(f"{name}.")
        }
        path = TARGETS[target]
        holder, _, last = path.rpartition(".")
        parent: Any = part.get_submodule(holder)
        setattr(parent, last, Changed(part.get_submodule(path), own, shown, by))
    return changed


def drawn(width: int = 64, height: int = 64) -> Tensor:
    """A control image, (1, height, width, 3)."""
    return torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(9))


def made(
    model: Model,
    file: Path,
    image: Tensor,
    *,
    mask: Tensor | None = None,
    times: int = 1,
    batch: int = 1,
    **how: Any,
) -> Any:
    """Images that the network leads."""
    recipe = open_control(str(file), [])
    network = load_component(recipe, "cpu")
    denoiser = replace(model.part("model"), controls={recipe: network})
    control = control_of(recipe, image, mask=mask, **how)

    def change(prompt: Conditioning) -> Conditioning:
        for _ in range(times):
            prompt = with_control(prompt, control)
        return prompt

    other = Model(model.folder, loaded={**model.loaded, "model": denoiser})
    against = other.encode(NEGATIVE)
    assert against is not None
    return other.make(64, 64, batch=batch, cfg=4.0, change=change, away=change(against))


def expected(pipeline: Any, batch: int = 1) -> Any:
    sizes = {"width": 64, "height": 64, "guidance_scale": 4.0, "batch": batch}
    return stock(pipeline, negative=NEGATIVE, **sizes)


@pytest.mark.parametrize(
    ("strength", "batch"), [(1.0, 1), pytest.param(0.4, 2, marks=pytest.mark.slow)]
)
def test_an_image_leads_as_the_formulas_say(
    model_of: ModelOf, tmp_path: Path, strength: float, batch: int
) -> None:
    pipeline, model = model_of(anima)
    tensors = lllite()
    file = written(tmp_path / "anima-lllite.safetensors", tensors)
    image = drawn()
    found = made(model, file, image, strength=strength, batch=batch)
    with torch.no_grad():
        changed = led(pipeline, tensors, image.movedim(-1, 1) * 2 - 1, strength)
    wanted = expected(changed, batch)
    torch.testing.assert_close(found.latents, wanted.latents, rtol=1e-4, atol=1e-4)
    plain = expected(pipeline, batch).latents
    assert (found.latents - plain).abs().max() > 0.01
    if batch == 1:
        assert_same(made(model, file, image, strength=0.0), expected(pipeline))


@pytest.mark.parametrize("hides", ["true", "false"])
def test_a_mask_is_a_further_channel(model_of: ModelOf, tmp_path: Path, hides: str) -> None:
    pipeline, model = model_of(anima)
    tensors = lllite(image_channels=4, mask_channels=1)
    metadata = {"lllite.inpaint_masked_input": hides}
    file = written(tmp_path / "anima-lllite-inpainting.safetensors", tensors, **metadata)
    image, mask = drawn(), torch.zeros(1, 64, 64)
    mask[:, 16:40, 8:32] = 1
    shown = image.movedim(-1, 1) * 2 - 1
    if hides == "true":
        shown = shown * (1 - mask)
    with torch.no_grad():
        changed = led(pipeline, tensors, torch.cat([shown, mask[:, None] * 2 - 1], 1), 1.0)
    found = made(model, file, image, mask=mask)
    wanted = expected(changed).latents
    torch.testing.assert_close(found.latents, wanted, rtol=1e-4, atol=1e-4)
    with raises(InvalidValue, port="mask"):
        made(model, file, image)


def test_two_images_lead_one_after_the_other(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, model = model_of(anima)
    tensors = lllite(dilations=())
    file = written(tmp_path / "anima-lllite.safetensors", tensors)
    image = drawn()
    shown = image.movedim(-1, 1) * 2 - 1
    with torch.no_grad():
        # What is led second gets what the first has made of the input.
        changed = led(led(pipeline, tensors, shown, 1.0), tensors, shown, 1.0)
    found = made(model, file, image, times=2)
    torch.testing.assert_close(found.latents, expected(changed).latents, rtol=1e-4, atol=1e-4)


def test_files_are_told_by_their_tensors(tmp_path: Path) -> None:
    tensors = lllite()
    file = written(tmp_path / "lllite.safetensors", tensors, **{"lllite.aspp_dilations": "1,5"})
    found = find_control(str(file), [])
    assert found.family.name == "anima"
    assert found.title == "a ControlNet for Anima"
    assert identify_tensors({name: tuple(item.shape) for name, item in tensors.items()}).node == (
        "LoadControlNet"
    )
    network = load_component(open_control(str(file), []), "cpu").module
    assert network.config.dilations == (1, 5)
    for name, item in network.state_dict().items():
        assert torch.equal(item, tensors[name]), name


def test_what_does_not_fit_is_refused(model_of: ModelOf, tmp_path: Path) -> None:
    _, model = model_of(anima)
    file = written(tmp_path / "lllite.safetensors", lllite())
    with raises(InvalidValue, port="mask"):
        made(model, file, drawn(), mask=torch.ones(1, 64, 64))
    torch.manual_seed(0)
    wide = AnimaControlLLLite(LAYERS, 2 * WIDTH, image_dim=16).state_dict()
    other = written(tmp_path / "wide.safetensors", dict(wide))
    with raises(InvalidValue, port="positive"):
        made(model, other, drawn())


def test_an_image_leads_a_part_of_the_sampling(model_of: ModelOf, tmp_path: Path) -> None:
    _, model = model_of(anima)
    file = written(tmp_path / "lllite.safetensors", lllite())
    whole, none = (made(model, file, drawn(), end=end).latents for end in (1.0, 0.1))
    plain = model.make(64, 64, negative=NEGATIVE, cfg=4.0).latents
    assert torch.equal(none, plain)
    assert not torch.equal(whole, plain)
