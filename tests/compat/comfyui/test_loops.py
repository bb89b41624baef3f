"""Loops of ComfyUI, `StartLoop` to `EndLoop`, come as native loops and give what they give there.

The expected values follow ComfyUI's ``comfy_extras/nodes_loop.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nodegraph.interop.comfyui.importer import ImportedWorkflow, import_document, node_table
from nodegraph.session.session import Session
from nodegraph.session.settings import load_settings
from tests.compat.comfyui.test_exporting import there_and_back

TABLE = node_table()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(load_settings({"home": tmp_path_factory.mktemp("home")})) as opened:
        yield opened


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": {_name(key): inputs[key] for key in inputs}}


def _name(key: str) -> str:
    return key.replace("__", ".")


def formula(expression: str, **values: Any) -> dict[str, Any]:
    inputs = {f"values.{letter}": value for letter, value in values.items()}
    return node("ComfyMathExpression", expression=expression, **inputs)


def imported(nodes: dict[str, Any]) -> ImportedWorkflow:
    return import_document({**nodes, "show": node("PreviewAny", source=["end", 0])}, TABLE)


def result(session: Session, nodes: dict[str, Any]) -> Any:
    """What the loop `end` gives when it runs here."""
    found = imported(nodes)
    assert not found.placeholders
    (show,) = (name for name, entry in found.workflow.nodes.items() if entry.type == "ShowValue")
    source = found.workflow.nodes[show].inputs["value"]["from"]
    return session.run(found.workflow, targets=[source.partition(".")[0]])[source]


def reasons(nodes: dict[str, Any]) -> set[str]:
    return {fate.untranslated_reason for fate in imported(nodes).placeholders}


def simple(turns: Any = 4, **more: Any) -> dict[str, Any]:
    return node("StartLoop", mode="simple", mode__num_iterations=turns, **more)


ONE = {"one": node("PrimitiveInt", value=3)}
DOUBLING = {
    **ONE,
    "start": simple(initial_iteration_value=["one", 0]),
    "twice": formula("a * 2", a=["start", 4]),
}


def test_a_loop_that_sends_a_value_back_gives_the_last_one(session: Session) -> None:
    end = node("EndLoop", output_value=["twice", 1], next_iteration_value=["twice", 1])
    found = imported({**DOUBLING, "end": end})
    assert [entry.type for entry in found.workflow.nodes.values()].count("Fold") == 1
    assert result(session, {**DOUBLING, "end": end}) == 48


def test_accumulated_values_are_those_of_all_turns(session: Session) -> None:
    end = node(
        "EndLoop",
        output_value=["twice", 1],
        next_iteration_value=["twice", 1],
        accumulate=True,
    )
    assert result(session, {**DOUBLING, "end": end}) == [6, 12, 24, 48]


@pytest.mark.parametrize(("accumulate", "expected"), [(True, [30, 61, 122]), (False, 122)])
def test_what_is_sent_back_may_differ_from_what_is_given(
    session: Session, *, accumulate: bool, expected: Any
) -> None:
    nodes = {
        **ONE,
        "start": simple(3, initial_iteration_value=["one", 0]),
        "next": formula("a * 2", a=["start", 4]),
        "out": formula("a * 10 + b", a=["start", 4], b=["start", 0]),
        "end": node(
            "EndLoop",
            output_value=["out", 1],
            next_iteration_value=["next", 1],
            accumulate=accumulate,
        ),
    }
    assert result(session, nodes) == expected


def test_a_loop_that_sends_nothing_back_runs_for_each_index(session: Session) -> None:
    nodes = {
        **ONE,
        "start": node(
            "StartLoop",
            mode="For",
            mode__start_iteration_index=2,
            mode__max_iteration=9,
            mode__step=3,
            initial_iteration_value=["one", 0],
        ),
        "out": formula("a * b", a=["start", 0], b=["start", 4]),
        "end": node("EndLoop", output_value=["out", 1], accumulate=True),
    }
    assert result(session, nodes) == [6, 15, 24]


def test_first_and_last_turns_are_told(session: Session) -> None:
    nodes = {
        "count": node("PrimitiveInt", value=4),
        "first": node("PrimitiveInt", value=10),
        "last": node("PrimitiveInt", value=20),
        "start": simple(["count", 0]),
        "at_last": _choice(["start", 2], ["last", 0], ["start", 0]),
        "out": _choice(["start", 1], ["first", 0], ["at_last", 0]),
        "end": node("EndLoop", output_value=["out", 0], accumulate=True),
    }
    assert result(session, nodes) == [10, 1, 2, 20]


def _choice(condition: list[Any], on_true: list[Any], on_false: list[Any]) -> dict[str, Any]:
    return node("ComfySwitchNode", switch=condition, on_true=on_true, on_false=on_false)


def test_a_list_is_run_over_item_by_item(session: Session) -> None:
    nodes = {
        "a": node("PrimitiveInt", value=5),
        "b": node("PrimitiveInt", value=7),
        "list": node("CreateList", inputs__input0=["a", 0], inputs__input1=["b", 0]),
        "start": node("StartLoop", mode="List", mode__list=["list", 0]),
        "out": formula("10 * a + b", a=["start", 3], b=["start", 0]),
        "end": node("EndLoop", output_value=["out", 1], accumulate=True),
    }
    assert result(session, nodes) == [50, 71]


def test_several_values_go_round_as_a_list(session: Session) -> None:
    """Euclid's algorithm, as a template has it."""
    nodes = {
        "a": node("PrimitiveInt", value=1152),
        "b": node("PrimitiveInt", value=896),
        "list": node("CreateList", inputs__input0=["a", 0], inputs__input1=["b", 0]),
        "start": simple(12, initial_iteration_value=["list", 0]),
        "left": node("GetItemFromList", list=["start", 4], index=0),
        "right": node("GetItemFromList", list=["start", 4], index=1),
        "rest": formula("a % b if b > 0 else 0", a=["left", 0], b=["right", 0]),
        "kept": formula("b if b > 0 else a", a=["left", 0], b=["right", 0]),
        "pair": node("CreateList", inputs__input0=["kept", 1], inputs__input1=["rest", 1]),
        "end": node("EndLoop", output_value=["pair", 0], next_iteration_value=["pair", 0]),
    }
    assert result(session, nodes) == [128, 0]


