# Sourced by the scripts: makes the virtual environment and finds or installs what else a script needs.
# It says what it does; what it cannot install it names, and fails.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
venv="${VENV:-$root/.venv}"

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 2; }

# find_python: the first interpreter that notifyflow supports
find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "No Python 3.11, 3.12 or 3.13 with venv was found. Install one, or name it: PYTHON=/path/to/python3.12 $0"
}

# with_venv EXTRAS: an environment with notifyflow and the extras in it, in the versions that constraints.txt pins; made once,
# and again when setup.cfg or constraints.txt changes
with_venv() {
  local extras=$1 python stamp
  stamp="$venv/.notifyflow-$(cat setup.cfg constraints.txt | sha256sum | cut -c1-16)-${extras//,/-}"
  if [ ! -e "$stamp" ]; then
    if [ ! -x "$venv/bin/python" ]; then
      python=$(find_python)
      say "Making .venv with $("$python" --version)"
      "$python" -m venv "$venv"
    fi
    say "Installing notifyflow${extras:+ with its extras $extras}"
    "$venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt \
      --editable ".${extras:+[$extras]}"
    touch "$stamp"
  fi
  PATH="$venv/bin:$PATH"
}

# with_program PROGRAM PACKAGE: a program, from Debian's packages where we are root and it is missing
with_program() {
  local program=$1 package=$2
  PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Installing Debian's package $package, for $program"
    if [ -z "${apt_updated:-}" ]; then apt-get update -qq; apt_updated=1; fi
    without_services env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
  else
    die "The tests need $program. Install it (Debian: apt-get install $package) and run $0 again."
  fi
}

# without_services COMMAND...: runs it with a policy by which no package that it installs starts its service (invoke-rc.d(8))
without_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  [ -e "$policy" ] && { "$@"; return; }
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  "$@" || status=$?
  rm -f "$policy"
  return "$status"
}

# with_scratch_in_memory: temporary files go to a folder of their own, in memory where there is room, since SQLite waits for its disk at every commit
with_scratch_in_memory() {
  local folder=${TMPDIR:-/tmp}
  [ -w /dev/shm ] && [ "$(df -k --output=avail /dev/shm | tail -1)" -gt 3000000 ] && folder=/dev/shm
  TMPDIR=$(mktemp -d "$folder/notifyflow-test.XXXXXX")
  export TMPDIR
  chmod 755 "$TMPDIR" # PostgreSQL runs as another user
  trap 'rm -rf "$TMPDIR"' EXIT
}
