"""Plans of downloads: hostile names and answers, other variants, and what workflows state."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, UnsafeFile
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.interop.comfyui.importer import import_document, node_table
from nodegraph.models.remote.declared_models import DeclaredModel, declared_models
from nodegraph.models.remote.download_plans import (
    DownloadError,
    Wanted,
    select_files,
)
from nodegraph.models.remote.guarded_http import HostRules
from nodegraph.models.remote.hubs import ModelHubs
from nodegraph.models.remote.manifests import check_name
from tests.cli.conftest import Cli
from tests.compat.image_metadata.samples import png
from tests.downloads.stand_in import LOOPBACK, Fault, Site, weights

INK = weights(2_000)
DIGEST = hashlib.sha256(INK).hexdigest()
UPSCALER = next((embedded_folder().parent / "companions").glob("*/upscaler.safetensors"))


@pytest.fixture
def home(
    site: Site, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A home where commands reach the stand-in."""
    for name in [name for name in os.environ if name.startswith("NODEGRAPH_")]:
        if name != "NODEGRAPH_LEAVE_OUT":
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NODEGRAPH_DOWNLOAD_HOSTS", ",".join(LOOPBACK))
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def write_workflow(folder: Path, model: str, **declared: str) -> Path:
    load = {"type": "LoadUpscaleModel", "inputs": {"model": model}}
    document = {"format": "nodegraph/1", "nodes": {"load": load}, "models": [declared]}
    path = folder / "upscale.json"
    path.write_text(json.dumps(document))
    return path


# Digests that workflows state


@pytest.mark.parametrize(
    "stated", [{"sha256": "0" * 64}, {"hash": "0" * 64, "hash_type": "SHA256"}]
)
@pytest.mark.parametrize("is_plain", [False, True])
def test_a_workflows_digest_is_required_of_its_source(
    site: Site, home: Path, cli: Cli, tmp_path: Path, stated: dict[str, str], is_plain: bool
) -> None:
    site.repositories["a/large"] = {"large.safetensors": UPSCALER.read_bytes()}
    site.files["/large.safetensors"] = UPSCALER.read_bytes()
    source = f"{site.plain}/large.safetensors" if is_plain else "a/large"
    entry = {"name": "upscale_models/large.safetensors", "source": source}
    path = write_workflow(tmp_path, "upscale_models/large", **entry, **stated)
    refused = cli("run", path, "--to", "load", "--get")
    assert refused.code == 2
    assert "0" * 64 in refused.err
    assert not (home / "models/upscale_models/large.safetensors").exists()
    digest = hashlib.sha256(UPSCALER.read_bytes()).hexdigest().upper()
    right = {key: digest if text == "0" * 64 else text for key, text in stated.items()}
    path = write_workflow(tmp_path, "upscale_models/large", **entry, **right)
    assert cli("run", path, "--to", "load", "--get").code == 0
    assert (home / "models/upscale_models/large.safetensors").is_file()


def test_a_workflows_digest_that_is_none_is_refused(
    site: Site, home: Path, cli: Cli, tmp_path: Path
) -> None:
    site.repositories["a/large"] = {"large.safetensors": INK}
    site.repositories["a/whole"] = {"config.json": b"{}", "model.safetensors": INK}
    for source, digest in (("a/large", "abc"), ("a/whole", DIGEST)):
        entry = {"name": "large.safetensors", "source": source, "sha256": digest}
        name = "large" if source == "a/whole" else "large.safetensors"
        path = write_workflow(tmp_path, "large.safetensors", **entry | {"name": name})
        refused = cli("run", path, "--to", "load", "--get")
        assert refused.code == 2
        assert "Traceback" not in refused.err
    site.add_version(77, "large.safetensors", INK)
    path = write_workflow(tmp_path, "large", name="large", sha256=DIGEST[:10])
    shown = cli("plan", path, "--to", "load", "--get", "--json").json["downloads"]
    assert [plan["source"] for plan in shown] == ["civitai:77"]


# Endings of names