def test_a_first_turn_may_have_nothing_to_take(session: Session) -> None:
    """Where a switch passes the list by, as in a template of long videos."""
    nodes = {
        "zero": node("PrimitiveInt", value=100),
        "start": simple(3),
        "before": node("GetItemFromList", list=["start", 4], index=0),
        "taken": _choice(["start", 1], ["zero", 0], ["before", 0]),
        "next": formula("a + 1", a=["taken", 0]),
        "list": node("CreateList", inputs__input0=["next", 1]),
        "end": node(
            "EndLoop",
            output_value=["next", 1],
            next_iteration_value=["list", 0],
            accumulate=True,
        ),
    }
    assert result(session, nodes) == [101, 102, 103]


def test_a_loop_runs_in_each_turn_of_another(session: Session) -> None:
    nodes = {
        "start0": simple(3),
        "start1": simple(2, parent_iteration=["start0", 0]),
        "out": formula("10 * a + b", a=["start0", 0], b=["start1", 0]),
        "end1": node("EndLoop", output_value=["out", 1]),
        "more": formula("a + 1000 * b", a=["end1", 0], b=["start0", 0]),
        "end": node("EndLoop", output_value=["more", 1], accumulate=True),
    }
    assert result(session, nodes) == [1, 1011, 2021]


def test_a_loop_in_a_block_is_one_there() -> None:
    inner = {
        "nodes": [
            _drawn(1, "StartLoop", ["simple", 4, False], {"initial_iteration_value": 11}, [12]),
            _drawn(2, "ComfyMathExpression", ["a * 2"], {"values.a": 12}, [13]),
            _drawn(
                3,
                "EndLoop",
                [False],
                {"output_value": 13, "next_iteration_value": 13},
                [14],
            ),
        ],
        "links": [
            _link(11, -10, 0, 1, 0),
            _link(12, 1, 4, 2, 0),
            _link(13, 2, 1, 3, 0),
            _link(15, 2, 1, 3, 1),
            _link(14, 3, 0, -20, 0),
        ],
        "inputs": [{"id": "i", "name": "first", "type": "INT", "linkIds": [11]}],
        "outputs": [{"id": "o", "name": "last", "type": "INT", "linkIds": [14]}],
    }
    inner["nodes"][2]["inputs"][1]["link"] = 15
    document = {
        "version": 0.4,
        "nodes": [
            {
                "id": 5,
                "type": "b-1",
                "inputs": [{"name": "first", "type": "INT", "link": 1}],
                "outputs": [{"name": "last", "type": "INT", "links": [2]}],
            },
            _drawn(4, "PrimitiveInt", [3, "fixed"], {}, [1]),
            _drawn(6, "PreviewAny", [], {"source": 2}, []),
        ],
        "links": [[1, 4, 0, 5, 0, "INT"], [2, 5, 0, 6, 0, "INT"]],
        "definitions": {"subgraphs": [{"id": "b-1", "name": "Doubled", **inner}]},
    }
    found = import_document(document, TABLE)
    assert not found.placeholders
    assert set(found.workflow.subgraphs) == {"Doubled", "Loop"}
    kinds = {entry.type for entry in found.workflow.subgraphs["Doubled"].nodes.values()}
    assert kinds == {"Fold", "Range"}


