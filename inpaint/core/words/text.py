"""Text that people hand in: what of it carries something, and what of it may stand in a file's name.

Knows no prompt's limits, no model and no file.
"""

from __future__ import annotations

import unicodedata

import regex

UNNAMED = "picture"

_CURSIVE = r"[\p{Joining_Type=Dual_Joining}\p{Joining_Type=Right_Joining}\p{Joining_Type=Left_Joining}]\p{M}*"
_INDIC = r"(?:(?=[\p{L}\p{M}])\P{Indic_Syllabic_Category=Other})"
_SHAPED = rf"(?:{_CURSIVE}|{_INDIC})"
"""Letters whose form depends on their neighbours: Arabic, Syriac, Mongolian and the like, and the scripts of India and around it."""

_UNSPACED = r"\p{Line_Break=Complex_Context}"
"""Thai, Lao, Khmer, Burmese: written without spaces, so that a zero-width space is what parts words."""

_EMOJI = r"[\p{Extended_Pictographic}\p{Emoji_Modifier}]"
_CARRIES = "|".join(
    (
        rf"(?<={_SHAPED})[\u200c\u200d]",
        rf"\u200d(?={_SHAPED})",
        rf"(?<={_UNSPACED})\u200b(?={_UNSPACED})",
        rf"(?<={_EMOJI}\ufe0f?)\u200d(?={_EMOJI})",
        r"(?<=\p{Extended_Pictographic})[\ufe0e\ufe0f]",
        r"(?<=[0-9#*])\ufe0f(?=\u20e3)",
        r"(?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f",
        r"(?<=[\p{Han}\p{Myanmar}\p{Phags_Pa}\p{Sm}])\p{Variation_Selector}",
        r"(?<=\p{Mongolian})[\u180b-\u180f]",
        r"(?<=\p{Mn})\u034f(?=\p{Mn})",
        r"\u115f(?=[\u1160-\u11a7])",
        r"(?<=[\u1100-\u115f])\u1160",
    )
)
"""Invisible characters where they change what is read: joiners, the choice of a form, the flags of England, Scotland and Wales."""

_INVISIBLE = regex.compile(rf"({_CARRIES})|[\p{{Default_Ignorable_Code_Point}}\ufff9-\ufffb]")
_LINE_BREAK = regex.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
_UNFIT_FOR_A_NAME = regex.compile(rf"[^\p{{L}}\p{{M}}\p{{N}}\-_ {_EMOJI[1:-1]}\p{{Regional_Indicator}}\p{{Default_Ignorable_Code_Point}}]")


def visible_text(text: str) -> str:
    """NFC, without invisible characters that carry nothing: "a\u200b red\u200d apple" -> "a red apple".

    Joiners stay in an emoji and in scripts that need them. A character that only orders or hides text (bidi controls, tags,
    soft hyphens, a byte order mark) never stays.
    """
    while (kept := unicodedata.normalize("NFC", _INVISIBLE.sub(r"\1", text))) != text:
        text = kept
    return kept


def plain_text(text: str) -> str:
    """Visible text without control characters; line breaks of every kind become a newline. Spaces round it go."""
    lines = visible_text(_LINE_BREAK.sub("\n", text))
    return "".join(c for c in lines if c in "\n\t" or unicodedata.category(c) != "Cc").strip()


def file_stem(name: str, most_bytes: int) -> str:
    """A name that every file system takes, once something that begins with "-" or "." follows it: letters with their marks, digits,
    emoji, "-", "_" and spaces stay as they are, any other character becomes "_". UTF-8, at most `most_bytes` of it.
    """
    fit = _UNFIT_FOR_A_NAME.sub("_", visible_text(name))
    return cut_to_bytes(regex.sub(r"^[\p{M}\s]+", "", fit), most_bytes).strip() or UNNAMED


def cut_to_bytes(text: str, most_bytes: int) -> str:
    """As many whole graphemes (what a person calls a character) as fit."""
    kept, room = "", most_bytes
    for grapheme in regex.findall(r"\X", text):
        room -= len(grapheme.encode("utf-8", "surrogatepass"))
        if room < 0:
            break
        kept += grapheme
    return kept


def first_graphemes(text: str, count: int) -> str:
    """The first so many graphemes."""
    found = regex.match(rf"\X{{0,{count}}}", text)
    return found.group() if found else ""
