"""What is to be computed."""

from __future__ import annotations

import pytest

from tests.core.support import check, text_to_image, texts


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("smple", "the target `smple`: there is no node `smple`. Did you mean `sample`?"),
        ("load.va", "the target `load.va`: there is no such output. Did you mean `vae`?"),
        ("save.x", "the target `save.x`: there is no such output. `save` has no outputs."),
        ("", "the target `` does not name a node or an output (expected: `node` or `node.port`)"),
        (
            "a.b.c",
            "the target `a.b.c` does not name a node or an output (expected: `node` or "
            "`node.port`)",
        ),
    ],
)
def test_a_target_that_is_not_there_is_told(target: str, message: str) -> None:
    assert texts(check(text_to_image(), targets=[target])) == [message]


def test_a_target_needs_no_sink() -> None:
    workflow = text_to_image()
    del workflow.nodes["save"]
    assert check(workflow, targets=["decode", "load.vae"]) == []


def test_a_sink_of_unknown_type_is_not_told_twice() -> None:
    workflow = text_to_image()
    workflow.nodes["save"].type = "SaveImag"
    assert [problem.code for problem in check(workflow)] == ["unknown-node-type"]
