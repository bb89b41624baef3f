"""Workflows in files name no place of the machine, and on request no prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph import Session, Settings
from nodegraph.core.context import Environment
from nodegraph.core.digests import digest_bytes
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.engine.portable_workflow import without_paths, without_prompts
from tests.properties import examples

SECRET = "a secret fox"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(Settings(home=tmp_path_factory.mktemp("home"), device="cpu")) as opened:
        yield opened


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    folders = {name: tmp_path / name for name in ("inputs", "outputs", "models", "temporary")}
    return Environment(
        (folders["models"],), folders["inputs"], folders["outputs"], folders["temporary"]
    )


def loads(path: Any, node_type: str = "LoadImage") -> dict[str, Any]:
    return {"nodes": {"load": {"type": node_type, "inputs": {"path": path}}}}


def test_a_path_in_the_inputs_folder_becomes_relative(
    session: Session, environment: Environment
) -> None:
    path = str(environment.inputs / "pets" / "fox.png")
    portable = without_paths(loads(path), environment, session.registry.spec)
    assert portable == loads("pets/fox.png")


def test_the_inputs_folder_itself_stays_a_folder(
    session: Session, environment: Environment
) -> None:
    document = loads(str(environment.inputs), "LoadImages")
    portable = without_paths(document, environment, session.registry.spec)
    assert portable == loads(".", "LoadImages")


@pytest.mark.parametrize(
    "path",
    [
        "/home/alice/fox.png",
        "~/pictures/fox.png",
        "~alice/fox.png",
        "C:\\Users\\A\\fox.png",
        "../../alice/fox.png",
        "pets/../../alice/fox.png",
    ],
)
def test_a_path_elsewhere_becomes_the_name_of_its_file(
    session: Session, environment: Environment, path: str
) -> None:
    portable = without_paths(loads(path), environment, session.registry.spec)
    assert portable == loads("fox.png")


def test_a_path_that_a_subgraph_passes_on_becomes_the_name_of_its_file(
    session: Session, environment: Environment
) -> None:
    document = {
        "nodes": {"block": {"type": "Open", "inputs": {"photo": "/srv/alice/fox.png"}}},
        "subgraphs": {
            "Open": {
                "inputs": {"photo": {"to": ["load.path"]}},
                "nodes": {"load": {"type": "LoadImage", "inputs": {}}},
                "outputs": {"image": "load.image"},
            }
        },
    }
    portable = without_paths(document, environment, session.registry.spec)
    assert portable["nodes"]["block"]["inputs"] == {"photo": "fox.png"}


def test_a_path_that_stays_in_the_folder_stays(session: Session, environment: Environment) -> None:
    document = loads("pets/../fox.png")
    assert without_paths(document, environment, session.registry.spec) == document


def test_a_path_in_a_linked_text_becomes_the_name_of_its_file(
    session: Session, environment: Environment
) -> None:
    document = loads({"from": "name"})
    document["nodes"]["name"] = {"type": "Text", "inputs": {"text": "/srv/alice/fox.png"}}
    portable = without_paths(document, environment, session.registry.spec)
    assert portable["nodes"]["name"]["inputs"] == {"text": "fox.png"}


def test_files_of_one_name_in_several_folders_get_names_of_their_own(
    session: Session, environment: Environment
) -> None:
    paths = ["/srv/before/fox.png", "/srv/after/fox.png", "fox-2.png", "/srv/before/fox.png"]
    document = {"nodes": {str(at): loads(path)["nodes"]["load"] for at, path in enumerate(paths)}}
    portable = without_paths(document, environment, session.registry.spec)
    names = [node["inputs"]["path"] for node in portable["nodes"].values()]
    assert names[0] == names[3]
    assert len(set(names)) == 3
    assert "fox-2.png" in names


def test_texts_name_neither_the_folder_of_the_user_nor_those_of_the_run(
    session: Session, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    text = f"see /home/alice/notes.txt and {environment.inputs}/fox.png, not /home/alicent"
    document = {
        "description": text,
        "nodes": {"a": {"type": "Text", "note": text, "inputs": {"text": [text]}}},
    }
    written = json.dumps(without_paths(document, environment, session.registry.spec))
    assert written.count("see ~/notes.txt and fox.png, not /home/alicent") == 3
    assert str(environment.inputs) not in written


def test_links_and_what_the_client_sent_stay(session: Session, environment: Environment) -> None:
    path = str(environment.inputs / "fox.png")
    document = {
        "nodes": {"a": {"type": "LoadImage", "inputs": {"path": {"from": "b.text"}}}},
        "metadata": {"prompt": path},
    }
    assert without_paths(document, environment, session.registry.spec) == document


def prompts(nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "t", "nodes": nodes, **more}


ENCODE = {"type": "EncodePrompt", "inputs": {"text": {"from": "text"}, "syntax": "auto"}}
BLOCK = {
    "Describe": {
        "inputs": {
            "subject": {"to": ["join.a"], "default": SECRET},
            "style": {"to": ["encode.syntax"], "default": "auto"},
        },
        "nodes": {
            "join": {"type": "FormatText", "inputs": {"template": f"{{a}}, {SECRET}"}},
            "encode": {"type": "EncodePrompt", "inputs": {"text": {"from": "join"}}},
        },
        "outputs": {"conditioning": "encode.conditioning", "words": "join.text"},
    }
}
TURN: dict[str, Any] = {
    "Turn": {
        "inputs": {"item": {"to": ["encode.text"]}},
        "nodes": {"encode": {"type": "EncodePrompt", "inputs": {}}},
        "outputs": {"result": "encode"},
    }
}
SECRETS: dict[str, dict[str, Any]] = {
    "written": prompts({"a": {"type": "EncodePrompt", "inputs": {"text": SECRET}}}),
    "muted": prompts({"a": {"type": "EncodePrompt", "mode": "mute", "inputs": {"text": SECRET}}}),
    "linked": prompts({"text": {"type": "Text", "inputs": {"text": SECRET}}, "a": ENCODE}),
    "linked twice": prompts(
        {
            "first": {"type": "Text", "inputs": {"text": SECRET}},
            "text": {"type": "FormatText", "inputs": {"a": {"from": "first.text"}}},
            "a": ENCODE,
        }
    ),
    "unknown": prompts({"text": {"type": "gone:Words", "inputs": {"x": [SECRET]}}, "a": ENCODE}),
    "into a subgraph": prompts(
        {"b": {"type": "Describe", "inputs": {"subject": SECRET}}}, subgraphs=BLOCK
    ),
    "linked into a subgraph": prompts(
        {
            "words": {"type": "Text", "inputs": {"text": SECRET}},
            "b": {"type": "Describe", "inputs": {"subject": {"from": "words.text"}}},
        },
        subgraphs=BLOCK,
    ),
    "out of a subgraph": prompts(
        {
            "text": {"type": "Describe", "inputs": {"subject": SECRET}},
            "a": {"type": "EncodePrompt", "inputs": {"text": {"from": "text.words"}}},
        },
        subgraphs=BLOCK,
    ),
    "items of a loop": prompts(
        {"loop": {"type": "ForEach", "inputs": {"body": "Turn", "items": [SECRET]}}},
        subgraphs=TURN,
    ),
    "linked items of a loop": prompts(
        {
            "words": {"type": "Lines", "inputs": {"text": SECRET}},
            "loop": {"type": "ForEach", "inputs": {"body": "Turn", "items": {"from": "words"}}},
        },
        subgraphs=TURN,
    ),
    "items of a grid": prompts(
        {"loop": {"type": "GridSweep", "inputs": {"body": "Cell", "x": [SECRET], "y": [1]}}},
        subgraphs={"Cell": {**TURN["Turn"], "inputs": {"x": {"to": ["encode.text"]}}}},
    ),
    "in the body of a loop": prompts(
        {
            "loop": {"type": "ForEach", "inputs": {"body": "Words", "items": ["x"]}},
            "a": {"type": "EncodePrompt", "inputs": {"text": {"from": "loop.results"}}},
        },
        subgraphs={
            "Words": {
                "inputs": {"item": {"to": ["join.a"]}},
                "nodes": {"join": {"type": "FormatText", "inputs": {"template": SECRET}}},
                "outputs": {"result": "join.text"},
            }
        },
    ),
    "of a sound": prompts({"a": {"type": "SoundConditioning", "inputs": {"text": SECRET}}}),
    "the state of a loop": prompts(
        {"loop": {"type": "Repeat", "inputs": {"body": "Turn", "state": SECRET}}},
        subgraphs={"Turn": {**TURN["Turn"], "inputs": {"state": {"to": ["encode.text"]}}}},
    ),
    "in options": prompts(
        {
            "a": {
                "type": "ConnectLanguageModel",
                "inputs": {"options": json.dumps({"top_k": 20, "system": SECRET})},
            }
        }
    ),
    "in options of a pipeline": prompts(
        {
            "a": {
                "type": "ConnectLanguageModel",
                "inputs": {"options": {"value": {"messages": [{"content": SECRET}]}}},
            }
        }
    ),
    "captions": prompts(
        {"a": {"type": "SetCaptions", "inputs": {"captions": [SECRET], "dataset": {"from": "b"}}}}
    ),
    "a template of captions": prompts(
        {"a": {"type": "EditCaptions", "inputs": {"template": f"{SECRET}, {{caption}}"}}}
    ),
    "a template of a word": prompts(
        {"a": {"type": "TextualInversion", "inputs": {"template": f"{SECRET} {{}}"}}}
    ),
    "below images": prompts({"a": {"type": "ImageGrid", "inputs": {"captions": [SECRET]}}}),
    "what is cut out": prompts({"a": {"type": "SegmentByText", "inputs": {"text": SECRET}}}),
    "of the client": prompts({}, metadata={"prompt": SECRET}),
    "of the import": prompts({}, ui={"comfyui": {"original": SECRET}}),
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_prompt_stays(session: Session, name: str) -> None:
    document = SECRETS[name]
    before = json.dumps(document)
    assert SECRET in before
    assert SECRET not in json.dumps(without_prompts(document, session.registry.spec).workflow)
    assert json.dumps(document) == before


def test_prompts_of_packs_that_do_not_declare_them_are_left_out() -> None:
    ports = [InputSpec(name=name, type="list[str]") for name in ("prompts", "lyrics", "words")]
    spec = NodeSpec(type="singer:Sing", inputs=tuple(ports))
    nodes = {"a": {"type": spec.type, "inputs": {port.name: [SECRET] for port in ports}}}
    left = without_prompts(prompts(nodes), lambda _: spec).workflow["nodes"]["a"]["inputs"]
    assert left == {"prompts": [""], "lyrics": [""], "words": [SECRET]}


def test_other_texts_stay(session: Session) -> None:
    nodes = {
        "text": {"type": "Text", "inputs": {"text": "words"}},
        "draw": {"type": "DrawText", "inputs": {"text": {"from": "text"}}},
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "a": {"type": "EncodePrompt", "inputs": {"text": "", "syntax": "comfyui"}},
    }
    removal = without_prompts(prompts(nodes), session.registry.spec)
    assert (removal.workflow, removal.omitted) == (prompts(nodes), {})


UNUSED: dict[str, dict[str, Any]] = {
    "a text": prompts({"note": {"type": "Text", "inputs": {"text": SECRET}}}),
    "a list": prompts({"note": {"type": "List", "inputs": {"item_1": SECRET, "item_2": 3}}}),
    "a drawing": prompts({"note": {"type": "DrawText", "inputs": {"text": SECRET}}}),
    "an unknown node": prompts({"note": {"type": "gone:Words", "inputs": {"x": {"y": SECRET}}}}),
    "a subgraph": prompts(
        {},
        subgraphs={
            "Idle": {
                "inputs": {"words": {"to": ["draw.text"], "default": SECRET}},
                "nodes": {"draw": {"type": "DrawText", "inputs": {"outline": SECRET}}},
            }
        },
    ),
    "a part of a subgraph": prompts(
        {"draw": {"type": "Draw", "inputs": {}}},
        subgraphs={
            "Draw": {
                "inputs": {},
                "nodes": {
                    "make": {"type": "EmptyImage"},
                    "other": {"type": "DrawText", "inputs": {"text": SECRET}},
                },
                "outputs": {"image": "make.image"},
            }
        },
    ),
}


@pytest.mark.parametrize("name", UNUSED)
def test_no_text_stays_of_nodes_that_the_result_does_not_need(session: Session, name: str) -> None:
    document = UNUSED[name]
    removal = without_prompts(document, session.registry.spec, ["save", "draw/make"])
    assert SECRET not in json.dumps(removal.workflow)
    assert removal.omitted == {}


def test_what_is_no_text_stays_of_nodes_that_the_result_does_not_need(session: Session) -> None:
    inputs = {"width": 8, "color": "#112233", "image": {"from": "load"}}
    nodes = {
        "load": {"type": "LoadImage", "inputs": {"path": "a.png"}},
        "other": {"type": "SaveImage", "inputs": {"name": "secret/fox", "format": "webp"}},
        "grid": {"type": "EmptyImage", "inputs": inputs},
    }
    left = without_prompts(prompts(nodes), session.registry.spec, ["save"]).workflow["nodes"]
    assert left["load"]["inputs"] == {"path": "a.png"}
    # Its default, so that it still runs.
    name = session.registry.spec("SaveImage").inputs_by_name["name"].default
    assert left["other"]["inputs"] == {"name": name, "format": "webp"}
    assert left["grid"]["inputs"]["width"] == 8
    assert left["grid"]["inputs"]["image"] == {"from": "load"}


def test_texts_of_the_body_of_a_loop_on_the_path_stay(session: Session) -> None:
    body = {
        "inputs": {"item": {"to": ["draw.image"]}},
        "nodes": {"draw": {"type": "DrawText", "inputs": {"text": "words"}}},
        "outputs": {"result": "draw"},
    }
    loop = {"type": "ForEach", "inputs": {"body": "Turn", "items": {"from": "load"}}}
    document = prompts({"loop": loop}, subgraphs={"Turn": body})
    removal = without_prompts(document, session.registry.spec, ["loop"])
    assert (removal.workflow, removal.omitted) == (document, {})


def test_values_that_are_left_out_are_named(session: Session) -> None:
    document = SECRETS["linked"]
    removal = without_prompts(document, session.registry.spec, ["text", "a"])
    assert removal.omitted == {"text.text": digest_bytes(json.dumps(SECRET).encode())}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["nodes", "a", "type", "inputs", "to", "from", "default", "Text"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=examples(60), deadline=None)
@given(nodes=JSON, blocks=JSON, ui=JSON)
def test_any_document_is_taken(session: Session, nodes: Any, blocks: Any, ui: Any) -> None:
    document = {"nodes": nodes, "subgraphs": blocks, "ui": ui}
    environment = session.environment
    for changed in (
        without_paths(document, environment, session.registry.spec),
        without_prompts(document, session.registry.spec).workflow,
        without_prompts(document, session.registry.spec, ["a", "b/c[0]"]).workflow,
    ):
        json.dumps(changed)
