#!/usr/bin/env bash
# LiteLLM's proxy on 127.0.0.1:PORT, between a client and other servers (no path; give base URLs without /v1):
#   litellm.sh PORT ANTHROPIC_URL [OPENAI_URL]
# Model anthropic-shape goes to ANTHROPIC_URL/v1/messages, openai-shape to OPENAI_URL/v1/chat/completions; without
# OPENAI_URL there is no openai-shape.
# LITELLM_VERSION names another release than the one that is pinned below.
# LITELLM_MASTER_KEY is the key the proxy asks its clients for, UPSTREAM_KEY the one it shows to the servers behind it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_port "${1:-}" "ANTHROPIC_URL [OPENAI_URL]"
[[ "${2:-}" == http* ]] || die "usage: litellm.sh PORT ANTHROPIC_URL [OPENAI_URL]"

# Pinned for a reason: a later release is said to have been tampered with.
version="${LITELLM_VERSION:-1.106.2}"
name="litellm-$version"
venv "$name" "litellm[proxy]==$version"

export LITELLM_MASTER_KEY="${LITELLM_MASTER_KEY:-dummy-proxy-key}"
# The proxy refuses to start with a key as weak as that one unless told that it may.
export LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY=true
# Its table of prices otherwise comes over the network at each start.
export LITELLM_LOCAL_MODEL_COST_MAP=True
export UPSTREAM_KEY="${UPSTREAM_KEY:-dummy-upstream-key}"
# What the names behind it are called matters: the proxy decides by the model's name which fields it lets through.
anthropic_model="${ANTHROPIC_MODEL:-claude-sonnet-4-5}"
openai_model="${OPENAI_MODEL:-gpt-4o}"

config="$LAB/$name/config-$1.yaml"
{
    cat <<YAML
model_list:
  - model_name: anthropic-shape
    litellm_params:
      model: anthropic/$anthropic_model
      api_base: ${2%/}
      api_key: os.environ/UPSTREAM_KEY
YAML
    if [[ -n "${3:-}" ]]; then
        cat <<YAML
  - model_name: openai-shape
    litellm_params:
      model: openai/$openai_model
      api_base: ${3%/}/v1
      api_key: os.environ/UPSTREAM_KEY
YAML
    fi
    # Without the last line it would speak the Responses API to openai-shape's server, which few other servers have.
    # Retries would hide the errors of the server behind it, and send one request several times; cooldowns would answer
    # whatever comes in the five seconds after a 404 with a 429.
    cat <<YAML
router_settings:
  num_retries: 0
  disable_cooldowns: true
litellm_settings:
  num_retries: 0
  telemetry: false
  use_chat_completions_url_for_anthropic_messages: true
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
YAML
} >"$config"

serve "$name" "http://127.0.0.1:$1/health/liveliness" \
    "$LAB/$name/venv/bin/litellm" --config "$config" --host 127.0.0.1 --port "$1"
