#!/bin/sh
# Creates .venv, if it is not there or no longer runs, from the newest Python that the pinned packages are tested with.
# PYTHON=/path/to/python chooses another. Installs nothing.
set -eu

if .venv/bin/python -c 'import pip' 2>/dev/null; then
    exit 0
fi

usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

if [ -n "${PYTHON:-}" ] && ! usable "$PYTHON"; then
    echo "PYTHON=$PYTHON is not a Python 3.11 or newer." >&2
    exit 1
fi
found=${PYTHON:-}
for python in python3.13 python3.12 python3.11 python3; do
    # Run each: a version manager's shim can be on PATH with no Python behind it.
    if [ -z "$found" ] && usable "$python"; then
        found=$python
    fi
done
if [ -z "$found" ]; then
    echo "Inpaint needs Python 3.11, 3.12 or 3.13, and none was found. Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: make run PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$found" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "Python $version is here, but not its venv module. Install it (Debian, Ubuntu: apt-get install python$version-venv), then try again." >&2
    exit 1
fi
echo "Creating .venv with $("$found" --version)"
"$found" -m venv --clear .venv
