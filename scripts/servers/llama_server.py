"""Starts llama.cpp's server from its Python binding: PORT MODEL_FILE TEMPLATE_FILE."""

import os
import signal
import sys

import xllamacpp

port, model, template = sys.argv[1:]

params = xllamacpp.CommonParams()
params.model.path = model
params.model_alias = {"smollm2"}
params.hostnames = ["127.0.0.1"]
params.port = int(port)
# Two slots share this. Each slot is limited to the 8192 tokens of the model, so more is useless.
params.n_ctx = 16384
params.n_parallel = 2
params.cpuparams.n_threads = 2
params.use_jinja = True
if os.environ.get("LLAMA_TEMPLATE") != "own":
    with open(template, encoding="utf-8") as file:
        params.chat_template = file.read()
if os.environ.get("LLAMA_API_KEY"):
    params.api_keys = [os.environ["LLAMA_API_KEY"]]
# At 5, the log shows how the server reads each request.
params.verbosity = int(os.environ.get("LLAMA_VERBOSITY", "3"))

server = xllamacpp.Server(params)
print("listening at", server.listening_address, flush=True)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
# The clean-up of the binding can wait for open connections. Nothing here needs it.
os._exit(0)
