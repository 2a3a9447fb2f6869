#!/usr/bin/env bash
# The demonstration with a real gateway, LiteLLM's proxy: leaves its matrices in reports/gateways.
#   gateways.sh sandwich             the fate of each field, in both shapes of upstream, for an older and a newer
#                                    release, and what changed between the two
#   gateways.sh compare-anthropic    the same questions to an upstream and through the gateway: Anthropic's shape in
#                                    front of a server that honours everything
#   gateways.sh compare-openai       OpenAI's shape in front of a mock that speaks both APIs, with canned text
#   gateways.sh                      all
# The gateway is installed on first use into $LAB (see servers/common.sh), started on loopback, and stopped again.
# FIELDTEST names the binary, PORT the first of three ports that are used, VERSIONS the releases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PORT="${PORT:-18400}"
FIELDTEST="${FIELDTEST:-target/release/fieldtest}"
read -r OLDER NEWER <<<"${VERSIONS:-1.80.0 1.106.2}"
[[ -x "$FIELDTEST" ]] || cargo build --release
source scripts/servers/start.sh
export PROXY_KEY=dummy-proxy-key

# finds COMMAND...: exit 1 is a difference, which is what these runs are there to find.
finds() { "$@" || [[ $? == 1 ]]; }

# gateway VERSION UPSTREAM_URL [OPENAI_URL]: the release in front of these upstreams.
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
            echo "no '$one': sandwich, compare-anthropic, compare-openai" >&2
            exit 2
            ;;
        esac
    done
done
