# Starts servers for the scripts one folder up, and stops them again; source it, do not run it.
# The caller has `set -euo pipefail` on.

started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    started=()
    # A server's port is free a moment after its script has ended.
    sleep 2
}
trap stop EXIT

# start COMMAND...: runs a server script in the background, until it says that it is ready.
start() {
    local log
    log="$(mktemp)"
    "$@" >"$log" 2>&1 &
    started+=("$!")
    for _ in $(seq 900); do
        grep -q -e ' ready, ' -e '^simulating ' "$log" && return
        kill -0 "${started[-1]}" 2>/dev/null || break
        sleep 1
    done
    cat "$log" >&2
    exit 1
}
