"""Cleans text that people enter: removes characters that carry nothing, and makes names that are safe for files.

This module knows no limits of prompts, no model and no file.
"""

from __future__ import annotations

import unicodedata

import regex

UNNAMED = "picture"

_CURSIVE = r"[\p{Joining_Type=Dual_Joining}\p{Joining_Type=Right_Joining}\p{Joining_Type=Left_Joining}]\p{M}*"
_INDIC = r"(?:(?=[\p{L}\p{M}])\P{Indic_Syllabic_Category=Other})"
_SHAPED = rf"(?:{_CURSIVE}|{_INDIC})"
"""Letters whose form depends on their neighbours: Arabic, Syriac, Mongolian and similar scripts, and the Indic scripts."""

_UNSPACED = r"\p{Line_Break=Complex_Context}"
"""Thai, Lao, Khmer and Burmese letters. These scripts have no spaces, so a zero-width space separates words."""

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
"""Invisible characters in places where they change what is read: joiners, variation selectors, the flags of England, Scotland and Wales."""

_INVISIBLE = regex.compile(rf"({_CARRIES})|[\p{{Default_Ignorable_Code_Point}}\ufff9-\ufffb]")
_LINE_BREAK = regex.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
_UNFIT_FOR_A_NAME = regex.compile(rf"[^\p{{L}}\p{{M}}\p{{N}}\-_ {_EMOJI[1:-1]}\p{{Regional_Indicator}}\p{{Default_Ignorable_Code_Point}}]")


def visible_text(text: str) -> str:
    """Returns the text in NFC, without invisible characters that carry nothing: "a\u200b red\u200d apple" -> "a red apple".

    Joiners stay in an emoji and in scripts that need them. A character that only orders or hides text (bidi controls, tags,
    soft hyphens, a byte order mark) never stays.
    """
    while (kept := unicodedata.normalize("NFC", _INVISIBLE.sub(r"\1", text))) != text:
        text = kept
    return kept


def plain_text(text: str) -> str:
    """Returns visible text without control characters and without spaces around it. Every kind of line break becomes a newline."""
    lines = visible_text(_LINE_BREAK.sub("\n", text))
    return "".join(c for c in lines if c in "\n\t" or unicodedata.category(c) != "Cc").strip()


def file_stem(name: str, most_bytes: int) -> str:
    """Returns a name that every file system takes, of at most `most_bytes` bytes in UTF-8.

    Letters with their marks, digits, emoji, "-", "_" and spaces stay; any other character becomes "_". The caller must append
    a part that begins with "-" or ".", such as "-42.png".
    """
    fit = _UNFIT_FOR_A_NAME.sub("_", visible_text(name))
    return cut_to_bytes(regex.sub(r"^[\p{M}\s]+", "", fit), most_bytes).strip() or UNNAMED


def cut_to_bytes(text: str, most_bytes: int) -> str:
    """Returns as many whole graphemes from the start of a text as fit in `most_bytes`. A grapheme is what a person calls a character."""
    kept, room = "", most_bytes
    for grapheme in regex.findall(r"\X", text):
        room -= len(grapheme.encode("utf-8", "surrogatepass"))
        if room < 0:
            break
        kept += grapheme
    return kept


def first_graphemes(text: str, count: int) -> str:
    """Returns the first `count` graphemes of a text."""
    found = regex.match(rf"\X{{0,{count}}}", text)
    return found.group() if found else ""
