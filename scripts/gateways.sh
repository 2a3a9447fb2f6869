#!/usr/bin/env bash
# Tests a real gateway, LiteLLM's proxy, and writes its reports to reports/gateways:
#   gateways.sh sandwich             what it does with each field, with both shapes of upstream, in
#                                    an older and a newer release, and what changed between the two
#   gateways.sh compare-anthropic    an upstream and the gateway in front of it, compared:
#                                    Anthropic's shape, with a server that supports everything
#   gateways.sh compare-openai       the same with OpenAI's shape, and a mock with fixed texts that
#                                    speaks both APIs
#   gateways.sh                      all of them
# Installs the gateway on first use into $LAB (see servers/common.sh), starts it on loopback, and
# stops it. FIELDTEST is the binary, PORT the first of three ports, VERSIONS the two releases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PORT="${PORT:-18400}"
FIELDTEST="${FIELDTEST:-target/release/fieldtest}"
read -r OLDER NEWER <<<"${VERSIONS:-1.80.0 1.106.2}"
[[ -x "$FIELDTEST" ]] || cargo build --release
source scripts/servers/start.sh
export PROXY_KEY=dummy-proxy-key

# finds COMMAND...: runs the command and accepts exit code 1, a difference.
finds() { "$@" || [[ $? == 1 ]]; }

# gateway VERSION UPSTREAM_URL [OPENAI_URL]: starts this release in front of these upstreams.
gateway() {
    local version="$1"
    shift
    LITELLM_VERSION="$version" UPSTREAM_KEY="${UPSTREAM_KEY:-dummy-upstream-key}" start scripts/servers/litellm.sh "$PORT" "$@"
}

sandwich() {
    local version shape upstream="http://127.0.0.1:$((PORT + 1))"
    for version in "$OLDER" "$NEWER"; do
        gateway "$version" "$upstream" "$upstream"
        for shape in anthropic openai; do
            finds "$FIELDTEST" gateway --via "http://127.0.0.1:$PORT" --upstream-port "$((PORT + 1))" --shape "$shape" \
                --model "$shape-shape" --api-key-env PROXY_KEY --name "litellm-$version-$shape" \
                --out "reports/gateways/litellm-$version-$shape" --format markdown,json --seed 7
        done
        stop
    done
    for shape in anthropic openai; do
        finds "$FIELDTEST" diff "reports/gateways/litellm-$OLDER-$shape/results-litellm-$OLDER-$shape.json" \
            "reports/gateways/litellm-$NEWER-$shape/results-litellm-$NEWER-$shape.json" \
            --format markdown >"reports/gateways/diff-$shape.md"
    done
}

compare-anthropic() {
    start "$FIELDTEST" simulate anthropic --port "$((PORT + 1))"
    UPSTREAM_KEY=fieldtest-simulator gateway "$NEWER" "http://127.0.0.1:$((PORT + 1))"
    DIRECT_KEY=fieldtest-simulator finds "$FIELDTEST" compare --direct "http://127.0.0.1:$((PORT + 1))" --direct-key-env DIRECT_KEY \
        --direct-model claude-sonnet-4-5 --via "http://127.0.0.1:$PORT" --via-key-env PROXY_KEY --via-model anthropic-shape \
        --claims anthropic --out reports/gateways/compare-anthropic --format markdown,json --seed 7
    stop
}

compare-openai() {
    local mock="http://127.0.0.1:$((PORT + 1))"
    start scripts/servers/llmock.sh "$((PORT + 1))"
    gateway "$NEWER" "$mock/anthropic" "$mock"
    finds "$FIELDTEST" compare --direct "$mock/anthropic" --direct-model m --via "http://127.0.0.1:$PORT" \
        --via-key-env PROXY_KEY --via-model openai-shape \
        --out reports/gateways/compare-openai --format markdown,json --seed 7
    stop
}

for what in "${@:-sandwich compare-anthropic compare-openai}"; do
    for one in $what; do
        case "$one" in
        sandwich | compare-anthropic | compare-openai) "$one" ;;
        *)
            echo "unknown part '$one'. Use sandwich, compare-anthropic or compare-openai" >&2
            exit 2
            ;;
        esac
    done
done
