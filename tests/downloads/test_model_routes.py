"""Routes of models: hashes, uses, look-ups, links, images, the catalogue and missing models."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.client import Client, Forbidden, NotFound, ServerError
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import SAMPLER_NAMES
from nodegraph.models.model_library import read_facts
from nodegraph.models.remote.download_plans import KINDS
from nodegraph.models.starter_catalogue import CATALOGUE, read_catalogue
from nodegraph.sampling.schedules import SCHEDULES
from nodegraph.session.settings import Settings
from tests.downloads.stand_in import LOOPBACK, Fault, Site, weights
from tests.server.hosting import Hosted, eventually, hosted, prepared_home, read_packs
from tests.server.resources import picture

INK = weights(20_000)
NAME = "loras/ink.safetensors"
LOADING = '''
from typing import Annotated
from nodegraph import Context, File, node

@node(output=True)
def Load(ctx: Context, model: Annotated[str, File("model")]) -> None:
    """Loads a model."""
'''


@pytest.fixture
def online(site: Site, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Site:
    """The stand-in, as a server reaches it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The models folder of a server, with one LoRA and a copy of it."""
    models = tmp_path / "home/models"
    (models / "loras").mkdir(parents=True)
    (models / NAME).write_bytes(INK)
    (models / "copy.safetensors").write_bytes(INK)
    (models / "pen.safetensors").write_bytes(weights(9_000))
    return models


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Hosted, Client]]:
    with (
        hosted(folder.parent, download_hosts=LOOPBACK) as server,
        Client(server.url) as client,
    ):
        yield server, client


def listed(client: Client) -> dict[str, Any]:
    return {model.name: model for model in client.models()}


def test_hashes_and_duplicates_are_found_in_the_background(folder: Path) -> None:
    digest = hashlib.sha256(INK).hexdigest()
    with serving(folder) as (_, client):
        eventually(lambda: len([m for m in client.models() if m.sha256]) == 3)
        models = listed(client)
        ink = models[NAME]
        assert (ink.sha256, ink.autov2) == (digest, digest[:10])
        header = 8 + int.from_bytes(INK[:8], "little")
        assert ink.autov3 == hashlib.sha256(INK[header:]).hexdigest()[:12]
        assert (ink.duplicates, models["copy.safetensors"].duplicates) == (
            ("copy.safetensors",),
            (NAME,),
        )
        assert models["pen.safetensors"].duplicates == ()
        assert models["tiny"].sha256 is None
        (folder / "pen.safetensors").write_bytes(INK)
        eventually(lambda: len(listed(client)[NAME].duplicates) == 2)


def test_jobs_and_saved_workflows_say_what_uses_a_model(tmp_path: Path) -> None:
    home = prepared_home(tmp_path / "home")
    models = home / "models"
    (models / "loras").mkdir(parents=True)
    for name in (NAME, "pen.safetensors", "oil.safetensors"):
        (models / name).write_bytes(weights(100))
    checked = {"look": {"type": "sums:Checked", "inputs": {"path": "ink"}}}
    lora = {"look": {"type": "sums:Checked", "inputs": {"path": "a cat <lora:pen:0.8>"}}}
    document: dict[str, Any] = {"format": "nodegraph/1", "parameters": {"path": "look.path"}}
    with serving(models) as (_, client):
        assert client.model_uses(NAME).jobs == 0
        assert listed(client)[NAME].used is None
        client.workflows.save("drawing", document | {"nodes": checked, "ui": {"a": "oil"}})
        client.submit(document | {"nodes": checked}, parameters={"path": "pen.safetensors"})
        client.submit(document | {"nodes": lora})
        uses = client.model_uses(NAME)
        assert (uses.saved, uses.jobs) == (("drawing",), 1)
        assert client.model_uses("pen.safetensors").jobs == 2
        pen = client.model_uses("pen.safetensors").last
        assert client.model_uses("oil.safetensors") == client.model_uses("tiny")
        eventually(lambda: listed(client)["pen.safetensors"].used == pen)
        assert listed(client)["oil.safetensors"].used is None
        with pytest.raises(NotFound):
            client.model_uses("nothing")
        client.remove_model(NAME)


def test_civitai_fills_what_nobody_has_written(online: Site, folder: Path) -> None:
    online.add_version(77, "ink.safetensors", INK)
    with serving(folder) as (_, client):
        client.change_model_record(NAME, trigger_words=["pen"], stars=4)
        record = client.lookup_model(NAME)
        assert (record.source, record.base_model, record.title) == (
            "civitai:77",
            "SDXL 1.0",
            "Ink v1",
        )
        assert (record.trigger_words, record.stars) == (("pen",), 4)
        assert (folder / NAME).read_bytes() == INK
        assert client.model_update(NAME).source is None
        newer = online.versions["77"] | {"id": 78}
        online.models["770"]["modelVersions"].insert(0, newer)
        assert client.model_update(NAME).source == "civitai:78"
        assert client.model_update("copy.safetensors").source is None
        with pytest.raises(NodegraphError, match="does not exist"):
            client.lookup_model("pen.safetensors")
        assert read_facts(folder / "pen.safetensors").source is None
        assert client.lookup_model("copy.safetensors").trigger_words == ("ink drawing",)


def test_a_model_is_verified(folder: Path) -> None:
    facts = {"format": "nodegraph-model-facts/1", "sha256": {"ink.safetensors": "0" * 64}}
    (folder / f"{NAME}.nodegraph.json").write_text(json.dumps(facts))
    with serving(folder) as (_, client):
        (file,) = client.verify_model(NAME)
        assert (file.path, file.expected) == ("ink.safetensors", "0" * 64)
        assert "differs" in str(file.problem)
        (file,) = client.verify_model("pen.safetensors")
        assert (file.expected, file.problem) == (None, None)


def test_a_model_gets_an_image(folder: Path) -> None:
    (folder / "loras/ink.jpg").write_bytes(picture(20, 20, "JPEG"))
    with serving(folder) as (server, client):
        client.change_model_picture(NAME, picture(300, 200))
        names = sorted(path.name for path in (folder / "loras").iterdir())
        assert names == ["ink.preview.png", "ink.safetensors"]
        assert client.model_thumbnail(NAME, 64)[8:12] == b"WEBP"
        for wrong in (b"no image", b"", b"GIF89a" + bytes(50), INK, picture(40, 40)[:60]):
            with pytest.raises(NodegraphError):
                client.change_model_picture(NAME, wrong)
        large = httpx.put(
            f"{server.url}/api/v1/models/picture?name={NAME}",
            content=bytes(33 << 20),
            trust_env=False,
        )
        assert large.status_code == 413
        client.remove_model_picture(NAME)
        assert listed(client)[NAME].thumbnail is None
        with pytest.raises(InvalidValue, match="not in a models folder"):
            client.change_model_picture("tiny", picture(8, 8))
    assert sorted(path.name for path in folder.glob("**/*ink*")) == ["ink.safetensors"]


def test_folders_of_other_programs_are_linked_and_only_read(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "comfy"
    (other / "models/loras").mkdir(parents=True)
    (other / "models/loras/oil.safetensors").write_bytes(weights(50))
    with serving(folder) as (_, client):
        assert client.model_links() == ()
        (link,) = client.link_models(str(other))
        assert (link.folder, link.exists, link.models) == (str(other / "models"), True, 1)
        assert "loras/oil.safetensors" in listed(client)
        with pytest.raises(InvalidValue, match="linked folder"):
            client.remove_model("loras/oil.safetensors")
        for wrong in ("models", str(tmp_path / "none"), "../comfy"):
            with pytest.raises(NodegraphError):
                client.link_models(wrong)
        client.unlink_models(link.folder)
        assert client.model_links() == ()
        assert "loras/oil.safetensors" not in listed(client)
    assert (other / "models/loras/oil.safetensors").is_file()


def test_the_catalogue_ships_and_may_be_replaced(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    entry = {"id": "ink", "title": "Ink", "source": "a/ink", "kind": "lora", "memory": 1 << 60}
    settings = {"width": 640, "steps": 9}
    model = entry | {"settings": settings}
    document = {"format": "nodegraph-model-catalogue/1", "models": [model]}
    own.write_text(json.dumps(document))
    with serving(folder) as (server, client):
        shipped = client.model_downloads.starter()
        assert len(shipped) >= 12
        assert {"image", "video", "audio", "upscale"} <= {each.purpose for each in shipped}
        assert all(each.license and each.source for each in shipped)
        assert listed(client)["tiny"].suits.width == 128
        server.services.settings = Settings(home=folder.parent, model_catalogue=own)
        (ink,) = client.model_downloads.starter()
        assert (ink.settings.steps, ink.fits, ink.installed) == (9, False, None)
        facts = {"format": "nodegraph-model-facts/1", "source": "a/ink"}
        (folder / f"{NAME}.nodegraph.json").write_text(json.dumps(facts))
        assert client.model_downloads.starter()[0].installed == NAME
        assert listed(client)[NAME].suits.width == 640
        assert listed(client)["pen.safetensors"].suits is None
        for wrong in (
            "{",
            "[]",
            json.dumps({"format": "x"}),
            json.dumps(document | {"models": [entry | {"bytes": "9"}]}),
            json.dumps(document | {"models": [entry | {"size": 9}]}),
            json.dumps(document | {"models": [{"id": "x"}]}),
            json.dumps(document | {"models": [entry, entry]}),
        ):
            own.write_text(wrong)
            with pytest.raises(InvalidFile, match="cannot read the catalogue"):
                client.model_downloads.starter()


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        '{"format": "nodegraph-model-catalogue/1", "models": 5}',
        '{"format": "nodegraph-model-catalogue/1", "families": {"sd1": {"guidance": NaN}}}',
        '{"format": "nodegraph-model-catalogue/1", "families": {"sd1": {"guidance": 1e999}}}',
    ],
)
def test_a_damaged_catalogue_does_not_take_the_models_away(
    folder: Path, tmp_path: Path, text: str
) -> None:
    own = tmp_path / "own.json"
    own.write_text(text)
    with serving(folder) as (server, client):
        server.services.settings = Settings(home=folder.parent, model_catalogue=own)
        assert listed(client)["tiny"].suits is None
        with pytest.raises(InvalidFile, match="catalogue"):
            client.model_downloads.starter()


def test_a_model_keeps_its_format_when_it_is_moved(folder: Path) -> None:
    with serving(folder) as (_, client):
        for name in ("loras/ink.ckpt", "loras/ink.gguf"):
            with pytest.raises(InvalidValue, match="ending"):
                client.move_model(NAME, name)
        assert client.move_model(NAME, "loras/new") == "loras/new.safetensors"


def test_changes_at_the_same_time_are_all_kept(folder: Path, tmp_path: Path) -> None:
    others = [tmp_path / str(number) for number in range(12)]
    for other in others:
        (other / "models/loras").mkdir(parents=True)
    noted: list[dict[str, Any]] = [
        {"stars": 3}, {"notes": "wet"}, {"tags": ["ink"]}, {"trigger_words": ["pen"]}
    ]  # fmt: skip
    with serving(folder) as (_, client), ThreadPoolExecutor(12) as threads:
        list(threads.map(lambda other: client.link_models(str(other)), others))
        assert {each.folder for each in client.model_links()} == {f"{o}/models" for o in others}
        list(threads.map(lambda notes: client.change_model_record(NAME, **notes), noted))
        ink = client.model_record(NAME)
        assert (ink.stars, ink.notes, ink.tags, ink.trigger_words) == (3, "wet", ("ink",), ("pen",))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_in_a_models_folder_are_left_alone(folder: Path) -> None:
    os.mkfifo(folder / "loras/pipe.safetensors")
    os.mkfifo(folder / f"{NAME}.nodegraph.json")
    with serving(folder) as (_, client):
        assert NAME in listed(client)
        assert "loras/pipe.safetensors" not in listed(client)


def test_what_a_workflow_lacks_is_found_with_its_source(online: Site, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "packs").mkdir(parents=True)
    (home / "packs/loading.py").write_text(LOADING)
    read_packs(home)
    (home / "models/other").mkdir(parents=True)
    (home / "models/other/oil.safetensors").write_bytes(weights(70))
    online.repositories["a/ink"] = {"ink.safetensors": INK}
    online.cards["a/ink"] = {"license": "mit"}
    names = (NAME, "loras/oil.safetensors", "loras/gone.safetensors", "other/oil.safetensors")
    nodes = {
        f"load{at}": {"type": "loading:Load", "inputs": {"model": name}}
        for at, name in enumerate(names)
    }
    models = [
        {"name": NAME, "source": "a/ink", "sha256": hashlib.sha256(INK).hexdigest()},
        {
            "name": "gone.safetensors",
            "directory": "loras",
            "url": f"{online.plain}/gone.safetensors",
        },
    ]
    document = {"format": "nodegraph/1", "nodes": nodes, "models": models}
    with serving(home / "models") as (_, client):
        ink, oil, gone = client.model_downloads.missing(document)
        assert (ink.name, ink.source, ink.kind, ink.bytes, ink.license) == (
            NAME,
            "a/ink",
            "lora",
            len(INK),
            "mit",
        )
        assert (ink.problem, ink.installed_as) == (None, None)
        assert (oil.source, oil.installed_as) == (None, "other/oil.safetensors")
        assert "does not state" in str(oil.problem)
        assert (gone.kind, gone.source) == ("lora", f"{online.plain}/gone.safetensors")
        assert "does not exist" in str(gone.problem)
        assert ink.source is not None
        client.model_downloads.start(ink.source, name=ink.name, kind=ink.kind, sha256=ink.sha256)
        eventually(lambda: client.model_downloads.list()[0].state == "finished")
        assert (home / "models" / NAME).read_bytes() == INK
        assert [each.name for each in client.model_downloads.missing(document)] == [
            *("loras/oil.safetensors", "loras/gone.safetensors")
        ]
        with pytest.raises(NodegraphError, match="another file than the workflow states"):
            client.model_downloads.start(ink.source, name="x", sha256="0" * 64)


def test_the_scope_models_is_enough_and_needed(online: Site, folder: Path) -> None:
    online.repositories["a/ink"] = {"ink.safetensors": INK}
    with serving(folder) as (server, _):
        texts = {
            scope: server.token(scope, scope)["Authorization"].removeprefix("Bearer ")
            for scope in ("admin", "run", "models")
        }
        with Client(server.url, texts["models"]) as client:
            assert client.model_downloads.plan("a/ink").source == "a/ink"
            assert client.change_model_record(NAME, stars=1).stars == 1
            assert client.model_uses(NAME).jobs == 0
            for ask in (
                lambda: client.settings.get(),
                lambda: client.model_links(),
                lambda: client.link_models("/"),
                lambda: client.unlink_models("/"),
            ):
                with pytest.raises(Forbidden):
                    ask()
            with pytest.raises(Forbidden):
                client.submit({"format": "nodegraph/1", "nodes": {}})
        with Client(server.url, texts["run"]) as client:
            for ask in (
                lambda: client.change_model_picture(NAME, picture(8, 8)),
                lambda: client.remove_model_picture(NAME),
                lambda: client.verify_model(NAME),
                lambda: client.model_uses(NAME),
                lambda: client.lookup_model(NAME),
                lambda: client.model_update(NAME),
                lambda: client.model_links(),
                lambda: client.link_models("/tmp"),
                lambda: client.unlink_models("/tmp"),
                lambda: client.model_downloads.missing({"format": "nodegraph/1", "nodes": {}}),
            ):
                with pytest.raises(Forbidden):
                    ask()
            assert client.model_downloads.starter()
            assert listed(client)[NAME].stars == 1
        with Client(server.url, texts["admin"]) as client:
            assert client.model_uses(NAME).saved == ()


def test_wrong_workflows_lack_nothing_and_are_refused(folder: Path) -> None:
    with serving(folder) as (_, client):
        assert client.model_downloads.missing({"format": "nodegraph/1", "nodes": {}}) == ()
        with pytest.raises((ServerError, NodegraphError)):
            client.model_downloads.missing({"format": "x"})


def test_the_catalogue_names_what_nodegraph_can_run() -> None:
    catalogue = read_catalogue(None)
    assert CATALOGUE.is_file()
    settings = [*catalogue.names.values(), *catalogue.families.values()]
    settings += [entry.settings for entry in catalogue.entries]
    assert {each.sampler for each in settings} <= {None, *SAMPLER_NAMES}
    assert {each.schedule for each in settings} <= {None, *SCHEDULES}
    assert catalogue.families.keys() <= FAMILIES.keys()
    assert {entry.family for entry in catalogue.entries} <= {None, *FAMILIES}
    assert {entry.kind for entry in catalogue.entries} <= KINDS.keys()


def test_metadata_that_is_huge_or_lies_is_cut_or_left_out(folder: Path) -> None:
    def lora(name: str, **metadata: str) -> None:
        (folder / f"{name}.safetensors").write_bytes(weights(100, **metadata))

    nested = "[" * 100_000
    lora("long", **{"modelspec.title": "a" * 3_000_000, "modelspec.trigger_phrase": "b " * 9_000})
    lora("tags", ss_tag_frequency=nested)
    lora("counts", ss_tag_frequency=json.dumps({"x": {"a": "many", "b": None}}))
    lora("infinite", ss_tag_frequency='{"x": {"a": 1e999}}')
    image = b64encode(picture(9, 9)).decode()
    lora("image", **{"modelspec.thumbnail": f"data:image/png;base64,{image}"})
    lora("broken", **{"modelspec.thumbnail": "data:image/png;base64,!!"})
    lora("page", **{"modelspec.thumbnail": f"data:image/svg;base64,{b64encode(b'<svg>').decode()}"})
    lora("address", **{"modelspec.thumbnail": "https://example.org/a.png"})
    lora("beside")
    (folder / "beside.civitai.info").write_text(nested)
    (folder / "beside.json").write_text(json.dumps({"activation text": 3, "notes": ["x"]}))
    lies = {"stars": "9", "tags": [3, {"a": 1}, "good\x00\x1b[31m"], "sha256": "x", "added": []}
    facts = {"format": "nodegraph-model-facts/1", "title": {"a": 1}, **lies}
    (folder / "beside.safetensors.nodegraph.json").write_text(json.dumps(facts))
    with serving(folder) as (_, client):
        models = {name.removesuffix(".safetensors"): each for name, each in listed(client).items()}
        long, beside = models["long"], models["beside"]
        assert (len(long.title), len(long.trigger_words[0])) == (300, 300)
        assert not any(models[name].trigger_words for name in ("tags", "counts", "infinite"))
        assert (beside.title, beside.stars, beside.notes, beside.added) == (None, 0, None, None)
        assert len(beside.tags) == 1
        shown = {name for name in models if models[name].thumbnail}
        assert shown == {"image", "broken", "page"}
        assert client.model_thumbnail("image.safetensors", 64)[8:12] == b"WEBP"
        with pytest.raises(NotFound):
            client.model_thumbnail("broken.safetensors", 64)
        with suppress(NodegraphError):
            assert b"svg" not in client.model_thumbnail("page.safetensors", 64)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_what_a_source_refuses_is_told_in_the_plan_and_nothing_is_written(
    online: Site, folder: Path, status: int
) -> None:
    online.files["/pen.safetensors"] = INK
    online.faults["/pen.safetensors"] = Fault(status=status, times=-1)
    online.faults["/api/v1/model-versions/77"] = Fault(status=status, times=-1)
    online.faults["/api/models/a/ink"] = Fault(status=status, times=-1)
    with serving(folder) as (_, client):
        for source in (f"{online.plain}/pen.safetensors", "civitai:77", "a/ink"):
            with pytest.raises(NodegraphError) as refused:
                client.model_downloads.start(source)
            assert "Traceback" not in str(refused.value)
        assert client.model_downloads.list() == ()
    assert not (folder / ".downloads").exists()
