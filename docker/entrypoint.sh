#!/bin/sh
# The entry point of the images: `docker run IMAGE demo` and `docker run IMAGE hexgate demo` do the same, and another
# program of the image runs as it is. It replaces itself, so that the program gets the signals.
set -eu

release=/etc/nv_tegra_release
if [ -n "${HEXGATE_L4T_MAJOR-}" ] && [ -r "$release" ]; then
  host=$(sed -n 's/^# R\([0-9]*\) .*/\1/p' "$release")
  if [ "$host" != "$HEXGATE_L4T_MAJOR" ]; then
    echo "hexgate: this image is for L4T R$HEXGATE_L4T_MAJOR, and this machine has R${host:-?}" >&2
    echo "  next: build it with --build-arg BASE_IMAGE=... of this machine's L4T; docker/README.md says how" >&2
    exit 2
  fi
fi

if [ $# -gt 0 ] && command -v -- "$1" >/dev/null; then
  exec "$@"
fi
exec hexgate "$@"
