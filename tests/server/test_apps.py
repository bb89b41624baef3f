"""Apps' parameters: from the ports that they feed to schemas, fields and values, and back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator, meta

from nodegraph.core.literals import check_literal
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.errors import InvalidWorkflow
from nodegraph.server.content.apps import App, build_app
from nodegraph.server.content.apps.app import (
    app_paths,
    parameters_schema,
    parse_values,
    whole_schema,
)
from nodegraph.server.content.apps.responses import (
    LONGEST_WAIT,
    accepts_type,
    form_page,
    negotiate_format,
    requested_wait,
)
from nodegraph.server.content.pages import Markup, element, joined
from nodegraph.server.content.saved import SavedWorkflow, Version
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.request_bodies import BadForm, PartBegins, PartEnds, form_events
from nodegraph.server.workflows.node_types import DeclaredTypes
from tests.messages import raises
from tests.properties import examples

PORTS: dict[str, tuple[dict[str, Any] | None, dict[str, Any]]] = {
    "text": ({"type": "string"}, {"type": "str", "widget": "multiline", "help": "What to see."}),
    "line": ({"type": "string"}, {"type": "str", "required": False, "default": "plain"}),
    "seed": (
        {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
        {"type": "int", "widget": "seed", "required": False, "default": 0},
    ),
    "cfg": (
        {"type": "number", "minimum": 0, "maximum": 100},
        {"type": "float", "required": False, "default": 7.0, "step": 0.5},
    ),
    "wide": (
        {"type": "integer", "minimum": 8, "maximum": 4096, "multipleOf": 8},
        {"type": "int", "required": False, "default": 512},
    ),
    "kind": ({"enum": ["a", "b <c>", 3]}, {"type": "str", "required": False, "default": "a"}),
    "open": ({"type": "boolean"}, {"type": "bool", "required": False, "default": True}),
    "maybe": (
        {"type": "integer", "minimum": 1},
        {"type": "int", "required": False, "nullable": True, "advanced": True},
    ),
    "names": (
        {"type": "array", "items": {"type": "string"}},
        {"type": "list[str]", "required": False, "nullable": True},
    ),
    "any": ({}, {"type": "Any", "required": False, "default": None}),
    "picture": ({"type": "string"}, {"type": "str", "widget": "file:image"}),
    "model": ({"type": "string"}, {"type": "str", "widget": "file:model"}),
    "image": (None, {"type": "Image"}),
}
SPEC = NodeSpec(
    type="Paint",
    output=True,
    inputs=tuple(
        InputSpec(name=name, json_schema=schema, **more) for name, (schema, more) in PORTS.items()
    ),
)
TYPES = DeclaredTypes(specs={"Paint": SPEC})
USABLE = [name for name in PORTS if name != "image"]


def app(parameters: Any = None, inputs: dict[str, Any] | None = None, **more: Any) -> App:
    document = {
        "format": "nodegraph/1",
        "parameters": {name: f"paint.{name}" for name in USABLE}
        if parameters is None
        else parameters,
        "nodes": {"paint": {"type": "Paint", "inputs": inputs or {}}},
        **more,
    }
    text = json.dumps(document)
    return build_app(SavedWorkflow("painter", Version(3, "d" * 64, 0.0, len(text)), text), TYPES)


def test_parameters_are_those_of_the_ports_that_they_feed() -> None:
    found = app()
    assert [each.name for each in found.parameters] == USABLE
    assert found.problems == ()
    assert (found.title, found.version) == ("painter", 3)
    assert [(output.node, output.type) for output in found.outputs] == [("paint", "Paint")]


def test_what_the_workflow_gives_is_the_default() -> None:
    found = app(inputs={"text": "a fox", "cfg": {"value": 3}, "wide": {"from": "other"}})
    by_name = {each.name: each for each in found.parameters}
    assert (by_name["text"].default, by_name["text"].is_required) == ("a fox", False)
    assert by_name["cfg"].default == 3
    assert (by_name["wide"].default, by_name["wide"].is_required) == (None, False)
    assert by_name["seed"].default == 0
    assert by_name["picture"].is_required


def test_a_parameter_may_say_what_it_is_for() -> None:
    given = {"prompt": {"input": "paint.text", "label": "Prompt", "help": "In words."}}
    (parameter,) = app(given).parameters
    assert (parameter.label, parameter.help) == ("Prompt", "In words.")
    (parameter,) = app({"my_text": "paint.text"}).parameters
    assert (parameter.label, parameter.help) == ("My text", "What to see.")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("paint.image", "link-needed"),
        ("paint.nothing", "unknown-input"),
        ("other.text", "unknown-node"),
        ("paint", "bad-target"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_told_and_the_others_stay(
    target: str, code: str
) -> None:
    found = app({"wrong": target, "text": "paint.text"})
    assert [each.name for each in found.parameters] == ["text"]
    assert [problem.code for problem in found.problems] == [code]


def test_the_schema_takes_what_the_ports_take() -> None:
    schema = whole_schema(app())
    assert meta.is_valid(schema)
    assert schema["required"] == ["text", "picture", "model"]
    check = Draft202012Validator(schema)
    good = {"text": "x", "picture": "upload:x", "model": "tiny"}
    for more in (
        {"seed": 2**62, "cfg": 1.5, "wide": 64, "kind": 3, "open": False, "maybe": None},
        {"names": ["a"], "any": {"x": [1]}},
        {"names": None},
    ):
        assert check.is_valid({**good, **more})
    for bad in ({"seed": -1}, {"wide": 9}, {"kind": "c"}, {"open": 1}, {"maybe": 0}, {"x": 1}):
        assert not check.is_valid({**good, **bad})
    assert not check.is_valid({})


def test_defaults_in_the_schema_are_valid_themselves() -> None:
    schema = parameters_schema(app(inputs={"cfg": 1, "kind": "gone", "names": ["a", "b"]}))
    found = {
        name: each["default"] for name, each in schema["properties"].items() if "default" in each
    }
    assert found["cfg"] == 1
    assert found["names"] == ["a", "b"]
    assert "kind" not in found
    for name, default in found.items():
        assert check_literal(default, SPEC.inputs_by_name[name]) == []


def test_each_app_has_an_entry_in_the_description() -> None:
    (path, item) = next(iter(app_paths([app(title="Paint it", description="Well.")]).items()))
    operation = item["post"]
    assert path == "/api/v1/apps/painter"
    assert (operation["summary"], operation["description"]) == ("Paint it", "Well.")
    content = operation["requestBody"]["content"]
    picture = content["multipart/form-data"]["schema"]["properties"]["picture"]
    assert (picture["type"], picture["format"]) == ("string", "binary")
    assert content["application/json"]["schema"]["additionalProperties"] is False


# Texts of forms


def test_texts_become_values_of_the_ports_types() -> None:
    texts = {
        "text": ['say "hi"\r\nand go'],
        "line": ["12"],
        "seed": ["18446744073709551615"],
        "cfg": ["2.5"],
        "wide": ["64"],
        "kind": ["3"],
        "open": ["false"],
        "maybe": ["4"],
        "names": ['["a", "b"]'],
        "any": ['{"x": 1}'],
    }
    assert parse_values(app(), texts) == {
        "text": 'say "hi"\nand go',
        "line": "12",
        "seed": 2**64 - 1,
        "cfg": 2.5,
        "wide": 64,
        "kind": 3,
        "open": False,
        "maybe": 4,
        "names": ["a", "b"],
        "any": {"x": 1},
    }


def test_fields_left_empty_are_not_given() -> None:
    texts = {name: [""] for name in USABLE}
    # An empty text is a text, where none had to be given otherwise.
    assert parse_values(app(), texts) == {"text": "", "line": "", "model": ""}
    assert parse_values(app(inputs={"text": ""}), {"text": [""]}) == {}
    assert parse_values(app(inputs={"text": "fox"}), {"text": [""]}) == {"text": ""}


def test_several_fields_of_a_name_are_a_list_where_one_is_taken() -> None:
    assert parse_values(app(), {"names": ["a", "1"]}) == {"names": ["a", "1"]}
    with raises(InvalidWorkflow, node="paint", port="seed", given="1, 2"):
        parse_values(app(), {"seed": ["1", "2"]})


def test_all_that_is_wrong_is_told_with_its_place() -> None:
    texts = {"seed": ["-1"], "cfg": ["x"], "wide": ["9"], "kind": ["c"], "tetx": ["y"]}
    with pytest.raises(InvalidWorkflow) as caught:
        parse_values(app(), texts)
    found = {(problem.node, problem.port) for problem in caught.value.problems}
    assert found == {("paint", name) for name in ("seed", "cfg", "wide", "kind")} | {(None, None)}
    (unknown,) = [each for each in caught.value.problems if each.port is None]
    assert unknown.hint == "Did you mean `text`?"


@settings(max_examples=examples(300), deadline=None)
@given(name=st.sampled_from(USABLE), text=st.text(max_size=30) | st.integers().map(str))
def test_any_text_is_a_value_that_the_port_takes_or_is_refused(name: str, text: str) -> None:
    try:
        values = parse_values(app(), {name: [text]})
    except InvalidWorkflow:
        return
    for value in values.values():
        assert check_literal(value, SPEC.inputs_by_name[name]) == []


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40)


class Reader(HTMLParser):
    """What a browser makes of a form."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._field = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.append((tag, found))
        name = found.get("name") or ""
        if tag in ("select", "textarea"):
            self._field = name
            self.texts[name] = [""] if tag == "textarea" else []
        elif tag == "option" and ("selected" in found or not self.texts[self._field]):
            self.texts[self._field] = [found.get("value") or ""]
        elif tag == "input" and found.get("type") != "file":
            self.texts[name] = [found.get("value") or ""]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "textarea":
            self.texts[self._field] = [data.removeprefix("\n")]


