"""Images that are made on an accelerator equal the CPU's, also where they went other ways.

On a real one they nearly do.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nodegraph.core.events import Event
from nodegraph.engine.options import CancelToken
from tests.accelerator.card import Card
from tests.accelerator.fixtures import MIB
from tests.accelerator.pictures import Painter, Pixels, workflow
from tests.accelerator.pretend import PretendAccelerator

OnCpu = Callable[..., Pixels]


# That all samplers give the CPU's bits shows in `test_families`, with smaller models.
@pytest.mark.gpu
@pytest.mark.parametrize(
    "sampler",
    [
        "dpmpp_2m",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("euler_ancestral", "uni_pc")),
    ],
)
def test_a_picture_has_the_pixels_of_the_cpu(
    painter: Painter, card: Card, on_cpu: OnCpu, sampler: str
) -> None:
    document = workflow(sampler=sampler)
    card.assert_pixels_of_cpu(painter.paint(document), on_cpu(document))
    assert painter.retries() == []
    assert card.used() > 30 * MIB, "the weights stay"
    painter.session._weights.release_all()
    assert card.used() == 0


@pytest.mark.slow
@pytest.mark.gpu
def test_a_picture_that_is_encoded_goes_the_same_way(
    painter: Painter, card: Card, on_cpu: OnCpu
) -> None:
    document = workflow()
    again = {"image": {"from": "decode"}, "vae": {"from": "load.vae"}}
    once_more = dict(document["nodes"]["sample"]["inputs"], latent={"from": "encode"}, denoise=0.5)
    document["nodes"] |= {
        "encode": {"type": "VAEEncode", "inputs": again},
        "change": {"type": "KSampler", "inputs": once_more},
    }
    document["nodes"]["changed"] = {
        "type": "VAEDecode",
        "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "change"}},
    }
    document["nodes"]["save"]["inputs"]["image"] = {"from": "changed"}
    card.assert_pixels_of_cpu(painter.paint(document), on_cpu(document))


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral"])
def test_what_was_interrupted_goes_on_to_the_same_pixels(
    card: Card,
    painter_on: Callable[..., Painter],
    on_cpu: OnCpu,
    sampler: str,
) -> None:
    document = workflow(steps=4, sampler=sampler)
    stop = CancelToken()

    def watch(event: Event) -> None:
        if event.kind == "node.progress" and event.data["step"] == 2:
            stop.cancel()

    settings = {"disk_cache": 2**30, "checkpoint_seconds": 0}
    stopped = painter_on("cuda:0", "stopped", **settings)
    assert stopped.run(document, watch, cancel=stop).status == "cancelled"
    found = stopped.paint(document)
    assert [event.data["step"] for event in stopped.events if event.kind == "node.restored"] == [2]
    card.assert_pixels_of_cpu(found, on_cpu(document))
    if card.pretend is None:
        in_one_go = painter_on("cuda:0").paint(document)
        assert np.array_equal(found, in_one_go)


def test_two_devices_work_side_by_side(
    pretend: PretendAccelerator, painter_on: Callable[..., Painter], on_cpu: OnCpu
) -> None:
    pretend.resize(64 * MIB, 1)
    painters = [painter_on("cuda:0"), painter_on("cuda:1")]
    documents = [workflow(seed=seed, steps=2) for seed in range(2)]

    def paint(at: int) -> Pixels:
        return painters[at].paint(documents[at])

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(paint, range(2)))
    for document, picture in zip(documents, found, strict=True):
        assert np.array_equal(picture, on_cpu(document))
    assert min(pretend.used(0), pretend.used(1)) > 30 * MIB
