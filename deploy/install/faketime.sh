#!/usr/bin/env bash
# Makes sure that the tests find libfaketime, which sets the clock of a process: Debian's, installed when this is root.
set -euo pipefail
compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null && exit 0
compgen -G '/usr/lib/faketime/libfaketimeMT.so.1' >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  printf '\033[1m▸ %s\033[0m\n' 'Installing libfaketime for the tests'
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends faketime >/dev/null
else
  echo 'note: without libfaketime (Debian: apt-get install faketime) no clock jumps in the tests' >&2
fi
