#!/usr/bin/env bash
# The README's second command: own virtual environment, pinned versions, style, types, tests.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${ORDNANCE_TEST_VENV:-.venv-test}"
[[ -x "$venv/bin/python" ]] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,render]'
if command -v npm >/dev/null; then
  timeout 180 npm ci --silent --no-audit --no-fund --prefix tests/service/tus_js ||
    echo "tus-js-client could not be installed; its test is skipped" >&2
fi
if ! command -v chromium >/dev/null && [[ -z "${ORDNANCE_CHROMIUM:-}" && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    chromium fonts-dejavu-core; } >/dev/null </dev/null ||
    echo "Chromium could not be installed; the tests of the pages are skipped" >&2
fi
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
"$venv/bin/hadolint" Dockerfile
# Files stay whole and in order: the tests of the pages come last, as a browser keeps the thread of those behind it.
"$venv/bin/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
