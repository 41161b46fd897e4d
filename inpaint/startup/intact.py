"""Whether the installed package is whole: PyPI has an unrelated one with the same import name. Imports nothing of the package itself."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

NAMESAKE = "inpaint"
"""The other distribution; this one is called inpaint-studio."""


def check_intact() -> str:
    """One line with what to do where the namesake lies in this folder, and one of the two has overwritten the other; "" where all is well."""
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
