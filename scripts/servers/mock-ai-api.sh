#!/usr/bin/env bash
# Runs the Messages API of PyPI's mock-ai-api on 127.0.0.1:PORT.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_port "${1:-}"

venv mock-ai-api mock-ai-api==0.1.1

# Its own command also starts an OpenAI-style server on a second port, and leaves both running after
# a signal. So this script serves the application directly, in the same way.
serve mock-ai-api "http://127.0.0.1:$1/" \
    "$LAB/mock-ai-api/venv/bin/python" -m uvicorn app.anthropic_app:app --host 127.0.0.1 --port "$1"
