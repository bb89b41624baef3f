"""What ComfyUI's page and SDKs ask besides runs: node types, models, files, settings, pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.server.content import user_files
from nodegraph.server.content.user_files import FOLDER, SETTINGS_FILE, UserFiles
from nodegraph.server.operations.backup import backup, restore
from nodegraph.server.protocols.comfyui.front_end import page_policy
from nodegraph.server.settings import load_server_settings
from nodegraph.session.settings import Settings
from tests.server.comfyui_prompts import write_trial_pack
from tests.server.hosting import PATIENCE, Hosted, Process, eventually, hosted, prepared_home
from tests.server.resources import picture

HTML = {"Accept": "text/html"}
PAGE = (
    b'<!doctype html><link rel="stylesheet" href="user.css">'
    b'<script type="module" src="./assets/main-1a2b.js"></script><script>start()</script>'
)
SCRIPT = b"console.log('page')\n"
FORMS = ("/comfyui", "/comfyui/api")


def comfyui(server: Hosted, root: str = "/comfyui/api", **headers: str) -> httpx.Client:
    return httpx.Client(
        base_url=f"{server.url}{root}", headers=headers, timeout=PATIENCE, trust_env=False
    )


def raw(server: Hosted, method: str, path: str) -> int:
    """The status of an answer to a path that is sent as it stands, dots included."""
    connection = HTTPConnection(server.host, timeout=PATIENCE)
    try:
        connection.request(method, path, body=b"1" if method == "POST" else None)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def client(server: Hosted) -> Iterator[httpx.Client]:
    with comfyui(server) as made:
        yield made


@pytest.fixture
def front_end(tmp_path: Path) -> Path:
    """A folder such as that of ComfyUI's page."""
    folder = tmp_path / "front end"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "assets" / "main-1a2b.js").write_bytes(SCRIPT)
    (folder / "scripts").mkdir()
    (folder / "scripts" / "app.js").write_bytes(SCRIPT)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.mark.parametrize("root", FORMS)
