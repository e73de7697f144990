#!/usr/bin/env bash
# The official SDKs, unmodified, against a dunlin of their own: tests/sdk/run.sh PATH_OF_DUNLIN [SDK...]
#
# Each SDK (node8, node17, node23, python16; all of them unless some are named) gets a server and a database of its
# own, whose account speaks the API version that the SDK is pinned to. Everything lives in a temporary folder:
# servers, databases, SDKs, records. Every answer and every webhook body the suites see is recorded and, where the
# checker is at hand ($CHECK_SHAPES, or ../shared/stripe/check-shapes beside the repository), checked against
# Stripe's published shapes of that version; so is then everything the server lists.
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: $0 PATH_OF_DUNLIN [SDK...]" >&2; exit 2; }
dunlin=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
checker=${CHECK_SHAPES:-$here/../../../shared/stripe/check-shapes}
declare -A pins=([node8]=2020-08-27 [node17]=2025-02-24.acacia [node23]=2026-10-28.endive [python16]=2026-10-28.endive)
[ $# -gt 0 ] || set -- node8 node17 node23 python16

folder=$(mktemp -d)
chmod 711 "$folder" # As root, Postgres runs as another user and must pass through.
pids=()
leave() {
    status=$?
    trap - EXIT
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$folder"
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 PYTHONDONTWRITEBYTECODE=1
failed=0
run() { # NAME COMMAND...: reports, and remembers a failure
    echo "== $1"
    "${@:2}" || { failed=1; echo "FAILED: $1"; }
}

call() { # METHOD PATH KEY: of the server of this suite
    python3 - "$1" "http://127.0.0.1:$port$2" "${3-}" "${4-}" <<'PYTHON'
import sys, urllib.request
method, url, key, form = sys.argv[1:]
headers = {"Authorization": f"Bearer {key}"} if key else {}
request = urllib.request.Request(url, form.encode() or None, headers, method=method)
print(urllib.request.urlopen(request, timeout=5).status)
PYTHON
}

install() { # SDK
    mkdir -p "$folder/$1"
    if [[ $1 == node* ]]; then
        cp "$here"/node/*.js "$here/node/${1#node}"/*.json "$folder/$1/"
        (cd "$folder/$1" && npm ci --silent --no-audit --no-fund)
    else
        python3 -m venv "$folder/$1/venv"
        "$folder/$1/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
    fi
}

serve() { # SDK PIN: sets $port, the keys and $DUNLIN_URL
    local log="$folder/$1/server.log" recorder="$folder/$1/recorder.port"
    mkdir "$folder/$1/records"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    env -u DATABASE_URL -u DUNLIN_TEST_KEY "$dunlin" --data-dir "$folder/$1/data" --listen "127.0.0.1:$port" --log warn \
        >"$log" 2>&1 &
    pids+=($!)
    for tries in $(seq 240); do
        ! call GET /readyz >/dev/null 2>&1 || break
        if [ "$tries" = 240 ] || ! kill -0 "${pids[-1]}" 2>/dev/null; then
            cat "$log" >&2
            echo "the server did not get ready" >&2
            exit 1
        fi
        sleep 0.5
    done
    DUNLIN_SECRET_KEY=$(awk '$1 == "secret" { print $2 }' "$log")
    DUNLIN_PUBLISHABLE_KEY=$(awk '$1 == "publishable" { print $2 }' "$log")
    call POST /v1/dunlin/settings "$DUNLIN_SECRET_KEY" "api_version=$2" >/dev/null
    python3 "$here/python/recorder.py" "$port" "$folder/$1/records" >"$recorder" &
    pids+=($!)
    for _ in $(seq 100); do [ -s "$recorder" ] && break; sleep 0.1; done
    DUNLIN_URL="http://127.0.0.1:$(cat "$recorder")"
    DUNLIN_RECORD_DIR="$folder/$1/records"
    export DUNLIN_URL DUNLIN_SECRET_KEY DUNLIN_PUBLISHABLE_KEY DUNLIN_RECORD_DIR
}

shapes() { # SDK PIN
    # Codes that Stripe documents are missing from the published lists, or from those of older versions: these few
    # error bodies are checked without them.
    local codes='payment_method_types_no_longer_supported|property_expansion_max_depth|invalid_canceled_subscription_fields'
    local unlisted="\"code\": \"($codes)\", "
    cd "$folder/$1/records"
    sed -E "s/$unlisted//" responses.jsonl >answers.jsonl
    run "$1: shapes of answers" "$checker" --version "$2" --strict answers.jsonl
    run "$1: shapes of webhooks" "$checker" --version "$2" --strict webhooks.jsonl
    run "$1: shapes of everything listed" \
        "$checker" --live "http://127.0.0.1:$port" "$DUNLIN_SECRET_KEY" --version "$2" --strict --expand
    cd "$here"
}

echo "== install the SDKs"
for sdk; do install "$sdk"; done
for sdk; do
    pin=${pins[$sdk]}
    serve "$sdk" "$pin"
    if [[ $sdk == node* ]]; then
        run "$sdk at $pin" bash -c 'cd "$1" && node --test --test-reporter="$2"' - "$folder/$sdk" "${REPORTER:-spec}"
    else
        run "$sdk at $pin" "$folder/$sdk/venv/bin/python" -m unittest discover -s "$here/python"
    fi
    if [ -x "$checker" ]; then
        shapes "$sdk" "$pin"
    else
        echo "== shapes: SKIPPED, no checker at $checker (set CHECK_SHAPES)"
    fi
    if grep -qE "ERROR|panicked" "$folder/$sdk/server.log"; then
        run "$sdk: server log" bash -c 'grep -nE "ERROR|panicked" "$1"; false' - "$folder/$sdk/server.log"
    fi
    for pid in "${pids[@]}"; do kill "$pid" && wait "$pid" || true; done 2>/dev/null
    pids=()
done
[ "$failed" = 0 ] && echo "== all passed"
exit "$failed"
