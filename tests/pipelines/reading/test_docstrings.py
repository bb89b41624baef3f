"""Help out of docstrings, however they stand."""

from __future__ import annotations

from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.interop.pipelines.reading.parameters import first_sentences, plain, read_docstring


def test_parameters_have_their_type_and_help() -> None:
    found = read_docstring(
        """Runs. Fast.

        Args:
            prompt (`str` or `List[str]`, *optional*):
                What to draw. It may
                be long.
            height, width (`int`): In pixels.
            `eta`: Of [DDIM](https://a.b/c).

        Returns:
            [`~pipelines.FoxOutput`] or `tuple`.
        """
    )
    assert (found.summary, found.text) == ("Runs.", "Runs. Fast.")
    assert found.types["prompt"] == "`str` or `List[str]`, *optional*"
    assert found.helps == {
        "prompt": "What to draw. It may be long.",
        "height": "In pixels.",
        "width": "In pixels.",
        "eta": "Of DDIM.",
    }
    assert "FoxOutput" in found.returns


def test_sections_need_not_stand_at_the_margin() -> None:
    found = read_docstring(
        "Runs.\n\n        Args:\n            prompt (`str`):\n                What to draw.\n\n"
        "        Examples:\n    ```py\n    >>> pipe(prompt: 3)\n    ```\n"
    )
    assert found.helps == {"prompt": "What to draw."}


def test_a_type_on_the_next_line_is_no_help() -> None:
    found = read_docstring("Args:\n    image:\n        (`PIL.Image`, *optional*): To see.\n")
    assert found.helps == {"image": "To see."}
    assert found.types["image"].startswith("`PIL.Image`")


def test_words_with_a_colon_in_a_help_are_no_parameter() -> None:
    found = read_docstring("Args:\n    a (`int`): One of:\n        note: this one.\n    b: Two.\n")
    assert found.helps == {"a": "One of: note: this one.", "b": "Two."}


def test_nothing_is_said_by_nothing() -> None:
    assert read_docstring(None).helps == {}
    assert read_docstring("").summary == ""


def test_marks_are_taken_off() -> None:
    text = "See [`~schedulers.DDIMScheduler`], <Tip>a</Tip> and [this](https://x) :class:`Fox`."
    assert plain(text) == "See DDIMScheduler, a and this Fox."


def test_long_help_is_cut_at_a_word() -> None:
    text = "word " * 200
    cut = first_sentences(text, 1, longest=30)
    assert len(cut) <= 32
    assert cut.endswith("word …")


def test_a_dot_in_a_number_or_name_ends_no_sentence() -> None:
    assert first_sentences("Of 0.5 at most. Then more.", 1) == "Of 0.5 at most."


@given(st.text(alphabet=st.sampled_from("Args:()`[],*/ \n\t.ab–\\"), max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    found = read_docstring(dedent(text))
    assert set(found.types) == set(found.helps)
