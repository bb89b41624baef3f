"""ControlNets of video models in a graph: the images are the frames of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.core.hooks import HookInputs
from nodes._control_facts import control_estimate
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_controls import random_net
from tests.diffusion.families.test_cosmos_transfer25 import control_network, cosmos_transfer25
from tests.nodes.conftest import Bench, link
from tests.nodes.test_estimates import PLACE

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of a model and of a control network."""
    model, net = (tmp_path_factory.mktemp(name) for name in ("model", "edge"))
    random_pipeline(cosmos_transfer25).save_pretrained(model)
    random_net(control_network, 1).save_pretrained(net)
    return model, net


def graph(folders: tuple[Path, Path], frames: int = 5, shown: int = 5) -> dict[str, Any]:
    model, net = folders
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "net": {"type": "LoadControlNet", "inputs": {"control_net": str(net)}},
        "words": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a robot"},
        },
        "video": {"type": "Picture", "inputs": {"width": 64, "height": 64, "batch": shown}},
        "follow": {
            "type": "ApplyControlNet",
            "inputs": {
                "positive": link("words"),
                "control_net": link("net"),
                "image": link("video"),
                "vae": link("load.vae"),
            },
        },
        "size": {
            "type": "EmptyVideoLatent",
            "inputs": {"width": 64, "height": 64, "frames": frames},
        },
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link("load.model"),
                "positive": link("follow.positive"),
                "negative": link("follow.negative"),
                "latent": link("size"),
                "steps": 2,
                "cfg": 4.0,
                "sampler": "uni_pc",
                "schedule": "normal",
            },
        },
    }


def samples(bench: Bench, nodes: dict[str, Any]) -> torch.Tensor:
    found: torch.Tensor = bench.value(nodes, "sample.latent").samples
    return found


def test_a_video_is_controlled_by_a_video(bench: Bench, folders: tuple[Path, Path]) -> None:
    nodes = graph(folders)
    assert bench.problems(nodes, "sample") == []
    controlled = samples(bench, nodes)
    assert controlled.shape == (1, 16, 2, 8, 8)
    nodes["sample"]["inputs"]["positive"] = link("words")
    del nodes["sample"]["inputs"]["negative"]
    assert not torch.equal(controlled, samples(bench, nodes))


def test_frames_are_encoded_as_one_video() -> None:
    """The plan expects it: a batch of images is encoded one by one, and needs less memory."""
    coding = (18.0, 53.0, 60.0)

    def taken(kind: bool, frames: int) -> int:
        facts = {
            "image": {"width": 64, "height": 64, "batch": frames},
            "control_net": {"sees_latents": True, "of_videos": kind},
            "vae": {"held_encoding": coding},
        }
        memory = control_estimate(HookInputs({}, facts, PLACE)).memory
        assert memory is not None
        return memory

    assert taken(True, 1) == taken(False, 1)
    assert taken(True, 9) > 2 * taken(False, 9)


def test_a_control_video_that_is_too_short_is_refused(
    bench: Bench, folders: tuple[Path, Path]
) -> None:
    nodes = graph(folders, frames=9)
    assert "shorter than the sampled video" in str(bench.failure(nodes, "sample"))
