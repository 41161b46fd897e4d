"""One fill by PatchMatch, as a program of its own: it can be stopped at any moment, and a fault in the package's machine code ends it alone.

Reads an .npz with picture (uint8 [h, w, 3]), mask (uint8 [h, w], 255 = fill), seed and patch_size from stdin and writes the filled
picture as .npy to stdout. Started as a file, not as a module: it imports nothing of this app and begins in the time that numpy takes.
"""

from __future__ import annotations

import io
import signal
import sys

NO_MEMORY = 3
"""The exit status where memory ran out."""


def main() -> int:
    # Ctrl-C reaches every process of the terminal; who started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import numpy as np
        import patchmatch

        with np.load(io.BytesIO(sys.stdin.buffer.read())) as given:
            patchmatch.set_random_seed(int(given["seed"]))
            filled = patchmatch.inpaint(given["picture"], given["mask"], patch_size=int(given["patch_size"]))
        np.save(sys.stdout.buffer, np.ascontiguousarray(filled))
    except MemoryError:
        return NO_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main())
