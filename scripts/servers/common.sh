# Functions for the scripts in this folder. Source this file, do not run it.
# The caller must set `set -euo pipefail`.

# The folder for installations, outside the work tree.
LAB="${LAB:-${TMPDIR:-/tmp}/fieldtest-lab}"
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

need_port() {
    [[ "${1:-}" =~ ^[0-9]+$ ]] || die "usage: $(basename "$0") PORT${2:+ $2}"
}

# venv NAME PACKAGE==VERSION...: creates a virtual environment in $LAB/NAME/venv, one time per list
# of packages.
venv() {
    local dir="$LAB/$1" stamp
    shift
    stamp="$dir/venv/.installed"
    if [[ "$(cat "$stamp" 2>/dev/null || true)" != "$*" ]]; then
        printf 'installing %s into %s\n' "$*" "$dir" >&2
        mkdir -p "$dir"
        python3 -m venv "$dir/venv"
        "$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
        # Written last, so that an interrupted installation starts again.
        printf '%s\n' "$*" >"$stamp"
    fi
}

# answers URL: succeeds if the URL returns an HTTP status. 404 counts, because some servers have no
# health route. 503 does not count: a server that still loads its model returns it.
answers() {
    local status
    status="$(curl --silent --output /dev/null --max-time 2 --write-out '%{http_code}' "$1" || true)"
    [[ "$status" != 000 && "$status" != 503 ]]
}

# serve NAME READY_URL COMMAND...: runs the command with its output in $LAB/NAME/log, prints a line
# when the URL answers, and waits until the server ends. The end of this script ends the server.
serve() {
    local name="$1" url="$2" log="$LAB/$1/log" pid
    shift 2
    mkdir -p "$LAB/$name"
    # An old server at this URL would answer instead of the new one.
    if answers "$url"; then
        die "$name: another server already answers at $url"
    fi
    "$@" >"$log" 2>&1 &
    pid=$!
    # shellcheck disable=SC2064  # expand the id now
    trap "kill $pid 2>/dev/null || true" EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # A parallel compilation can delay a start of ten seconds to minutes.
    for _ in $(seq "${READY_TRIES:-600}"); do
        if answers "$url"; then
            printf '%s ready, log in %s\n' "$name" "$log"
            wait "$pid"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.3
    done
    tail -n 20 "$log" >&2
    die "$name did not start"
}
