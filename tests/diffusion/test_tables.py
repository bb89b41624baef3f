"""Tables that modules keep beside their weights go where these go, and with them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nodegraph.diffusion import move_component
from nodegraph.families.building import move_with_tables
from nodegraph.families.components import Denoiser
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import Model
from tests.diffusion.families.test_qwen_image import qwen_image

META = "meta"
"""Stands for an accelerator: a place that tensors can be moved to."""


class Turning(nn.Module):
    """Keeps a table, a list of them, and what is none."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2), requires_grad=False)
        self.table = torch.ones(2)
        self.tables = [torch.ones(2), torch.ones(3)]
        self.sizes = [1, 2]
        self.none: list[Any] = []


def test_tables_move_with_their_module() -> None:
    outer = nn.Sequential(Turning())
    move_component(Denoiser({"transformer": outer}, "flux"), META)
    inner: Any = outer[0]
    assert {item.device.type for item in (inner.weight, inner.table, *inner.tables)} == {META}
    assert (inner.sizes, inner.none) == ([1, 2], [])


def test_a_table_that_is_nowhere_stays_there() -> None:
    module = Turning()
    module.table = torch.ones(2, device=META)
    move_with_tables(module, "cpu")
    assert module.table.device.type == META


def test_a_model_that_was_used_is_forgotten(
    model_of: Callable[[Callable[[], Any]], Pair],  # noqa: F811 - the fixture
) -> None:
    """diffusers remembers the tables of Qwen-Image for good, and with them the module."""
    _, known = model_of(qwen_image)
    model = Model(known.folder)
    model.make(64, 64, cfg=1.0)
    rope = weakref.ref(model.part("model").module.pos_embed)
    assert rope() is not None
    del model
    gc.collect()
    assert rope() is None
