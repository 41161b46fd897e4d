"""For a model with a small vocabulary: finds which of its known things a prompt names. Knows no model by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from inpaint.core.spec import ModelSpec

ARTICLES = frozenset({"a", "an", "the", "some", "one"})
LINKS = frozenset({"and", "or", "with", "of", "at", "to", "is", "are", "its", "this", "that"})
"""Words that may stand between the names of things and name nothing themselves."""

EXAMPLES = 3
"""How many of the things that a model knows a notice names as examples."""


def names_known(prompt: str, known: Iterable[str]) -> bool:
    """Returns whether the prompt names one of the known things. Articles do not matter: "red apple" names "a red apple"."""
    return bool(_named(prompt, known)[0])


def vocabulary_notices(spec: ModelSpec, prompt: str) -> tuple[str, ...]:
    """Returns a notice if the model knows nothing of the prompt, or only a part of it. Returns none for a model that takes any words."""
    if not spec.knows or not prompt:
        return ()
    named, rest = _named(prompt, (*spec.knows, *spec.also_knows))
    if not named:
        return (
            f"{spec.title} knows none of these words, so what it painted is a guess: it draws {len(spec.knows)} things, such as "
            f"{_listed(spec.knows[:EXAMPLES])}.",
        )
    if {*rest} <= {*spec.passes_over, *LINKS}:
        return ()
    return (f"Of these words {spec.title} knows only {_listed(named)}.",)


def _named(prompt: str, known: Iterable[str]) -> tuple[list[str], list[str]]:
    """Returns the known things that a prompt names, in its order, and the prompt's other words.

    The longest name wins: "a green apple" does not also name "an apple".
    """
    words = f" {_plain_words(prompt)} "
    rest, named = words, list[str]()
    for thing in sorted(known, key=len, reverse=True):
        if _spaced(thing) in rest:
            rest = rest.replace(_spaced(thing), "  ")
            named.append(thing)
    return sorted(named, key=lambda thing: words.index(_spaced(thing))), [word for word in rest.split() if len(word) > 1]


def _spaced(thing: str) -> str:
    return f" {_plain_words(thing)} "


def _plain_words(text: str) -> str:
    return " ".join(word for word in re.findall(r"\w+", text.lower()) if word not in ARTICLES)


def _listed(things: Sequence[str]) -> str:
    *most, last = things
    return f"{', '.join(most)} and {last}" if most else last
