"""Every error that a person may see, with a sentence for them and a hint what to do.

    InpaintError
      RequestError                the request is wrong          command line exits 2
        InvalidRequest(field)     a value, a flag or a prompt is wrong
        UnreadableImage           not a picture, or a damaged one
        ImageTooLarge             over the pixel or side limit
        BadMask                   wrong size, or not a mask
          EmptyMask               nothing is painted
        BadConfig                 a setting is wrong
        Busy                      this person, or everybody, has too many jobs
      MachineError                this machine cannot do it     command line exits 1
        ModelUnavailable          the weights are missing or damaged
        OutOfMemory               the device's memory is too small
        BadOutput                 the model returned invalid numbers
        StorageFull               a result could not be written, or has no room
        FolderUnusable            a folder that the app needs cannot be written
        AddressTaken              the server cannot listen at its address
        JobTimeout                a job took longer than allowed
      EditCancelled               stopped by the person         command line exits 130

This module imports nothing.
"""

from __future__ import annotations


class InpaintError(Exception):
    """Base of all errors that are meant for a person.

    message: one sentence that says what is wrong. hint: one sentence that says what to do; may be empty. Both are made one
    printable line, whatever a file's name or another value from outside contains.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = _one_line(message)
        self.hint = _one_line(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        """Lets the whole error be sent to another process. Python's default would call the class with the message alone."""
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
    """The picture is over the pixel or side limit. It was not decoded."""


class BadMask(RequestError):
    """The mask cannot be used with this picture."""


class EmptyMask(BadMask):
    """The mask marks no pixel."""

    def __init__(
        self, message: str = "The mask is empty: nothing is marked to change.", hint: str = "Paint the part to change first."
    ) -> None:
        super().__init__(message, hint)


class BadConfig(RequestError):
    """A settings file, variable or flag is wrong. The message names the place."""


class Busy(RequestError):
    """This person, or everybody together, already has as many jobs or downloads as allowed."""


class MachineError(InpaintError):
    """The request is valid, but this machine cannot do it now."""


class ModelUnavailable(MachineError):
    """The weights of a model are not on disk, or cannot be loaded."""


class OutOfMemory(MachineError):
    """The device has too little memory for this edit. of_ram: True if RAM ran out, False if the memory of a GPU did."""

    def __init__(self, message: str, hint: str = "", of_ram: bool = False) -> None:
        super().__init__(message, hint)
        self.of_ram = of_ram


class BadOutput(MachineError):
    """The model returned numbers that are not a picture (NaN, infinity, wrong shape)."""


class StorageFull(MachineError):
    """A result could not be written, or would have no room. is_full: True if the disk is full, False for any other reason."""

    def __init__(self, message: str, hint: str = "", is_full: bool = True) -> None:
        super().__init__(message, hint)
        self.is_full = is_full


class FolderUnusable(MachineError):
    """A folder that the app has to write to cannot be written."""


class AddressTaken(MachineError):
    """The server cannot listen at the address that it was given."""


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
