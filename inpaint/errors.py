"""Every error a person may meet, with a sentence for them and a hint what to do.

    InpaintError
      RequestError                the request is wrong          command line exits 2
        InvalidRequest(field)     a value, a flag, a prompt
        UnreadableImage           not a picture, or a damaged one
        ImageTooLarge             over the pixel or side limit
        BadMask                   wrong size, not a mask
          EmptyMask               nothing painted
        BadConfig                 a settings file is wrong
        Busy                      this person, or everybody, has enough going already
      MachineError                the machine can't             command line exits 1
        ModelUnavailable          no weights on disk, or they are damaged
        OutOfMemory
        BadOutput                 the model returned invalid numbers
        StorageFull               no room for a result, or it could not be written
        FolderUnusable            a folder that has to be written to cannot be
        AddressTaken              the server cannot listen there
        JobTimeout                it took longer than a job may
      EditCancelled               stopped by the person         command line exits 130

Imports nothing.
"""

from __future__ import annotations


class InpaintError(Exception):
    """Base of all errors meant for a person.

    message: one sentence, what is wrong. hint: one sentence, what to do; may be empty. Both are one printable line,
    whatever a file's name or a value from outside put into them.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = _one_line(message)
        self.hint = _one_line(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        """An error crosses to another process whole: Python's own way calls the class with the message alone."""
        return _as_it_was, (type(self), self.args), self.__dict__


class RequestError(InpaintError):
    """The request is wrong; nothing was run and nothing was written."""

    exit_code = 2


class InvalidRequest(RequestError):
    """A field of a request has a value that cannot be used."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class UnreadableImage(RequestError):
    """The file is not a picture that can be read, or it is damaged."""


class ImageTooLarge(RequestError):
    """The picture is over the pixel or side limit; it was not decoded."""


class BadMask(RequestError):
    """The mask cannot be used with this picture."""


class EmptyMask(BadMask):
    """The mask marks no pixel."""

    def __init__(
        self, message: str = "The mask is empty: nothing is marked to change.", hint: str = "Paint the part to change first."
    ) -> None:
        super().__init__(message, hint)


class BadConfig(RequestError):
    """A settings file or variable is wrong; the message names file and key."""


class Busy(RequestError):
    """No more at the moment: of this person, of everybody, or of downloads."""


class MachineError(InpaintError):
    """The request is fine, but this machine cannot do it now."""


class ModelUnavailable(MachineError):
    """The weights of a model are not on disk, or cannot be loaded."""


class OutOfMemory(MachineError):
    """The device has too little memory for this edit. of_ram: whether RAM ran out, and not the memory of a GPU."""

    def __init__(self, message: str, hint: str = "", of_ram: bool = False) -> None:
        super().__init__(message, hint)
        self.of_ram = of_ram


class BadOutput(MachineError):
    """The model returned numbers that are not a picture (NaN, infinity, wrong shape)."""


class StorageFull(MachineError):
    """A result could not be written, or would find no room. is_full: for want of space, and for no other reason."""

    def __init__(self, message: str, hint: str = "", is_full: bool = True) -> None:
        super().__init__(message, hint)
        self.is_full = is_full


class FolderUnusable(MachineError):
    """A folder that the app has to write to cannot be written."""


class AddressTaken(MachineError):
    """The server cannot listen where it was told to."""


class JobTimeout(MachineError):
    """The job took longer than the settings allow."""


class EditCancelled(InpaintError):
    """The person stopped the job."""

    exit_code = 130

    def __init__(self, message: str = "Cancelled.", hint: str = "") -> None:
        super().__init__(message, hint)


def _as_it_was(kind: type[InpaintError], args: tuple[object, ...]) -> InpaintError:
    return kind.__new__(kind, *args)


def _one_line(text: str) -> str:
    shown = (c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return " ".join("".join(shown).split())
