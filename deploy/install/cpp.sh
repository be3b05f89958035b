#!/usr/bin/env bash
# Makes sure that the C++ player can be built: a C++17 compiler and nlohmann's JSON, Debian's, installed when this is root.
set -euo pipefail
command -v "${CXX:-g++}" >/dev/null && echo '#include <nlohmann/json.hpp>' | "${CXX:-g++}" -std=c++17 -fsyntax-only -x c++ - 2>/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  printf '\033[1m▸ %s\033[0m\n' 'Installing a C++ compiler and nlohmann-json for the C++ player'
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++ libc6-dev nlohmann-json3-dev >/dev/null
else
  echo 'error: the C++ player needs a compiler and nlohmann-json; install them (Debian: apt-get install g++ nlohmann-json3-dev)' >&2
  exit 1
fi
