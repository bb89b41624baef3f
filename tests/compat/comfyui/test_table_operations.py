"""Operations on latents travel to the node that applies them, and on a model to its guider."""

from __future__ import annotations

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.foreign_workflow import Source
from tests.compat.comfyui.supplied import imported, used
from tests.compat.comfyui.test_exporting import meaning, there_and_back
from tests.compat.comfyui.test_table_back import sampled
from tests.compat.comfyui.test_table_leading import chained, origin


def test_operations_become_nodes_where_they_are_applied() -> None:
    workflow = imported(
        chained(
            sharp=("LatentOperationSharpen", {"sharpen_radius": 4, "alpha": 0.5}),
            tone=("LatentOperationTonemapReinhard", {"multiplier": 0.8}),
            model=("LatentApplyOperationCFG", {"operation": Source("tone", 0)}),
            sample=("KSampler", {"model": Source("model", 0)}),
            after=(
                "LatentApplyOperation",
                {"samples": Source("sample", 0), "operation": Source("sharp", 0)},
            ),
            decode=("VAEDecode", {"samples": Source("after", 0)}),
        )
    ).workflow
    [sharpen] = used(workflow, "SharpenLatent")
    assert (sharpen["radius"], sharpen["sigma"], sharpen["amount"]) == (4, 1.0, 0.5)
    assert [each["multiplier"] for each in used(workflow, "ToneMapGuidance")] == [0.8]
    [sample] = used(workflow, "SampleCustom")
    assert origin(sample, "guider") == "tone_map_guidance"
    assert not used(workflow, "KSampler")


def test_they_go_there_and_come_back() -> None:
    nodes = dict(sampled().nodes)
    nodes["tone"] = NodeEntry(
        type="ToneMapGuidance", inputs={"guider": {"from": "norm"}, "multiplier": 0.5}
    )
    nodes["sharp"] = NodeEntry(
        type="SharpenGuidance",
        inputs={"guider": {"from": "tone"}, "radius": 3, "sigma": 1.0, "amount": 0.2},
    )
    nodes["sample"] = NodeEntry(
        type="SampleCustom", inputs={**nodes["sample"].inputs, "guider": {"from": "sharp"}}
    )
    nodes["after"] = NodeEntry(
        type="ToneMapLatent", inputs={"latent": {"from": "sample.latent"}, "multiplier": 2.0}
    )
    workflow = Workflow(title="operations", nodes=nodes)
    assert meaning(there_and_back(workflow)) == meaning(workflow)


def test_a_perpendicular_negative_of_a_model_is_one_of_its_guider() -> None:
    patch = {"empty_conditioning": Source("CLIPTextEncode", 0), "neg_scale": 0.5}
    workflow = imported(
        chained(
            perp=("PerpNeg", patch),
            sample=("KSampler", {"model": Source("perp", 0), "cfg": 6.0}),
        )
    ).workflow
    [added] = used(workflow, "AddNegative")
    assert (added["scale"], added["perpendicular"]) == (3.0, True)
    [sample] = used(workflow, "SampleCustom")
    assert origin(sample, "guider") == "add_negative"
