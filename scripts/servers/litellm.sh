#!/usr/bin/env bash
# Runs LiteLLM's proxy on 127.0.0.1:PORT, in front of other servers (base URLs without /v1):
#   litellm.sh PORT ANTHROPIC_URL [OPENAI_URL]
# Model anthropic-shape goes to ANTHROPIC_URL/v1/messages, openai-shape to
# OPENAI_URL/v1/chat/completions. Without OPENAI_URL, there is no openai-shape.
# LITELLM_VERSION overrides the release below.
# LITELLM_MASTER_KEY is the key that clients need, UPSTREAM_KEY the key that the proxy sends.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_port "${1:-}" "ANTHROPIC_URL [OPENAI_URL]"
[[ "${2:-}" == http* ]] || die "usage: litellm.sh PORT ANTHROPIC_URL [OPENAI_URL]"

# Pinned, because a later release is reported to be tampered with.
version="${LITELLM_VERSION:-1.106.2}"
name="litellm-$version"
venv "$name" "litellm[proxy]==$version"

export LITELLM_MASTER_KEY="${LITELLM_MASTER_KEY:-dummy-proxy-key}"
# Without this, the proxy does not start with such a weak key.
export LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY=true
# Without this, the proxy downloads its table of prices at each start.
export LITELLM_LOCAL_MODEL_COST_MAP=True
export UPSTREAM_KEY="${UPSTREAM_KEY:-dummy-upstream-key}"
# The upstream model names matter: the proxy forwards fields depending on the name of the model.
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
    # Without use_chat_completions_url_for_anthropic_messages, the proxy would use the Responses API
    # for openai-shape, which few servers have. Retries would hide errors of the upstream and send a
    # request several times. Cooldowns would return 429 for five seconds after a 404.
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
