"""`nodegraph show`."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tests.cli.conftest import BROKEN, WORKFLOW, Cli, saved


def test_the_tree_leads_from_outputs_to_inputs(cli: Cli) -> None:
    shown = cli("show", saved(WORKFLOW))
    assert shown.code == 0
    assert shown.out == (
        "Greeting  5 nodes\n"
        "\n"
        "Parameters\n"
        '  greeting    join.first   "hello"\n'
        "  seed        draw.seed    3\n"
        "  kind        draw.kind\n"
        "  loud        draw.loud\n"
        "  rest_of_it  join.second\n"
        '  out         write.name   "text"\n'
        "\n"
        "write (toys:Write)\n"
        '├─ name = "text"\n'
        "└─ text ← join (toys:Join)\n"
        '   └─ first = "hello"\n'
        "number (toys:Write)\n"
        '├─ name = "number"\n'
        "└─ text ← wait (toys:Wait)\n"
        "   ├─ steps = 2\n"
        '   └─ value ← draw (toys:Draw) "Dice"\n'
        "      └─ seed = 3\n"
    )


def test_a_workflow_that_cannot_run_is_shown_too(cli: Cli) -> None:
    shown = cli("show", saved(BROKEN))
    assert shown.code == 0
    assert "└─ text ← joi  there is no such node" in shown.out


def test_subgraphs_are_shown_below(cli: Cli) -> None:
    document = {
        "format": "nodegraph/1",
        "nodes": {"use": {"type": "Twice"}},
        "subgraphs": {
            "Twice": {
                "inputs": {"text": {"type": "str", "to": ["inner.first"]}},
                "outputs": {"result": "inner.text"},
                "nodes": {"inner": {"type": "toys:Join"}},
            }
        },
    }
    assert cli("show", saved(document)).out.endswith(
        "\nsubgraph Twice  1 node\n"
        "inner.first ← input text (str)\n"
        "output result ← inner.text\n"
        "inner (toys:Join)\n"
    )


def test_a_flowchart_is_printed(cli: Cli, pack: Path) -> None:
    shown = cli("show", saved(WORKFLOW), "--mermaid", "--pack", pack)
    lines = shown.out.splitlines()
    assert lines[0] == "flowchart LR"
    assert '  n1["Dice<br/><small>toys:Draw</small>"]' in lines
    assert '  n0 -->|"text"| n3' in lines


def test_a_drawing_is_written(cli: Cli, pack: Path) -> None:
    shown = cli("show", saved(WORKFLOW), "--svg", "wf.svg", "--pack", pack)
    assert (shown.code, shown.out, shown.err) == (0, "", "Wrote wf.svg.\n")
    assert ElementTree.parse("wf.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_a_drawing_is_printed(cli: Cli) -> None:
    shown = cli("show", saved(WORKFLOW), "--svg", "-")
    assert shown.out.startswith("<svg ")
    assert shown.out.endswith("</svg>\n")


def test_only_one_kind_of_drawing_at_a_time(cli: Cli) -> None:
    assert cli("show", saved(WORKFLOW), "--svg", "-", "--mermaid").code == 2
