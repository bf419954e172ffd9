# Sourced by scripts/demo and scripts/test: makes .venv ready, and keeps every trace inside the checkout.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV="$PWD/.venv"
PYTHON="$VENV/bin/python"

# For the processes of these scripts alone: no model hub, no cache of pip, all other caches inside the checkout.
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 HF_HOME="$VENV/huggingface"
export XDG_CACHE_HOME="$VENV/cache"
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME COLSTORE_CACHE

say() { printf '\n== %s\n' "$*"; }

# The first Python that is new enough and runs; the one that constraints.txt was made with comes first.
find_python() {
    local candidate
    for candidate in python3.11 python3 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "colstore needs Python 3.11 or later; none was found on the PATH" >&2
    return 1
}

make_environment() {
    if [[ -x "$PYTHON" ]] && "$PYTHON" -m pip --version >/dev/null 2>&1; then
        return
    fi
    local system_python
    system_python="$(find_python)"
    say "making a virtual environment in .venv with $("$system_python" --version)"
    if ! "$system_python" -m venv --clear "$VENV"; then
        echo "could not make a virtual environment: is the venv module installed? (Debian: apt install python3-venv)" >&2
        return 1
    fi
}

# digest PATH...: one hash over the contents of files, and of all files below folders.
digest() {
    "$PYTHON" -c '
import hashlib, pathlib, sys
digest = hashlib.sha256()
for path in map(pathlib.Path, sys.argv[1:]):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file() and file.suffix != ".pyc":
            digest.update(str(file).encode() + file.read_bytes())
print(digest.hexdigest())' "$@"
}

# prepare EXTRAS: install colstore with these extras, unless that was done with the same pyproject.toml and constraints.
prepare() {
    local extras="$1" stamp now
    make_environment
    mkdir -p "$VENV/tmp"
    export TMPDIR="$VENV/tmp"
    stamp="$VENV/installed-${extras//,/-}"
    now="$(digest pyproject.toml constraints.txt) $PWD"
    if [[ -f "$stamp" && "$(cat "$stamp")" == "$now" ]]; then
        return
    fi
    say "installing colstore-index[$extras] into .venv (the first time, this takes minutes)"
    "$PYTHON" -m pip install --quiet -c constraints.txt -e ".[$extras]"
    echo "$now" > "$stamp"
}
