"""What a change reaches of the long part: by imports, fixtures and nodes' code, within a limit."""

from __future__ import annotations

import pytest

from tests.reach import chosen, distances, module_of, reached_files, reached_workflows


def test_source_files_have_import_names() -> None:
    assert module_of("nodes/sampler.py") == "nodegraph_nodes.sampler"
    assert module_of("nodegraph/core/__init__.py") == "nodegraph.core"
    assert module_of("docs/design.md") is None


def test_a_module_reaches_tests_by_imports_and_fixtures_nearest_first() -> None:
    found = distances(["nodegraph.core.suggest"])
    assert found["tests.core.test_suggest"] == 1
    assert found["tests.engine.test_plan"] > 1
    # By the fixtures of its folder, which no test imports.
    assert distances(["tests.editor.visits"])["tests.editor.test_search"] >= 1
    assert set(distances(["tests.core.test_order"])) == {"tests.core.test_order"}


def test_files_that_nobody_imports_reach_the_tests_of_their_folder() -> None:
    long = {"tests/editor/test_search.py": 9.0, "tests/training/test_chain.py": 9.0}
    assert set(reached_files(["editor/src/main.tsx"], long)) == {"tests/editor/test_search.py"}
    assert set(reached_files(["training/data.py"], long)) == {"tests/training/test_chain.py"}
    assert reached_files(["LICENSE"], long) == {}


@pytest.mark.slow
def test_workflows_are_reached_where_the_code_of_a_node_changed() -> None:
    example = "tests/nodes/test_examples.py::test_an_example_runs"
    found = set(reached_workflows(["nodes/number.py"]))
    assert f"{example}[Calculate]" in found
    assert f"{example}[BlurImage]" not in found
    sampled = set(reached_workflows(["nodegraph/sampling/samplers/heun.py"]))
    assert {
        f"{example}[KSampler]",
        "tests/test_gallery.py::test_every_workflow_runs[lora_stack]",
    } <= sampled
    assert list(reached_workflows(["workflows/lora_stack.json"])) == [
        "tests/test_gallery.py::test_every_workflow_runs[lora_stack]"
    ]


def test_what_is_nearest_and_quickest_fits_first() -> None:
    long = {"tests/a.py": 8.0, "tests/b.py": 5.0, "tests/c.py": 1.0, "tests/d.py": 6.0}
    files = {"tests/a.py": 0, "tests/b.py": 1, "tests/c.py": 3, "tests/d.py": 3}
    assert chosen(files, [], long, 14.5) == (["tests/a.py", "tests/b.py", "tests/c.py"], 1)