def test_a_name_gets_the_ending_of_its_file(site: Site, hubs: ModelHubs) -> None:
    site.repositories["a/ink"] = {"ink.safetensors": INK}
    for name, full in (
        ("soft", "soft.safetensors"),
        ("soft_v1.5", "soft_v1.5.safetensors"),
        ("soft.sft", "soft.sft"),
        ("soft.SAFETENSORS", "soft.SAFETENSORS"),
    ):
        assert hubs.resolve("a/ink", Wanted(name=name)).name == f"checkpoints/{full}"
    as_folder = hubs.resolve("a/ink", Wanted(name="soft", kind="diffusers"))
    assert as_folder.name == "soft.safetensors"
    for name in ("soft.ckpt", "soft.gguf", "soft.bin"):
        with pytest.raises(InvalidValue, match=r"expected: a name that ends with .safetensors"):
            hubs.resolve("a/ink", Wanted(name=name))


def test_a_folders_name_gets_no_ending(site: Site, hubs: ModelHubs) -> None:
    site.repositories["a/ink-v1.5"] = {"config.json": b"{}", "model.safetensors": INK}
    plan = hubs.resolve("a/ink-v1.5", Wanted(name="soft", kind="vae"))
    assert plan.name == "vae/soft"
    with pytest.raises(InvalidValue, match="a folder's name"):
        hubs.resolve("a/ink-v1.5", Wanted(name="soft.safetensors", kind="vae"))


# Names that systems read in another way


@pytest.mark.parametrize(
    "name",
    [
        *("unet./config.json", "unet /config.json", "x.safetensors.", "x.safetensors "),
        *("CONIN$.safetensors", "a/conout$", "com\N{SUPERSCRIPT ONE}.safetensors"),
        *("LPT\N{SUPERSCRIPT THREE}", "nul .safetensors", "aux"),
    ],
)
def test_names_that_windows_reads_as_others_are_refused(
    site: Site, hubs: ModelHubs, name: str
) -> None:
    with pytest.raises(InvalidValue, match="cannot have this name"):
        check_name(name)
    site.repositories["a/ink"] = {"ink.safetensors": INK}
    with pytest.raises(InvalidValue):
        hubs.resolve("a/ink", Wanted(name=name))


def test_names_with_signs_in_the_middle_stay(hubs: ModelHubs) -> None:
    for name in ("v1.5 soft/ink. 2.safetensors", "console.safetensors", "com10/lpt.gguf"):
        assert check_name(name) == name


# Licenses


def test_only_texts_of_licenses_come(site: Site, hubs: ModelHubs) -> None:
    site.repositories["a/whole"] = {
        "model_index.json": b"{}",
        "LICENSE": b"be kind",
        "license.TXT": b"be kind",
        "LICENSE.md": b"be kind",
        "LICENSE.bin": b"a pickle",
        "LICENSE.py": b"code",
        "licenses/model.pt": b"a pickle",
        "LICENSES/deep/down/x.txt": b"be kind",
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": INK,
    }
    with pytest.raises(UnsafeFile, match="pickle"):
        hubs.resolve("a/whole")
    del site.repositories["a/whole"]["licenses/model.pt"]
    assert [file.path for file in hubs.resolve("a/whole").files] == [
        "LICENSE",
        "LICENSE.md",
        "license.TXT",
        "model_index.json",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]


def test_a_license_that_is_no_text_by_its_size_does_not_come() -> None:
    sizes = {"model_index.json": 2, "LICENSE": (64 << 20) + 1, "LICENSE.md": 64 << 20}
    assert select_files(sizes, Wanted(), "a/whole") == (True, ["LICENSE.md", "model_index.json"])


# Other variants and versions


def test_another_variant_is_not_taken_for_the_wanted_one(site: Site, home: Path, cli: Cli) -> None:
    half = weights(1_000)
    site.repositories["a/m"] = {
        "config.json": b"{}",
        "model.safetensors": INK,
        "model.fp16.safetensors": half,
    }
    assert cli("models", "add", "a/m", "--variant", "fp16").code == 0
    assert cli("models", "add", "a/m", "--variant", "fp16").code == 0
    refused = cli("models", "add", "a/m")
    assert refused.code == 2
    assert "another variant or version" in " ".join(refused.err.split())
    assert "nodegraph models remove m" in " ".join(refused.err.split())
    assert cli("models", "add", "a/m", "--name", "full").code == 0


def test_a_newer_version_is_not_taken_for_the_one_that_is_there(
    site: Site, home: Path, cli: Cli
) -> None:
    site.repositories["a/ink"] = {"ink.safetensors": INK}
    assert cli("models", "add", "a/ink", "--name", "soft").code == 0
    site.repositories["a/ink"] = {"ink.safetensors": weights(3_000)}
    refused = cli("models", "add", "a/ink", "--name", "soft")
    assert refused.code == 2
    assert "models remove checkpoints/soft.safetensors" in " ".join(refused.err.split())


