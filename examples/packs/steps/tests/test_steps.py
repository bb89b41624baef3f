"""Tests of the sampler and the guider."""

from pathlib import Path

import torch
from steps.guiders import rescaled

from nodegraph.packs.pack import pack_at
from nodegraph.python.testing import check_pack

PACK = Path(__file__).parents[1] / "src" / "steps"


def test_the_guided_prediction_is_as_strong_as_the_positive_one() -> None:
    positive, negative = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    guided = rescaled.combine(positive, negative, 7.0)
    assert torch.allclose(guided.std((1, 2, 3)), positive.std((1, 2, 3)))


def test_the_sampler_has_the_order_that_it_states() -> None:
    verdicts = check_pack(pack_at(PACK))
    assert verdicts.is_passed, verdicts.as_dict()
    assert [sampler.name for sampler in verdicts.samplers] == ["ab2"]
