"""The graph of a lineage: both directions, cycles, what may be seen, and the index behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph.errors import InvalidValue
from nodegraph.session.lineage import graph as graph_module
from nodegraph.session.lineage.diagrams import lineage_dot, lineage_html, lineage_lines, lineage_svg
from nodegraph.session.lineage.graph import LineageEntry, build_lineage
from nodegraph.store.index import Index
from nodegraph.store.lineage import Lineage, LineageFile, LineageSource


def digest(name: str) -> str:
    return f"{name:0<64}".encode().hex()[:64]


@pytest.fixture
def lineage(tmp_path: Path) -> Iterator[Lineage]:
    index = Index(tmp_path / "index.sqlite")
    yield Lineage(index)
    index.close()


def add(lineage: Lineage, name: str, *sources: LineageSource, created: float = 1.0) -> str:
    file = LineageFile(digest(name), f"{name}.png", node="save", title="A", created=created)
    lineage.add(file, sources)
    return file.digest


def picture(name: str) -> LineageSource:
    return LineageSource("input", digest(name), f"{name}.png")


MODEL = LineageSource("model", digest("model"), "sd/unet/model.safetensors", "DiffusionModel")
SEED = LineageSource("seed", "7", "sample.seed")


def names(entries: tuple[LineageEntry, ...]) -> list[str]:
    return [each.name for each in entries]


def test_inputs_that_are_results_lead_on(lineage: Lineage) -> None:
    add(lineage, "first", picture("photo"))
    add(lineage, "second", picture("first"), MODEL)
    last = add(lineage, "third", picture("second"))
    graph = build_lineage(lineage, last)
    (second,) = graph.made_from
    assert second.role == "result"
    assert names(second.children) == ["first.png", "sd/unet/model.safetensors"]
    assert names(second.children[0].children) == ["photo.png"]


def test_an_input_leads_to_all_that_was_made_from_it(lineage: Lineage) -> None:
    add(lineage, "first", picture("photo"))
    add(lineage, "second", picture("first"))
    graph = build_lineage(lineage, digest("photo"))
    assert graph.subject.role == "input"
    (first,) = graph.used_in
    assert (first.name, names(first.children)) == ("first.png", ["second.png"])


def test_a_model_leads_to_its_results(lineage: Lineage) -> None:
    add(lineage, "first", MODEL)
    graph = build_lineage(lineage, MODEL.key)
    assert (graph.subject.role, names(graph.used_in)) == ("model", ["first.png"])


def test_results_share_models_seeds_and_inputs_but_no_pack(lineage: Lineage) -> None:
    pack = LineageSource("pack", digest("pack"), "toys")
    subject = add(lineage, "first", MODEL, SEED, pack)
    add(lineage, "second", MODEL, pack)
    add(lineage, "third", SEED, pack)
    related = {each.source.role: each for each in build_lineage(lineage, subject).related}
    assert {role: [f.name for f in each.results] for role, each in related.items()} == {
        "model": ["second.png"],
        "seed": ["third.png"],
    }


def test_a_circle_ends(lineage: Lineage) -> None:
    add(lineage, "first", picture("second"))
    subject = add(lineage, "second", picture("first"))
    graph = build_lineage(lineage, subject)
    (first,) = graph.made_from
    (again,) = first.children
    assert (again.name, again.is_repeated, again.children) == ("second.png", True, ())
    assert len(list(graph.edges())) == 2
    assert "second.png" in lineage_svg(graph)


def test_a_file_that_is_used_twice_stands_once_with_its_sources(lineage: Lineage) -> None:
    add(lineage, "base", picture("photo"))
    add(lineage, "left", picture("base"))
    add(lineage, "right", picture("base"))
    graph = build_lineage(lineage, add(lineage, "both", picture("left"), picture("right")))
    bases = [each.children[0] for each in graph.made_from]
    assert [each.is_repeated for each in bases] == [False, True]


def test_too_much_is_cut_and_told(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "MOST", 3)
    for number in range(5):
        add(lineage, f"r{number}", picture("photo"))
    graph = build_lineage(lineage, digest("photo"))
    assert (len(graph.used_in), graph.is_complete) == (3, False)


def test_what_may_not_be_seen_is_left_out_with_all_behind_it(lineage: Lineage) -> None:
    add(lineage, "first", picture("photo"))
    add(lineage, "hidden", picture("first"), MODEL)
    add(lineage, "third", picture("hidden"), MODEL)
    graph = build_lineage(lineage, digest("first"), lambda file: file.name != "hidden.png")
    assert (graph.used_in, graph.related) == ((), ())
    graph = build_lineage(lineage, digest("third"), lambda file: file.name != "hidden.png")
    assert graph.made_from[0].children == ()


def test_many_hidden_results_hide_no_visible_ones(lineage: Lineage) -> None:
    subject = add(lineage, "first", picture("photo"), MODEL)
    add(lineage, "own", picture("photo"), MODEL)
    for number in range(graph_module.MOST + 1):
        add(lineage, f"hidden {number}.", picture("photo"), MODEL, created=2.0)
    graph = build_lineage(lineage, subject, lambda file: not file.name.startswith("hidden"))
    assert [[file.name for file in each.results] for each in graph.related] == [["own.png"]] * 2
    graph = build_lineage(lineage, digest("photo"), lambda file: file.name == "own.png")
    assert names(graph.used_in) == ["own.png"]


def test_the_same_bytes_keep_their_first_time(lineage: Lineage) -> None:
    add(lineage, "first", picture("photo"), created=5.0)
    add(lineage, "first", picture("other"), created=9.0)
    file = lineage.file(digest("first"))
    assert file is not None
    assert file.created == 5.0
    assert [each.name for each in lineage.sources(file.digest)] == ["other.png"]
    assert lineage.count() == 1


def test_the_beginning_of_a_digest_is_enough(lineage: Lineage) -> None:
    subject = add(lineage, "first", picture("photo"))
    assert lineage.resolve(subject[:10]) == subject
    assert lineage.resolve(digest("photo")[:8].upper()) == digest("photo")


def test_the_digest_of_a_value_leads_to_its_file(lineage: Lineage) -> None:
    lineage.add(LineageFile("ab" * 32, "a.png", content="cd" * 32), ())
    assert lineage.resolve("cdcdcd") == "ab" * 32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "not a file, nor the beginning of a digest"),
        ("no hex", "not a file, nor the beginning of a digest"),
        ("ffffff", "no known result has this digest"),
        ("6161", "several digests begin so"),
    ],
)
def test_other_texts_are_refused(lineage: Lineage, text: str, message: str) -> None:
    add(lineage, "aab")
    add(lineage, "aac")
    with pytest.raises(InvalidValue, match=message):
        lineage.resolve(text)


def test_the_oldest_go_first(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodegraph.store.lineage._KEPT", 3)
    for number in range(5):
        add(lineage, f"r{number}", MODEL, created=number)
    assert lineage.file(digest("r0")) is None
    assert lineage.file(digest("r4")) is not None
    assert lineage.count() == 3
    assert len(lineage.users("model", MODEL.key, 10)) == 3


def test_a_drawing_shows_names_as_text(lineage: Lineage) -> None:
    source = LineageSource("input", digest("photo"), '<b>"x"<.png')
    graph = build_lineage(lineage, add(lineage, "first", source, MODEL))
    page = lineage_html(graph)
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    # In the label alone: a name has no folders in a drawing.
    assert lineage_dot(graph).count('\\"') == 2
    # Folders of diffusers have files of one name.
    assert "sd/unet" in lineage_svg(graph)


def test_a_tree_is_drawn_with_lines(lineage: Lineage) -> None:
    add(lineage, "first", picture("photo"), SEED)
    lines = list(lineage_lines(build_lineage(lineage, digest("first"))))
    assert lines[1:] == [
        "└─ made from",
        f"   ├─ input photo.png {digest('photo')[:12]}",
        "   └─ seed 7 (sample.seed)",
    ]
