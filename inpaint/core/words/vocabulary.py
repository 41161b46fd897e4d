"""What a model that knows a few things only makes of a prompt: which of its things the prompt names. Knows no model by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from inpaint.core.spec import ModelSpec

ARTICLES = frozenset({"a", "an", "the", "some", "one"})
LINKS = frozenset({"and", "or", "with", "of", "at", "to", "is", "are", "its", "this", "that"})
"""Words that stand between things and are none."""

EXAMPLES = 3
"""Things that a notice names, of those that the model knows."""


def names_known(prompt: str, known: Iterable[str]) -> bool:
    """Whether one of the ready prompts ("a red apple") stands in the prompt, with any article or none."""
    return bool(_named(prompt, known)[0])


def vocabulary_notices(spec: ModelSpec, prompt: str) -> tuple[str, ...]:
    """What is said of a prompt of which the model knows nothing, or only a part; nothing for a model that takes any words."""
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
    """The known things in a prompt, as they follow there, and its other words. The longest name wins: "a green apple" names no second apple."""
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
