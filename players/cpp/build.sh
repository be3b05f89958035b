#!/usr/bin/env bash
# Builds the player: build.sh PYTHON OUTPUT. MuJoCo's headers and library and onnxruntime's library are those in the
# wheels of that Python; onnxruntime's header is in third_party, since no wheel carries it.
set -euo pipefail
python=$1 output=$2
here=$(cd "$(dirname "$0")" && pwd)
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
packages=$(cd "$packages" && pwd)
mujoco=$(compgen -G "$packages/mujoco/libmujoco.so.*") || { echo "error: no MuJoCo in $packages; run: make install" >&2; exit 1; }
onnxruntime=$(compgen -G "$packages/onnxruntime/capi/libonnxruntime.so.*") || { echo "error: no onnxruntime in $packages; run: make install" >&2; exit 1; }
# The wheel's file has not the name by which programs look for it.
libraries=$(mkdir -p "$output.libraries" && cd "$output.libraries" && pwd)
ln -sfn "$onnxruntime" "$libraries/libonnxruntime.so.1"
exec "${CXX:-g++}" -std=c++17 -O2 -Wall -Wextra -Wpedantic -Werror \
  -I "$here" -isystem "$here/third_party/onnxruntime" -isystem "$packages/mujoco/include" \
  "$here"/*.cpp -o "$output" "$mujoco" "$onnxruntime" \
  -Wl,-rpath,"$(dirname "$mujoco")" -Wl,-rpath,"$libraries"
