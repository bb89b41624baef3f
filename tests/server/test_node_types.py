"""Node types over HTTP: what packs declare, without their code in the server's process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator, meta

from tests.server.hosting import Hosted, read_pack


def listed(server: Hosted) -> dict[str, dict[str, Any]]:
    return {item["type"]: item for item in server.client.get("/node-types").json()["items"]}


def test_all_packs_node_types_are_listed_with_all_that_an_editor_needs(server: Hosted) -> None:
    types = listed(server)
    assert {"KSampler", "SaveImage", "sums:Sum"} <= types.keys()
    sampler = types["KSampler"]
    assert (sampler["pack"], sampler["category"], sampler["lane"]) == ("", "sampling", "gpu")
    assert sampler["summary"]
    assert [port["name"] for port in sampler["outputs"]] == ["latent"]
    ports = {port["name"]: port for port in sampler["inputs"]}
    assert (ports["latent"]["type"], ports["latent"]["json_schema"]) == ("Latent", None)
    assert ports["steps"]["json_schema"]["type"] == "integer"
    assert ports["steps"]["help"]
    assert types["sums:Sum"]["pack"] == "sums"


def test_where_code_lies_is_not_told(server: Hosted) -> None:
    text = server.client.get("/node-types").text
    assert str(server.services.home) not in text
    for item in listed(server).values():
        assert not {"module", "qualname", "hooks"} & item.keys()


def test_the_schema_of_inputs_says_what_may_be_written(server: Hosted) -> None:
    schema = listed(server)["sums:Sum"]["inputs_schema"]
    assert meta.is_valid(schema)
    check = Draft202012Validator(schema)
    for good in ({"a": 1}, {"a": {"from": "x.y"}, "b": 2}, {"a": {"value": 3}}, {}):
        assert check.is_valid(good)
    for bad in ({"a": "x"}, {"a": 1.5}, {"c": 1}, {"a": {"form": "x"}}):
        assert not check.is_valid(bad)


def test_every_schema_is_one(server: Hosted) -> None:
    for item in listed(server).values():
        assert meta.is_valid(item["inputs_schema"]), item["type"]


def test_port_types_have_their_colours_and_supertypes(server: Hosted) -> None:
    found = {item["name"]: item for item in server.client.get("/node-types").json()["port_types"]}
    assert found["Image"]["color"] == "#64b5f6"
    assert {"Any", "Latent", "Conditioning"} <= found.keys()


def test_a_list_that_the_client_has_is_not_sent_again(server: Hosted) -> None:
    tag = server.client.get("/node-types").headers["etag"]
    again = server.client.get("/node-types", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert server.client.get("/node-types").headers["etag"] == tag
    other = server.client.get("/node-types", headers={"If-None-Match": '"x"'})
    assert other.status_code == 200


def test_one_of_them_can_be_had_alone(server: Hosted) -> None:
    answer = server.client.get("/node-types/sums:Sum")
    assert answer.json() == listed(server)["sums:Sum"]
    tag = {"If-None-Match": answer.headers["etag"]}
    assert server.client.get("/node-types/sums:Sum", headers=tag).status_code == 304


def summaries(server: Hosted, **query: Any) -> dict[str, Any]:
    answer = server.client.get("/node-types/summaries", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_summaries_come_in_pages_and_lead_to_the_whole_node_types(server: Hosted) -> None:
    items, cursor = [], None
    while True:
        page = summaries(server, limit=200, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) <= 200
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    whole = listed(server)
    assert [item["type"] for item in items] == sorted(whole)
    for item in items:
        known = whole[item["type"]]
        assert all(known[name] == value for name, value in item.items() if name != "href")
    (found,) = (item for item in items if item["type"] == "sums:Sum")
    assert httpx.get(f"{server.url}{found['href']}", trust_env=False).json() == whole["sums:Sum"]


def test_summaries_are_a_small_part_of_the_whole_list(server: Hosted) -> None:
    page = server.client.get("/node-types/summaries", headers={"Accept-Encoding": "identity"})
    assert len(page.json()["items"]) == 100
    assert len(page.content) < 64 << 10


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"search": "LOOKS beforehand"}, ["sums:Checked"]),
        ({"search": "looks afterwards"}, []),
        ({"pack": "", "search": "looks beforehand"}, []),
        ({"category": "sampling", "search": "KSampler simple"}, []),
        ({"category": "no such"}, []),
    ],
)
def test_summaries_are_searched(server: Hosted, query: dict[str, str], expected: list[str]) -> None:
    assert [item["type"] for item in summaries(server, **query)["items"]] == expected


def test_a_category_holds_its_sub_categories(server: Hosted) -> None:
    whole = listed(server).values()
    expected = {item["type"] for item in whole if f"{item['category']}/".startswith("sampling/")}
    found = summaries(server, category="sampling", limit=1000)["items"]
    assert {item["type"] for item in found} == expected > {"KSampler"}


def test_built_in_node_types_are_the_pack_without_a_name(server: Hosted) -> None:
    found = summaries(server, pack="", limit=1000)["items"]
    assert found
    assert {item["pack"] for item in found} == {""}


def test_summaries_that_the_client_has_are_not_sent_again(server: Hosted) -> None:
    path = "/node-types/summaries"
    tag = server.client.get(path).headers["etag"]
    again = server.client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = server.client.get(f"{path}?limit=2", headers={"If-None-Match": tag})
    assert other.status_code == 200
    plain = server.client.get(path, headers={"Accept-Encoding": "identity"})
    packed = server.client.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert plain.headers["etag"] != packed.headers["etag"]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"cursor": "x" * 600}])
def test_a_page_of_summaries_that_can_not_be_is_refused(
    server: Hosted, query: dict[str, Any]
) -> None:
    assert server.client.get("/node-types/summaries", params=query).status_code == 422


@pytest.mark.parametrize("name", ["Ksampler", "sums:Summ", "..", "x" * 400, "a:b:c", "%C3%28"])
def test_one_that_there_is_not_is_not_found(server: Hosted, name: str) -> None:
    assert server.client.get(f"/node-types/{name}").status_code == 404


def test_the_nearest_name_is_told(server: Hosted) -> None:
    answer = server.client.get("/node-types/sums:Summ").json()
    assert answer["problems"][0]["hint"] == "Did you mean `sums:Sum`?"


def test_the_etag_is_of_the_content(hosting: Callable[..., Any], home: Path) -> None:
    def answer(**headers: str) -> httpx.Response:
        with hosting() as server:
            found: httpx.Response = server.client.get("/node-types", headers=headers)
            return found

    tag = answer().headers["etag"]
    assert answer(**{"If-None-Match": tag}).status_code == 304
    file = home / "packs" / "sums.py"
    file.write_text(file.read_text().replace('"""A sum."""', '"""Two numbers together."""'))
    read_pack(home, "sums.py")
    changed = answer(**{"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    assert "Two numbers together." in changed.text


def test_who_may_read_may_see_them_and_nobody_else(own_server: Hosted) -> None:
    reader = own_server.token("ann", "read")
    assert own_server.client.get("/node-types", headers=reader).status_code == 200
    for path in ("/node-types", "/node-types/KSampler"):
        assert own_server.client.get(path).status_code == 401


def test_no_pack_and_no_torch_is_imported_by_the_server(home: Path) -> None:
    code = """
