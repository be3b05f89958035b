#!/usr/bin/env bash
# Makes sure that the tests find PostgreSQL's programs: Debian's, installed when this is root. They start a server of their own.
set -euo pipefail
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && exit 0
command -v initdb >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  printf '\033[1m▸ %s\033[0m\n' 'Installing PostgreSQL for the tests'
  # without the server that Debian would set up and start besides
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
else
  echo 'error: the tests need PostgreSQL; install it (Debian: apt-get install postgresql)' >&2
  exit 1
fi
