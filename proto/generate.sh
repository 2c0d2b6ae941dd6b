#!/bin/sh
# Writes the Python code beside every .proto, with its types. Run by `make gen`.
set -eu
cd "$(dirname "$0")"
bin=$(cd ../.venv/bin && pwd)
# The mypy plugins are found on PATH; no other generator is wanted.
PATH="$bin:$PATH" "$bin/python" -m grpc_tools.protoc -I. \
    --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. \
    $(find taxcontrol -name '*.proto' | LC_ALL=C sort)
