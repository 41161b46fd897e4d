"""Invisible characters stay where they carry something, and only there; names are such as every file system takes."""

from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from inpaint.core.words.text import cut_to_bytes, file_stem, first_graphemes, plain_text, visible_text

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
tricky = st.text(
    alphabet=st.sampled_from(
        list(
            "a1e\u0301\u0316\u034f\u00ad\u200b\u200c\u200d\u200e\u202e\u2060\ufe0e\ufe0f\ufeff\u20e3\u0915\u094d\u0627\u0e01\u115f\u1160\u180b\u1820"
            "\u845b\U0001f3f4\U000e0067\U000e007f\U0001f468\U0001f3fd\u2764\u3164\ufff9"
        )
    ),
    max_size=25,
)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        pytest.param("a\u200b red\u200d apple", "a red apple", id="zero-width space and joiner between Latin letters"),
        pytest.param("so\u00adft", "soft", id="soft hyphen"),
        pytest.param("\ufeffa dog", "a dog", id="byte order mark"),
        pytest.param("a\u2060 d\u2063og", "a dog", id="word joiner, invisible separator"),
        pytest.param("a\u202edog\u202c \u2066x\u2069\u200e\u200f\u061c", "adog x", id="bidi controls"),
        pytest.param("dog\U000e0064\U000e006f\U000e007f\U000e0001", "dog", id="tag characters behind no flag"),
        pytest.param("a\ufe0f 1\ufe0f\U000e0100", "a 1", id="variation selectors behind Latin letters"),
        pytest.param("do\u3164g\uffa0\u1160", "dog", id="Hangul fillers"),
        pytest.param("a\ufff9b\ufffbc", "abc", id="annotations"),
        pytest.param("\u200c\u200d\u2060", "", id="nothing but invisible ones"),
        pytest.param("e\u200d\u0301", "\u00e9", id="composed once nothing stands between"),
        pytest.param("\U0001f44d\u200d", "\U0001f44d", id="a joiner behind an emoji, joining nothing"),
        pytest.param("\u2764\ufe0f\ufe0f\ufe0f", "\u2764\ufe0f", id="a second selector selects nothing"),
    ],
)
def test_what_carries_nothing_goes(typed: str, kept: str) -> None:
    assert plain_text(typed) == kept


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(FAMILY, id="a family"),
        pytest.param("\U0001f469\U0001f3fd\u200d\U0001f680", id="a joiner behind a skin tone"),
        pytest.param("\U0001f3f3\ufe0f\u200d\U0001f308", id="the rainbow flag"),
        pytest.param(ENGLAND, id="the flag of England"),
        pytest.param("1\ufe0f\u20e3", id="a keycap"),
        pytest.param("\u2602\ufe0e", id="an umbrella as text"),
        pytest.param("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", id="Persian: non-joiner within a word"),
        pytest.param("\u0647\u200d.", id="Persian: joiner before a full stop"),
        pytest.param("\u0915\u094d\u200d\u0937", id="Hindi: half a letter"),
        pytest.param("\u09b0\u200d\u09cd\u09af", id="Bengali: joiner before the virama"),
        pytest.param("\u0d15\u0d4d\u200d", id="Malayalam: at a word's end"),
        pytest.param("\u0dc1\u0dca\u200d\u0dbb\u0dd3", id="Sinhala"),
        pytest.param("\u0e44\u0e17\u0e22\u200b\u0e14\u0e35", id="Thai: a word's end"),
        pytest.param("\u845b\U000e0100", id="the form of a Han character"),
        pytest.param("\u1820\u180b", id="the form of a Mongolian letter"),
        pytest.param("\u0600\u0661\u0662", id="Arabic: the number sign is seen"),
        pytest.param("two\nlines\tof it", id="newline and tab"),
    ],
)
def test_what_carries_something_stays(text: str) -> None:
    assert plain_text(text) == text


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"], ids=ascii)
def test_a_line_break_of_any_kind_parts_words(line_break: str) -> None:
    assert plain_text(f"a red{line_break}apple") == "a red\napple"


@given(any_text | tricky)
def test_what_is_kept_is_kept_again_and_nothing_seen_is_lost(text: str) -> None:
    kept = visible_text(text)
    assert visible_text(kept) == kept == unicodedata.normalize("NFC", kept)
    seen = [regex.sub(r"\p{Default_Ignorable_Code_Point}|[\ufff9-\ufffb]", "", unicodedata.normalize("NFD", t)) for t in (text, kept)]
    assert unicodedata.normalize("NFC", seen[0]) == unicodedata.normalize("NFC", seen[1])


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        pytest.param("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940", id="Hindi"),
        pytest.param("cafe\u0301", "caf\u00e9", id="a decomposed accent"),
        pytest.param("q\u0303", "q\u0303", id="an accent that composes with nothing"),
        pytest.param(
            "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22\u0e17\u0e35\u0e48",
            "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22\u0e17\u0e35\u0e48",
            id="Thai",
        ),
        pytest.param("Ti\u00ea\u0301ng Vi\u1ec7t", "Ti\u1ebfng Vi\u1ec7t", id="Vietnamese"),
        pytest.param(FAMILY + ENGLAND, FAMILY + ENGLAND, id="emoji"),
        pytest.param("\u65e5\u672c\u8a9e", "\u65e5\u672c\u8a9e", id="Japanese"),
        pytest.param("../../etc/passwd", "______etc_passwd", id="a path"),
        pytest.param('C:\\a|b*?"', "C__a_b___", id="what Windows forbids"),
        pytest.param("a\u202egpj\u2066", "agpj", id="bidi controls"),
        pytest.param("a\x00\x1b\n", "a___", id="control characters"),
        pytest.param(" . ", "_", id="spaces and dots round it"),
        pytest.param("end...", "end___", id="dots at the end"),
        pytest.param("\u0301a", "a", id="an accent on nothing"),
        pytest.param("\u0301", "picture", id="an accent alone"),
        pytest.param("\u200b", "picture", id="nothing visible"),
        pytest.param("\udcff", "_", id="a byte that is no UTF-8"),
    ],
)
def test_names(name: str, stem: str) -> None:
    assert file_stem(name, 240) == stem


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (FAMILY * 3, FAMILY * 2),
        ("cafe\u0316\u0301" * 9, "cafe\u0316\u0301" * 5),
        ("\u0939\u093f" * 9, "\u0939\u093f" * 6),
        ("a" * 50, "a" * 40),
        ("e" + "\u0316" * 99, ""),
    ],
    ids=["families", "two accents", "Hindi syllables", "letters", "one character, too long"],
)
def test_a_name_is_cut_between_characters(text: str, cut: str) -> None:
    assert cut_to_bytes(text, 40) == cut


def test_the_first_characters() -> None:
    assert first_graphemes(FAMILY * 3 + "abc", 2) == FAMILY * 2 and first_graphemes("abc", 9) == "abc" and first_graphemes("", 3) == ""


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=300) | tricky, st.integers(20, 255))
def test_any_name_is_safe(name: str, most: int) -> None:
    stem = file_stem(name, most)
    assert 0 < len(stem.encode("utf-8")) <= most
    assert stem == stem.strip() and not regex.search(r"[\p{Cc}\p{Bidi_Control}/\\:*?\"<>|.]", stem)
    assert regex.match(r"[^\p{M}]", stem) and unicodedata.is_normalized("NFC", stem)
