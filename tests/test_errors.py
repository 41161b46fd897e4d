"""Every error is one printable line, whatever a name from outside puts into it, and has an exit code of the contract."""

from __future__ import annotations

import pickle

import pytest

from inpaint import errors
from inpaint.errors import EditCancelled, EmptyMask, InpaintError, InvalidRequest, MachineError, RequestError


def all_below(kind: type[InpaintError]) -> list[type[InpaintError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in all_below(below))]


@pytest.mark.parametrize("name", ["two\nlines", "a\ttab", "\x1b[31mred", "\udcff\udcfe", "\u202egnp.exe", "a\x00b", "\u2028"], ids=ascii)
def test_messages_are_one_printable_line(name: str) -> None:
    error = RequestError(f"There is no file {name}.", f"Look for {name}.")
    assert str(error).isprintable()
    assert str(error).encode()


@pytest.mark.parametrize(("base", "code"), [(RequestError, 2), (MachineError, 1), (EditCancelled, 130)])
def test_exit_codes(base: type[InpaintError], code: int) -> None:
    assert {kind.exit_code for kind in all_below(base)} == {code}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    described = {line.split()[0].partition("(")[0] for line in (errors.__doc__ or "").splitlines()[2:] if line.startswith("    ")}
    assert described == {kind.__name__ for kind in all_below(InpaintError) if kind.__module__ == errors.__name__}


@pytest.mark.parametrize("kind", all_below(InpaintError), ids=lambda kind: kind.__name__)
def test_an_error_crosses_to_another_process_whole(kind: type[InpaintError]) -> None:
    error = InvalidRequest("seed", "Wrong.", "Right.") if kind is InvalidRequest else kind("Wrong.", "Right.")
    crossed = pickle.loads(pickle.dumps(error))
    assert type(crossed) is kind and vars(crossed) == vars(error) and str(crossed) == "Wrong. Right."


def test_a_default_message_needs_no_argument() -> None:
    assert str(EmptyMask()) == "The mask is empty: nothing is marked to change. Paint the part to change first."
    assert InvalidRequest("seed", "Seed is wrong.").field == "seed"
