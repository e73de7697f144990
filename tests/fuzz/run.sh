#!/usr/bin/env bash
# Looks for what the server should not do, driven by its own description: tests/fuzz/run.sh PATH_OF_DUNLIN [SECONDS]
#
# Schemathesis makes calls, sensible and not, from /openapi.json. What fails: an answer that is a server error,
# one with a status or a body that is not described, and a description that is no valid OpenAPI document.
# Everything lives in a temporary folder: server, database, tools.
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: $0 PATH_OF_DUNLIN [SECONDS]" >&2; exit 2; }
dunlin=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)

folder=$(mktemp -d)
chmod 711 "$folder" # As root, Postgres runs as another user and must pass through.
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 PYTHONDONTWRITEBYTECODE=1
"$folder/venv/bin/python" "$here/fuzz.py" "$dunlin" "$folder" "${2:-150}"
