"""Values as a notebook shows them at the end of a cell."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from IPython.core.formatters import DisplayFormatter

from nodegraph import Latent
from nodegraph.session.scripts import show_values_in


def test_a_latent_shows_itself_and_a_tensor_stays_numbers() -> None:
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    show_values_in(shell)
    shown, _ = shell.display_formatter.format(Latent(torch.zeros(1, 8, 4, 4), 32, 32, format="sd"))
    assert "<figure" in shown["text/html"]
    plain, _ = shell.display_formatter.format(torch.zeros(1, 4, 4, 3))
    assert "text/html" not in plain