def page(shown: App, **more: Any) -> str:
    return bytes(form_page(shown, **more).body).decode()


def test_a_form_that_is_sent_as_it_is_changes_nothing() -> None:
    inputs = {
        "text": "\n a fox\n & <b>",
        "seed": 7,
        "cfg": 2.5,
        "kind": "b <c>",
        "open": False,
        "maybe": 3,
        "names": ["x", 'y"'],
        "any": {"k": [None]},
        "model": "tiny",
    }
    found = app(inputs=inputs)
    assert parse_values(found, Reader(page(found)).texts) == {
        **inputs,
        "line": "plain",
        "wide": 512,
    }


@settings(max_examples=examples(100), deadline=None)
@given(text=TEXT, line=TEXT, title=TEXT)
def test_any_text_survives_the_form(text: str, line: str, title: str) -> None:
    found = app(inputs={"text": text, "line": line}, title=title, description=text)
    sent = Reader(page(found)).texts
    values = parse_values(found, {name: sent[name] for name in ("text", "line")})
    assert values.get("text", "") == text
    assert values.get("line", "") == line


def test_nothing_that_was_written_becomes_markup() -> None:
    bad = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    parameters = {
        bad: {"input": "paint.text", "label": bad, "help": bad},
        "line": {"input": "paint.line", "help": bad},
    }
    found = app(parameters, {"text": bad, "line": bad}, title=bad, description=bad)
    for shown in (page(found), page(found, texts={bad: [bad], "line": [bad]})):
        tags = Reader(shown).tags
        assert not {"script", "img"} & {tag for tag, _ in tags}
        assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
        assert "style" not in {name for _, attributes in tags for name in attributes}


