#!/bin/sh
# Prints the path of a Chromium for the browser tests, or nothing; what it does meanwhile goes to stderr.
# Order: $INPAINT_CHROMIUM, one that is installed, apt-get (as root), playwright's own.
set -u

runs() {
    "$1" --version >/dev/null 2>&1
}

installed() {
    for name in chromium chromium-browser google-chrome google-chrome-stable \
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium; do
        path=$(command -v "$name" 2>/dev/null) || continue
        # Run it: Ubuntu's chromium-browser package is a note about snap, not a browser.
        if runs "$path"; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    return 1
}

playwrights_own() {
    path=$(.venv/bin/python -c '
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)' 2>/dev/null) && runs "$path" && printf '%s\n' "$path"
}

if [ -n "${INPAINT_CHROMIUM:-}" ]; then
    if ! runs "$INPAINT_CHROMIUM"; then
        echo "INPAINT_CHROMIUM=$INPAINT_CHROMIUM does not run." >&2
        exit 1
    fi
    printf '%s\n' "$INPAINT_CHROMIUM"
    exit 0
fi
installed && exit 0
playwrights_own && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "No Chromium here: installing Debian's" >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium fonts-liberation; } >&2
    installed && exit 0
fi
echo "No Chromium here: asking playwright for its own" >&2
.venv/bin/python -m playwright install chromium >&2
playwrights_own && exit 0
echo "No Chromium could be had: the browser tests will be skipped. INPAINT_CHROMIUM=/path/to/chromium names one." >&2
