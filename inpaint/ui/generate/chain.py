"""The chain of the Generate tab: what was generated, opened and reimagined, in order, as files on disk. Knows no widgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHAIN_KEPT = 12
"""More steps than a person compares; the files of those that leave the chain stay where they are."""


@dataclass(frozen=True)
class Link:
    """One picture. number: 1-based place in all that was ever made here. thumbnail: JPEG data URL. made: how, in words.

    line: seed, steps, seconds and model, where this app made it.
    """

    number: int
    path: str
    thumbnail: str
    made: str
    line: str = ""

    @property
    def label(self) -> str:
        return f"{self.number} {self.made}"


@dataclass(frozen=True)
class Chain:
    """The last CHAIN_KEPT pictures, oldest first."""

    links: tuple[Link, ...] = ()

    @property
    def files(self) -> list[Path]:
        """All on disk that the page has open."""
        return [Path(link.path) for link in self.links]

    def grown(self, pictures: Iterable[tuple[str, str, str]], made: str) -> Chain:
        """pictures: (path, thumbnail, line) of each new one."""
        first = self.links[-1].number + 1 if self.links else 1
        new = (Link(first + k, path, thumbnail, made, line) for k, (path, thumbnail, line) in enumerate(pictures))
        return Chain((*self.links, *new)[-CHAIN_KEPT:])

    def find(self, number: object) -> Link | None:
        """The link of that number, or None: what a client sends may be anything, or gone."""
        return next((link for link in self.links if link.number == number), None)
