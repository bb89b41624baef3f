"""Ranges, ETags and types: what a client may ask for, and how foreign bytes are sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.http.errors import PreconditionFailed
from nodegraph.server.http.media_types import content_headers
from nodegraph.server.http.responses import (
    ByteRange,
    NoSuchRange,
    check_match,
    check_none_match,
    etag,
    is_not_modified,
    read_range,
)


@given(size=st.integers(1, 5000), first=st.integers(0, 6000), last=st.integers(0, 6000))
def test_a_range_is_those_bytes_and_no_others(size: int, first: int, last: int) -> None:
    content = bytes(at % 251 for at in range(size))
    header = f"bytes={first}-{last}"
    if last < first:
        assert read_range(header, size) is None
    elif first >= size:
        with pytest.raises(NoSuchRange) as caught:
            read_range(header, size)
        assert caught.value.headers == {"Content-Range": f"bytes */{size}"}
    else:
        part = read_range(header, size)
        assert part is not None
        assert content[part.start : part.stop] == content[first : last + 1]


@given(size=st.integers(1, 5000), count=st.integers(1, 6000))
def test_a_suffix_is_the_last_bytes(size: int, count: int) -> None:
    part = read_range(f"bytes=-{count}", size)
    assert part == ByteRange(max(size - count, 0), size)


@given(size=st.integers(0, 100), header=st.text(max_size=40))
def test_no_header_breaks_the_reader(size: int, header: str) -> None:
    for text in (header, f"bytes={header}"):
        try:
            part = read_range(text, size)
        except NoSuchRange:
            continue
        assert part is None or 0 <= part.start < part.stop <= size


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "lines=0-1",
        "bytes=a-b",
        "bytes=1-0",
        "bytes=0-1,4-5",
        "bytes=-",
    ],
)
def test_what_asks_for_no_single_range_gets_the_whole(header: str | None) -> None:
    assert read_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99999999999999999999999999-", "bytes=-0"])
def test_a_range_without_a_byte_is_refused(header: str) -> None:
    with pytest.raises(NoSuchRange):
        read_range(header, 10)


def test_numbers_of_thousands_of_digits_are_read() -> None:
    assert read_range("bytes=0-" + "9" * 5000, 10) == ByteRange(0, 10)
    assert read_range("bytes=" + "0" * 5000 + "2-3", 10) == ByteRange(2, 4)


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)))
def test_a_tag_is_known_if_it_is_in_the_list(tags: list[str]) -> None:
    header = ", ".join(f'{"W/" if at % 2 else ""}"{tag}"' for at, tag in enumerate(tags))
    assert all(is_not_modified(header, tag) for tag in tags)
    assert not is_not_modified(header, "of another file!")


@given(st.text(max_size=60))
def test_no_list_of_tags_breaks_the_reader(header: str) -> None:
    assert is_not_modified(header, "digest") in (True, False)


def test_a_weak_tag_is_enough_to_keep_but_not_to_change() -> None:
    assert is_not_modified('W/"a"', "a")
    with pytest.raises(PreconditionFailed):
        check_match('W/"a"', "a")


def test_a_star_stands_for_anything_that_is_there() -> None:
    check_match("*", "a")
    check_none_match("*", None)
    with pytest.raises(PreconditionFailed):
        check_match("*", None)
    with pytest.raises(PreconditionFailed):
        check_none_match("*", "a")


def test_only_what_the_client_knows_is_changed() -> None:
    check_match(None, "a")
    check_match('"b", "a"', "a")
    for there in ("c", None):
        with pytest.raises(PreconditionFailed):
            check_match('"b", "a"', there)


def test_an_etag_is_quoted() -> None:
    assert etag("abc") == '"abc"'


@pytest.mark.parametrize("kind", ["image/png", "image/webp", "video/mp4", "application/json"])
def test_what_can_do_nothing_is_shown(kind: str) -> None:
    headers = content_headers(kind, "apple.png")
    assert headers["Content-Type"] == kind
    assert headers["Content-Disposition"] == 'inline; filename="apple.png"'


@pytest.mark.parametrize(
    "kind",
    [
        *("text/html", "application/xhtml+xml", "text/xml", "application/pdf", "text/javascript"),
        *("application/javascript", "text/css", "application/wasm", "multipart/x-mixed-replace"),
        *("text/html; charset=utf-8", "TEXT/HTML", "message/rfc822", "text/cache-manifest"),
    ],
)
def test_what_could_run_is_saved_as_plain_bytes(kind: str) -> None:
    headers = content_headers(kind, "x.html")
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in headers["Content-Security-Policy"]


def test_svg_is_an_attachment_that_an_image_element_still_shows() -> None:
    headers = content_headers("image/svg+xml", "x.svg")
    assert headers["Content-Type"] == "image/svg+xml"
    assert headers["Content-Disposition"] == 'attachment; filename="x.svg"'
    assert "sandbox" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@given(kind=st.text(max_size=40), name=st.text(max_size=40))
def test_headers_are_one_line_each_whatever_they_are_made_of(kind: str, name: str) -> None:
    for value in content_headers(kind, name).values():
        value.encode("ascii")
        assert value.isprintable()


def test_a_name_beyond_ascii_is_given_in_both_ways() -> None:
    shown = content_headers("image/png", "äpfel.png")["Content-Disposition"]
    assert shown == "inline; filename=\"_pfel.png\"; filename*=UTF-8''%C3%A4pfel.png"
