"""Prompts that count their subject."""

from typing import Annotated

from nodegraph import Range, node


@node(category="text", tags=("plural", "prompt"))
def CountedPrompt(subject: str, count: Annotated[int, Range(0, 1000)] = 2) -> str:
    """Write a subject with its number: *three red foxes*.

    Args:
        subject: Singular, without an article: ``red fox``.
        count: Number of subjects.
    """
    import inflect  # in the function: a listing of the pack's nodes does not need it

    engine = inflect.engine()
    if count == 1:
        return str(engine.a(subject))
    return f"{engine.number_to_words(count)} {engine.plural_noun(subject, count)}"
