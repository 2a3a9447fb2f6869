#!/usr/bin/env bash
# PyPI's mock-ai-api, its Messages API on 127.0.0.1:PORT.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_port "${1:-}"

venv mock-ai-api mock-ai-api==0.1.1

# Its own command also starts an OpenAI-style server on a second port, and leaves both behind when it is ended by a
# signal; so the one application that is wanted is served directly, in the way that command does it.
serve mock-ai-api "http://127.0.0.1:$1/" \
    "$LAB/mock-ai-api/venv/bin/python" -m uvicorn app.anthropic_app:app --host 127.0.0.1 --port "$1"
