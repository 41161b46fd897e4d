#!/bin/sh
# Installs what the app needs into .venv, with the build of torch that fits the machine: on x86-64 Linux without an NVIDIA driver the one
# for CPUs, a tenth of the download. TORCH=cpu or TORCH=cuda chooses, and is remembered; give the other one to switch.
#   sh scripts/install.sh             installs, and writes to .venv/inpaint-installed which build it is
#   sh scripts/install.sh --wanted    says which build it would be: cpu, cuda, or usual, where PyPI has only one
set -eu

python=.venv/bin/python
stamp=.venv/inpaint-installed
index=https://download.pytorch.org/whl/cpu

pip() {
    sh scripts/scrubbed.sh --install "$python" -m pip --disable-pip-version-check "$@"
}

# The driver's own file, else the tool that comes with it; Windows puts that elsewhere for its Linux.
has_driver() {
    [ -e /proc/driver/nvidia/version ] || PATH="$PATH:/usr/lib/wsl/lib" nvidia-smi -L 2>/dev/null | grep -q '^GPU'
}

fitting() {
    if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
        echo usual
    elif has_driver; then
        echo cuda
    else
        echo cpu
    fi
}

wanted() {
    case "${TORCH:-}" in
        cpu | cuda)
            [ "$(uname -s)" = Linux ] && echo "$TORCH" || echo usual ;;
        '')
            chosen=$(sed -n 's/^chosen //p' "$stamp" 2>/dev/null || true)
            echo "${chosen:-$(fitting)}" ;;
        *)
            echo "TORCH=$TORCH is neither cpu nor cuda." >&2
            return 2 ;;
    esac
}

build=$(wanted)
if [ "${1:-}" = --wanted ]; then
    echo "$build"
    exit
fi
remembered=$build
if [ -n "${TORCH:-}" ] || grep -q '^chosen ' "$stamp" 2>/dev/null; then
    remembered="chosen $build"
fi
pin=$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt)

sh scripts/make-venv.sh
here=$("$python" -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null || true)
case "$build $here" in
    "cpu ${pin#torch==}+cpu") ;;
    cpu*)
        if [ -n "${TORCH:-}" ]; then why="TORCH=cpu"; else why="No NVIDIA driver here"; fi
        echo "$why: taking torch for CPUs, a tenth of the download. TORCH=cuda takes the one for NVIDIA's GPUs."
        pip install --constraint constraints.txt --no-deps --retries 1 --index-url "$index" "$pin+cpu" ||
            echo "torch for CPUs cannot be had from $index: taking PyPI's build, which is larger and runs on CPUs too." >&2 ;;
    cuda*+cpu)
        echo "Taking torch for NVIDIA's GPUs in place of the one for CPUs. TORCH=cpu takes that one."
        pip uninstall --quiet --yes torch ;;
esac
pip install --constraint constraints.txt --requirement requirements.txt
echo "$remembered" > "$stamp"