# Names that workflows use


@pytest.mark.parametrize(
    ("model", "declared"),
    [
        ("upscale_models/drawing/large", {"name": "upscale_models/drawing/large.safetensors"}),
        ("drawing/large.safetensors", {"name": "upscale_models/drawing/large.safetensors"}),
        ("drawing/large", {"name": "large.safetensors", "directory": "upscale_models"}),
        ("large", {"name": "large.safetensors", "directory": "upscale_models/drawing"}),
        ("unet/large", {"name": "large.safetensors"}),
    ],
)
def test_missing_models_come_to_where_the_workflow_looks(
    site: Site, home: Path, cli: Cli, tmp_path: Path, model: str, declared: dict[str, str]
) -> None:
    site.files["/x.safetensors"] = UPSCALER.read_bytes()
    path = write_workflow(tmp_path, model, **declared, url=f"{site.plain}/x.safetensors")
    done = cli("run", path, "--to", "load", "--get")
    assert done.code == 0, done.err


def test_models_of_one_file_name_differ_by_their_folders(
    site: Site, home: Path, cli: Cli, tmp_path: Path
) -> None:
    models = []
    for folder in ("a", "b"):
        site.files[f"/{folder}.safetensors"] = UPSCALER.read_bytes()
        name = f"upscale_models/{folder}/large.safetensors"
        models.append({"name": name, "source": f"{site.plain}/{folder}.safetensors"})
    path = write_workflow(tmp_path, "b/large")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"models": models}))
    (plan,) = cli("plan", path, "--to", "load", "--get", "--json").json["downloads"]
    assert plan["source"].endswith("/b.safetensors")
    assert plan["name"] == "upscale_models/b/large.safetensors"
    # Neither of them is that of another folder.
    path.write_text(path.read_text().replace('"b/large"', '"c/large"'))
    assert "--get" not in cli("run", path, "--to", "load").err


def test_models_of_one_name_in_two_folders_are_both_declared() -> None:
    models = [
        {"name": "ink.safetensors", "url": f"https://x/{kind}", "directory": kind}
        for kind in ("vae", "loras")
    ]
    assert set(declared_models({"models": models})) == {
        DeclaredModel("ink.safetensors", "https://x/vae", "vae"),
        DeclaredModel("ink.safetensors", "https://x/loras", "loras"),
    }


def test_models_that_an_image_names_by_hash_come_from_civitai(
    site: Site, home: Path, cli: Cli, tmp_path: Path
) -> None:
    site.add_version(5, "Ink Wash.safetensors", INK)
    image = tmp_path / "civitai.png"
    settings = "Steps: 2, Sampler: Euler, Seed: 1, Size: 64x64"
    text = f"a boat\n{settings}, Model: ink, Model hash: {DIGEST[:10]}"
    png({"parameters": text})(image)
    workflow = tmp_path / "boat.json"
    assert cli("import", image, "-o", workflow).code == 0
    (plan,) = cli("plan", workflow, "--get", "--json").json["downloads"]
    assert [file["sha256"] for file in plan["files"]] == [DIGEST]


# Malformed answers of Civitai


@pytest.mark.parametrize(
    "damage",
    [
        *({"sizeKB": float("inf")}, {"sizeKB": float("nan")}, {"sizeKB": -5}),
        *({"hashes": [1]}, {"metadata": "x"}),
    ],
)
def test_a_malformed_file_at_civitai_is_an_error_of_the_source(
    site: Site, hubs: ModelHubs, damage: dict[str, Any]
) -> None:
    site.add_version(5, "ink.safetensors", INK)
    site.versions["5"]["files"][0].update(damage)
    with pytest.raises(DownloadError, match="malformed"):
        hubs.resolve("civitai:5", Wanted(variant="fp16"))


@pytest.mark.parametrize(
    "damage", [{"model": "text"}, {"files": 5}, {"id": {}}, {"id": "x"}, {"modelId": None}]
)
def test_a_malformed_version_at_civitai_is_an_error_of_the_source(
    site: Site, hubs: ModelHubs, damage: dict[str, Any]
) -> None:
    site.add_version(5, "ink.safetensors", INK)
    site.versions["5"].update(damage)
    with pytest.raises(DownloadError, match="malformed"):
        hubs.resolve("civitai:5")


