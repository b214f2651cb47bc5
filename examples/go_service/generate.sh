#!/bin/sh
# Generates Go messages and stubs from Portico's contract into gen/. Needs Go 1.25; buf comes from the
# locked requirements, the plugins from go.mod.
set -eu
cd "$(dirname "$0")"
bin=$(../../scripts/venv generate)
exec "$bin/buf" generate ../..
