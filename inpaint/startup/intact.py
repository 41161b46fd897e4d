"""Checks that the installed package is complete: PyPI has an unrelated package with the same import name. Imports nothing of
this package.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

NAMESAKE = "inpaint"
"""Name of the unrelated distribution; this one is called inpaint-studio."""


def check_intact() -> str:
    """Returns one line with what to do if the other package is installed in the same folder, so that one has overwritten the
    other; else "".
    """
    try:
        other = metadata.distribution(NAMESAKE)
    except metadata.PackageNotFoundError:
        return ""
    own = Path(__file__).resolve().parents[1] / "__init__.py"
    if not any(Path(str(other.locate_file(file))).resolve() == own for file in other.files or ()):
        return ""
    return (
        f"The package {NAMESAKE} {other.version} is another program, and its files are mixed with those of inpaint-studio. Repair it with: "
        f"pip uninstall --yes {NAMESAKE} inpaint-studio, then install inpaint-studio again."
    )
