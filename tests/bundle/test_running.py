"""`nodegraph bundle`: made in one home, run in another."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from shlex import split
from shutil import copytree

import pytest

from nodegraph.families.embedded_models import embedded_folder
from nodegraph.isolation.sandbox import sandbox_modes
from tests.bundle.conftest import PACK, Command


def test_a_bundle_gives_the_same_in_another_home(there: Command, bundle: Path) -> None:
    shown = there("bundle", "run", bundle, "--verify", "--trusted", "--out", "out")
    assert shown.code == 0, shown.err
    assert "Reproduced: all 3 nodes gave the same outputs." in shown.out
    assert Path("out/text.txt").read_text() == "good morning?"


def test_equal_content_gives_equal_bytes(
    here: Command, bundle: Path, pack: Path, workflow: Path
) -> None:
    here("bundle", "create", workflow, "--run", "--pack", pack, "--out", "b.ngbundle.zip")
    assert Path("b.ngbundle.zip").read_bytes() == bundle.read_bytes()


def test_it_has_no_path_of_the_machine(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            assert str(tmp_path).encode() not in archive.read(name), name


def test_a_file_elsewhere_gets_a_name_in_the_bundle(
    here: Command, there: Command, pack: Path, workflow: Path, tmp_path: Path
) -> None:
    far = tmp_path / "far" / "away.txt"
    far.parent.mkdir()
    far.write_text("good night")
    made = here(
        *("bundle", "create", workflow, "--run", "--pack", pack, "--out", "c.ngbundle.zip"),
        *("--set", f"read.path={far}"),
    )
    assert made.code == 0, made.err
    far.unlink()
    shown = there("bundle", "run", "c.ngbundle.zip", "--trusted", "--verify", "--out", "out")
    assert shown.code == 0, shown.err
    assert Path("out/text.txt").read_text() == "good night?"


def test_code_of_a_bundle_does_not_run_unasked(there: Command, bundle: Path) -> None:
    shown = there("bundle", "run", bundle, "--out", "out")
    assert shown.code == 2
    assert "the bundle brings code that is not on this machine: `letters` (1 file" in shown.err
    assert not Path("out").exists()


@pytest.mark.slow
def test_code_of_a_bundle_runs_in_a_sandbox(
    here: Command, there: Command, pack: Path, workflow: Path
) -> None:
    if not sandbox_modes():
        pytest.skip("this system has no sandbox")
    document = json.loads(workflow.read_text())
    # A node in a sandbox writes no results.
    document["nodes"]["write"]["type"] = "SaveText"
    workflow.write_text(json.dumps(document))
    here("bundle", "create", workflow, "--run", "--pack", pack, "--out", "s.ngbundle.zip")
    shown = there("bundle", "run", "s.ngbundle.zip", "--untrusted", "--verify", "--out", "out")
    assert shown.code == 0, shown.err
    assert "Reproduced: all 3 nodes" in shown.out


def test_a_pack_that_is_here_with_the_same_code_is_used(
    there: Command, bundle: Path, pack: Path
) -> None:
    shown = there("bundle", "run", bundle, "--verify", "--pack", pack, "--out", "out")
    assert shown.code == 0, shown.err


def test_a_pack_of_the_same_name_with_other_code_is_not(
    there: Command, bundle: Path, pack: Path
) -> None:
    pack.write_text(PACK.replace("first + second", "second + first"))
    shown = there("bundle", "run", bundle, "--verify", "--pack", pack, "--out", "out")
    assert shown.code == 2
    assert "the bundle brings code" in shown.err


def test_the_report_names_the_first_difference_and_its_cause(
    here: Command, there: Command, bundle: Path, tmp_path: Path
) -> None:
    changed = _changed(bundle, tmp_path, PACK.replace("first + second", "second + first"))
    shown = there("bundle", "run", changed, "--verify", "--trusted", "--out", "out")
    assert shown.code == 1
    report = Path("out/reproducibility.md").read_text()
    assert "**Not reproduced: 2 of 3 nodes gave the same.**" in report
    assert "join: the code behind letters:Join of the pack letters is another version" in report
    page = Path("out/reproducibility.html").read_text()
    assert str(tmp_path) not in report + page
    assert "<td>differs</td>" in page


def _changed(bundle: Path, folder: Path, code: str) -> Path:
    """The bundle with other code of its pack, and digests that fit."""
    from blake3 import blake3

    from nodegraph.core.digests import digest_bytes

    path = folder / "changed.ngbundle.zip"
    with zipfile.ZipFile(bundle) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "packs/letters/letters.py":
                data = code.encode()
            if name == "bundle.json":
                document = json.loads(data)
                pack = next(each for each in document["packs"] if each["name"] == "letters")
                digest = blake3(code.encode()).hexdigest()
                pack["files"][0] |= {"digest": digest, "bytes": len(code.encode())}
                pack["digest"] = digest_bytes(f"letters.py {digest}".encode())
                data = json.dumps(document).encode()
            after.writestr(name, data)
    return path


def test_a_bundle_is_a_workflow_for_run(there: Command, bundle: Path, pack: Path) -> None:
    shown = there("run", bundle, "--greeting", "!", "--pack", pack, "--out", "out")
    assert shown.code == 0, shown.err
    assert Path("out/text.txt").read_text() == "good morning!"


def test_what_is_in_a_bundle_is_shown(there: Command, bundle: Path) -> None:
    lines = there("bundle", "show", bundle).out
    assert "Greeting" in lines
    assert "parameters: greeting=?" in lines
    assert "pack `letters` (1 file, no license stated), included" in lines
    assert "states the outputs of 3 nodes and 1 file" in lines


def test_unpacking_gives_files_their_names(there: Command, bundle: Path) -> None:
    assert there("bundle", "unpack", bundle, "--out", "open").code == 0
    assert Path("open/inputs/note.txt").read_text() == "good morning"
    assert Path("open/packs/letters.py").read_text() == PACK
    assert json.loads(Path("open/workflow.json").read_text())["title"] == "Greeting"
    again = there("bundle", "unpack", bundle, "--out", "open")
    assert (again.code, "is there already" in again.err) == (2, True)


def test_unpacking_names_the_command_that_runs_it(
    there: Command, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = there("bundle", "unpack", bundle, "--out", "an open one")
    inputs, program, *words = split(unpacked.out.splitlines()[-1].removeprefix("Run it: "))
    name, _, folder = inputs.partition("=")
    assert program == "nodegraph"
    monkeypatch.setenv(name, folder)
    assert there(*words, "--out", "out").code == 0
    assert Path("out/text.txt").read_text() == "good morning?"


def test_code_that_is_not_that_of_the_stated_run_is_noted(
    here: Command, pack: Path, workflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_SIDECAR", "true")
    monkeypatch.chdir(workflow.parent)
    document = json.loads(workflow.read_text())
    save = {"type": "SaveText", "inputs": {"text": {"from": "join"}}}
    document["nodes"]["write"] = save
    workflow.write_text(json.dumps(document))
    assert here("run", workflow, "--pack", pack, "--out", "out").code == 0
    same = here("bundle", "create", "out/text_00001.txt.json", "--pack", pack)
    assert (same.code, same.err) == (0, "")
    pack.write_text(PACK.replace("first + second", "second + first"))
    other = here("bundle", "create", "out/text_00001.txt.json", "--pack", pack)
    assert "the code of the pack `letters` is not that of the stated run" in other.err


def test_a_recorded_run_states_what_is_expected(
    here: Command, there: Command, pack: Path, workflow: Path
) -> None:
    assert here("run", workflow, "--pack", pack, "--out", "first").code == 0
    here("bundle", "create", workflow, "--pack", pack, "--out", "r.ngbundle.zip")
    shown = there("bundle", "run", "r.ngbundle.zip", "--trusted", "--verify", "--out", "out")
    assert "Reproduced: all 3 nodes" in shown.out


def test_without_a_run_there_is_nothing_to_verify(
    here: Command, there: Command, pack: Path, workflow: Path
) -> None:
    made = here("bundle", "create", workflow, "--pack", pack, "--out", "n.ngbundle.zip")
    assert "It states no results" in made.err
    shown = there("bundle", "run", "n.ngbundle.zip", "--trusted", "--verify")
    assert shown.code == 2
    assert "the bundle states no outputs to compare with" in shown.err


PICTURE = {
    "format": "nodegraph/1",
    "title": "Apple",
    "nodes": {
        "load": {"type": "LoadModel", "inputs": {"model": "fruit/mine"}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "an apple"},
        },
        "empty": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "load.model"},
                "positive": {"from": "prompt"},
                "latent": {"from": "empty"},
                "seed": 3,
                "steps": 2,
            },
        },
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}, "name": "apple"}},
    },
}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A workflow with a model in the models folder of the first home."""
    copytree(embedded_folder(), tmp_path / "here" / "models" / "fruit" / "mine")
    path = tmp_path / "apple.json"
    path.write_text(json.dumps(PICTURE))
    return path


