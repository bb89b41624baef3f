"""ComfyUI's sub-graphs become native ones, or nodes in their place."""

from __future__ import annotations

from dataclasses import replace

from nodegraph.errors import InvalidWorkflow
from nodegraph.interop.comfyui.foreign_workflow import BLOCK, Source
from tests.compat.comfyui.making import block, graph, node, translated
from tests.messages import raises

INPUT = [Source(BLOCK, at) for at in range(3)]
SAMPLING = block(
    graph(**{"1": node("Sample", model=INPUT[0], seed=INPUT[1])}),
    "model seed",
    LATENT=Source("1", 0),
)


def test_uses_share_a_subgraph_and_give_it_their_values() -> None:
    found = translated(
        graph(
            **{
                "1": node("Load", name="a"),
                "2": node("B", model=Source("1", 0), seed=5),
                "3": node("B", model=Source("1", 0), seed=6) | {"title": "Second"},
                "4": node("Decode", samples=Source("3", 0)),
            }
        ),
        SAMPLING,
    )
    (subgraph,) = found.workflow.subgraphs.values()
    assert {name: port.to for name, port in subgraph.inputs.items()} == {
        "model": ["ksampler.model"],
        "seed": ["ksampler.seed"],
    }
    assert subgraph.inputs["seed"].default == 5
    assert subgraph.outputs == {"latent": "ksampler.latent"}
    nodes = found.workflow.nodes
    assert nodes["second"].inputs == {"model": {"from": "load_model.model"}, "seed": 6}
    assert nodes["vae_decode"].inputs == {"latent": {"from": "second.latent"}}
    assert [fate.name for fate in found.outcomes] == [
        *("load_model", "my_block", "second", "vae_decode", "My block/ksampler"),
    ]


def test_what_goes_along_across_a_border_puts_the_nodes_in_place() -> None:
    found = translated(
        graph(
            **{
                "1": node("Load", name="a"),
                "2": node("ModelShift", model=Source("1", 0), shift=2.0),
                "3": node("B", model=Source("2", 0), seed=5),
                "4": node("Decode", samples=Source("3", 0)),
            }
        ),
        SAMPLING,
    ).workflow
    assert not found.subgraphs
    assert found.nodes["shift"].inputs == {"shift": 2.0}
    assert found.nodes["vae_decode"].inputs == {"latent": {"from": "ksampler.latent"}}
    assert found.ui["comfyui"]["nodes"]["ksampler"]["id"] == "3:1"


def test_a_value_that_has_to_be_known_is_the_subgraphs_own() -> None:
    inner = graph(**{"1": node("Doubled", width=INPUT[0], on=INPUT[1])})
    sized = block(inner, "width on", IMAGE=Source("1", 0))
    found = translated(
        graph(
            **{
                "1": node("B", width=4, on=True),
                "2": node("B", width=4, on=False),
                "3": node("B", width=5, on=False),
            }
        ),
        sized,
    ).workflow
    assert [each.nodes["sized"].inputs for each in found.subgraphs.values()] == [
        {"width": 8},
        {"width": 10},
    ]
    assert [entry.inputs for entry in found.nodes.values()] == [
        {"on": True},
        {"on": False},
        {"on": False},
    ]


def test_what_runs_through_a_block_runs_past_it() -> None:
    through = block(graph(), "model", MODEL=INPUT[0])
    found = translated(
        graph(
            **{
                "1": node("Load", name="a"),
                "2": node("B", model=Source("1", 0)),
                "3": node("Lora", model=Source("2", 0)),
            }
        ),
        through,
    ).workflow
    assert found.nodes["load_lora"].inputs["model"] == {"from": "load_model.model"}


def test_a_block_within_itself_is_told() -> None:
    with raises(InvalidWorkflow):
        translated(graph(**{"1": node("B")}), block(graph(**{"1": node("B")})))


def test_a_widget_that_uses_show_becomes_an_input_with_its_value() -> None:
    inner = graph(
        **{
            "1": node("Load", name="a"),
            "2": node("Sample", model=Source("1", 0), seed=7) | {"control": {"seed": "increment"}},
        }
    )
    shown = replace(block(inner, LATENT=Source("2", 0)), exposed=(("1", "name"), ("2", "seed")))
    found = translated(graph(**{"9": node("B")}), shown).workflow
    (subgraph,) = found.subgraphs.values()
    assert {name: (port.to, port.default) for name, port in subgraph.inputs.items()} == {
        "name": (["load_model.model"], "a"),
        "seed": (["ksampler.seed"], 7),
    }
    assert found.nodes["my_block"].inputs == {"seed": 7}
    assert found.ui["seeds"] == {"my_block.seed": "increment"}


def test_a_bypassed_block_stays_and_passes_on_what_it_is_given() -> None:
    inner = graph(**{"1": node("Lora", model=INPUT[0], name="l")})
    found = translated(
        graph(
            **{
                "1": node("Load", name="a"),
                "2": node("ModelShift", model=Source("1", 0), shift=2.0),
                "3": node("B", model=Source("2", 0)) | {"mode": "bypass"},
                "4": node("Sample", model=Source("3", 0)),
            }
        ),
        block(inner, "model", MODEL=Source("1", 0)),
    ).workflow
    assert found.nodes["my_block"].mode == "bypass"
    assert found.nodes["ksampler"].inputs["model"] == {"from": "my_block.model"}
    assert found.nodes["shift"].inputs == {"shift": 2.0}
