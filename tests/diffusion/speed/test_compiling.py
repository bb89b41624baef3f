"""torch.compile on the blocks of a network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.families.speed_options import SpeedOptions
from nodegraph.models.speed.speed_support import compile_blocks, missing_compiler
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.test_flux import flux, sd3

from .speedy import sampling, sped_up, walked

ModelOf = Callable[[Callable[[], Any]], Pair]
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning"),
    # Of torch's own modules, which its compiler imports.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler("cpu") is not None, reason="there is no C++ compiler")
def test_a_compiled_network_gives_the_same_but_for_rounding(model_of: ModelOf) -> None:  # noqa: F811
    """And the same bits each time, in a structure of its own."""
    _, model = model_of(flux)
    options = {"steps": 2, "cfg": 1.0}
    exact = walked(sampling(model, model.part("model"), **options))
    compiled = sped_up(model, SpeedOptions(compiled=True))
    found = walked(sampling(model, compiled, **options))
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)
    again = sped_up(model, SpeedOptions(compiled=True))
    assert torch.equal(walked(sampling(model, again, **options)), found)
    assert torch.equal(walked(sampling(model, model.part("model"), **options)), exact)


@pytest.mark.slow
@pytest.mark.parametrize("build", [flux, sd3], ids=["named", "unnamed"])
def test_only_repeated_blocks_are_compiled(model_of: ModelOf, build: Callable[[], Any]) -> None:  # noqa: F811
    """Of classes that don't name theirs, those that lie in lists."""
    _, model = model_of(build)
    network = sped_up(model, SpeedOptions(channels_last=True)).module
    compile_blocks(network)
    compiled = [name for name, layer in network.named_modules() if layer._compiled_call_impl]
    assert compiled
    assert all("transformer_blocks." in name and name.count(".") == 1 for name in compiled)


def test_an_accelerator_without_a_name_is_not_doubted() -> None:
    assert missing_compiler("mps") is None


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler("cpu") is not None, reason="there is no C++ compiler")
def test_a_later_process_finds_what_was_compiled(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from nodegraph import Session
from nodegraph.session.settings import Settings

Session(Settings(home=Path(sys.argv[1]))).engine
import torch
from torch._dynamo.utils import counters
from nodegraph.models.speed.speed_support import compile_blocks

class Block(torch.nn.Linear):
    def forward(self, x):
        return torch.nn.functional.gelu(super().forward(x))

torch.manual_seed(5)
network = torch.nn.Module()
network.blocks = torch.nn.ModuleList([Block(8, 8)])
compile_blocks(network)
with torch.no_grad():
    output = network.blocks[0](torch.ones(2, 8))
print(counters["inductor"]["fxgraph_cache_hit"], output.double().sum().item())
"""
    environment = {
        name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"
    }
    command = [sys.executable, "-c", program, str(tmp_path)]
    runs = [
        subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        for _ in range(2)
    ]
    (first, expected), (second, found) = (run.stdout.split() for run in runs)
    assert (first, second) == ("0", "1")
    assert found == expected
    assert any((tmp_path / "cache" / "compiled").iterdir())
