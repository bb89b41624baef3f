"""What adapters change, compared with diffusers' and peft's own ways."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn

from nodegraph.models.derived_components import FUSED, adapt_modules

from . import files
from .denoisers import build


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    torch.manual_seed(0)
    return build("sd1")


def _run(unet: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    text = torch.randn(2, 5, 32, generator=generator)
    with torch.no_grad():
        found: Tensor = unet(x, torch.tensor(500), encoder_hidden_states=text).sample
    return found


@pytest.fixture(scope="module")
def two(unet: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("loras")
    torch.manual_seed(1)
    return [
        files.saved(files.peft_file(files.own_pairs(unet), "unet."), folder / f"{name}.safetensors")
        for name in ("one", "two")
    ]


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")
def test_stacked_with_strengths_of_their_own_it_is_diffusers_to_the_last_bit(
    unet: nn.Module, two: list[Path]
) -> None:
    theirs: Any = deepcopy(unet)
    for path in two:
        theirs.load_lora_adapter(str(path), prefix="unet", adapter_name=path.stem)
    theirs.set_adapters(["one", "two"], weights=[0.7, -0.3])

    adapters = [files.adapter(two[0], 0.7), files.adapter(two[1], -0.3)]
    ours = adapt_modules({"unet": unet}, adapters, dtype="float32")["unet"]
    assert torch.equal(_run(ours), _run(theirs))


def test_at_strength_0_it_is_the_model_to_the_last_bit(unet: nn.Module, two: list[Path]) -> None:
    ours = adapt_modules({"unet": unet}, [files.adapter(two[0], 0.0)], dtype="float32")["unet"]
    assert torch.equal(_run(ours), _run(unet))


def test_fused_it_is_the_same_but_for_rounding(unet: nn.Module, two: list[Path]) -> None:
    adapters = [files.adapter(two[0], 0.7), files.adapter(two[1], -0.3)]
    apart = adapt_modules({"unet": unet}, adapters, dtype="float32")["unet"]
    fused_adapters = [replace(item, kind=FUSED) for item in adapters]
    fused = adapt_modules({"unet": unet}, fused_adapters, dtype="float32")["unet"]
    torch.testing.assert_close(_run(fused), _run(apart), atol=1e-4, rtol=1e-4)
    assert sum(tensor.numel() for tensor in fused.parameters()) == sum(
        tensor.numel() for tensor in unet.parameters()
    )


def test_the_model_stays_as_it_is_and_shares_its_weights(unet: nn.Module, two: list[Path]) -> None:
    before = _run(unet)
    ours = adapt_modules({"unet": unet}, [files.adapter(two[0])], dtype="float32")["unet"]
    assert not torch.equal(_run(ours), before)
    assert torch.equal(_run(unet), before)
    own = {tensor.data_ptr() for tensor in unet.parameters()}
    assert own <= {tensor.data_ptr() for tensor in ours.parameters()}
    assert {name for name, _ in ours.named_parameters()} == dict(unet.named_parameters()).keys()


CONVOLUTION, LINEAR = "down_blocks.0.resnets.0.conv1", "time_embedding.linear_1"


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("loha", CONVOLUTION),
        ("lokr", LINEAR),
        ("lokr whole", CONVOLUTION),
        ("dora", LINEAR),
        ("cores", CONVOLUTION),
        pytest.param("loha", LINEAR, marks=pytest.mark.slow),
        pytest.param("lokr", CONVOLUTION, marks=pytest.mark.slow),
        pytest.param("lokr whole", LINEAR, marks=pytest.mark.slow),
        pytest.param("dora", CONVOLUTION, marks=pytest.mark.slow),
        pytest.param("cores", LINEAR, marks=pytest.mark.slow),
    ],
)
def test_a_layer_is_changed_as_peft_does_it(
    unet: nn.Module, kind: str, layer: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"target_modules": [layer], "r": 2}
    configs: dict[str, Any] = {
        "loha": lambda: peft.LoHaConfig(alpha=3, **settings),
        "cores": lambda: peft.LoHaConfig(alpha=3, use_effective_conv2d=True, **settings),
        "lokr": lambda: peft.LoKrConfig(alpha=3, decompose_both=True, **settings),
        "lokr whole": lambda: peft.LoKrConfig(alpha=64, **settings | {"r": 64}),
        "dora": lambda: peft.LoraConfig(lora_alpha=3, use_dora=True, **settings),
    }
    torch.manual_seed(0)
    theirs = peft.inject_adapter_in_model(configs[kind](), deepcopy(unet))
    for name, parameter in theirs.named_parameters():
        if any(part in name for part in ("lora_", "hada_", "lokr_")):
            nn.init.normal_(parameter, 1.0 if "magnitude" in name else 0.0, 0.2)
    state = peft.get_peft_model_state_dict(theirs)
    tensors = {f"unet.{name}": tensor for name, tensor in state.items()}
    tensors[f"unet.{layer}.alpha"] = torch.tensor(3.0)
    path = files.saved(tensors, tmp_path / "adapter.safetensors")

    expected = _run(theirs.eval())
    assert (expected - _run(unet)).abs().max() > 1e-3
    for way in ("lora", FUSED):
        ours = adapt_modules({"unet": unet}, [files.adapter(path, kind=way)], dtype="float32")[
            "unet"
        ]
        torch.testing.assert_close(_run(ours), expected, atol=2e-5, rtol=1e-4)
