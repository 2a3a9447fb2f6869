#!/usr/bin/env bash
# Runs PyPI's llmock on 127.0.0.1:PORT. Its Messages API has the base path /anthropic.
# Other arguments go to llmock, for example --error-rate 429=0.2 or --stream-fault truncate=0.5.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_port "${1:-}" "[OPTION...]"

venv llmock llmock==0.2.2

serve llmock "http://127.0.0.1:$1/" \
    "$LAB/llmock/venv/bin/llmock" serve --host 127.0.0.1 --port "$@"
