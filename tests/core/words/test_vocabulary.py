"""What is said of a prompt for a model that knows a few things only."""

from __future__ import annotations

import pytest

from inpaint.config.load import load_config
from inpaint.core.spec import ModelSpec
from inpaint.core.words.vocabulary import vocabulary_notices
from training.things import _FRAMES, _KIND_WORDS, THINGS, plain_prompt  # pyright: ignore[reportPrivateUsage]

SMALL = ModelSpec(
    "small",
    "Small",
    "none",
    ("inpaint",),
    knows=("a dog", "a top hat", "a green apple", "a cat"),
    also_knows=("hat", "apple"),
    passes_over=("photo", "please"),
)
NONE = "Small knows none of these words, so what it painted is a guess: it draws 4 things, such as a dog, a top hat and a green apple."


@pytest.mark.parametrize(
    ("prompt", "notice"),
    [
        pytest.param("a violin", NONE, id="none"),
        pytest.param("dogs", NONE, id="not even by a letter more"),
        pytest.param("\U0001f436", NONE, id="no word at all"),
        pytest.param("a photo, please", NONE, id="nothing but what it passes over"),
        pytest.param("a dog", "", id="one"),
        pytest.param("The DOG", "", id="another article, capitals"),
        pytest.param("", "", id="no prompt"),
        pytest.param("an apple", "", id="another word for one"),
        pytest.param("a photo of a dog with a hat, please", "", id="two, and words between"),
        pytest.param("a big dog", "Of these words Small knows only a dog.", id="some"),
        pytest.param("a cat on a mat by a dog", "Of these words Small knows only a cat and a dog.", id="some, as they follow"),
        pytest.param("a huge green apple", "Of these words Small knows only a green apple.", id="the longest name wins"),
    ],
)
def test_what_is_said(prompt: str, notice: str) -> None:
    assert vocabulary_notices(SMALL, prompt) == ((notice,) if notice else ())


def test_a_model_that_takes_any_words_says_nothing() -> None:
    assert vocabulary_notices(ModelSpec("any", "Any", "none", ("inpaint",)), "a violin") == ()


class TestMini:
    """The list in the model's file is what it was trained with."""

    SPEC = load_config(environment={}).models["kandinsky-mini"]

    def test_things(self) -> None:
        assert list(self.SPEC.knows) == [plain_prompt(thing) for thing in THINGS]

    def test_other_words(self) -> None:
        others = [word for thing in THINGS for word in thing.also] + [word for words in _KIND_WORDS.values() for word in words]
        assert list(self.SPEC.also_knows) == list(dict.fromkeys(others))

    @pytest.mark.parametrize("frame", dict.fromkeys(_FRAMES))
    def test_nothing_is_said_of_the_words_round_a_thing(self, frame: str) -> None:
        assert vocabulary_notices(self.SPEC, frame.format(a="a dog", bare="dog", the="the dog")) == ()
