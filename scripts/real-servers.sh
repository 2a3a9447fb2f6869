#!/usr/bin/env bash
# Runs all rows against independent servers, and writes their reports to reports/real/NAME:
#   real-servers.sh [llama|litellm|llmock|mock-ai-api]...     (default: all four)
# Installs each server on first use into $LAB (see servers/common.sh), starts it on loopback, and
# stops it. FIELDTEST is the binary, PORT the first port to use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PORT="${PORT:-18080}"
FIELDTEST="${FIELDTEST:-target/release/fieldtest}"
[[ -x "$FIELDTEST" ]] || cargo build --release
source scripts/servers/start.sh

# matrix NAME OPTION...: runs all rows and accepts exit code 1, a contradiction.
matrix() {
    local name="$1"
    shift
    "$FIELDTEST" run --name "$name" --out "reports/real/$name" --format markdown,json --seed 7 --no-progress "$@" || [[ $? == 1 ]]
}

for server in "${@:-llama litellm llmock mock-ai-api}"; do
    for one in $server; do
        case "$one" in
        llama) # A weak model: rows that need its obedience are undetermined, the others are decided.
            start scripts/servers/llama.sh "$PORT"
            matrix llama.cpp-smollm2 --base-url "http://127.0.0.1:$PORT" --model smollm2 --claims deepseek \
                --concurrency 2 --default-max-tokens 256
            ;;
        litellm) # In front of a server that supports everything: the gateway causes each difference.
            start "$FIELDTEST" simulate anthropic --port "$((PORT + 1))"
            UPSTREAM_KEY=fieldtest-simulator start scripts/servers/litellm.sh "$PORT" "http://127.0.0.1:$((PORT + 1))"
            PROXY_KEY=dummy-proxy-key matrix litellm-anthropic --base-url "http://127.0.0.1:$PORT" --model anthropic-shape \
                --claims anthropic --api-key-env PROXY_KEY
            ;;
        llmock)
            start scripts/servers/llmock.sh "$PORT"
            matrix llmock --base-url "http://127.0.0.1:$PORT/anthropic" --model m --claims deepseek
            ;;
        mock-ai-api)
            start scripts/servers/mock-ai-api.sh "$PORT"
            matrix mock-ai-api --base-url "http://127.0.0.1:$PORT" --model m --claims deepseek
            ;;
        *)
            echo "unknown server '$one'. Use llama, litellm, llmock or mock-ai-api" >&2
            exit 2
            ;;
        esac
        stop
    done
done
