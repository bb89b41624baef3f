"""`nodegraph models`: search, add, info, verify, move, remove, link, in real processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from time import sleep
from zipfile import ZipFile

import pytest

from nodegraph.families.embedded_models import embedded_folder
from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.queue.submission import Submission
from nodegraph.models.model_sources import KnownModels
from nodegraph.models.remote.declared_models import DeclaredModel, declared_models
from nodegraph.session.settings import Settings
from tests.cli.conftest import Cli
from tests.diffusion.test_models import write_safetensors
from tests.downloads.stand_in import LOOPBACK, TOKEN, Fault, Site, weights

BIG = weights(3_000_000)
CDN = "/cdn/a/ink//ink.safetensors"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, which is also run in a folder of its own."""
    for name in [name for name in os.environ if name.startswith("NODEGRAPH_")]:
        if name != "NODEGRAPH_LEAVE_OUT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def online(site: Site, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Site:
    """The stand-in, as the command line's processes reach it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NODEGRAPH_DOWNLOAD_HOSTS", ",".join(LOOPBACK))
    site.repositories["a/ink"] = {"ink.safetensors": BIG}
    return site


def test_a_killed_download_is_continued_by_the_same_command(
    online: Site, home: Path, tmp_path: Path
) -> None:
    gate = Event()
    online.faults[CDN] = Fault(gate=(1_500_000, gate))
    command = [sys.executable, "-m", "nodegraph", "models", "add", "a/ink", "--home", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    parts = home / "models/.downloads"
    try:
        for _ in range(6_000):
            part = next(parts.rglob("*.part"), None)
            if part is not None and part.stat().st_size >= 1_000_000:
                break
            assert process.poll() is None, process.communicate()
            sleep(0.01)
        else:
            raise AssertionError("nothing came")
    finally:
        process.kill()
        process.communicate()
        gate.set()
    there = part.stat().st_size
    assert not (home / "models/checkpoints/ink.safetensors").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "checkpoints/ink.safetensors is at " in done.stdout
    assert (home / "models/checkpoints/ink.safetensors").read_bytes() == BIG
    assert online.of(CDN)[-1].headers["Range"] == f"bytes={there}-"


def test_add_shows_what_comes_and_dry_run_brings_nothing(online: Site, cli: Cli) -> None:
    online.cards["a/ink"] = {"license": "mit"}
    shown = cli("models", "add", "a/ink", "--dry-run")
    assert shown.code == 0
    assert "checkpoints/ink.safetensors  (3.0 MB)" in shown.out
    assert "license: mit" in shown.out
    plan = cli("models", "add", "a/ink", "--as", "lora", "--dry-run", "--json").json["plans"][0]
    assert (plan["name"], plan["bytes"]) == ("loras/ink.safetensors", len(BIG))
    assert online.of(CDN) == []
    assert cli("models", "downloads", "--json").json == {"downloads": []}


def test_a_model_is_added_verified_moved_and_removed(online: Site, cli: Cli, home: Path) -> None:
    assert cli("models", "add", "a/ink", "--name", "soft", "--json").code == 0
    model = home / "models/checkpoints/soft.safetensors"
    assert model.read_bytes() == BIG
    # What is there already does not come again.
    assert cli("models", "add", "a/ink", "--name", "soft", "--json").code == 0
    assert len(online.of(CDN)) == 1
    digest = hashlib.sha256(BIG).hexdigest()
    info = cli("models", "info", "soft", "--hashes", "--json").json
    assert info["facts"]["source"] == "a/ink"
    assert info["hashes"][0]["sha256"] == digest
    assert info["hashes"][0]["autov2"] == digest[:10]
    header = 8 + int.from_bytes(BIG[:8], "little")
    assert info["hashes"][0]["autov3"] == hashlib.sha256(BIG[header:]).hexdigest()[:12]
    assert "unchanged" in cli("models", "verify", "soft").out
    moved = cli("models", "move", "soft", "checkpoints/mine/hard", "--json").json
    assert moved["name"] == "checkpoints/mine/hard.safetensors"
    model = home / "models/checkpoints/mine/hard.safetensors"
    with model.open("r+b") as file:
        file.seek(header)
        file.write(b"\0\0\0\0\0\0")
    broken = cli("models", "verify", "--json")
    assert (broken.code, broken.json["damaged"]) == (1, 1)
    refused = cli("models", "remove", "mine/hard")
    assert refused.code == 2
    assert "Add --yes." in refused.err
    assert cli("models", "remove", "mine/hard", "--yes").code == 0
    assert [path.name for path in (home / "models/checkpoints/mine").iterdir()] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "a/gated"], "is gated"),
        (["add", "a/none"], "no repository a/none"),
        (["add", "a/ink", "--variant", "fp8"], "no variant `fp8`"),
        (["add", "a/ink", "--as", "hat"], "no such kind"),
        (["add", "a/ink", "--name", "../up"], "cannot have this name"),
        (["add", "a/ink", "--folder", "elsewhere"], "none of the models folders"),
        (["add", "http://169.254.169.254/x.safetensors"], "private network"),
        (["downloads", "nothing"], "no such download"),
        (["downloads", "--pause", "--cancel"], "only one of"),
        (["info", "nothing"], "there is no model"),
        (["move", "tiny", "x"], "not in a models folder"),
        (["remove", "tiny", "--yes"], "not in a models folder"),
        (["link", "nowhere"], "no such folder"),
        (["search", "x", "--source", "hat"], "not possible to search"),
    ],
)
def test_what_cannot_be_done_is_said(
    online: Site, cli: Cli, arguments: list[str], words: str
) -> None:
    online.repositories["a/gated"] = {"ink.safetensors": BIG}
    online.gated.add("a/gated")
    shown = cli("models", *arguments)
    assert shown.code == 2
    assert words in " ".join(shown.err.split())


def test_a_token_may_be_given_with_the_command(online: Site, cli: Cli) -> None:
    online.gated.add("a/ink")
    assert cli("models", "add", "a/ink", "--token", TOKEN).code == 0


def test_search_shows_what_add_takes(online: Site, cli: Cli) -> None:
    online.add_version(77, "ink.safetensors", weights(2_000))
    shown = cli("models", "search", "ink")
    assert shown.code == 0
    assert "a/ink" in shown.out
    assert "civitai:77" in shown.out
    online.faults["/api/v1/models"] = Fault(status=503)
    found = cli("models", "search", "ink", "--json").json
    assert [model["reference"] for model in found["models"]] == ["a/ink"]
    assert "the source fails" in found["problems"][0]


def test_a_failed_download_is_listed_and_cancelled(online: Site, cli: Cli) -> None:
    online.stated["ink.safetensors"] = "0" * 64
    assert cli("models", "add", "a/ink").code == 2
    (listed,) = cli("models", "downloads", "--json").json["downloads"]
    assert (listed["state"], listed["name"]) == ("failed", "checkpoints/ink.safetensors")
    assert "does not match the digest" in cli("models", "downloads").out
    (gone,) = cli("models", "downloads", "--cancel", "--json").json["downloads"]
    assert gone["state"] == "cancelled"
    assert cli("models", "downloads").out == "No downloads.\n"


def write_models(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(weights(100))
    return folder


def test_folders_of_other_programs_are_read_in_place(cli: Cli, home: Path, tmp_path: Path) -> None:
    comfyui = write_models(tmp_path / "ComfyUI", "models/checkpoints/a.safetensors")
    more = write_models(tmp_path / "more", "sd/b.safetensors", "adapters/c.safetensors")
    (comfyui / "extra_model_paths.yaml").write_text(
        f"mine:\n  base_path: {more}\n  is_default: true\n  checkpoints: sd\n"
        "  loras: |\n    adapters\n    missing\n"
    )
    a1111 = write_models(
        tmp_path / "webui", "models/Stable-diffusion/d.safetensors", "embeddings/e.safetensors"
    )
    invokeai = write_models(tmp_path / "invoke", "models/sdxl/main/f.safetensors")
    (invokeai / "invokeai.yaml").write_text("schema_version: 4.0.2\n")
    linked = cli("models", "link", comfyui, a1111, invokeai, "--json").json["linked"]
    assert linked == [
        str(path)
        for path in (
            comfyui / "models",
            more / "sd",
            more / "adapters",
            a1111 / "models",
            a1111 / "embeddings",
            invokeai / "models",
        )
    ]
    assert Settings(home=home).model_folders[1:] == tuple(map(Path, linked))
    names = {model["name"] for model in cli("models", "--json").json["models"]}
    assert names >= {"checkpoints/a.safetensors", "b.safetensors", "sdxl/main/f.safetensors"}
    # Names in workflows of these programs leave the folder of the kind out.
    for name in ("a", "b", "c", "d", "e"):
        assert cli("models", "info", f"{name}.safetensors", "--json").code == 0
    refused = cli("models", "remove", "d", "--yes")
    assert refused.code == 2
    assert "linked folder of another program" in refused.err
    assert cli("models", "link", "--remove", a1111, "--json").json["linked"] == [
        *linked[:3],
        linked[5],
    ]
    assert (a1111 / "models/Stable-diffusion/d.safetensors").is_file()


@pytest.mark.parametrize("text", ["a: [", "- x", "3", "a: {checkpoints: nowhere}"])
def test_a_damaged_list_of_folders_is_refused(cli: Cli, tmp_path: Path, text: str) -> None:
    (tmp_path / "paths.yaml").write_text(text)
    assert cli("models", "link", tmp_path / "paths.yaml").code == 2


def test_facts_come_from_what_other_programs_wrote(cli: Cli, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "a.safetensors").write_bytes(weights(100))
    version = {
        "id": 5,
        "modelId": 4,
        "name": "v2",
        "baseModel": "Pony",
        "trainedWords": ["ink", 3],
        "model": {"name": "Ink"},
    }
    (shelf / "a.civitai.info").write_text(json.dumps(version))
    (shelf / "a.json").write_text(json.dumps({"notes": "soft", "activation text": "no"}))
    facts = cli("models", "info", "a", "--models", "shelf", "--json").json["facts"]
    assert facts["source"] == "civitai:5"
    assert (facts["title"], facts["base_model"], facts["notes"]) == ("Ink v2", "Pony", "soft")
    assert facts["trigger_words"] == ["ink"]
    tags = json.dumps({"10_ink": {"inkish": 10, "cat": 3}})
    (shelf / "b.safetensors").write_bytes(
        weights(100, ss_tag_frequency=tags, ss_base_model_version="sdxl_base_v1-0")
    )
    facts = cli("models", "info", "b", "--models", "shelf", "--json").json["facts"]
    assert (facts["base_model"], facts["trigger_words"]) == ("sdxl_base_v1-0", ["inkish"])
    for lie in ("[", "[]", '{"trainedWords": {"a": 1}, "model": 3}', "x" * 100):
        (shelf / "a.civitai.info").write_text(lie)
        (shelf / "a.json").unlink(missing_ok=True)
        shown = cli("models", "info", "a", "--models", "shelf", "--json")
        assert shown.json["facts"] == {}


def test_a_paused_download_is_continued_with_the_command_that_lists_them(
    online: Site, cli: Cli, home: Path
) -> None:
    online.faults[CDN] = Fault(status=404)
    assert cli("models", "add", "a/ink").code == 2
    assert cli("models", "downloads", "a/ink", "--resume").code == 0
    assert (home / "models/checkpoints/ink.safetensors").read_bytes() == BIG


UPSCALER = next((embedded_folder().parent / "companions").glob("*/upscaler.safetensors"))


def write_workflow(site: Site, folder: Path, **declared: str) -> Path:
    """A workflow with a model that is missing, and where it can be had."""
    site.repositories["a/large"] = {"split/upscale_models/large.safetensors": UPSCALER.read_bytes()}
    site.cards["a/large"] = {"license": "mit"}
    load = {"type": "LoadUpscaleModel", "inputs": {"model": "large.safetensors"}}
    document = {"format": "nodegraph/1", "nodes": {"load": load}}
    models = [{"name": "large.safetensors", "directory": "upscale_models", **declared}]
    path = folder / "large.json"
    path.write_text(json.dumps(document | {"models": models}))
    return path


def test_run_gets_missing_models_if_that_is_wanted(
    online: Site, cli: Cli, home: Path, tmp_path: Path
) -> None:
    url = f"{online.url}/a/large/resolve/main/split/upscale_models/large.safetensors?download=true"
    path = write_workflow(online, tmp_path, url=url)
    refused = cli("run", path, "--to", "load")
    assert refused.code == 2
    assert "--get downloads it" in refused.err
    assert online.requests == []
    planned = cli("plan", path, "--to", "load", "--get")
    assert planned.code == 2
    assert "license: mit" in planned.out
    (download,) = cli("plan", path, "--to", "load", "--get", "--json").json["downloads"]
    assert (download["name"], download["bytes"]) == (
        "upscale_models/large.safetensors",
        UPSCALER.stat().st_size,
    )
    assert not (home / "models").exists()
    done = cli("run", path, "--to", "load", "--get")
    assert done.code == 0, done.err
    assert (home / "models/upscale_models/large.safetensors").is_file()
    assert cli("run", path, "--to", "load").code == 0


def test_what_a_workflow_states_may_be_wrong(online: Site, cli: Cli, tmp_path: Path) -> None:
    path = write_workflow(online, tmp_path, source="a/none")
    refused = cli("run", path, "--to", "load", "--get")
    assert refused.code == 2
    assert "no repository a/none" in refused.err
    path = write_workflow(online, tmp_path, source="file:///etc/passwd")
    assert "scheme" in cli("run", path, "--to", "load", "--get").err
    for lies in ([3], [{"name": 3, "url": "x"}], [{"name": "large"}], {"name": "x"}):
        document = json.loads(path.read_text()) | {"models": lies}
        path.write_text(json.dumps(document))
        assert cli("run", path, "--to", "load", "--get").code == 2


def test_comfyuis_properties_state_where_models_are(online: Site) -> None:
    properties = {"models": [{"name": "a.safetensors", "url": "https://x/a", "directory": "vae"}]}
    document = {"nodes": [{"id": 1, "properties": properties}], "models": "none"}
    assert declared_models(document) == [DeclaredModel("a.safetensors", "https://x/a", "vae")]


def test_a_backup_holds_models_and_not_parts_of_some(
    online: Site, cli: Cli, home: Path, tmp_path: Path
) -> None:
    assert cli("models", "add", "a/ink", "--name", "whole").code == 0
    online.faults[CDN] = Fault(cut=1_000_000)
    online.stated["ink.safetensors"] = "0" * 64
    assert cli("models", "add", "a/ink").code == 2
    assert cli("backup", tmp_path / "home.zip", "--with-models").code == 0
    with ZipFile(tmp_path / "home.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("models")]
    assert names == [
        "models/checkpoints/whole.safetensors",
        "models/checkpoints/whole.safetensors.nodegraph.json",
    ]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interrupted_download_is_paused(online: Site, cli: Cli, home: Path) -> None:
    gate = Event()
    online.faults[CDN] = Fault(gate=(1_500_000, gate))
    command = [sys.executable, "-m", "nodegraph", "models", "add", "a/ink"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(6_000):
            listed = cli("models", "downloads", "--json").json["downloads"]
            if listed and listed[0]["done"] > 1_000_000:
                break
            assert process.poll() is None, process.communicate()
            sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        gate.set()
    assert process.returncode == 130
    assert "the same command continues it" in err
    assert cli("models", "downloads", "--json").json["downloads"][0]["state"] == "paused"
    assert cli("models", "add", "a/ink").code == 0
    assert (home / "models/checkpoints/ink.safetensors").read_bytes() == BIG


def test_trigger_words_of_a_downloaded_lora_are_listed(online: Site, cli: Cli, home: Path) -> None:
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    shapes = {f"{layer}.lora_up.weight": (320, 4), f"{layer}.lora_down.weight": (4, 320)}
    write_safetensors(home / "lora.safetensors", shapes)
    online.add_version(77, "ink.safetensors", (home / "lora.safetensors").read_bytes())
    assert cli("models", "add", "civitai:77").code == 0
    known = KnownModels()

    def words() -> tuple[str, ...]:
        model = known.get("loras/ink.safetensors", [home / "models"])
        assert model is not None
        assert model.record is not None
        return model.record.trigger_words

    assert words() == ("ink drawing",)
    (home / "models/loras/ink.safetensors.nodegraph.json").unlink()
    assert words() == ()


def test_newer_versions_are_looked_for_when_asked(online: Site, cli: Cli) -> None:
    online.add_version(77, "ink.safetensors", weights(2_000))
    assert cli("models", "add", "civitai:77", "a/ink").code == 0
    for name in ("loras/ink", "checkpoints/ink"):
        assert cli("models", "info", name, "--updates", "--json").json["newer"] is None
    online.models["770"]["modelVersions"].insert(0, {"id": 78})
    online.repositories["a/ink"] = {"ink.safetensors": weights(3_000)}
    assert cli("models", "info", "loras/ink", "--updates", "--json").json["newer"] == "civitai:78"
    assert "newer version: a/ink\n" in cli("models", "info", "checkpoints/ink", "--updates").out


def test_equal_files_are_named(cli: Cli, home: Path) -> None:
    write_models(home / "models", "loras/a.safetensors", "loras/b.safetensors")
    checked = cli("models", "verify", "--json")
    assert checked.code == 0
    assert checked.json["duplicates"] == [["loras/a.safetensors", "loras/b.safetensors"]]
    assert "equal: loras/a.safetensors, loras/b.safetensors" in cli("models", "verify").out


def test_models_that_nothing_names_and_equal_ones_are_listed(cli: Cli, home: Path) -> None:
    folder = home / "models"
    (folder / "loras").mkdir(parents=True)
    (home / "workflows").mkdir()
    for name in ("loras/ink", "copy"):
        (folder / f"{name}.safetensors").write_bytes(weights(2_000))
    for name in ("pen", "oil"):
        (folder / f"{name}.safetensors").write_bytes(weights(900, name=name))
    saved = {"format": "nodegraph/1", "nodes": {"load": {"type": "X", "inputs": {"a": "ink"}}}}
    (home / "workflows/drawing.json").write_text(json.dumps(saved))
    (home / "workflows/broken.json").write_text("{")
    with JobQueue(home / "queue.sqlite") as queue:
        document = {"format": "nodegraph/1", "nodes": {}}
        queue.submit(Submission("ann", document, parameters={"a": "pen.safetensors"})).result()

    def names(*options: str) -> list[str]:
        answer = cli("models", "list", *options, "--json")
        assert answer.code == 0, answer.err
        return [each["name"] for each in answer.json["models"]]

    assert names("--unused") == ["copy.safetensors", "oil.safetensors"]
    assert names("--duplicates") == ["copy.safetensors", "loras/ink.safetensors"]
    assert names("--duplicates", "--unused") == ["copy.safetensors"]
    (home / "config.toml").write_text('[server]\nqueue = "postgresql://ann@db.example/jobs"\n')
    listed = cli("models", "list", "--unused").err
    assert "jobs in postgresql://ann@db.example/jobs are not searched" in " ".join(listed.split())
    removed = cli("models", "remove", "loras/ink", "--yes")
    assert "saved workflows that use it: drawing" in removed.out
    gone = cli("models", "remove", "pen", "oil", "--yes", "--json").json
    assert [*gone["uses"].values()] == [["(jobs)"]]


def test_a_model_is_looked_up_by_its_hash(online: Site, cli: Cli, home: Path) -> None:
    (home / "models/loras").mkdir(parents=True)
    (home / "models/loras/ink.safetensors").write_bytes(BIG)
    online.add_version(77, "other.safetensors", BIG)
    facts = cli("models", "info", "loras/ink", "--lookup", "--json").json["facts"]
    assert (facts["source"], facts["trigger_words"]) == ("civitai:77", ["ink drawing"])
    assert cli("models", "info", "loras/ink", "--json").json["facts"] == facts
    online.versions.clear()
    assert "does not exist" in cli("models", "info", "loras/ink", "--lookup").err
    assert "not in a models folder" in cli("models", "info", "tiny", "--lookup").err


def test_well_known_models_are_listed_with_what_is_here(
    online: Site, cli: Cli, home: Path, tmp_path: Path
) -> None:
    models = cli("models", "starter", "--json").json["models"]
    assert len(models) >= 12
    assert not any(each["installed"] for each in models)
    shown = cli("models", "starter", "--purpose", "video").out
    assert "Wan" in shown
    assert "upscale" not in shown
    *_, nothing, last = shown.splitlines()
    assert (nothing, last.startswith("Get one: nodegraph models add ")) == ("", True), last
    assert last.removeprefix("Get one: nodegraph models add ").split()[0] in shown[: -len(last)]
    wrong = cli("models", "starter", "--purpose", "smell")
    assert wrong.code == 2
    assert "image, video" in wrong.err
    own = tmp_path / "own.json"
    entry = {"id": "ink", "title": "Ink", "source": "a/ink"}
    own.write_text(json.dumps({"format": "nodegraph-model-catalogue/1", "models": [entry]}))
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(f'model_catalogue = "{own.as_posix()}"\n')
    assert cli("models", "add", "a/ink").code == 0
    (ink,) = cli("models", "starter", "--json").json["models"]
    assert ink["installed"] == "checkpoints/ink.safetensors"
    assert "Get one" not in cli("models", "starter").out
    own.unlink()
    missing = cli("models", "starter")
    assert (missing.code, "cannot read the catalogue" in missing.err) == (2, True)
