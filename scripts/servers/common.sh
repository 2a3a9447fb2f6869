# Shared by the scripts beside it; source it, do not run it.
# The caller has `set -euo pipefail` on.

# Everything that gets installed goes here, outside the work tree.
LAB="${LAB:-${TMPDIR:-/tmp}/fieldtest-lab}"
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

need_port() {
    [[ "${1:-}" =~ ^[0-9]+$ ]] || die "usage: $(basename "$0") PORT${2:+ $2}"
}

# venv NAME PACKAGE==VERSION...: a virtual environment in $LAB/NAME/venv, installed once per list of packages.
venv() {
    local dir="$LAB/$1" stamp
    shift
    stamp="$dir/venv/.installed"
    if [[ "$(cat "$stamp" 2>/dev/null || true)" != "$*" ]]; then
        printf 'installing %s into %s\n' "$*" "$dir" >&2
        mkdir -p "$dir"
        python3 -m venv "$dir/venv"
        "$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
        # Written last, so that an installation that was cut short is begun again.
        printf '%s\n' "$*" >"$stamp"
    fi
}

# answers URL: some HTTP status comes back. 404 will do, for not every server has a health route; 503 will not, for
# that is what a server says that listens already and still loads its model.
answers() {
    local status
    status="$(curl --silent --output /dev/null --max-time 2 --write-out '%{http_code}' "$1" || true)"
    [[ "$status" != 000 && "$status" != 503 ]]
}

# serve NAME READY_URL COMMAND...: runs the command, its output in $LAB/NAME/log, prints one line as soon as the URL
# answers, and stays until the server ends; when this script is ended, so is the server.
serve() {
    local name="$1" url="$2" log="$LAB/$1/log" pid
    shift 2
    mkdir -p "$LAB/$name"
    # A server left over from before would answer in place of the new one.
    if answers "$url"; then
        die "$name: something already answers at $url"
    fi
    "$@" >"$log" 2>&1 &
    pid=$!
    # shellcheck disable=SC2064  # the id is meant to be filled in now
    trap "kill $pid 2>/dev/null || true" EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # Compilers beside it can slow a start of ten seconds to minutes.
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
