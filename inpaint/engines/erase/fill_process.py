"""One fill by PatchMatch, as a program of its own: it can be stopped at any moment, and a crash in the package's machine code ends it alone.

Request, on stdin: the length of the rest as 8 bytes (big-endian), then an .npz with picture (uint8 [h, w, 3]), mask (uint8 [h, w],
255 = fill), seed and patch_size. Answer, on stdout: ANSWER, then the filled picture as .npy. Both are plain byte streams: nothing is
sought in, no file is needed. stdin stays open while the caller lives; its end ends this program, however the caller ended.

Started as a file, not as a module: it imports nothing of this app and begins in the time that numpy takes.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from typing import BinaryIO

ANSWER = b"inpaint fill answer\n"
"""The bytes that begin the answer. What Python printed while it started comes before them."""

NO_MEMORY = 3
"""The exit status where memory ran out."""

ABANDONED = 4
"""The exit status where the caller has gone."""

LENGTH_BYTES = 8


def main() -> int:
    """Reads one request, writes its answer, returns the exit status."""
    # Ctrl-C reaches every process of the terminal; the caller decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _claimed_stdout() as answer:
        try:
            given = _received()
            threading.Thread(target=_end_with_caller, daemon=True).start()
            filled = _filled(given)
        except MemoryError:
            return NO_MEMORY
        answer.write(ANSWER + filled)
    return 0


def _claimed_stdout() -> BinaryIO:
    """The stream for the answer. File descriptor 1 becomes stderr, so that nothing that a library prints gets into it."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "wb")


def _received() -> bytes:
    length = int.from_bytes(_read(LENGTH_BYTES), "big")
    return _read(length)


def _read(size: int) -> bytes:
    """Exactly `size` bytes of stdin. Unbuffered: a buffer's lock, held by the waiting thread, would break Python's end."""
    parts = bytearray()
    while len(parts) < size:
        part = os.read(0, min(size - len(parts), 1 << 20))
        if not part:
            os._exit(ABANDONED)
        parts += part
    return bytes(parts)


def _end_with_caller() -> None:
    """Waits for the end of stdin. The fill itself is one call of machine code, during which other threads run."""
    _read(1)
    os._exit(ABANDONED)


def _filled(given: bytes) -> bytes:
    """Fills the request's picture and returns it as the bytes of a .npy file."""
    import numpy as np
    import patchmatch

    with np.load(io.BytesIO(given)) as request:
        patchmatch.set_random_seed(int(request["seed"]))
        filled = patchmatch.inpaint(request["picture"], request["mask"], patch_size=int(request["patch_size"]))
    kept = io.BytesIO()
    np.save(kept, np.ascontiguousarray(filled))
    return kept.getvalue()


if __name__ == "__main__":
    sys.exit(main())