import sys
from pathlib import Path
from tests.server.hosting import hosted
with hosted(Path(sys.argv[1])) as server:
    for path in ("/node-types", "/node-types/KSampler", "/models", "/templates", "/apps"):
        assert server.client.get(path).status_code == 200, path
    assert len(server.client.get("/node-types").json()["items"]) > 20
    names = [name.partition(".")[0] for name in sys.modules]
    print(sorted({"torch", "nodegraph_nodes", "nodegraph_packs", "diffusers"} & set(names)))
"""
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", code, str(home)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.strip() == "[]", ended.stderr


def test_the_answer_is_plain_ascii(server: Hosted) -> None:
    answer = server.client.get("/node-types")
    assert answer.content.isascii()
    assert json.loads(answer.content)["next"] is None


@pytest.mark.parametrize(
    ("accepted", "sent"), [("gzip", "gzip"), ("gzip, br;q=0.9", "br"), ("br;q=0, gzip", "gzip")]
)
def test_the_list_is_sent_packed_to_who_takes_it_so(
    server: Hosted, accepted: str, sent: str
) -> None:
    path = "/node-types"
    plain = server.client.get(path, headers={"Accept-Encoding": "identity"})
    packed = server.client.get(path, headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == sent
    assert int(packed.headers["content-length"]) < len(plain.content) / 4
    assert packed.json() == plain.json()
    assert plain.headers["etag"] != packed.headers["etag"]
    for answer in (plain, packed):
        asked = {
            "Accept-Encoding": accepted if answer is packed else "identity",
            "If-None-Match": answer.headers["etag"],
        }
        assert server.client.get(path, headers=asked).status_code == 304


def test_the_compact_list_and_the_help_are_together_the_whole_list(server: Hosted) -> None:
    whole = server.client.get("/node-types").json()
    compact = server.client.get("/node-types/compact")
    texts = server.client.get("/node-types/help")
    for answer in (compact, texts):
        known = {"If-None-Match": answer.headers["etag"]}
        assert server.client.get(str(answer.url), headers=known).status_code == 304
    missing = (False, None, "", (), [], {})
    apart = {"help", "summary", "tags", "inputs_schema"}

    def completed(fields: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
        absent = like.keys() - fields.keys()
        assert all(like[name] in missing for name in absent - apart)
        return {**{name: like[name] for name in absent}, **fields}

    assert {**compact.json(), "items": []} == {**whole, "items": []}
    for item, like in zip(compact.json()["items"], whole["items"], strict=True):
        assert not item.keys() & {"help", "summary", "tags"}
        words = texts.json()["items"][like["type"]]
        assert all(words[name] == like[name] for name in ("help", "summary", "tags"))
        for side in ("inputs", "outputs"):
            ports = item.get(side, [])
            assert not any("help" in port for port in ports)
            assert all(
                "default" in port or like_port.get("default") is None
                for port, like_port in zip(ports, like[side], strict=True)
            )
            assert words[side] == {
                port["name"]: port["help"] for port in like[side] if port["help"]
            }
            item[side] = [completed(*pair) for pair in zip(ports, like[side], strict=True)]
        assert completed(item, like) == like
    assert (
        len(compact.content) + len(texts.content)
        < len(server.client.get("/node-types").content) / 2
    )


def test_names_and_help_are_sent_in_a_language(server: Hosted) -> None:
    names = server.client.get("/node-types/names", params={"language": "de"})
    found = names.json()
    assert found["language"] == "de"
    assert (found["types"]["LoadImage"], found["categories"]["image"]) == ("Bild laden", "Bild")
    assert found["ports"][""]["image"] == "Bild"
    # A pack without translations has the common names of ports.
    assert "sums:Sum" not in found["types"]
    english = server.client.get("/node-types/help").json()["items"]
    german = server.client.get("/node-types/help", params={"language": "de"}).json()["items"]
    assert german.keys() == english.keys()
    guider, other = german["AdaptiveGuider"], english["AdaptiveGuider"]
    assert guider["tags"] == other["tags"]
    assert guider["inputs"].keys() == other["inputs"].keys()
    assert guider["summary"].startswith("Adaptive Guidance: ")
    assert guider["inputs"]["positive"] != other["inputs"]["positive"]
    assert german["sums:Sum"] == english["sums:Sum"]
    for language in ("tlh", "en", "xx-Yyyy-ZZ"):
        query = {"language": language}
        nothing = {"language": "en", "types": {}, "categories": {}, "ports": {}}
        assert server.client.get("/node-types/names", params=query).json() == nothing
        assert server.client.get("/node-types/help", params=query).json()["items"] == english


def test_texts_of_languages_have_tags_of_their_own(server: Hosted) -> None:
    tags = set()
    for path in ("/node-types/names?language=de", "/node-types/names?language=ja"):
        answer = server.client.get(path)
        known = {"If-None-Match": answer.headers["etag"]}
        assert server.client.get(path, headers=known).status_code == 304
        tags.add(answer.headers["etag"])
        packed = server.client.get(path, headers={"Accept-Encoding": "br"})
        assert packed.headers["content-encoding"] == "br"
        assert packed.json() == answer.json()
    assert len(tags) == 2
    assert server.client.get("/node-types/names").status_code == 422
    assert server.client.get(f"/node-types/names?language={'x' * 36}").status_code == 422


def test_a_pack_brings_translations_that_are_reread_when_they_change(
    home: Path, hosting: Callable[..., Any]
) -> None:
    file = home / "packs" / "tints" / "translations" / "fr.po"
    file.parent.mkdir(parents=True)
    code = "from nodegraph import node\n\n@node\ndef Tint(a: int) -> int:\n    return a\n"
    file.parents[1].joinpath("nodes.py").write_text(code)
    assert read_pack(home, "tints") == ["tints:Tint"]
    message = 'msgctxt "node name"\nmsgid "Tint"\nmsgstr "{}"\n'
    for label in ("Teinte", "Nuance"):
        file.write_text(message.format(label), encoding="utf-8")
        with hosting() as server:
            found = server.client.get("/node-types/names", params={"language": "fr"}).json()
            assert found["types"]["tints:Tint"] == label
            assert server.services.node_types.now.is_unchanged()
            file.write_text("nonsense")
            assert not server.services.node_types.now.is_unchanged()
    with hosting() as server:
        listed = server.client.get("/node-types/compact").json()
        assert any("pack `tints`" in each and "gettext" in each for each in listed["problems"])
        assert "tints:Tint" in {item["type"] for item in listed["items"]}


def test_examples_are_served_with_their_pictures_and_files(server: Hosted) -> None:
    example = listed(server)["ResizeImage"]["example"]
    assert example["needs"] == ["apple.png"]
    get = server.client.get
    base = "/node-types/ResizeImage/example"
    assert (example["href"], example["picture"]) == (f"/api/v1{base}", f"/api/v1{base}/picture")
    assert get(base).json()["nodes"]
    picture = get(f"{base}/picture")
    assert (picture.headers["content-type"], picture.content[8:12]) == ("image/webp", b"WEBP")
    tag = {"If-None-Match": picture.headers["etag"]}
    assert get(f"{base}/picture", headers=tag).status_code == 304
    assert get(f"{base}/files/apple.png").content.startswith(b"\x89PNG")
    assert get(f"{base}/files/other.png").status_code == 404


def test_folders_of_examples_are_brought_to_the_inputs_once(own_server: Hosted) -> None:
    inputs = own_server.services.environment.inputs
    reader, runner = own_server.token("ann", "read"), own_server.token("bob", "run")
    types = {
        each["type"]: each
        for each in own_server.client.get("/node-types", headers=reader).json()["items"]
    }
    assert types["JoinDatasets"]["example"]["folders"] == ["fruit"]
    # There it is the name of a node.
    assert types["BlendLatents"]["example"]["folders"] == []
    path = "/node-types/JoinDatasets/example/folders"
    assert own_server.client.post(path, headers=reader).status_code == 403
    assert not inputs.exists()
    assert own_server.client.post(path, headers=runner).status_code == 204
    assert (inputs / "fruit/apple/1.txt").is_file()
    (inputs / "fruit/apple/1.txt").write_text("mine")
    assert own_server.client.post(path, headers=runner).status_code == 204
    assert (inputs / "fruit/apple/1.txt").read_text() == "mine"
    assert [path.name for path in inputs.iterdir()] == ["fruit"]


def test_a_node_type_without_an_example_says_so(server: Hosted) -> None:
    assert listed(server)["sums:Sum"]["example"] is None
    for path in ("example", "example/picture", "example/files/apple.png"):
        assert server.client.get(f"/node-types/sums:Sum/{path}").status_code == 404
    assert server.client.get("/node-types/KSampler/example/files/apple.png").status_code == 404


def test_only_who_may_read_sees_examples(own_server: Hosted) -> None:
    reader = own_server.token("ann", "read")
    for path in ("example", "example/picture"):
        assert own_server.client.get(f"/node-types/KSampler/{path}").status_code == 401
        answer = own_server.client.get(f"/node-types/KSampler/{path}", headers=reader)
        assert answer.status_code == 200
