"""References become plans: which files, how large, under which license, to where."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from nodegraph.errors import InvalidValue, NodegraphError, UnsafeFile
from nodegraph.models.remote.download_plans import DownloadError, Wanted
from nodegraph.models.remote.guarded_http import HostRules
from nodegraph.models.remote.hubs import ModelHubs
from tests.downloads.stand_in import COMMIT, LOOPBACK, TOKEN, Fault, Site, weights

DIFFUSERS = {
    "model_index.json": b"{}",
    "README.md": b"# a model",
    "LICENSE.md": b"be kind",
    "whole.safetensors": b"w" * 20_000,
    "scheduler/scheduler_config.json": b"{}",
    "tokenizer/vocab.json": b"{}",
    "tokenizer/merges.txt": b"",
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.safetensors": b"u" * 20_000,
    "unet/diffusion_pytorch_model.fp16.safetensors": b"u" * 10_000,
    "unet/diffusion_pytorch_model.bin": b"u" * 20_000,
    "unet/diffusion_flax_model.msgpack": b"u" * 20_000,
    "text_encoder/config.json": b"{}",
    "text_encoder/model.safetensors": b"t" * 20_000,
    "text_encoder/model.fp16-00001-of-00002.safetensors": b"t" * 10_000,
    "text_encoder/model.fp16-00002-of-00002.safetensors": b"t" * 10_000,
    "text_encoder/model.safetensors.index.fp16.json": b"{}",
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": b"v" * 20_000,
}


def paths(hubs: ModelHubs, reference: str, **wanted: Any) -> list[str]:
    return [file.path for file in hubs.resolve(reference, Wanted(**wanted)).files]


def test_a_diffusers_folder_is_brought_with_one_set_of_weights(site: Site, hubs: ModelHubs) -> None:
    site.repositories["a/whole"] = DIFFUSERS
    site.cards["a/whole"] = {"license": "openrail++", "base_model": ["b/base"]}
    plan = hubs.resolve("a/whole")
    assert [file.path for file in plan.files] == [
        "LICENSE.md",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert (plan.name, plan.kind, plan.is_folder) == ("whole", "diffusers", True)
    assert (plan.license, plan.base_model, plan.is_gated) == ("openrail++", "b/base", False)
    assert plan.bytes == sum(len(DIFFUSERS[file.path]) for file in plan.files)
    unet = next(file for file in plan.files if file.path.startswith("unet/diff"))
    assert unet.sha256 == hashlib.sha256(b"u" * 20_000).hexdigest()
    assert f"/resolve/{COMMIT}/" in unet.url
    config = next(file for file in plan.files if file.path == "unet/config.json")
    assert config.sha256 is None
    assert config.git_sha1 is not None


def test_only_the_wanted_variant_is_brought(site: Site, hubs: ModelHubs) -> None:
    site.repositories["a/whole"] = DIFFUSERS
    chosen = paths(hubs, "a/whole", variant="fp16")
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in chosen
    assert "unet/diffusion_pytorch_model.safetensors" not in chosen
    assert "text_encoder/model.safetensors.index.fp16.json" in chosen
    assert sum(path.startswith("text_encoder/model.fp16-") for path in chosen) == 2
    # What has no such variant comes as it is.
    assert "vae/diffusion_pytorch_model.safetensors" in chosen
    with pytest.raises(InvalidValue, match=r"has no variant `fp8`.*expected: fp16"):
        hubs.resolve("a/whole", Wanted(variant="fp8"))


def test_a_component_of_pickles_is_refused_unless_they_are_allowed(
    site: Site, hubs: ModelHubs
) -> None:
    site.repositories["a/old"] = {
        "model_index.json": b"{}",
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.bin": b"u" * 20_000,
    }
    with pytest.raises(UnsafeFile, match="--allow-pickle"):
        hubs.resolve("a/old")
    allowed = paths(hubs, "a/old", allow_pickle=True)
    assert "unet/diffusion_pytorch_model.bin" in allowed


def test_a_file_of_a_repository_goes_into_the_folder_of_its_kind(
    site: Site, hubs: ModelHubs
) -> None:
    site.repositories["a/parts"] = {
        "split_files/vae/ae.safetensors": weights(),
        "split_files/diffusion_models/dit.safetensors": weights(),
        "ink.safetensors": weights(),
    }
    site.tags["a/parts"] = ["lora", "license:mit"]
    plan = hubs.resolve("a/parts/split_files/vae/ae.safetensors")
    assert (plan.name, plan.kind, plan.license) == ("vae/ae.safetensors", "vae", "mit")
    assert [file.path for file in plan.files] == ["ae.safetensors"]
    page = f"{site.url}/a/parts/blob/main/split_files/diffusion_models/dit.safetensors"
    assert hubs.resolve(page).name == "diffusion_models/dit.safetensors"
    assert hubs.resolve("hf:a/parts:ink.safetensors").name == "loras/ink.safetensors"
    as_vae = hubs.resolve("a/parts/ink.safetensors", Wanted(kind="vae", name="mine/soft"))
    assert as_vae.name == "vae/mine/soft.safetensors"


def test_a_file_with_a_name_that_many_have_gets_that_of_its_repository(
    site: Site, hubs: ModelHubs
) -> None:
    site.repositories["a/ink-style"] = {"pytorch_lora_weights.safetensors": weights()}
    assert hubs.resolve("a/ink-style").name == "loras/ink-style.safetensors"


def test_of_several_files_one_has_to_be_named(site: Site, hubs: ModelHubs) -> None:
    site.repositories["a/many"] = {"x.safetensors": weights(), "y.safetensors": weights()}
    with pytest.raises(InvalidValue, match=r"several models.*Name one: a/many/x\.safetensors"):
        hubs.resolve("a/many")
    site.repositories["a/quants"] = {"m-Q4_K_M.gguf": b"GGUF", "m-Q8_0.gguf": b"GGUF"}
    assert paths(hubs, "a/quants", variant="Q8_0") == ["m-Q8_0.gguf"]
    with pytest.raises(InvalidValue, match="has no file z"):
        hubs.resolve("a/many/z.safetensors")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("a/missing", "no repository a/missing"),
        ("../../etc/passwd", "no name of a repository"),
        ("nonsense", "names no model"),
        ("", "names no model"),
        ("civitai:none", "names no model"),
        ("civitai:404", "version 404 at .* does not exist"),
        ("ftp://example.org/x.safetensors", "scheme of ftp"),
    ],
)
def test_what_names_no_model_is_refused_with_words(
    hubs: ModelHubs, reference: str, words: str
) -> None:
    with pytest.raises(NodegraphError, match=words):
        hubs.resolve(reference)


def test_a_version_of_civitai_is_named_by_page_id_or_hash(site: Site, hubs: ModelHubs) -> None:
    data = weights(1_000)
    site.add_version(77, "ink.safetensors", data)
    plan = hubs.resolve("civitai:77")
    assert (plan.name, plan.kind, plan.source) == ("loras/ink.safetensors", "lora", "civitai:77")
    assert (plan.bytes, plan.base_model) == (len(data), "SDXL 1.0")
    assert plan.trigger_words == ("ink drawing",)
    assert plan.license == "commercial use: Image; credit required"
    digest = hashlib.sha256(data).hexdigest()
    assert plan.files[0].sha256 == digest
    for reference in (
        f"{site.civitai}/models/770/ink?modelVersionId=77",
        f"{site.civitai}/models/770",
        f"{site.civitai}/api/download/models/77",
        f"civitai:{digest}",
        f"{site.civitai}/models/770?modelVersionId=77&x=1",
        digest[:10],
    ):
        assert hubs.resolve(reference).source == "civitai:77"


def test_a_pickle_at_civitai_is_refused(site: Site, hubs: ModelHubs) -> None:
    site.add_version(78, "old.ckpt", b"PK\x03\x04")
    with pytest.raises(UnsafeFile, match=r"old\.ckpt is refused"):
        hubs.resolve("civitai:78")
    assert hubs.resolve("civitai:78", Wanted(allow_pickle=True)).name == "loras/old.ckpt"


@pytest.mark.parametrize("name", ["../up.safetensors", "/abs.safetensors", "a\\b.safetensors"])
def test_names_that_lead_elsewhere_are_refused(site: Site, hubs: ModelHubs, name: str) -> None:
    site.add_version(79, name, weights(100))
    with pytest.raises(InvalidValue, match="cannot have this name"):
        hubs.resolve("civitai:79")
    site.repositories["a/evil"] = {name: weights(100)}
    with pytest.raises(InvalidValue, match="cannot have this name"):
        hubs.resolve("a/evil")
    site.files["/file"] = weights(100)
    quoted = name.replace("\\", "\\\\")
    header = {"Content-Disposition": f'attachment; filename="{quoted}"'}
    site.faults["/file"] = Fault(headers=header, times=-1)
    with pytest.raises(InvalidValue, match="cannot have this name"):
        hubs.resolve(f"{site.plain}/file")
    with pytest.raises(InvalidValue, match="cannot have this name"):
        hubs.resolve("a/evil", Wanted(name=name))


def test_an_address_states_its_digest_behind_it(site: Site, hubs: ModelHubs) -> None:
    data = weights(500)
    site.files["/some/place/soft.safetensors"] = data
    digest = hashlib.sha256(data).hexdigest()
    plan = hubs.resolve(f"{site.plain}/some/place/soft.safetensors#sha256={digest}")
    assert (plan.name, plan.bytes) == ("checkpoints/soft.safetensors", len(data))
    assert plan.files[0].sha256 == digest
    with pytest.raises(InvalidValue, match="no SHA-256"):
        hubs.resolve(f"{site.plain}/some/place/soft.safetensors#sha256=12")


def test_a_page_instead_of_a_file_is_refused(site: Site, hubs: ModelHubs) -> None:
    site.files["/login.safetensors"] = b"<html>"
    site.faults["/login.safetensors"] = Fault(headers={"Content-Type": "text/html"}, times=-1)
    with pytest.raises(DownloadError, match="a web page instead of a file"):
        hubs.resolve(f"{site.plain}/login.safetensors")
    site.files["/notes.html"] = b"hello"
    with pytest.raises(InvalidValue, match="not a model file"):
        hubs.resolve(f"{site.plain}/notes.html")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "needs a token.*CIVITAI_TOKEN"),
        (403, "is refused"),
        (404, "version 80 at .* does not exist"),
        (429, "too many requests"),
        (503, "the source fails"),
    ],
)
def test_each_status_of_a_source_has_its_message(
    site: Site, hubs: ModelHubs, status: int, words: str
) -> None:
    site.faults["/api/v1/model-versions/80"] = Fault(status=status)
    with pytest.raises(DownloadError, match=words):
        hubs.resolve("civitai:80")


def test_both_sites_are_searched(site: Site, hubs: ModelHubs) -> None:
    site.repositories["a/ink"] = {"ink.safetensors": weights(100)}
    site.tags["a/ink"] = ["lora", "base_model:stabilityai/stable-diffusion-xl-base-1.0"]
    site.cards["a/ink"] = {"license": "mit"}
    site.gated.add("a/ink")
    site.add_version(77, "ink.safetensors", weights(1_024))
    ours, theirs = hubs.search("ink", kind="lora", family="sdxl", limit=5)
    assert (ours.reference, ours.kind, ours.license, ours.is_gated) == (
        "a/ink",
        "lora",
        "mit",
        True,
    )
    assert (theirs.reference, theirs.kind, theirs.base_model) == ("civitai:77", "lora", "SDXL 1.0")
    (first,) = site.of("/api/models")
    assert first.query["search"] == ["ink"]
    assert "base_model:stabilityai/stable-diffusion-xl-base-1.0" in first.query["filter"]
    (second,) = site.of("/api/v1/models")
    assert second.query["baseModels"][0] == "SDXL 1.0"
    with pytest.raises(InvalidValue, match="no such kind of models"):
        hubs.search("ink", kind="hat")
    with pytest.raises(InvalidValue, match="not possible to search"):
        hubs.search("ink", family="hat")


def test_a_cached_repository_is_used_without_a_network(
    site: Site, environment: dict[str, str], tmp_path: Path
) -> None:
    snapshot = tmp_path / "hub_cache/models--a--ink/snapshots" / COMMIT
    blob = tmp_path / "hub_cache/models--a--ink/blobs" / hashlib.sha256(weights()).hexdigest()
    blob.parent.mkdir(parents=True)
    blob.write_bytes(weights())
    (tmp_path / "hub_cache/models--a--ink/refs").mkdir()
    (tmp_path / "hub_cache/models--a--ink/refs/main").write_text(COMMIT)
    snapshot.mkdir(parents=True)
    (snapshot / "ink.safetensors").symlink_to(blob)
    away = ModelHubs(HostRules.parse(LOOPBACK), environment | {"HF_ENDPOINT": f"{site.url}1"})
    plan = away.resolve("a/ink", Wanted(token=TOKEN))
    assert plan.is_cached
    assert plan.files[0].sha256 == blob.name