@pytest.mark.slow
def test_a_model_is_found_by_its_content_under_another_name(
    here: Command, there: Command, picture: Path, specs: Path, tmp_path: Path
) -> None:
    copytree(specs, tmp_path / "here" / "cache")
    made = here("bundle", "create", picture, "--run", "--json")
    assert made.code == 0, made.err
    assert [model["name"] for model in made.json["models"]] == ["fruit/mine"]
    missing = there("bundle", "run", "apple.ngbundle.zip", "--verify", "--out", "out")
    assert missing.code == 2
    assert "the model `fruit/mine`" in missing.err
    assert "is not here" in missing.err
    copytree(embedded_folder(), tmp_path / "there" / "models" / "other name")
    shown = there("bundle", "run", "apple.ngbundle.zip", "--verify", "--out", "out")
    assert shown.code == 0, shown.err
    assert "Reproduced: all 6 nodes gave the same outputs." in shown.out
    assert "apple_00001.png: equal" in shown.out


def test_the_report_has_the_recipes_of_the_models(
    here: Command, there: Command, tmp_path: Path
) -> None:
    nodes = PICTURE["nodes"] | {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "style": {
            "type": "LoadLora",
            "inputs": {
                "model": {"from": "load.model"},
                "lora": "tiny/style_lora",
                "strength_model": 0.5,
            },
        },
    }
    sample = {**nodes["sample"]["inputs"], "model": {"from": "style.model"}, "steps": 1}
    nodes["sample"] = {"type": "KSampler", "inputs": sample}
    Path("styled.json").write_text(json.dumps({**PICTURE, "nodes": nodes}))
    made = here("bundle", "create", "styled.json", "--run", "--json")
    assert made.code == 0, made.err
    families = {each["kind"]: each["family"] for each in made.json["components"]}
    assert families["DiffusionModel"] == "sd1"
    assert str(tmp_path) not in json.dumps(made.json["components"])
    shown = there("bundle", "run", "styled.ngbundle.zip", "--verify", "--out", "out")
    assert shown.code == 0, shown.err
    text = Path("out/reproducibility.md").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("| style.model |")]
    assert "DiffusionModel" in line
    assert "(strength 0.5," in line
    assert line.endswith("| equal |")


