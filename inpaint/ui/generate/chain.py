"""The chain of the Generate tab: pictures that were generated, opened or reimagined, in order, as files on disk. Knows no widgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHAIN_KEPT = 12
"""How many pictures a chain keeps, which is more than a person compares. Files of pictures that leave the chain stay on disk."""


@dataclass(frozen=True)
class Link:
    """One picture of the chain.

    number: its place, from 1, among all pictures that this page has had. thumbnail: JPEG data URL. made: how it was made, in
    words. line: seed, steps, seconds and model if this app made it.
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
        """The paths of all files that the chain has open."""
        return [Path(link.path) for link in self.links]

    def grown(self, pictures: Iterable[tuple[str, str, str]], made: str) -> Chain:
        """Returns the chain with new pictures at its end. pictures: (path, thumbnail, line) of each."""
        first = self.links[-1].number + 1 if self.links else 1
        new = (Link(first + k, path, thumbnail, made, line) for k, (path, thumbnail, line) in enumerate(pictures))
        return Chain((*self.links, *new)[-CHAIN_KEPT:])

    def find(self, number: object) -> Link | None:
        """Returns the link with a number. Returns None if there is none, since a client may send anything, or a link that is gone."""
        return next((link for link in self.links if link.number == number), None)
