"""The report of a run of a bundle: files that differ, causes, and hostile texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from nodegraph.core.manifest import ManifestAdapter, ManifestModel
from nodegraph.engine.result import WrittenFile
from nodegraph.packs.registry import Registry
from nodegraph.session.bundles.archive import opened_bundle, write_bundle
from nodegraph.session.bundles.bundle import (
    Bundle,
    BundleFile,
    BundleModel,
    BundleResult,
    ExpectedNode,
    Surroundings,
)
from nodegraph.session.bundles.report import (
    BundleReport,
    ResultCheck,
    ResultVerdict,
    check_nodes,
    check_results,
    first_difference,
    probable_cause,
)
from tests.server.resources import picture

THERE = Surroundings("1.0", "3.11", "linux-x86_64", "cpu, torch 2.1", {"torch": "2.1"})
HERE = Surroundings("1.1", "3.11", "linux-x86_64", "cpu, torch 2.2", {"torch": "2.2"})


def node(digest: str, *, code: str = "") -> ExpectedNode:
    return ExpectedNode("Blend", "toys", code, {"image": digest})


def checked(
    here: bytes | None, there: bytes, name: str = "a.png", written_name: str = ""
) -> ResultCheck:
    """A file of a run, compared with that of a bundle.

    Args:
        written_name: Its name in the run, if it has another one there.
    """
    source = Path("original")
    source.write_bytes(there)
    digest = blake3(there).hexdigest()
    bundle = Bundle(results=(BundleResult("save", name, "image", digest, len(there)),))
    path = Path("r.ngbundle.zip").absolute()
    write_bundle(path, bundle, b"{}", {f"results/{digest}": source})
    written = Path("out", written_name or name)
    written.parent.mkdir()
    if here is not None:
        written.write_bytes(here)
    files = [] if here is None else [WrittenFile(written, "save")]
    with opened_bundle(path) as reader:
        (check,) = check_results(reader, files)
    return check


def test_equal_files_are_equal() -> None:
    assert checked(picture(), picture()).verdict == "equal"


def test_a_file_that_was_not_written_is_missing() -> None:
    assert checked(None, picture()).verdict == "missing"


def test_a_file_may_have_another_number_in_its_name() -> None:
    assert checked(picture(), picture(), "a_00007.png", "a_00001.png").verdict == "equal"


def test_images_that_differ_in_their_compression_alone_have_the_same_content() -> None:
    data = picture(40, 40, compress_level=0)
    assert checked(data, picture(40, 40, compress_level=9)).verdict == "same content"


def test_images_that_differ_have_figures() -> None:
    check = checked(picture(40, 40, color=(200, 30, 40)), picture(40, 40, color=(203, 30, 40)))
    assert check.verdict == "differs"
    assert check.figures["max"] == pytest.approx(3 / 255)
    assert "PSNR" in check.text


def test_a_damaged_file_differs_and_its_fault_is_named() -> None:
    check = checked(picture()[:30], picture())
    assert check.verdict == "differs"
    assert check.text


def test_the_first_difference_is_that_of_the_first_node_that_differs() -> None:
    expected = {"a": node("1"), "b": node("2"), "c": node("3")}
    actual = {"c": node("9"), "b": node("8"), "a": node("1"), "d": node("4")}
    checks = check_nodes(expected, actual)
    assert [(each.name, each.verdict) for each in checks] == [
        ("a", "equal"),
        ("b", "differs"),
        ("c", "differs"),
        ("d", "new"),
    ]
    assert first_difference(checks) == "b"


@pytest.mark.parametrize(
    ("there", "here", "around", "cause"),
    [
        (node("1", code="x"), node("2", code="y"), THERE, "the code behind Blend of the pack toys"),
        (node("1"), node("2"), HERE, "versions differ: nodegraph 1.0 in the bundle, 1.1 here"),
        (node("1"), node("2"), THERE, "nothing that is known differs"),
        (node("1"), ExpectedNode("Mix", outputs={}), THERE, "the node type is Mix here"),
        (node("1"), None, THERE, "it did not run here"),
    ],
)
def test_the_probable_cause_is_named(
    there: ExpectedNode, here: ExpectedNode | None, around: Surroundings, cause: str
) -> None:
    bundle = Bundle(surroundings=THERE, nodes={"a": there})
    actual = {} if here is None else {"a": here}
    assert cause in probable_cause("a", bundle, actual, around, Registry())


def report(
    title: str = "A", status: str = "ok", verdict: ResultVerdict = "same content"
) -> BundleReport:
    checks = check_nodes({"a": node("1")}, {"a": node("1")})
    files = (ResultCheck("a.png", "save", verdict, {"psnr": 40.0}, "PSNR 40.0 dB"),)
    return BundleReport(title, status, THERE, HERE, checks, files, notes=("a | b",))


def test_a_failed_run_reproduces_nothing() -> None:
    assert report().is_reproduced
    failed = report(status="failed")
    assert not failed.is_reproduced
    assert failed.summary == "Not reproduced: the run ended as failed."


@pytest.mark.parametrize("verdict", ["differs", "missing"])
def test_a_file_that_differs_is_not_reproduced_though_all_nodes_are(
    verdict: ResultVerdict,
) -> None:
    differing = report(verdict=verdict)
    assert not differing.is_reproduced
    assert differing.summary.endswith("all nodes gave the same outputs, but 1 of 1 file differ.")


def test_texts_of_a_bundle_are_no_markup() -> None:
    hostile = report("<script>alert(1)</script> [a](http://b)")
    page, text = hostile.to_html(), hostile.to_markdown()
    assert "<script>" not in page
    assert "&lt;script>" in text
    assert "[a](" not in text
    assert "- a \\| b" in text


def test_versions_stand_beside_each_other() -> None:
    lines = report().to_markdown().splitlines()
    assert "| nodegraph | 1.0 | 1.1 |" in lines
    assert "| a.png | save | same content | PSNR 40.0 dB |" in lines


def test_what_a_bundle_does_not_state_is_said_and_no_cell_is_blank() -> None:
    there = Surroundings("1.0", numerics="cpu")
    here = Surroundings("1.0", "3.11", "", "cpu", {"torch": "2.2"})
    checks = check_nodes({"a": node("1")}, {})
    files = (ResultCheck("a.png", "save", "missing"),)
    unstated = BundleReport("A", "ok", there, here, checks, files)
    text, page = unstated.to_markdown(), unstated.to_html()
    assert "| torch | not stated | 2.2 |" in text
    assert "| platform |" not in text
    assert "|  |" not in text
    assert "<td></td>" not in page
    assert "<th></th>" not in page


def test_a_report_lists_family_precision_and_recipe_of_models() -> None:
    lora = ManifestAdapter("lora", "style.safetensors", "c" * 64, 0.8, ("unet",))
    used = ManifestModel(
        "style", "model", "DiffusionModel", "d" * 64, "sd1", "float16", {"vae": "x|y"}, (lora,)
    )
    vae = ManifestModel("load", "vae", "Vae", "e" * 64, "sd1", "float32")
    here = replace(
        used, dtype="float32", adapters=(replace(lora, name="renamed.safetensors", strength=1.0),)
    )
    checks = check_nodes({"a": node("1")}, {"a": node("1")})
    made = BundleReport(
        "A", "ok", THERE, HERE, checks, components=(used, vae), components_here=(here, vae)
    )
    text, page = made.to_markdown(), made.to_html()
    recipe = f"vae: x\\|y; lora style.safetensors (strength 0.8, in unet, {'c' * 12})"
    assert (
        f"| style.model | DiffusionModel | sd1 | float16 | {recipe} | other precision, adapters |"
        in text
    )
    assert "| load.vae | Vae | sd1 | float32 | – | equal |" in text
    assert "<td>lora" not in page
    assert "lora style.safetensors (strength 0.8, in unet" in page
    assert made.to_document()["components"][0]["family"] == "sd1"


def test_a_model_that_only_the_run_has_is_named() -> None:
    here = ManifestModel("load", "vae", "Vae", "e" * 64, "sd1", "float32")
    checks = check_nodes({"a": node("1")}, {"a": node("1")})
    made = BundleReport("A", "ok", THERE, HERE, checks, components_here=(here,))
    assert "| load.vae | Vae | sd1 | float32 | – | only here |" in made.to_markdown()
    made = BundleReport("A", "ok", THERE, HERE, checks, components=(here,))
    assert "| load.vae | Vae | sd1 | float32 | – | not stated |" in made.to_markdown()


def test_a_report_lists_input_files_and_models() -> None:
    photo = BundleFile("photo.png", "a" * 64, 1234)
    weights = BundleFile("big/model.safetensors", "b" * 64, 5)
    models = (
        BundleModel("big", "folder", (weights,), source="hf:me/big", license="mit"),
        BundleModel("tiny", "embedded"),
    )
    checks = check_nodes({"a": node("1")}, {"a": node("1")})
    whole = BundleReport("A", "ok", THERE, HERE, checks, inputs=(photo,), models=models)
    assert f"| photo.png | 1,234 | {'a' * 64} |" in whole.to_markdown()
    assert f"| big | hf:me/big | mit | big/model.safetensors | {'b' * 64} |" in whole.to_markdown()
    assert "<td>ships with nodegraph</td>" in whole.to_html()
    assert whole.to_document()["inputs"][0]["name"] == "photo.png"


def test_a_report_counts_the_input_files_that_it_leaves_out() -> None:
    photos = tuple(BundleFile(f"{at}.png", "a" * 64, 1) for at in range(1003))
    checks = check_nodes({"a": node("1")}, {"a": node("1")})
    text = BundleReport("A", "ok", THERE, HERE, checks, inputs=photos).to_markdown()
    assert "| and 3 more files | … | … |" in text
