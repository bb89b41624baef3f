"""SaveLatent, LoadLatent, DrawLatent, LatentStatistics and ClearNoiseMask."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from nodegraph_nodes.latent import ClearNoiseMask
from nodegraph_nodes.latent_files import DrawLatent
from safetensors.torch import save_file

from nodegraph import InvalidFile, InvalidValue, Latent
from nodegraph.core.digests import digest_value
from nodegraph.core.values import Leftover
from nodegraph.families.noise import draw_noise
from nodegraph.sampling.latents.files import encode_latent, read_latent
from tests.messages import raises
from tests.nodes.conftest import Bench, link

SAMPLES = draw_noise((4, 6, 8), 0, range(3))
LATENTS = {
    "empty": Latent(None, 64, 48, 2),
    "picture": Latent(SAMPLES[:1], 64, 48, format="sd"),
    "batch": Latent(SAMPLES, 64, 48, 3, torch.rand(1, 48, 64), "sd", (2**63, 7, 0)),
    "gradual": Latent(SAMPLES[:1], 64, 48, 1, torch.rand(1, 48, 64), "sd", gradual=0.5),
    "noisy": Latent(SAMPLES, 64, 48, 3, format="sd", leftover=Leftover(1.25, "mixing", SAMPLES)),
    "video": Latent(torch.zeros(1, 16, 3, 2, 2), 16, 16, format="wan", frames=9),
    "sound": Latent(
        None, 0, 0, format="ltx2", sound=torch.rand(1, 8, 9, 16), sound_mask=torch.rand(1, 9)
    ),
}


@pytest.mark.parametrize("name", LATENTS)
def test_a_latent_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    file = tmp_path / "kept.safetensors"
    file.write_bytes(encode_latent(LATENTS[name], {}))
    assert digest_value(read_latent(file)) == digest_value(LATENTS[name])


def test_the_name_of_a_latent_says_values(bench: Bench) -> None:
    nodes: dict[str, Any] = {
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 96}},
        "save": {"type": "SaveLatent", "inputs": {"latent": link("size"), "name": "%size.width%"}},
    }
    [written] = bench.run(nodes, "save").files
    assert written.path.name == "64_00001.safetensors"
    nodes["save"]["inputs"]["name"] = "%nothing%"
    assert [problem.port for problem in bench.problems(nodes, "save")] == ["name"]


def test_a_saved_latent_carries_its_workflow_and_is_loaded(bench: Bench) -> None:
    nodes: dict[str, Any] = {
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 96}},
        "save": {"type": "SaveLatent", "inputs": {"latent": link("size"), "name": "kept/size"}},
    }
    [written] = bench.run(nodes, "save").files
    assert (written.kind, written.path.name) == ("latent", "size_00001.safetensors")
    length = int.from_bytes(written.path.read_bytes()[:8], "little")
    texts = json.loads(written.path.read_bytes()[8 : 8 + length])["__metadata__"]
    assert "SaveLatent" in texts["workflow"]

    loaded = {"load": {"type": "LoadLatent", "inputs": {"path": str(written.path)}}}
    assert bench.value(loaded, "load.latent") == Latent(None, 64, 96)
    blend = {"first": link("load"), "second": link("other")}
    loaded["other"] = {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}}
    loaded["blend"] = {"type": "BlendLatents", "inputs": blend}
    [problem] = bench.problems(loaded, "blend")
    assert (problem.given, problem.expected) == ("64", "96")


def test_files_of_something_else_are_told_before_running(bench: Bench) -> None:
    file = bench.folder / "inputs" / "other.safetensors"
    save_file({"latent_tensor": torch.zeros(1, 4, 8, 8)}, file)
    nodes = {"load": {"type": "LoadLatent", "inputs": {"path": "other.safetensors"}}}
    [problem] = bench.problems(nodes, "load")
    assert (problem.node, problem.port) == ("load", "path")
    assert "holds no latent" in str(problem)


def test_a_file_that_is_missing_is_told_with_the_one_meant(bench: Bench) -> None:
    file = bench.folder / "inputs" / "apple.safetensors"
    file.write_bytes(encode_latent(LATENTS["empty"], {}))
    nodes = {"load": {"type": "LoadLatent", "inputs": {"path": "aple.safetensors"}}}
    [problem] = bench.problems(nodes, "load")
    assert "apple.safetensors" in (problem.hint or "")


def test_a_file_that_isnt_what_it_says_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "damaged.safetensors"
    file.write_bytes(encode_latent(replace(LATENTS["picture"], batch_size=2), {}))
    with raises(InvalidFile, port="path"):
        read_latent(file)


def test_the_cells_are_shown_in_colours_and_by_channel() -> None:
    colours = DrawLatent(LATENTS["batch"], "colors")
    assert colours.shape == (3, 48, 64, 3)
    assert torch.equal(colours[:, :8, :8], colours[:, :1, :1].expand(-1, 8, 8, -1))
    channels = DrawLatent(LATENTS["batch"], "channels")
    assert channels.shape == (3, 96, 128, 3)
    assert float(channels.mean()) == pytest.approx(0.5, abs=0.01)
    assert DrawLatent(LATENTS["video"], "colors").shape == (1, 16, 16, 3)
    embedded = Latent(torch.zeros(1, 8, 4, 4), 32, 32, format="sd")
    assert DrawLatent(embedded).shape == (1, 32, 32, 3)


def test_colours_that_nobody_knows_are_refused() -> None:
    with raises(InvalidValue, port="shown", given="a latent of format None with 3 channels"):
        DrawLatent(Latent(torch.zeros(1, 3, 4, 4), 32, 32))


def test_statistics_are_those_of_all_values(bench: Bench) -> None:
    file = bench.folder / "inputs" / "kept.safetensors"
    file.write_bytes(encode_latent(LATENTS["batch"], {}))
    nodes: dict[str, Any] = {
        "load": {"type": "LoadLatent", "inputs": {"path": "kept.safetensors"}},
        "told": {"type": "LatentStatistics", "inputs": {"latent": link("load")}},
    }
    result = bench.run(nodes, "told")
    found = [result[f"told.{name}"] for name in ("mean", "deviation", "least", "largest")]
    ends = [SAMPLES.mean(), SAMPLES.std(), SAMPLES.min(), SAMPLES.max()]
    assert found == pytest.approx([float(value) for value in ends])
    assert "deviation" in bench.told("log")[0].data["message"]


def test_a_mask_is_taken_off() -> None:
    masked = replace(LATENTS["noisy"], noise_mask=torch.ones(1, 48, 64))
    found = ClearNoiseMask(masked)
    assert found.noise_mask is None
    assert found.leftover.original is None
    assert ClearNoiseMask(found) == found


def test_a_name_that_no_file_can_have_is_told(bench: Bench) -> None:
    nodes = {"load": {"type": "LoadLatent", "inputs": {"path": "x" * 300}}}
    [problem] = bench.problems(nodes, "load")
    assert problem.port == "path"
