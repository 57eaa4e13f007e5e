#!/usr/bin/env bash
# Gradescope runs this once, as root, to build the image in which it grades: installs what the
# course's paper needs, where submissions may use it, and shuts the course's source.
set -euo pipefail
root=${AUTOGRADER:-/autograder} # elsewhere in a rehearsal

# First, so that whatever fails below leaves no solution open.
chmod 700 "$root/source"
cd "$root/source/course"
if ! command -v make >/dev/null; then
  apt-get update
  apt-get install -y --no-install-recommends make
fi
make system-course
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "python3 is older than 3.11: choose a newer base image in the autograder's settings" >&2
  exit 1
fi
# Submissions run with this Python, and must not look into the folder above.
python3 -m venv "$root/venv"
ln -sfn "$root/venv" .venv
make tools
chmod -R go+rX "$root/venv"