def test_a_bundle_of_a_file_without_prompts_states_no_results(
    here: Command, there: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = PICTURE["nodes"] | {"load": {"type": "LoadModel", "inputs": {"model": "tiny"}}}
    sample = {**nodes["sample"]["inputs"], "steps": 1}
    nodes["sample"] = {"type": "KSampler", "inputs": sample}
    Path("apple.json").write_text(json.dumps({**PICTURE, "nodes": nodes}))
    assert here("run", "apple.json", "--no-prompts", "--out", "first").code == 0
    (result,) = Path("first").glob("*.png")
    made = here("bundle", "create", result)
    assert made.code == 0, made.err
    assert "was saved without its prompts" in made.err
    assert "It states no results" in made.err
    assert (
        "was saved without its prompts"
        in there("bundle", "show", f"{result.stem}.ngbundle.zip").out
    )


@pytest.mark.slow
def test_a_bundle_with_models_needs_none(
    here: Command, there: Command, picture: Path, specs: Path, tmp_path: Path
) -> None:
    copytree(specs, tmp_path / "here" / "cache")
    assert here("run", picture, "--out", "first", "--quiet").code == 0
    (result,) = Path("first").glob("*.png")
    made = here("bundle", "create", result, "--with-models", "--out", "m.ngbundle.zip")
    assert made.code == 0, made.err
    shown = there("bundle", "run", "m.ngbundle.zip", "--verify", "--out", "out")
    assert shown.code == 0, shown.err
    assert "Reproduced: all 6 nodes" in shown.out
    assert Path("out/apple_00001.png").read_bytes() == result.read_bytes()


def test_files_of_an_earlier_run_are_not_taken_for_those_of_this_one(
    there: Command, bundle: Path, pack: Path
) -> None:
    older = Path("copy/text.txt")
    older.parent.mkdir()
    older.write_text("good evening?")
    ran = there("bundle", "run", bundle, "--verify", "--pack", pack, "--out", "copy", "--json")
    assert ran.code == 0, ran.err
    assert [each["verdict"] for each in ran.json["report"]["results"]] == ["equal"]
