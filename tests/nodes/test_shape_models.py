"""Nodes of shapes by diffusion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from nodegraph_nodes.shape_models import DecodeShapes, ShapeConditioning

from nodegraph.core.values import Latent
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue
from nodegraph.families.items.transformer import ItemTransformer
from nodegraph.media.shapes.distance_grids import FEATURES, TOKENS, to_tokens
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from tests.messages import raises
from tests.shapes.test_meshing import ball

pytest.importorskip("skimage")


def test_what_is_asked_is_told_as_classes_and_a_number() -> None:
    asked = ShapeConditioning(solid="cone", color="blue", proportion=2.0)
    (entry,) = asked.entries
    assert asked.family == "shapes"
    assert entry.tensors["classes"].tolist() == [[3, 4]]
    assert entry.tensors["numbers"].tolist() == [[1.0]]
    assert asked.unconditional is not None
    assert asked.unconditional.tensors["classes"].tolist() == [[-1, -1]]
    assert bool(asked.unconditional.tensors["numbers"].isnan().all())


def test_latents_become_meshes_without_crumbs() -> None:
    grids = torch.stack([ball(0.5), torch.ones(32, 32, 32)])
    samples = to_tokens(grids, torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]))[:, None]
    latent = Latent(samples, FEATURES, TOKENS, 2, format="shapes")
    (mesh,) = DecodeShapes([latent])
    assert mesh.colors is not None
    assert torch.equal(mesh.colors[0], torch.tensor([1.0, 0, 0]))
    with raises(InvalidValue, port="latent", given="1 shapes"):
        DecodeShapes([Latent(samples[1:], FEATURES, TOKENS, 1, format="shapes")])
    with raises(InvalidValue, port="latent", given="format molecules"):
        DecodeShapes([Latent(samples, FEATURES, TOKENS, 2, format="molecules")])


def test_a_model_of_shapes_is_opened_and_sampled(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ItemTransformer(
        TOKENS, FEATURES, width=12, layers=1, classes=(12, 8), numbers=1, gives_clean=True
    )
    torch.nn.init.normal_(network.output_embedding.weight, std=0.3)
    network.save_pretrained(tmp_path / "models" / "random")
    workflow = {
        "format": "nodegraph/1",
        "nodes": {
            "model": {"type": "LoadDiffusionModel", "inputs": {"model": "random"}},
            "asked": {"type": "ShapeConditioning", "inputs": {"solid": "chair"}},
            "empty": {
                "type": "EmptyItems",
                "inputs": {"model": {"from": "model"}, "batch_size": 2},
            },
            "sampled": {
                "type": "KSampler",
                "inputs": {
                    "model": {"from": "model"},
                    "positive": {"from": "asked"},
                    "latent": {"from": "empty"},
                    "steps": 2,
                    "cfg": 2.0,
                    "sampler": "euler",
                },
            },
            "shapes": {"type": "DecodeShapes", "inputs": {"latent": {"from": "sampled"}}},
            "points": {
                "type": "PointsFromMesh",
                "inputs": {"mesh": {"from": "shapes"}, "count": 64},
            },
        },
    }
    with Session(Settings(home=tmp_path, device="cpu")) as session:
        result = session.run(Workflow.from_dict(workflow), targets=["points"])
        clouds = result["points.point_cloud"]
    assert 1 <= len(clouds) <= 2
    assert all(cloud.points.shape == (64, 3) for cloud in clouds)
