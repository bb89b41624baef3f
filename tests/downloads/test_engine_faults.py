"""Downloads trust tokens, parts, cached files and journals only as far as they are checked."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from nodegraph.client import Client
from nodegraph.errors import InvalidValue, OutputError, UnsafeFile
from nodegraph.models.model_library import read_facts, remove_model
from nodegraph.models.remote.download_plans import FOLDER as AREA
from nodegraph.models.remote.download_plans import (
    BlockedAddress,
    DownloadError,
    DownloadPlan,
    DownloadStatus,
    Wanted,
)
from nodegraph.models.remote.downloads import Downloads, Stopped
from nodegraph.models.remote.guarded_http import HostRules
from nodegraph.models.remote.hubs import ModelHubs
from tests.downloads.conftest import QUICK
from tests.downloads.stand_in import COMMIT, LOOPBACK, Fault, Site, weights
from tests.downloads.test_downloads import run, starts
from tests.server.disks import small_disk
from tests.server.hosting import hosted

Opened = Callable[..., Downloads]
INK = weights(600_000)
CDN = "/cdn/a/ink//ink.safetensors"
PLAIN = "/x.safetensors"
ONCE = replace(QUICK, attempts=1)
FOLDER = {
    "model_index.json": json.dumps({"_class_name": "X", "unet": ["diffusers", "U"]}).encode(),
    "unet/config.json": b'{"v": 1}',
    "unet/diffusion_pytorch_model.safetensors": INK,
}


@pytest.fixture
def plan(site: Site, hubs: ModelHubs) -> DownloadPlan:
    site.repositories["a/ink"] = {"ink.safetensors": INK}
    return hubs.resolve("a/ink")


def once(act: Callable[[], object]) -> Callable[[DownloadStatus], None]:
    """A report of progress that does something at the start of the run."""
    acts = [act]

    def report(status: DownloadStatus) -> None:
        if acts:
            acts.pop()()

    return report


def cut_off(site: Site, downloads: Downloads, plan: DownloadPlan, path: str) -> None:
    """Download a part of a file, and lose the connection."""
    site.faults[path] = Fault(cut=400_000)
    with pytest.raises(DownloadError, match="connection was lost"):
        run(downloads, plan)


def journal(downloads: Downloads, id_: str) -> Path:
    return downloads.folder / ".downloads" / f"{id_}.json"


def test_a_token_goes_to_no_host_that_an_answer_names(
    site: Site, opened: Opened, hubs: ModelHubs
) -> None:
    path = "/api/download/models/5"
    site.add_version(5, "ink.safetensors", INK)
    downloads = opened()
    downloads.run(downloads.add(hubs.resolve("civitai:5")).id, token="secret")
    site.add_version(6, "other.safetensors", INK)
    site.files[path] = INK
    site.versions["6"]["files"][0]["downloadUrl"] = f"{site.plain}{path}"
    downloads.run(downloads.add(hubs.resolve("civitai:6")).id, token="secret")
    site.files[PLAIN] = INK
    downloads.run(downloads.add(hubs.resolve(f"{site.plain}{PLAIN}")).id, token="secret")
    own, other = site.of(path)
    assert own.headers["Authorization"] == "Bearer secret"
    assert "Authorization" not in other.headers
    assert site.of(PLAIN)[-1].headers["Authorization"] == "Bearer secret"


def test_secrets_of_an_address_are_not_kept_beside_the_model(
    site: Site, opened: Opened, hubs: ModelHubs
) -> None:
    site.files[PLAIN] = INK
    address = site.plain.replace("http://", "http://user:secret@") + f"{PLAIN}?token=secret"
    downloads = opened()
    id_ = downloads.add(hubs.resolve(address)).id
    path = downloads.run(id_)
    assert read_facts(path).source == f"{site.plain}{PLAIN}"
    assert not any("secret" in each.read_text("latin-1") for each in path.parent.glob("*.json"))
    # A process that died right after the last step still finds that it is done.
    record = journal(downloads, id_)
    record.write_text(record.read_text().replace('"finished"', '"running"'))
    before = len(site.requests)
    assert downloads.run(id_) == path
    assert len(site.requests) == before


def test_a_range_of_a_newer_file_is_not_joined_to_an_older_part(
    site: Site, opened: Opened, hubs: ModelHubs
) -> None:
    site.files[PLAIN] = INK
    plan = hubs.resolve(f"{site.plain}{PLAIN}")
    cut_off(site, opened(retries=ONCE), plan, PLAIN)
    site.files[PLAIN] = newer = INK[:-500_000] + bytes(500_000)
    site.has_if_range = False
    assert run(opened(), plan).read_bytes() == newer


def test_a_file_that_changed_between_two_runs_is_brought_again(
    site: Site, opened: Opened, hubs: ModelHubs
) -> None:
    site.repositories["a/whole"] = dict(FOLDER)
    large = "/cdn/a/whole//unet/diffusion_pytorch_model.safetensors"
    cut_off(site, opened(retries=ONCE), hubs.resolve("a/whole"), large)
    site.repositories["a/whole"]["unet/config.json"] = b'{"v": 2}'
    path = run(opened(), hubs.resolve("a/whole"))
    assert (path / "unet/config.json").read_bytes() == b'{"v": 2}'
    assert (path / "unet/diffusion_pytorch_model.safetensors").read_bytes() == INK
    # What has not changed goes on where it was.
    assert starts(site, large)[-1] > 0
    assert len(site.of("/cdn/a/whole//model_index.json")) == 1


def test_a_small_file_that_was_damaged_here_is_brought_again(
    site: Site, opened: Opened, hubs: ModelHubs
) -> None:
    site.repositories["a/whole"] = dict(FOLDER)
    plan = hubs.resolve("a/whole")
    large = "/cdn/a/whole//unet/diffusion_pytorch_model.safetensors"
    downloads = opened(retries=ONCE)
    cut_off(site, downloads, plan, large)
    (staged,) = (downloads.folder / ".downloads").rglob("unet/config.json")
    staged.write_bytes(b'{"v": 7}')
    assert (run(downloads, plan) / "unet/config.json").read_bytes() == b'{"v": 1}'


def test_what_a_finished_download_left_behind_is_not_used(
    site: Site, opened: Opened, hubs: ModelHubs
) -> None:
    site.files[PLAIN] = INK
    downloads = opened()
    status = downloads.add(hubs.resolve(f"{site.plain}{PLAIN}"))
    path = downloads.run(status.id)
    left = downloads.folder / ".downloads" / status.id / "model" / path.name
    left.parent.mkdir(parents=True)
    left.write_bytes(INK)  # as of a process that died before it removed it
    remove_model(path)
    site.files[PLAIN] = newer = weights(610_000)
    assert run(downloads, hubs.resolve(f"{site.plain}{PLAIN}")).read_bytes() == newer


def test_a_damaged_file_of_the_hubs_cache_is_downloaded(
    site: Site, opened: Opened, hubs: ModelHubs, plan: DownloadPlan, tmp_path: Path
) -> None:
    cache = tmp_path / "hub_cache/models--a--ink"
    blob = cache / "blobs" / hashlib.sha256(INK).hexdigest()
    link = cache / "snapshots" / COMMIT / "ink.safetensors"
    for folder in (blob.parent, link.parent):
        folder.mkdir(parents=True)
    damaged = INK[:-1] + bytes([INK[-1] ^ 1])
    blob.write_bytes(damaged)
    link.symlink_to(blob)
    cached = hubs.resolve("a/ink")
    assert cached.is_cached
    downloads = opened()
    status = downloads.add(cached)
    assert downloads.run(status.id).read_bytes() == INK
    assert blob.read_bytes() == damaged
    assert downloads.get(status.id).done == len(INK)


def test_a_line_that_breaks_often_brings_the_file_in_many_pieces(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    site.faults[CDN] = Fault(cut=100_000, times=-1)
    assert run(opened(), plan).read_bytes() == INK


def test_first_bytes_are_judged_together_however_they_come(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    is_open = Event()
    is_open.set()
    body = b"PK\x03\x04" + bytes(len(INK) - 4)
    site.faults[CDN] = Fault(body=body, gate=(1, is_open))
    with pytest.raises(UnsafeFile, match="it is a pickle file"):
        run(opened(), plan)


def test_shorter_ranges_than_asked_for_are_put_together(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    downloads = opened(retries=ONCE)
    cut_off(site, downloads, plan, CDN)
    site.longest_range = 150_000
    assert run(downloads, plan).read_bytes() == INK


def test_a_name_that_cannot_be_looked_up_now_is_looked_up_again(
    site: Site, opened: Opened, plan: DownloadPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, real = [1, 1], socket.getaddrinfo

    def look_up(host: str, *more: Any, **options: Any) -> Any:
        if host == "localhost" and failures:
            failures.pop()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert run(opened(), plan).read_bytes() == INK
    failures[:] = [1] * 3
    remove_model(opened().folder / plan.name)
    with pytest.raises(DownloadError, match="cannot find the host localhost"):
        run(opened(), plan)
    assert failures == []


def test_site_local_addresses_are_private() -> None:
    rules = HostRules.parse(None).with_any_host()
    with pytest.raises(BlockedAddress, match="private network"):
        rules.addresses("https", "fec0::1", None)


def test_an_address_of_nat64_is_judged_by_its_inner_one_and_connected_to_as_it_is() -> None:
    rules = HostRules.parse(None).with_any_host()
    outer = "64:ff9b::808:808"
    assert rules.addresses("https", outer, None) == [outer]
    with pytest.raises(BlockedAddress, match="private network"):
        rules.addresses("https", "64:ff9b::a00:1", None)
    listed = HostRules.parse(["10.0.0.0/8"])
    assert listed.addresses("http", "64:ff9b::a00:1", None) == ["64:ff9b::a00:1"]


def test_a_download_that_was_cancelled_and_then_fails_is_gone(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    site.faults[CDN] = Fault(status=404)
    downloads = opened()
    id_ = downloads.add(plan).id
    with pytest.raises(DownloadError, match="does not exist"):
        downloads.run(id_, once(lambda: downloads.cancel(id_)))
    assert downloads.read_all() == []
    assert not list((downloads.folder / ".downloads").glob(f"{id_}.cancel"))


def test_a_download_that_was_paused_and_then_fails_is_paused(
    site: Site, opened: Opened, plan: DownloadPlan
) -> None:
    site.faults[CDN] = Fault(status=404)
    downloads = opened()
    id_ = downloads.add(plan).id
    with pytest.raises(DownloadError, match="does not exist"):
        downloads.run(id_, once(lambda: downloads.pause(id_)))
    assert downloads.get(id_).state == "paused"


@pytest.mark.parametrize("stop", [Downloads.pause, Downloads.cancel])
@pytest.mark.parametrize("again", ["resume", "add"])
def test_a_download_that_is_wanted_again_before_it_has_stopped_goes_on(
    site: Site, opened: Opened, plan: DownloadPlan, stop: Callable[..., object], again: str
) -> None:
    downloads = opened()
    id_ = downloads.add(plan).id

    def change_twice() -> None:
        stop(downloads, id_)
        status = downloads.add(plan) if again == "add" else downloads.resume(id_)
        assert status.state == "running"

    assert downloads.run(id_, once(change_twice)).read_bytes() == INK


@pytest.fixture
def elsewhere(site: Site, hubs: ModelHubs, tmp_path: Path) -> Any:
    """A disk that a folder below the models folder leads to, and a plan into it."""
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        (tmp_path / "models").mkdir()
        (tmp_path / "models/ext").symlink_to(disk)
        site.repositories["a/whole"] = dict(FOLDER)
        yield disk, hubs.resolve("a/whole", Wanted(name="ext/m"))


def test_a_copy_that_was_broken_off_on_another_disk_is_made_again(
    opened: Opened, elsewhere: tuple[Path, DownloadPlan]
) -> None:
    disk, plan = elsewhere
    (disk / ".m.part").mkdir()
    (disk / ".m.part/half.bin").write_bytes(b"half")
    run(opened(room=lambda folder: 1 << 40), plan)
    assert [path.name for path in disk.iterdir()] == ["m"]
    assert {path: (disk / "m" / path).read_bytes() for path in FOLDER} == FOLDER
    assert not (disk / "m/half.bin").exists()


def test_another_disk_without_room_is_left_as_it_was(
    opened: Opened, elsewhere: tuple[Path, DownloadPlan]
) -> None:
    disk, plan = elsewhere
    downloads = opened(room=lambda folder: 1 << 20 if folder.name == "ext" else 1 << 40)
    with pytest.raises(OutputError, match="the disk became full"):
        run(downloads, plan)
    assert list(disk.iterdir()) == []


def test_a_model_that_came_in_between_on_another_disk_stays(
    opened: Opened, site: Site, hubs: ModelHubs, elsewhere: tuple[Path, DownloadPlan]
) -> None:
    disk, _ = elsewhere
    site.files[PLAIN] = INK
    plan = hubs.resolve(f"{site.plain}{PLAIN}")
    plan = replace(plan, name="ext/x.safetensors")

    def room(folder: Path) -> int:
        if folder.name == "ext":
            (disk / "x.safetensors").write_bytes(b"of somebody else")
        return 1 << 40

    with pytest.raises(OutputError, match="exists"):
        run(opened(room=room), plan)
    assert [path.name for path in disk.iterdir()] == ["x.safetensors"]
    assert (disk / "x.safetensors").read_bytes() == b"of somebody else"


@pytest.mark.parametrize(
    "damage",
    [
        {"created": None},
        {"synced": None},
        {"synced": {"ink.safetensors": "1"}},
        {"etags": []},
        {"etags": {"ink.safetensors": 1}},
        {"done": "1"},
        {"id": "../x"},
    ],
)
def test_a_damaged_journal_does_not_hide_the_others(
    site: Site, opened: Opened, hubs: ModelHubs, plan: DownloadPlan, damage: dict[str, Any]
) -> None:
    site.repositories["b/pen"] = {"pen.safetensors": INK}
    downloads = opened()
    id_ = downloads.add(plan).id
    other = downloads.add(hubs.resolve("b/pen"))
    record = journal(downloads, id_)
    record.write_text(json.dumps(json.loads(record.read_text()) | damage))
    assert [status.id for status in downloads.pending()] == [other.id]
    downloads.cancel(plan.name)
    assert not record.exists()
    with pytest.raises(InvalidValue, match="no such download"):
        downloads.cancel(plan.name)
    assert run(downloads, plan).read_bytes() == INK


def test_a_damaged_plan_is_not_carried_out(opened: Opened, plan: DownloadPlan) -> None:
    downloads = opened()
    id_ = downloads.add(plan).id
    record = journal(downloads, id_)
    document = json.loads(record.read_text())
    for files in ([], [document["plan"]["files"][0] | {"bytes": "many"}]):
        record.write_text(json.dumps(document | {"plan": document["plan"] | {"files": files}}))
        assert downloads.read_all() == []
    downloads.cancel(id_)
    assert not record.exists()


def test_a_server_starts_although_a_download_cannot_be_continued(
    hubs: ModelHubs, plan: DownloadPlan, tmp_path: Path
) -> None:
    downloads = Downloads(tmp_path / "home/models", hubs)
    id_ = downloads.add(plan).id
    lock = downloads.folder / ".downloads" / f"{id_}.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with hosted(tmp_path / "home", download_hosts=LOOPBACK) as server, Client(server.url) as client:
        assert [status.id for status in client.model_downloads.list()] == [id_]


def test_a_download_waits_for_a_lost_line_and_goes_on_by_itself(
    site: Site, opened: Callable[..., Downloads], hubs: ModelHubs
) -> None:
    site.files["/ink.safetensors"] = weights(400_000)
    plan = hubs.resolve(f"{site.plain}/ink.safetensors")
    site.faults["/ink.safetensors"] = Fault(cut=0, times=5)
    downloads = opened(retries=replace(ONCE, long_attempts=20, long_seconds=0.001))
    states: list[tuple[str, str | None]] = []
    id_ = downloads.add(plan).id
    path = downloads.run(id_, lambda status: states.append((status.state, status.error)))
    assert path.read_bytes() == site.files["/ink.safetensors"]
    waits = [error or "" for state, error in states if state == "waiting"]
    assert len(waits) == 5
    assert all("the connection was lost" in error for error in waits)
    assert states[-1] == ("finished", None)


def test_a_waiting_download_is_paused_at_once_and_continued_by_the_next_process(
    site: Site, opened: Callable[..., Downloads], hubs: ModelHubs
) -> None:
    site.files["/ink.safetensors"] = weights(400_000)
    plan = hubs.resolve(f"{site.plain}/ink.safetensors")
    site.faults["/ink.safetensors"] = Fault(cut=100_000, times=-1)
    retries = replace(ONCE, first_seconds=3_600.0, long_attempts=20, long_seconds=3_600.0)
    downloads = opened(retries=retries)
    id_ = downloads.add(plan).id

    def pause(status: DownloadStatus) -> None:
        if status.state == "waiting":
            assert downloads.get(id_).state == "waiting"
            downloads.pause(id_)

    with pytest.raises(Stopped):
        downloads.run(id_, pause)
    assert downloads.get(id_).state == "paused"
    site.faults.clear()
    downloads.resume(id_)
    journal = downloads.folder / AREA / f"{id_}.json"
    # As a process leaves it that is killed while it waits.
    document = json.loads(journal.read_bytes()) | {"state": "waiting", "error": "gone"}
    journal.write_text(json.dumps(document))
    (status,) = opened().pending()
    assert (status.state, status.error) == ("queued", None)
    assert opened().run(id_).read_bytes() == site.files["/ink.safetensors"]


@pytest.mark.parametrize("path", ["../../ink.safetensors", "a\0b", "con.safetensors"])
def test_a_bad_journal_keeps_no_other_download_from_going_on(
    site: Site, opened: Callable[..., Downloads], hubs: ModelHubs, path: str
) -> None:
    for name in ("ink", "pen"):
        site.files[f"/{name}.safetensors"] = weights(2_000)
        opened().add(hubs.resolve(f"{site.plain}/{name}.safetensors"))
    bad, good = opened().pending()
    journal = opened().folder / AREA / f"{bad.id}.json"
    document = json.loads(journal.read_bytes())
    document["plan"]["files"][0]["path"] = path
    journal.write_text(json.dumps(document))
    (journal.parent / "folder.json").mkdir()
    assert [status.id for status in opened().pending()] == [good.id]
    assert opened().run(good.id).is_file()
