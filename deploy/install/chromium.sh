#!/usr/bin/env bash
# Makes sure that the browser tests find a Chromium: Debian's, installed when this is root.
set -euo pipefail
for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
  [ -n "$name" ] && command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  printf '\033[1m▸ %s\033[0m\n' 'Installing Chromium for the browser tests'
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
else
  echo 'error: the browser tests need Chromium; install it (Debian: apt-get install chromium) or name it: CHROMIUM=/path make test' >&2
  exit 1
fi