def test_a_field_is_what_its_port_takes() -> None:
    tags = Reader(page(app())).tags
    fields = {
        attributes["name"]: (tag, attributes) for tag, attributes in tags if "name" in attributes
    }
    assert fields["text"][0] == "textarea"
    assert (fields["seed"][1]["type"], fields["seed"][1]["max"]) == ("number", str(2**64 - 1))
    assert (fields["cfg"][1]["step"], fields["wide"][1]["step"]) == ("any", "8")
    assert fields["kind"][0] == fields["open"][0] == "select"
    assert (fields["picture"][1]["type"], "required" in fields["text"][1]) == ("file", True)
    assert fields["picture"][1]["accept"] == "image/png,image/jpeg,image/webp,image/gif"
    assert fields["model"][1]["type"] == "text"
    form = dict(tags)["form"]
    assert (form["method"], form["enctype"]) == ("post", "multipart/form-data")
    labels = [attributes["for"] for tag, attributes in tags if tag == "label"]
    assert labels == [fields[name][1]["id"] for name in USABLE if name != "maybe"] + ["field-maybe"]


def test_what_was_entered_and_what_is_wrong_are_shown_again() -> None:
    texts = {"text": ["a fox"], "seed": ["-1"], "tetx": ["x"]}
    with pytest.raises(InvalidWorkflow) as caught:
        parse_values(app(), texts)
    answer = form_page(app(), texts=texts, problems=caught.value.problems, status=422)
    shown = bytes(answer.body).decode()
    assert answer.status_code == 422
    assert Reader(shown).texts["text"] == ["a fox"]
    assert Reader(shown).texts["seed"] == ["-1"]
    assert "is too small" in shown
    assert "no such parameter" in unescape(shown)


