"""`nodegraph schema`."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from nodegraph.core.manifest import MANIFEST, Manifest, manifest_from_texts
from nodegraph.session.results.files import result_texts
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]


def test_the_schema_knows_the_node_types_of_packs(cli: Cli, pack: Path) -> None:
    document = cli("schema", "--pack", pack).json
    assert document["$schema"].endswith("2020-12/schema")
    assert "inputs of toys:Join" in document["$defs"]


def test_the_schema_of_one_node_stands_alone(cli: Cli, pack: Path) -> None:
    document = cli("schema", "--node", "toys:Join", "--pack", pack).json
    assert document["title"] == "toys:Join"
    assert list(document["properties"]) == ["first", "second", "times"]
    assert "link" in document["$defs"]


def test_an_unknown_node_type_is_bad_input(cli: Cli) -> None:
    assert cli("schema", "--node", "Nonsense").code == 2


def test_the_schema_of_manifests_describes_what_files_carry(cli: Cli, tmp_path: Path) -> None:
    document = {
        "format": "nodegraph/1",
        "nodes": {
            "make": {"type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "make"}}},
        },
    }
    (tmp_path / "w.json").write_text(json.dumps(document))
    schema = cli("schema", "--manifest").json
    made = cli("run", tmp_path / "w.json", "--sidecar", "--json", "--out", tmp_path / "out").json
    image, sidecar = [Path(file["path"]) for file in made["files"]]

    validator = Draft202012Validator(schema)
    carried = json.loads((result_texts(image) or {})[MANIFEST])
    whole = json.loads(sidecar.read_text())
    assert list(validator.iter_errors(carried)) == list(validator.iter_errors(whole)) == []
    assert whole == {**carried, "workflow": whole["workflow"]}
    assert list(validator.iter_errors({**carried, "seeds": {"a.seed": "1"}}))
    known = json.loads((ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    assert known == schema, "make it anew: python docs/generate_manifest.py"
    assert manifest_from_texts(result_texts(image) or {}) == Manifest.from_document(whole)


def test_options_of_run_decide_what_files_carry(cli: Cli, tmp_path: Path) -> None:
    document = {
        "format": "nodegraph/1",
        "nodes": {
            "make": {"type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
            "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
            "ask": {
                "type": "EncodePrompt",
                "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "a secret fox"},
            },
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "make"}}},
        },
    }
    (tmp_path / "w.json").write_text(json.dumps(document))

    def texts(*options: str) -> dict[str, str]:
        ran = cli("run", tmp_path / "w.json", "--json", "--out", tmp_path / "out", *options)
        [file] = ran.json["files"]
        return dict(result_texts(Path(file["path"])) or {})

    assert "a secret fox" in texts()["workflow"]
    assert "a secret fox" not in texts("--no-prompts")["workflow"]
    assert texts("--metadata", "minimal").keys() == {"manifest", "nodegraph"}
    assert texts("--metadata", "none") == {}
    assert cli("run", tmp_path / "w.json", "--metadata", "some").code == 2
    assert cli("schema", "--manifest", "--node", "SaveImage").code == 2
