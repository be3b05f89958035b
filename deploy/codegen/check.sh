#!/usr/bin/env bash
# Generates everything again elsewhere and fails where it differs from what lies in the tree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
buf generate -o "$folder"
for generated in protos/gen/python frontend/web/src/gen; do
  diff -rq -x __pycache__ "$folder/$generated" "$generated" || {
    echo "generated code is not what the contracts give; run: make proto" >&2
    exit 1
  }
done
