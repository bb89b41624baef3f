"""Modules over weights at the host give the very results, and hold few of them on the device."""

from __future__ import annotations

import gc
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor, nn

from nodegraph.core.file_digests import FileDigests
from nodegraph.diffusion import ModelRecipes, load_component, open_model
from nodegraph.models.offloading import offload_layers, offload_modules
from tests.accelerator.card import Card
from tests.accelerator.pretend import PretendAccelerator

from .families.gligen_files import fill
from .families.parts import unet
from .families.video_models import wan_net

Compute = Callable[[Any], Tensor]


@pytest.fixture(scope="module")
def recipes() -> ModelRecipes:
    return open_model("tiny", [], digests=FileDigests())


def drawn(net: Any, *shape: int) -> Tensor:
    numbers = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return numbers.to(net.device, net.dtype)


def unet_output(net: Any) -> Tensor:
    x = drawn(net, 2, net.config.in_channels, 8, 8)
    text = drawn(net, 2, 24, net.config.cross_attention_dim)
    time = torch.tensor(500, device=net.device)
    return net(x, time, encoder_hidden_states=text, return_dict=False)[0]


def wan_output(net: Any) -> Tensor:
    x, text = drawn(net, 1, 16, 2, 8, 8), drawn(net, 1, 24, 32)
    time = torch.tensor([500.0], device=net.device)
    return net(x, time, encoder_hidden_states=text, return_dict=False)[0]


def text_output(model: Any) -> Tensor:
    return model(torch.tensor([[973, 5, 6, 974]], device=model.device))[0]


def decoded(vae: Any) -> Tensor:
    latent = torch.ones(1, vae.config.latent_channels, 4, 4, device=vae.device, dtype=vae.dtype)
    return vae.decode(vae.encode(vae.decode(latent).sample).latent_dist.mode()).sample


def deep_wan() -> nn.Module:
    """Of many equal blocks."""
    torch.manual_seed(0)
    net = d.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=16, text_dim=32,
        freq_dim=32, ffn_dim=256, num_layers=12, rope_max_seq_len=64,
    )  # fmt: skip
    return net.eval().requires_grad_(False)


def small_unet() -> nn.Module:
    torch.manual_seed(0)
    return unet(32, 4).eval().requires_grad_(False)


def gated_unet() -> nn.Module:
    """With parameters of its own in modules that have layers, as GLIGEN has."""
    torch.manual_seed(0)
    return fill(unet(32, 4, attention_type="gated"))


def boxes_output(net: Any) -> Tensor:
    x, text = drawn(net, 2, 4, 8, 8), drawn(net, 2, 24, 32)
    boxes = {"boxes": drawn(net, 2, 3, 4), "positive_embeddings": drawn(net, 2, 3, 32)}
    boxes["masks"] = torch.ones(2, 3, device=net.device, dtype=net.dtype)
    options = {"encoder_hidden_states": text, "cross_attention_kwargs": {"gligen": boxes}}
    return net(x, torch.tensor(500, device=net.device), return_dict=False, **options)[0]


NETS: list[tuple[Callable[[], nn.Module], Compute, str]] = [
    (deep_wan, wan_output, "block by block"),
    (small_unet, unet_output, "layer by layer"),
    (gated_unet, boxes_output, "layer by layer"),
]


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("build", "compute", "way", "dtype"),
    [
        (*NETS[0], torch.float32),
        (*NETS[1], torch.bfloat16),
        (*NETS[2], torch.float32),
        pytest.param(*NETS[0], torch.bfloat16, marks=pytest.mark.slow),
        pytest.param(*NETS[1], torch.float32, marks=pytest.mark.slow),
    ],
)
def test_a_denoiser_in_parts_is_the_same_and_takes_what_it_says(
    build: Callable[[], Any],
    compute: Compute,
    way: str,
    dtype: torch.dtype,
    card: Card,
) -> None:
    """Also in inference mode, in which samplings are, and once the next part comes beforehand."""
    net = build().to(dtype)
    whole = sum(weight.numel() * weight.element_size() for weight in net.parameters())
    before = {name: weight.data_ptr() for name, weight in net.state_dict().items()}
    layers = Watched()
    with torch.inference_mode(), offload_layers({"net": net}, "cuda:0", in_blocks=True) as brought:
        twin = brought.modules["net"]
        layers.watch(twin)
        expected = whole_output(net, compute, card)
        assert (str(twin.device), twin.dtype) == ("cuda:0", dtype)
        for _ in range(2):
            assert torch.equal(compute(twin).cpu(), expected)
        assert brought.granularity == way
        assert brought.bytes < whole / 2
        assert layers.most <= brought.bytes + 512 * layers.count
    assert card.used() == 0
    assert {name: weight.data_ptr() for name, weight in net.state_dict().items()} == before