def test_what_is_wrong_is_shown_at_the_field_of_its_own_node() -> None:
    nodes = {name: {"type": "Paint", "inputs": {}} for name in ("one", "two")}
    found = app({"first": "one.seed", "second": "two.seed"}, nodes=nodes)
    with pytest.raises(InvalidWorkflow) as caught:
        parse_values(found, {"first": ["-1"], "second": ["1"]})
    shown = page(found, texts={"first": ["-1"], "second": ["1"]}, problems=caught.value.problems)
    first, second = shown.split('name="second"')
    assert "is too small" in first
    assert "is too small" not in second
    assert 'role="alert"' not in shown


def test_a_page_allows_its_own_style_and_no_script() -> None:
    answer = form_page(app())
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe-inline" not in policy
    # Without a referrer, a browser would send the form with the origin `null`.
    assert answer.headers["referrer-policy"] == "same-origin"
    assert re.search(r"style-src 'sha256-[\w+/=]+'", policy)


def test_elements_escape_texts_and_attributes() -> None:
    made = element("a", "<&>", element("br"), href='"x"', title=None, hidden=True, class_="b")
    assert made == '<a href="&quot;x&quot;" hidden class="b">&lt;&amp;&gt;<br></a>'
    assert joined(["<", Markup("<b>"), "\ud800\0"]) == "&lt;<b>\ufffd\ufffd"


# What a client wants


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/html", "html"),
        ("image/*", "image"),
        ("image/png", "image"),
        ("image/*, application/json;q=0.5", "image"),
        ("image/*;q=0.5, application/json", "json"),
        ("text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8", "html"),
        ("text/html;q=0, */*", "json"),
        ("audio/ogg", "json"),
        ("nonsense", "json"),
        ("image/png;q=x", "image"),
    ],
)
def test_a_client_gets_what_it_likes_most(accept: str | None, form: str) -> None:
    assert negotiate_format(accept) == form


@given(st.text(max_size=60))
def test_no_accept_header_breaks_the_reader(header: str) -> None:
    assert negotiate_format(header) in ("json", "html", "image")
    assert accepts_type(header, "image/png") in (True, False)


def test_a_type_is_taken_if_what_is_said_of_it_in_particular_allows_it() -> None:
    assert accepts_type("image/*", "image/png")
    assert not accepts_type("image/*, image/png;q=0", "image/png")
    assert not accepts_type("image/webp", "image/png")
    assert accepts_type(None, "image/png")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["wait=30"], 30.0),
        (["respond-async, wait=10"], 10.0),
        (["return=minimal", 'Wait = "5"'], 5.0),
        (["wait=5; x=y"], 5.0),
        (["wait=999999999"], LONGEST_WAIT),
        (["wait=-1"], None),
        (["wait=x"], None),
        (["wait=" + "9" * 5000], None),
        (["wait=0"], 0.0),
    ],
)
def test_a_client_waits_as_long_as_it_says(headers: list[str], seconds: float | None) -> None:
    assert requested_wait(headers) == seconds


# Forms of several parts


def parts_of(data: bytes, kind: str, size: int) -> list[tuple[str, str | None, bytes]]:
    async def main() -> list[tuple[str, str | None, bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(data), size):
                yield data[start : start + size]

        found: list[tuple[str, str | None, bytes]] = []
        async for event in form_events(chunks(), kind):
            if isinstance(event, PartBegins):
                found.append((event.name, event.filename, b""))
            elif not isinstance(event, PartEnds):
                name, filename, content = found[-1]
                found[-1] = (name, filename, content + event)
        return found

    return asyncio.run(main())


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=8
)
PARTS = st.lists(
    st.tuples(NAMES, st.none() | NAMES, st.binary(max_size=60)), min_size=1, max_size=4
)


@settings(max_examples=examples(150), deadline=None)
@given(parts=PARTS, size=st.integers(1, 50))
def test_a_form_is_read_as_it_was_written_however_it_comes(
    parts: list[tuple[str, str | None, bytes]], size: int
) -> None:
    body = b""
    for name, filename, content in parts:
        said = f'form-data; name="{name}"' + (
            "" if filename is None else f'; filename="{filename}"'
        )
        head = f"Content-Disposition: {said}\r\n\r\n"
        body += b"--BoUnDaRy\r\n" + head.encode() + content + b"\r\n"
    body += b"--BoUnDaRy--\r\n"
    assert parts_of(body, "multipart/form-data; boundary=BoUnDaRy", size) == parts


@settings(max_examples=examples(150), deadline=None)
@given(data=st.binary(max_size=200), size=st.integers(1, 50), head=st.booleans())
def test_any_bytes_are_a_form_or_refused(data: bytes, size: int, head: bool) -> None:
    start = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' if head else b"--b\r\n"
    with suppress(BadForm, TooLarge):
        parts_of(start + data, "multipart/form-data; boundary=b", size)