def test_a_size_of_thousands_of_digits_counts_as_none(site: Site, hubs: ModelHubs) -> None:
    site.files["/f.safetensors"] = b""
    headers = {"Content-Range": f"bytes 0-0/{'9' * 5_000}"}
    site.faults["/f.safetensors"] = Fault(status=206, headers=headers, body=b"x", times=-1)
    assert hubs.resolve(f"{site.cdn}/f.safetensors").bytes is None


def test_a_search_skips_malformed_models(site: Site, hubs: ModelHubs) -> None:
    for number in range(1, 7):
        site.add_version(number, "ink.safetensors", INK)
    site.models["10"]["stats"] = {"downloadCount": "many"}
    site.models["20"]["stats"] = [1]
    site.versions["3"]["files"] = 5
    site.versions["4"]["files"][0]["sizeKB"] = float("inf")
    site.models["50"]["modelVersions"] = "x"
    hits = hubs.search("ink", sources=["civitai"])
    assert [hit.reference for hit in hits] == ["civitai:6"]


def test_a_model_without_a_versions_number_has_no_newest_version(
    site: Site, hubs: ModelHubs
) -> None:
    site.models["50"] = {"modelVersions": [{"id": None}]}
    with pytest.raises(DownloadError, match="no versions"):
        hubs.resolve(f"{site.civitai}/models/50")


# Other spellings of addresses


def test_other_spellings_of_the_sources_are_theirs() -> None:
    hubs = ModelHubs(HostRules(), {"HF_TOKEN": "hub", "CIVITAI_TOKEN": "civitai"})
    for address in (
        *("https://HuggingFace.co/a/m", "https://huggingface.co:443/a/m"),
        *("https://www.huggingface.co/a/m", "HTTPS://hf.co/a/m"),
    ):
        assert hubs.token_for(address) == "hub"
        assert "HF_TOKEN" in hubs.sign_in(address)
        with pytest.raises(InvalidValue, match="names no model"):
            hubs.resolve(f"{address}/discussions/1")
    for address in ("https://www.civitai.com/x", "https://CIVITAI.com:443/x"):
        assert hubs.token_for(address) == "civitai"
        with pytest.raises(InvalidValue, match="names no model"):
            hubs.resolve(address)
    for address in (
        *("http://huggingface.co/a", "https://huggingface.co:444/a", "https://hf.co.x/a"),
        *("https://huggingface.co@x/a", "https://x/huggingface.co", "https://[x", "https://x:y/"),
    ):
        assert hubs.token_for(address) is None


# Facts of a repository


def test_a_repositorys_own_facts_do_not_come(site: Site, home: Path, cli: Cli) -> None:
    site.repositories["a/m"] = {
        "config.json": b"{}",
        "nodegraph.json": b'{"format": "nodegraph-model-facts/1", "source": "b/other"}',
        "model.safetensors": INK,
    }
    assert cli("models", "add", "a/m").code == 0
    assert cli("models", "info", "m", "--json").json["facts"]["source"] == "a/m"
    assert cli("models", "verify", "m").code == 0


def test_an_imported_workflow_of_comfyui_keeps_where_its_models_are() -> None:
    digest = "ab" * 32
    ink = {"name": "ink.safetensors", "url": "https://x/ink", "directory": "loras"}
    listed = [ink | {"hash": digest, "hash_type": "SHA256"}, {"name": "b.safetensors"}, 3]
    node = {"id": 1, "type": "Nothing", "properties": {"models": listed}, "outputs": []}
    again = node | {"id": 2}
    document = {"nodes": [node, again], "links": [], "version": 0.4}
    workflow = import_document(document, node_table()).workflow
    written = Workflow.from_json(workflow.to_json()).to_dict()
    assert written["models"] == [
        {
            "name": "ink.safetensors",
            "directory": "loras",
            "source": "https://x/ink",
            "sha256": digest,
        }
    ]
    (model,) = declared_models(written)
    assert (model.path, model.reference, model.sha256) == (
        ("loras", "ink"),
        "https://x/ink",
        digest,
    )
    plain = {"nodes": [node | {"properties": {}}], "links": [], "version": 0.4}
    assert "models" not in import_document(plain, node_table()).workflow.to_dict()
