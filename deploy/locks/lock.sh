#!/usr/bin/env bash
# Resolves every dependency again: one file for each service, one for the gateway and the build, one for the command line, one for the robots, one for all.
# The image on Modal has the Trainer's packages in the same versions, and those of jax for an NVIDIA GPU on Linux.
# The files hold versions and hashes and name no host. lock.sh UV [--upgrade]
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=$1
shift

members=(protos players/python $(dirname services/*/pyproject.toml) deploy/local frontend/cli)
ours=()
manifests=()
for member in "${members[@]}"; do
  manifests+=("$member/pyproject.toml")
  name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$member/pyproject.toml" | head -1)
  ours+=(--no-emit-package "$name")
done

compile() { # compile OUTPUT ARGUMENTS...
  local output=deploy/locks/$1.txt
  shift
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    "${ours[@]}" --output-file "$output" "$@"
  printf '  %s: %s packages\n' "$output" "$(grep -c '==' "$output")"
}

compile development "$@" "${manifests[@]}" --group pyproject.toml:build --group pyproject.toml:development
for service in scene rewardgen trainer exporter inference; do
  compile "$service" --constraints deploy/locks/development.txt "services/$service/pyproject.toml"
done
compile gateway --constraints deploy/locks/development.txt deploy/local/pyproject.toml --group pyproject.toml:build
compile cli --constraints deploy/locks/development.txt frontend/cli/pyproject.toml
compile robots --group services/simulation/pyproject.toml:robots
compile peers --constraints deploy/locks/development.txt services/simulation/pyproject.toml --group services/simulation/pyproject.toml:peers
compile modal --constraints deploy/locks/development.txt --no-universal --python-platform x86_64-manylinux_2_28 \
  services/trainer/pyproject.toml --group services/trainer/pyproject.toml:modal