def _drawn(
    number: int, kind: str, widgets: list[Any], inputs: dict[str, int], links: list[int]
) -> dict[str, Any]:
    counts = {"StartLoop": 5, "ComfyMathExpression": 3}
    outputs: list[dict[str, Any]] = [
        {"name": str(at), "type": "*", "links": None} for at in range(counts.get(kind, 1))
    ]
    used = {"StartLoop": 4, "ComfyMathExpression": 1}.get(kind, 0)
    outputs[used]["links"] = links
    return {
        "id": number,
        "type": kind,
        "inputs": [{"name": name, "type": "*", "link": link} for name, link in inputs.items()],
        "outputs": outputs,
        "widgets_values": widgets,
    }


def _link(number: int, origin: int, slot: int, target: int, at: int) -> dict[str, Any]:
    return {
        "id": number,
        "origin_id": origin,
        "origin_slot": slot,
        "target_id": target,
        "target_slot": at,
        "type": "*",
    }


def test_a_loop_whose_end_is_missing_stays_a_placeholder() -> None:
    out = formula("a + 1", a=["start", 0])
    shown = {"start": simple(), "end": out}
    assert reasons(shown) == {"no `EndLoop` belongs to it"}


def test_an_end_without_a_start_stays_a_placeholder() -> None:
    assert reasons({**ONE, "end": node("EndLoop", output_value=["one", 0])}) == {
        "it is not clear which `StartLoop` it belongs to"
    }


def test_a_loop_over_an_unknown_node_stays_a_placeholder() -> None:
    nodes = {
        "start": simple(),
        "strange": node("Strange", value=["start", 0]),
        "end": node("EndLoop", output_value=["strange", 0]),
    }
    found = {fate.type: fate.untranslated_reason for fate in imported(nodes).placeholders}
    assert found["StartLoop"] == found["EndLoop"]
    assert found["EndLoop"] == "it repeats `Strange`, and nodegraph has no equivalent for that"


def test_lists_of_turns_that_comfyui_joins_are_refused() -> None:
    nodes = {
        "start": simple(),
        "list": node("CreateList", inputs__input0=["start", 0]),
        "end": node("EndLoop", output_value=["list", 0], accumulate=True),
    }
    assert reasons(nodes) == {"each turn gives a list, and ComfyUI joins these lists"}


def test_a_first_turn_without_a_value_is_refused() -> None:
    nodes = {
        "start": simple(),
        "out": formula("a + 1", a=["start", 4]),
        "end": node("EndLoop", output_value=["out", 1], next_iteration_value=["out", 1]),
    }
    assert reasons(nodes) == {"its first turn takes no value: `initial_iteration_value` is open"}


def test_a_loop_survives_the_way_to_comfyui_and_back() -> None:
    end = node("EndLoop", output_value=["twice", 1], next_iteration_value=["twice", 1])
    workflow = imported({**DOUBLING, "end": end}).workflow
    back = there_and_back(workflow)
    assert back.nodes == workflow.nodes
    assert back.subgraphs == workflow.subgraphs


def test_accumulated_lists_of_a_loop_inside_are_refused() -> None:
    nodes = {
        "start": simple(2),
        "start2": simple(3),
        "out": formula("a + b", a=["start2", 0], b=["start", 0]),
        "end2": node("EndLoop", output_value=["out", 1], accumulate=True),
        "end": node("EndLoop", output_value=["end2", 0], accumulate=True),
    }
    nodes["start2"]["inputs"]["initial_iteration_value"] = ["start", 0]
    assert reasons(nodes) == {"each turn gives a list, and ComfyUI joins these lists"}
