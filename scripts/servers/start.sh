# Starts and stops servers for the scripts in the folder above. Source this file, do not run it.
# The caller must set `set -euo pipefail`.

started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    started=()
    # The port of a server is free shortly after its script has ended.
    sleep 2
}
trap stop EXIT

# start COMMAND...: starts a server script in the background, and waits until it is ready.
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
