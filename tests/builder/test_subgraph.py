"""Subgraphs that a script writes, for loops and as nodes."""

from __future__ import annotations

import pickle

import nodegraph
from nodegraph import Graph
from nodegraph.errors import InvalidValue, InvalidWorkflow
from tests.messages import raises


def test_a_loop_runs_what_was_built_for_it(g: Graph) -> None:
    body = g.subgraph("square")
    item = body.input("item", "int")
    body.output("result", body.Calculate("product", a=item, operation="*", b=item))
    loop = g.ForEach(items=g.Range(stop=4), body=body)
    assert g.subgraphs["square"].inputs["item"].to == ["product.a", "product.b"]
    assert g.run(loop).outputs["for_each.results"] == [0, 1, 4, 9]


def test_other_inputs_of_a_body_are_inputs_of_its_loop(g: Graph) -> None:
    body = g.subgraph("scale")
    scaled = body.Calculate(a=body.input("item"), operation="*", b=body.input("by", default=2))
    body.output("result", scaled.number)
    items = g.Range(stop=3)
    loop = g.ForEach(items=items, body=body, by=10)
    assert g.run(loop).outputs["for_each.results"] == [0, 10, 20]
    with raises(InvalidWorkflow, node="for_each_2", port="bye"):
        g.ForEach(items=items, body=body, bye=10)


def test_a_subgraph_is_used_like_a_node_type(g: Graph) -> None:
    block = g.subgraph("twice")
    block.output("sum", block.Calculate(a=block.input("x"), b=block.input("x")))
    once = g.node(block, x=3)
    again = g.node("twice", "again", x=once)
    assert (g.nodes["twice"].type, g.nodes["again"].inputs) == ("twice", {"x": {"from": "twice"}})
    assert g.run(again).outputs["again/calculate.number"] == 12


def test_a_result_has_what_a_subgraph_and_a_bypassed_node_give_by_their_names(g: Graph) -> None:
    block = g.subgraph("both")
    twice = block.Calculate("twice", a=block.input("x"), b=2, operation="*")
    block.output("twice", twice)
    block.output("more", block.Calculate("more", a=twice, b=1))
    used = g.node(block, x=3)
    past = g.Calculate("past", a=used.more, b=1)
    g.entry(past).mode = "bypass"
    end = g.Calculate("end", a=past, b=used.twice)
    result = g.run(end)
    for found in (result, pickle.loads(pickle.dumps(g.run(end, used)))):
        assert (found[used.twice], found["both.more"]) == (6, 7)
        assert used.more in found
    assert result[past] == result["past.number"] == 7
    with raises(KeyError):
        result[used]
    assert list(result) == ["end.number"]
    assert nodegraph.run(g, targets=["both.twice"], progress=False)["both.twice"] == 6


def test_a_changed_input_leaves_what_fed_it(g: Graph) -> None:
    block = g.subgraph("block")
    x, y = block.input("x"), block.input("y")
    node = block.Calculate("sum", a=x, b=x)
    block.set(node, a=1, b=y)
    assert {name: port.to for name, port in block.subgraph.inputs.items()} == {
        "x": [],
        "y": ["sum.b"],
    }
    assert block.entry("sum").inputs == {"a": 1}
    block.set(node, a=x)
    assert block.entry("sum").inputs == {}


def test_types_of_a_subgraphs_inputs_count(g: Graph) -> None:
    block = g.subgraph("block")
    with raises(InvalidWorkflow, node="invert_image", port="image", given="Latent"):
        block.InvertImage(image=block.input("latent", "Latent"))
    with raises(InvalidValue):
        block.input("image", "Imag")
    block.InvertImage(image=block.input("picture"))
    with raises(InvalidWorkflow, node="vae_decode", port="latent", given="Image"):
        block.VAEDecode(vae=block.input("vae"), latent=block.input("picture"))


def test_nodes_of_a_subgraph_and_of_the_graph_do_not_mix(g: Graph) -> None:
    block = g.subgraph("block")
    outside, inside = g.EmptyImage(), block.EmptyImage()
    with raises(InvalidWorkflow, node="invert_image", port="image", given="`empty_image`"):
        block.InvertImage(image=outside)
    with raises(InvalidWorkflow, node="invert_image", port="image", given="`empty_image`"):
        g.InvertImage(image=inside)
    with raises(InvalidValue, given="<node empty_image (EmptyImage): image>"):
        block.output("image", outside)
    with raises(InvalidValue, given="`load_image`, which has several"):
        block.output("image", block.LoadImage(path="a.png"))