def test_node_types_are_described_and_sent_once(server: Hosted, root: str) -> None:
    with comfyui(server, root) as client:
        answer = client.get("/object_info")
        described = answer.json()
        assert described["KSampler"]["output"] == ["LATENT"]
        assert "NaN" not in answer.text
        assert "tiny" in described["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0]
        again = client.get("/object_info", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        one = client.get("/object_info/KSampler").json()
        assert one == {"KSampler": described["KSampler"]}
        assert client.get("/object_info/NoSuchType").json() == {}


def test_types_that_packs_translate_are_described(known_packs: Path, tmp_path: Path) -> None:
    home = prepared_home(tmp_path / "home", known_packs)
    write_trial_pack(home)
    with Process(home, "--workers", "0") as process:
        url = f"{process.ready().url}/comfyui/object_info"
        described: dict[str, Any] = {}

        def is_described() -> bool:
            # A request waits ten seconds for packs; a busy machine takes longer to read them, and
            # the server describes all else meanwhile.
            answer = httpx.get(url, timeout=PATIENCE, trust_env=False)
            described.update(answer.json() if answer.status_code == 200 else {})
            return "Count" in described

        eventually(is_described)
    assert described["Count"]["input"]["required"]["number"][1]["default"] == 1
    assert described["Twice"]["output"] == ["INT"]
    assert [described[name]["output_node"] for name in ("Show", "Count")] == [True, False]
    assert "KSampler" in described


def test_the_description_changes_with_the_models(server: Hosted, client: httpx.Client) -> None:
    before = client.get("/object_info").headers["etag"]
    folder = server.services.home / "models" / "loras"
    folder.mkdir(parents=True)
    (folder / "style.safetensors").write_bytes(b"")
    answer = client.get("/object_info", headers={"If-None-Match": before})
    assert answer.status_code == 200
    loras = answer.json()["LoraLoader"]["input"]["required"]["lora_name"][0]
    assert "style.safetensors" in loras


def test_models_are_listed_by_folder(server: Hosted, client: httpx.Client) -> None:
    root = server.services.home / "models"
    for path in ("checkpoints/a.safetensors", "checkpoints/x/b.safetensors", "clip/c.safetensors"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"1234")
    assert {"checkpoints", "loras", "vae"} <= set(client.get("/models").json())
    assert client.get("/models/checkpoints").json() == [
        "a.safetensors",
        "tiny",
        "x/b.safetensors",
    ]
    assert client.get("/models/text_encoders").json() == ["c.safetensors"]
    assert client.get("/models/nothing").status_code == 404
    folders = client.get("/experiment/models").json()
    assert {"name": "loras", "folders": ["loras"]} in folders
    [entry] = client.get("/experiment/models/text_encoders").json()
    assert (entry["name"], entry["pathIndex"]) == ("c.safetensors", 0)
    assert client.get("/embeddings").json() == []
    # What comes along for molecules is no diffusion model of ComfyUI.
    assert client.get("/models/diffusion_models").json() == []


def test_loaders_offer_uploads_and_the_inputs_folder(own_server: Hosted) -> None:
    inputs = own_server.services.environment.inputs
    inputs.mkdir(parents=True, exist_ok=True)
    (inputs / "given.png").write_bytes(picture(8, 8))
    (inputs / ".hidden.png").write_bytes(picture(8, 8))
    one, other = own_server.token("one", "run"), own_server.token("two", "run")

    def offered(client: httpx.Client) -> Any:
        info = client.get("/object_info/LoadImage").json()["LoadImage"]
        assert info["input"]["required"]["image"][1]["image_upload"] is True
        return info["input"]["required"]["image"][0]

    with comfyui(own_server, **one) as client:
        files = {"image": ("mine.png", picture(8, 9))}
        assert client.post("/upload/image", files=files).status_code == 200
        files = {"image": ("b.png", picture(8, 10))}
        client.post("/upload/image", files=files, data={"subfolder": "a"})
        client.post("/upload/image", files=files, data={"type": "temp"})
        assert offered(client) == ["a/b.png", "given.png", "mine.png"]
        assert set(client.get("/internal/files/input").json()) == set(offered(client))
        assert client.get("/internal/files/output").json() == []
        assert client.get("/internal/files/nothing").status_code == 404
    with comfyui(own_server, **other) as client:
        assert offered(client) == ["given.png"]


def test_metadata_of_a_model_is_read(server: Hosted, client: httpx.Client) -> None:
    header = json.dumps(
        {
            "__metadata__": {"ss_tag": "cat"},
            "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        }
    ).encode()
    path = server.services.home / "models" / "loras" / "a.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    answer = client.get("/view_metadata/loras", params={"filename": "a.safetensors"})
    assert answer.json() == {"ss_tag": "cat"}
    for name in ("b.safetensors", "../a.safetensors", ""):
        params = {"filename": name}
        assert client.get("/view_metadata/loras", params=params).status_code == 404


def test_what_the_page_asks_at_its_start_is_answered(client: httpx.Client) -> None:
    assert client.get("/features").json()["supports_preview_metadata"] is True
    assert client.get("/users").json() == {"storage": "server", "migrated": True}
    stats = client.get("/system_stats").json()
    assert stats["system"]["ram_total"] > 0
    assert stats["devices"]
    for path in ("/i18n", "/node_replacements", "/global_subgraphs", "/workflow_templates"):
        assert client.get(path).json() == {}
    assert client.get("/extensions").json() == []
    assert client.get("/userdata/user.css").headers["content-type"].startswith("text/css")
    for path in ("/nothing", "/manager/version", "/templates/a.json", "/assets/a.js"):
        assert client.get(path).status_code == 404
        assert client.post(path, json={}).status_code == 404


def test_templates_are_those_of_the_gallery_that_the_page_can_show(client: httpx.Client) -> None:
    [module] = client.get("/templates/index.json").json()
    assert client.get("/templates/index.de.json").json() == [module]
    assert client.get("/templates/index_logo.json").json() == {}
    names = [each["name"] for each in module["templates"]]
    assert names[0] == "text_to_image"
    described = client.get("/object_info").json()
    for name in names:
        document = client.get(f"/templates/{name}.json").json()
        assert {node["type"] for node in document["nodes"]} <= set(described)
        image = client.get(f"/templates/{name}-1.webp")
        assert image.headers["content-type"] == "image/webp"
        assert image.content[8:12] == b"WEBP"


def test_the_log_and_folders_are_for_admins(own_server: Hosted) -> None:
    headers = own_server.token("someone", "run"), own_server.token("boss", "admin")
    paths = ("/internal/logs", "/internal/logs/raw", "/internal/folder_paths")
    for own, expected in zip(headers, (403, 200), strict=True):
        with comfyui(own_server, "/comfyui", **own) as client:
            assert {client.get(path).status_code for path in paths} == {expected}
            change = client.patch("/internal/logs/subscribe", json={"enabled": True})
            assert change.status_code == expected


@pytest.mark.parametrize("damaged", ['{"a": NaN}', "[]", "{", '{"a": 1, "a": 2}', "\xff"])
def test_damaged_settings_are_none(client: httpx.Client, damaged: str) -> None:
    body = damaged.encode("latin-1")
    assert client.post("/userdata/comfy.settings.json", content=body).status_code == 200
    assert "a" not in client.get("/settings").json()
    assert client.post("/settings/b", json=5).status_code == 200
    assert client.get("/settings/b").json() == 5


def test_settings_are_kept_and_merged(server: Hosted, client: httpx.Client) -> None:
    defaults = client.get("/settings").json()
    assert client.post("/settings", json={"a": 1, "b": {"c": [2]}}).status_code == 200
    assert client.post("/settings/a", json="text").status_code == 200
    assert client.get("/settings").json() == {**defaults, "a": "text", "b": {"c": [2]}}
    assert client.get("/settings/b").json() == {"c": [2]}
    assert client.get("/settings/none").json() is None
    assert client.get(f"/userdata/{SETTINGS_FILE}").json() == {"a": "text", "b": {"c": [2]}}
    for body in (b"[1]", b"{", b'{"a": NaN}', b"\xff"):
        answer = client.post("/settings", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]
    server.services.user_files.write("local", SETTINGS_FILE, b"not json")
    assert client.get("/settings").json() == defaults


def test_files_are_written_listed_moved_and_deleted(client: httpx.Client) -> None:
    assert client.get("/userdata", params={"dir": "workflows"}).status_code == 404
    assert client.get("/userdata").status_code == 400
    body = b'{"nodes": []}'
    answer = client.post(
        "/userdata/workflows%2Fa.json?overwrite=false&full_info=true", content=body
    )
    assert (answer.json()["path"], answer.json()["size"]) == ("workflows/a.json", len(body))
    assert client.post("/userdata/workflows%2Fx%2Fb c.json", content=b"1").json() == (
        "workflows/x/b c.json"
    )
    again = client.post("/userdata/workflows%2Fa.json?overwrite=false", content=b"2")
    assert again.status_code == 409
    got = client.get("/userdata/workflows%2Fa.json")
    assert (got.content, got.headers["content-type"]) == (body, "application/json")

    def listed(**query: Any) -> Any:
        return client.get("/userdata", params={"dir": "workflows", **query}).json()

    assert listed() == ["a.json"]
    assert listed(recurse="true") == ["a.json", "x/b c.json"]
    assert listed(recurse="true", split="true")[1] == ["x/b c.json", "x", "b c.json"]
    info = listed(full_info="true")[0]
    assert info["path"] == "a.json"
    assert info["modified"] > 1e12
    entries = client.get("/v2/userdata", params={"path": "workflows"}).json()
    assert [(each["name"], each["type"]) for each in entries] == [
        ("x", "directory"),
        ("a.json", "file"),
    ]
    moved = client.post("/userdata/workflows%2Fx%2Fb c.json/move/workflows%2Fmove%2Fc.json")
    assert moved.json() == "workflows/move/c.json"
    assert client.get("/userdata/workflows%2Fmove%2Fc.json").content == b"1"
    taken = "/userdata/workflows%2Fmove%2Fc.json/move/workflows%2Fa.json?overwrite=false"
    assert client.post(taken).status_code == 409
    assert listed(recurse="true") == ["a.json", "move/c.json"]
    assert client.delete("/userdata/workflows%2Fmove%2Fc.json").status_code == 204
    assert client.delete("/userdata/workflows%2Fmove%2Fc.json").status_code == 404
    assert listed(recurse="true") == ["a.json"]


@pytest.mark.parametrize(
    "name", [".index.json", "a%b.json", "CON", "Ünïcode – 猫.json", "~a", "a:b?.json", "-x", "a "]
)
def test_names_of_any_client_are_kept(server: Hosted, name: str) -> None:
    files = server.services.user_files
    files.write("local", f"workflows/{name}", b"1")
    assert [each.path for each in files.files("local", "workflows", recurse=True)] == [
        f"workflows/{name}"
    ]
    assert files.read("local", f"workflows/{name}") == b"1"
    files.delete("local", f"workflows/{name}")
    assert server.services.user_files.files("local", "", recurse=True) == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "..%2f..%2fetc%2fpasswd",
            "%2e%2e%2fa",
            "a%2f..%2f..%2fb",
            "..%5ca",
            "a%5cb",
            "%00",
            "a%0ab",
        ),
        *("%2fetc%2fpasswd", "a%2f%2fb", "x" * 300, "%ff%2f..", "a%2f.", "%252e%252e/%2e%2e"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_no_path_leads_out_of_the_folder(server: Hosted, path: str, method: str) -> None:
    assert raw(server, method, f"/comfyui/api/userdata/{path}") in (400, 404)
    home = server.services.home
    assert not list(home.glob("**/passwd"))
    assert not [each for each in home.parent.iterdir() if each != home]


def test_links_are_not_followed(server: Hosted, client: httpx.Client, tmp_path: Path) -> None:
    client.post("/userdata/a.txt", content=b"1")
    [own] = (server.services.home / FOLDER).iterdir()
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("secret")
    (own / "folder").symlink_to(secret)
    (own / "file.txt").symlink_to(secret / "key.txt")
    for path in ("folder%2Fkey.txt", "file.txt"):
        assert client.get(f"/userdata/{path}").status_code == 404
    assert client.post("/userdata/folder%2Fnew.txt", content=b"1").status_code == 403
    assert client.post("/userdata/file.txt", content=b"2").status_code == 200
    assert (secret / "key.txt").read_text() == "secret"
    assert sorted(each.name for each in secret.iterdir()) == ["key.txt"]


def test_a_file_may_not_be_a_folder_as_well(client: httpx.Client) -> None:
    client.post("/userdata/a", content=b"1")
    client.post("/userdata/b%2Fc", content=b"1")
    assert client.post("/userdata/a%2Fb", content=b"1").status_code == 403
    assert client.post("/userdata/b", content=b"1").status_code == 403
    assert client.get("/userdata/a").content == b"1"
    assert client.get("/userdata/b%2Fc").content == b"1"


def test_each_client_has_its_own_files(own_server: Hosted) -> None:
    one, other = own_server.token("one", "run"), own_server.token("two", "run")
    reader = own_server.token("three", "read")
    with comfyui(own_server, **one) as client:
        client.post("/userdata/a.json", content=b"1")
        client.post("/settings", json={"a": 1})
    for headers in (other, reader):
        with comfyui(own_server, **headers, **{"Comfy-User": "one"}) as client:
            assert client.get("/userdata/a.json").status_code == 404
            assert "a" not in client.get("/settings").json()
    with comfyui(own_server, **reader) as client:
        assert client.post("/userdata/a.json", content=b"1").status_code == 403
        assert client.post("/settings", json={}).status_code == 403
        assert client.delete("/userdata/a.json").status_code == 403
    with comfyui(own_server) as client:
        assert client.get("/settings").status_code == 401


def test_there_is_room_for_so_much(
    server: Hosted, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_files, "MOST_FILES", 2)
    monkeypatch.setattr(user_files, "MOST_BYTES", 100)
    monkeypatch.setattr(user_files, "LARGEST_FILE", 80)
    assert client.post("/userdata/a", content=b"1" * 60).status_code == 200
    assert client.post("/userdata/b", content=b"1" * 60).status_code == 413
    assert client.post("/userdata/a", content=b"1" * 80).status_code == 200
    assert client.post("/userdata/a", content=b"1" * 81).status_code == 413
    assert client.post("/userdata/b", content=b"1").status_code == 200
    refused = client.post("/userdata/c", content=b"1")
    assert refused.status_code == 413
    assert "no room" in refused.json()["error"]["message"]
    assert client.post("/userdata/c/move/d").status_code == 404


def test_a_backup_has_the_files(home: Path, tmp_path: Path) -> None:
    UserFiles(home / FOLDER).write("local", "workflows/a.json", b"1")
    target, other = tmp_path / "backup.zip", tmp_path / "other"
    backup(Settings(home=home), target)
    restore(Settings(home=other), target)
    assert UserFiles(other / FOLDER).read("local", "workflows/a.json") == b"1"


def test_without_the_setting_the_root_is_the_editors(hosting: Callable[..., Any]) -> None:
    with hosting() as server, comfyui(server, "") as client:
        assert client.get("/object_info").status_code == 404
        assert client.get("/api/object_info").status_code == 404
        assert b"nodegraph" in client.get("/", headers=HTML).content
        assert client.get("/comfyui", headers=HTML).headers["location"] == "/comfyui/"
        assert client.get("/comfyui/", headers=HTML).status_code == 404
        assert client.get("/comfyui/object_info").status_code == 200


def test_the_page_is_below_comfyui(hosting: Callable[..., Any], front_end: Path) -> None:
    with hosting(comfyui_frontend=str(front_end)) as server, comfyui(server, "") as client:
        page = client.get("/comfyui/", headers=HTML)
        assert page.content == PAGE
        assert page.headers["content-security-policy"] == page_policy(PAGE)
        script = client.get("/comfyui/assets/main-1a2b.js")
        assert script.content == SCRIPT
        assert script.headers["content-type"].startswith("text/javascript")
        assert client.get("/comfyui/scripts/app.js").headers["cache-control"] == "no-cache"
        for path in ("secret.txt", "link.txt", "assets", "../secret.txt", "assets/../index.html"):
            assert raw(server, "GET", f"/comfyui/{path}") in (400, 404), path
        same = client.get("/comfyui/", headers={"If-None-Match": page.headers["etag"]})
        assert same.status_code == 304
        # A link elsewhere may lead to it.
        link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        link["Sec-Fetch-Dest"] = "document"
        assert client.get("/comfyui/", headers=link).content == PAGE


def test_the_pages_policy_names_its_own_scripts_alone() -> None:
    policy = page_policy(PAGE)
    assert policy.count("sha256-") == 1
    scripts = policy.partition("script-src")[2].partition(";")[0]
    assert "unsafe-inline" not in scripts
    assert "unsafe-eval" not in scripts.replace("wasm-unsafe-eval", "")
    assert "http" not in policy


def test_with_the_setting_the_root_is_comfyuis(
    hosting: Callable[..., Any], front_end: Path
) -> None:
    with (
        hosting(comfyui=True, comfyui_frontend=str(front_end)) as server,
        comfyui(server, "") as client,
    ):
        assert client.get("/", headers=HTML).content == PAGE
        assert client.get("/assets/main-1a2b.js").content == SCRIPT
        for path in ("/object_info/KSampler", "/api/object_info/KSampler"):
            assert "KSampler" in client.get(path).json()
        assert client.get("/api/v1/system").json()["node_types"]
        assert client.get("/healthz").status_code == 200
        assert client.get("/generate").status_code == 404


def test_with_the_setting_the_editor_is_at_its_own_path(hosting: Callable[..., Any]) -> None:
    with hosting(comfyui=True) as server, comfyui(server, "") as client:
        assert client.get("/", headers=HTML).headers["location"] == "/editor/"
        for path in ("/editor", "/editor/", "/editor/generate"):
            page = client.get(path, headers=HTML)
            assert page.status_code == 200
            assert b'<meta name="root-path" content="/editor"' in page.content
        [asset] = [
            part.split('"')[0]
            for part in page.text.split('src="')[1:]
            if part.startswith("/editor/assets/")
        ][:1]
        assert client.get(asset).status_code == 200
        assert client.get("/editor/favicon.svg").status_code == 200
        # All links that the editor gets lead below its path.
        saved = {"format": "nodegraph/1", "nodes": {}}
        answer = client.put("/editor/api/v1/workflows/a", json=saved)
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"].startswith("/editor/api/v1/workflows/")
        assert client.get("/api/v1/workflows/a").status_code == 200


def test_the_login_leads_back_to_the_editor(home: Path) -> None:
    with hosted(home, comfyui=True, root_path="/studio") as server:
        server.token("someone", "run")
        with comfyui(server, "/studio") as client:
            for path in ("/editor/", "/editor/generate"):
                answer = client.get(path, headers=HTML)
                assert answer.status_code == 303
                target = f"/studio{path}".replace("/", "%2F")
                assert answer.headers["location"] == f"/studio/editor/login?next={target}"
            assert client.get("/comfyui/", headers=HTML).status_code == 303
            assert client.get("/object_info").status_code == 401


def test_a_page_that_is_not_there_is_refused_at_the_start(home: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidValue, match="has no page"),
        hosted(home, comfyui_frontend=str(tmp_path)),
    ):
        pass


def test_a_root_path_that_is_comfyuis_is_refused(home: Path) -> None:
    settings = Settings(home=home)
    assert load_server_settings(settings, {"root_path": "/queue"}).root_path == "/queue"
    with pytest.raises(InvalidFile, match="begins with `/queue`"):
        load_server_settings(settings, {"root_path": "/queue", "comfyui": True})


def test_a_large_workflow_may_be_saved(hosting: Callable[..., Any], known_packs: Path) -> None:
    with hosting(limits={"body": 1 << 20}) as server, comfyui(server) as client:
        answer = client.post("/userdata/workflows%2Fa.json", content=b"1" * (2 << 20))
        assert answer.status_code == 200
        assert client.post("/settings", content=b"1" * (2 << 20)).status_code == 413
