"""Graphs of ComfyUI become native nodes."""

from __future__ import annotations

from nodegraph.errors import InvalidWorkflow
from nodegraph.interop.comfyui.entries import entry
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignPort,
    ForeignWorkflow,
    Rectangle,
    Source,
)
from nodegraph.interop.comfyui.importer import translate
from nodegraph.interop.comfyui.translating import MadeOutput, Passage
from tests.compat.comfyui.making import graph, node, translated
from tests.messages import raises

LOADED = Source("1", 0)


def test_nodes_are_translated_and_named_after_their_titles() -> None:
    found = translated(
        graph(
            **{
                "1": node("Load", name="a.safetensors"),
                "2": node("Sample", model=LOADED, seed=7) | {"title": "Draw it, twice!"},
                "3": node("Decode", samples=Source("2", 0)),
            }
        )
    ).workflow
    assert {name: entry.type for name, entry in found.nodes.items()} == {
        "load_model": "LoadModel",
        "draw_it_twice": "KSampler",
        "vae_decode": "VAEDecode",
    }
    sample = found.nodes["draw_it_twice"]
    assert sample.label == "Draw it, twice!"
    assert sample.inputs == {"model": {"from": "load_model.model"}, "seed": 7, "steps": 20}


def test_what_goes_along_passes_nodes_that_know_nothing_of_it() -> None:
    found = translated(
        graph(
            **{
                "1": node("Load", name="a"),
                "2": node("ModelShift", model=LOADED, shift=5.0),
                "3": node("Lora", model=Source("2", 0), name="l"),
                "4": node("Sample", model=Source("3", 0)),
            }
        )
    ).workflow
    assert found.nodes["shift"].inputs == {"shift": 5.0}
    assert found.nodes["ksampler"].inputs["model"] == {"from": "load_lora"}


def test_an_unknown_type_stays_with_all_its_data() -> None:
    odd = node("Odd.Type", **{"images.a": LOADED, "text": "x"})
    odd |= {"ports": (ForeignPort("MODEL out", "MODEL"),), "pack": "odd-pack", "raw": {"a": 1}}
    found = translated(
        graph(**{"1": node("Load", name="a"), "2": odd, "3": node("Lora", model=Source("2", 0))})
    )
    kept = found.workflow.nodes["odd_type"]
    assert (kept.type, kept.pack) == ("comfyui:Odd.Type", "odd-pack")
    assert kept.inputs == {"images_a": {"from": "load_model.model"}, "text": "x"}
    assert found.workflow.nodes["load_lora"].inputs["model"] == {"from": "odd_type.model_out"}
    assert found.workflow.ui["comfyui"]["nodes"]["odd_type"]["entry"] == {"a": 1}
    assert [fate.name for fate in found.placeholders] == ["odd_type"]


def test_what_has_to_be_known_may_come_from_a_constant_but_not_from_a_computation() -> None:
    inner = {"1": node("Whole", value=4), "2": node("Doubled", width=Source("1", 0))}
    found = translated(graph(**inner))
    assert found.workflow.nodes["sized"].inputs == {"width": 8}
    assert "integer" in found.outcomes[1].messages[0]
    inner["1"] = node("Load", name="a")
    (lost,) = translated(graph(**inner)).placeholders
    assert "`width`" in lost.untranslated_reason


def test_a_bypassed_node_passes_on_what_it_is_given() -> None:
    bypassed = {"mode": "bypass"}
    found = translated(
        graph(
            **{
                "1": node("Load", name="a"),
                "2": node("ModelShift", model=LOADED) | bypassed,
                "3": node("Lora", model=Source("2", 0), name="l") | bypassed,
                "4": node("Sample", model=Source("3", 0)),
            }
        )
    ).workflow
    assert found.nodes["load_lora"].mode == "bypass"
    assert "shift" not in found.nodes
    assert found.nodes["ksampler"].inputs["model"] == {"from": "load_lora"}


def test_a_bypassed_unknown_node_is_passed_by() -> None:
    odd = node("Odd", a=LOADED) | {"mode": "bypass", "ports": (ForeignPort("x", "MODEL"),)}
    found = translated(
        graph(**{"1": node("Load", name="a"), "2": odd, "3": node("Sample", model=Source("2", 0))})
    ).workflow
    assert found.nodes["ksampler"].inputs["model"] == {"from": "load_model.model"}


def test_a_circle_is_told_with_its_nodes() -> None:
    with raises(InvalidWorkflow):
        translated(
            graph(
                **{
                    "2": node("Lora", model=Source("3", 0)),
                    "3": node("Lora", model=Source("2", 0)),
                }
            )
        )


def test_seeds_go_on_to_be_drawn_and_cards_stand_where_they_stood() -> None:
    sample = node("Sample", model=LOADED, seed=7)
    sample |= {"control": {"seed": "randomize"}, "bounds": Rectangle(10.4, 20, 300, 100)}
    shift = node("ModelShift", model=LOADED)
    found = translated(
        graph(
            **{
                "1": node("Load", name="a"),
                "2": shift,
                "3": sample | {"inputs": {"model": Source("2", 0), "seed": 7}},
                "4": node("Save", name="n") | {"bounds": Rectangle(10, 150, 300, 100)},
            }
        )
    ).workflow
    assert found.ui["seeds"] == {"ksampler.seed": "random"}
    places = found.ui["positions"]
    assert places["ksampler"] == [10, 20]
    assert places["shift"][1] >= 250


def test_what_gives_only_what_nobody_takes_is_left_out() -> None:
    pair = node("Pair", value=3)
    alone = translated(graph(**{"1": pair, "2": node("Sample", model=Source("1", 1))})).workflow
    assert [entry.type for entry in alone.nodes.values()] == ["Half", "KSampler"]
    assert len(translated(graph(**{"1": pair})).workflow.nodes) == 3


def test_what_is_not_connected_is_missing_here_too() -> None:
    found = translated(graph(**{"1": node("Sample", seed=1)}))
    assert found.workflow.nodes["ksampler"].inputs == {"seed": 1, "steps": 20}
    assert not found.placeholders


def test_what_goes_along_and_nobody_looks_at_is_told() -> None:
    found = translated(
        graph(
            **{
                "1": node("Load", name="a"),
                "2": node("ModelShift", model=LOADED, shift=5.0),
                "3": node("Save", image=Source("2", 0), name="n"),
            }
        )
    )
    assert [fate.messages for fate in found.outcomes] == [
        (),
        ("no node uses its settings (shift)",),
        (),
    ]


def test_a_far_output_of_an_unknown_node_is_one_output() -> None:
    far = graph(**{"1": node("Odd"), "2": node("Lora", model=Source("1", 10**12))})
    found = translated(far).workflow
    assert found.nodes["load_lora"].inputs == {"model": {"from": f"odd.output_{10**12 + 1}"}}


def test_the_node_that_gives_the_result_takes_over_title_and_place() -> None:
    def helped(passage: Passage) -> None:
        helper = passage.add("Helper")
        main = passage.add("Main", by=MadeOutput(helper, ""))
        passage.give("IMAGE", MadeOutput(main, "image"))

    made = graph(**{"1": node("Helped") | {"title": "Mine", "bounds": Rectangle(5, 6)}})
    table = (entry("Helped() -> IMAGE", helped),)
    found = translate(ForeignWorkflow(made), table).workflow
    assert [(each.type, each.label) for each in found.nodes.values()] == [
        ("Helper", ""),
        ("Main", "Mine"),
    ]
    assert found.ui["positions"]["main"] == [5, 6]