def whole_output(net: nn.Module, compute: Compute, card: Card) -> Tensor:
    """What a module gives that lies on the card whole; the CPU's bits, on a pretend one."""
    return compute(net if card.pretend else deepcopy(net).to("cuda:0")).cpu()


class Watched:
    """The most bytes of a module's weights that are on the device when one of its layers begins."""

    def __init__(self) -> None:
        self.most = self.count = 0

    def watch(self, module: nn.Module) -> None:
        weights = list(module.parameters())
        self.count = len(weights)

        def note(*_: Any) -> None:
            there = [weight for weight in weights if weight.device.type == "cuda"]
            size = sum(weight.numel() * weight.element_size() for weight in there)
            self.most = max(self.most, size)

        for layer in module.modules():
            layer.register_forward_pre_hook(note)


PARTS: list[tuple[str, Compute]] = [
    ("model", unet_output),
    ("text_encoder", text_output),
    ("vae", decoded),
]


@pytest.mark.gpu
@pytest.mark.parametrize(("part", "compute"), PARTS)
def test_parts_of_a_picture_model_are_the_same(
    recipes: ModelRecipes, part: str, compute: Compute, card: Card
) -> None:
    module = load_component(getattr(recipes, part), "cpu").module
    with torch.no_grad(), offload_layers({"module": module}, "cuda:0") as brought:
        assert brought.modules["module"].device.type == "cuda"
        expected = whole_output(module, compute, card)
        assert torch.equal(compute(brought.modules["module"]).cpu(), expected)
        assert card.used() <= brought.bytes
    assert module.device.type == "cpu"
    assert card.is_empty()


def test_weights_on_their_way_are_pinned_and_no_others(
    recipes: ModelRecipes, pretend: PretendAccelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy from other memory would not run beside the computation of the part before."""
    pinned: list[int] = []

    def pin(tensor: Tensor, device: object = None) -> Tensor:
        pinned.append(tensor.nbytes)
        return tensor

    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor, device=None: False)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    module = load_component(recipes.model, "cpu").module
    with offload_layers({"unet": module}, "cuda:0") as offloaded:
        assert pinned == []
        before = len(pretend.transfers("to device", within="group_offloading"))
        with torch.no_grad():
            unet_output(offloaded.modules["unet"])
    moved = pretend.transfers("to device", within="group_offloading")[before:]
    assert sum(pinned) == sum(item.bytes for item in moved) > 0


def test_what_fails_in_the_midst_leaves_nothing_on_the_device(pretend: PretendAccelerator) -> None:
    net = small_unet()
    with torch.no_grad(), offload_layers({"net": net}, "cuda:0") as brought:
        pretend.resize(80 * 1024)
        with pytest.raises(torch.OutOfMemoryError):
            unet_output(brought.modules["net"])
    gc.collect()
    assert pretend.used() == 0


@pytest.mark.gpu
def test_one_of_two_experts_is_there_at_a_time(card: Card) -> None:
    nets = {role: wan_net().eval().requires_grad_(False) for role in ("first", "second")}
    with torch.inference_mode(), offload_modules(nets, "cuda:0") as brought:
        assert card.used() == 0
        for role in ("first", "first", "second", "first"):
            twin = brought.modules[role]
            expected = whole_output(nets[role], wan_output, card)
            assert torch.equal(wan_output(twin).cpu(), expected)
            there = {
                name for name, net in brought.modules.items() if net.patch_embedding.bias.is_cuda
            }
            assert there == {role}
            assert brought.bytes <= card.used() < 1.5 * brought.bytes
        if card.pretend is not None:
            moved = card.pretend.transfers("to device", within="models/offloading.py")
            assert sum(item.bytes for item in moved) == 3 * brought.bytes
    assert card.is_empty()
