#!/usr/bin/env bash
# Installs the locked packages of a front end, saying how far that is: npm.sh NPM FOLDER
set -euo pipefail
npm=$(realpath "$1")
cd "$2"
# npm's own bar is drawn on terminals alone; its warnings are about packages that we do not choose.
"$npm" ci --no-audit --no-fund --loglevel=error --progress=false &
installing=$!
trap 'kill "$installing" 2>/dev/null || true' INT TERM
pause=10
[ -t 1 ] && pause=1
passed=0
while kill -0 "$installing" 2>/dev/null; do
  sleep 0.5
  passed=$((passed + 1))
  [ $((passed % (2 * pause))) = 0 ] || continue
  size=$(du -sm node_modules 2>/dev/null | cut -f1 || true)
  if [ -t 1 ]; then printf '\r  %s MB' "${size:-0}"; else printf '  %s MB\n' "${size:-0}"; fi
done
[ -t 1 ] && printf '\r'
wait "$installing"
