"""Nodes that prepare images for control networks, and a pack's own preprocessor."""

from __future__ import annotations

from pathlib import Path

import torch

from nodegraph import Session, Settings, Workflow
from tests.nodes.conftest import Bench, link

PACK = '''
from nodegraph import Preprocessor, node

@node(category="control/preprocess")
def Halves(level: float = 0.5) -> Preprocessor:
    """Black and white by brightness."""
    return Preprocessor(lambda image: (image.mean(-1, keepdim=True) > level).float(), "halves")
'''


def test_each_kind_is_what_its_node_gives(bench: Bench) -> None:
    kinds = {"canny edges": "CannyEdges", "soft edges": "SoftEdges", "line art": "LineArt",
             "scribble": "Scribble", "tile": "TileHint", "color blocks": "ColorBlocks",
             "blur": "BlurImage", "posterize": "PosterizeImage",
             "normal map": "NormalMap"}  # fmt: skip
    nodes = {"picture": {"type": "Picture", "inputs": {"width": 24}}}
    for at, (kind, node) in enumerate(kinds.items()):
        nodes[f"kind{at}"] = {"type": "SelectPreprocessor", "inputs": {"kind": kind}}
        nodes[f"made{at}"] = {"type": "Preprocess", "inputs": {
            "image": link("picture"), "preprocessor": link(f"kind{at}")}}  # fmt: skip
        nodes[f"node{at}"] = {"type": node, "inputs": {"image": link("picture")}}
    result = bench.run(nodes, *(name for name in nodes if name[:4] in ("made", "node")))
    assert not result.errors
    for at in range(len(kinds)):
        assert torch.equal(result[f"made{at}.image"], result[f"node{at}.image"])


def test_a_pack_s_preprocessor_is_applied_and_made_anew_once_its_code_changes(
    tmp_path: Path,
) -> None:
    pack = tmp_path / "my_prep.py"
    nodes = {
        "mask": {"type": "GradientMask", "inputs": {"width": 8, "height": 8}},
        "picture": {"type": "MaskToImage", "inputs": {"mask": link("mask")}},
        "halves": {"type": "my_prep:Halves"},
        "made": {
            "type": "Preprocess",
            "inputs": {"image": link("picture"), "preprocessor": link("halves")},
        },
    }
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    shares = []
    for level in ("0.5", "0.75", "0.75"):
        pack.write_text(PACK.replace("> level", f"> {level}"))
        settings = Settings(home=tmp_path / "home", outputs=tmp_path / "out", device="cpu")
        with Session(settings, packs=[pack]) as session:
            result = session.run(workflow, targets=["made"])
            shares.append(float(result["made.image"].mean()))
    assert shares == [0.5, 0.25, 0.25]
