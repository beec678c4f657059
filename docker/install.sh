#!/bin/sh
# Fill an image, in the builder stages of the Dockerfiles.
#
#   install.sh packages LOCK [PROVIDER]   into /layers/packages: an environment of what a lock names, each file by its
#                                         hash; PROVIDER is what ONNX Runtime must have been built with
#   install.sh hexgate                    into /layers/hexgate: what comes on top, hexgate and its bill of materials
#
# Wheels in /in/ are used alone where there are any; else the package index is asked, with the build secrets
# pip_conf (a pip.conf) and pip_ca (certificates) where they are given. Nothing of either stays in the image.
set -eu

venv=/opt/hexgate
builder=/opt/builder/bin/python

pip() {
  "$builder" -m pip --disable-pip-version-check --no-cache-dir --quiet "$@"
}

# The same files in every build: bytecode that does not hold the time of its source, and one time for all.
settle() {
  PYTHONHASHSEED=0 "$venv/bin/python" -m compileall -q -j 0 -s "$1" -p / \
    --invalidation-mode unchecked-hash "$1$venv/lib"
  find "${1:-$venv}" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
}

packages() {
  lock=$1 provider=${2-}
  if [ -f /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi
  if [ -f /run/secrets/pip_ca ]; then export PIP_CERT=/run/secrets/pip_ca; fi
  set -- install --root-user-action ignore --require-hashes --only-binary :all:
  for wheel in /in/*.whl; do
    if [ -f "$wheel" ]; then set -- "$@" --no-index --find-links /in; fi
    break
  done
  python3 -m venv "${builder%/bin/python}"
  python3 -m venv --without-pip "$venv"
  pip "$@" -r /in/build.lock
  pip --python "$venv/bin/python" "$@" --no-compile -r "/in/$lock"
  if [ -n "${ONNXRUNTIME-}" ]; then
    printf 'onnxruntime-gpu @ %s --hash=sha256:%s\n' "$ONNXRUNTIME" "$ONNXRUNTIME_SHA256" >/tmp/onnxruntime.txt
    pip --python "$venv/bin/python" "$@" --no-compile --no-deps -r /tmp/onnxruntime.txt
  fi
  "$venv/bin/python" -B - "$provider" <<'CHECK'
import sys
try:
    from onnxruntime import get_available_providers
except ImportError as error:
    sys.exit(f"no ONNX Runtime that works in this image ({error}); docker/README.md says where it comes from")
if sys.argv[1] and sys.argv[1] not in get_available_providers():
    sys.exit(f"this ONNX Runtime has no {sys.argv[1]}, only {', '.join(get_available_providers())}")
CHECK
  rm -f "$venv"/bin/[Aa]ctivate*
  settle ""
  mkdir -p "/layers/packages${venv%/*}"
  cp --archive --link "$venv" "/layers/packages$venv"
  touch --date "@$SOURCE_DATE_EPOCH" "/layers/packages${venv%/*}"
}

hexgate() {
  tree=/layers/hexgate
  # A folder that can be written to: the sources are mounted read-only.
  cp -R /src /tmp/src
  pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /tmp/wheel /tmp/src
  pip --python "$venv/bin/python" install --root-user-action ignore --root "$tree" --no-deps --no-index \
    --no-compile --no-warn-script-location /tmp/wheel/*.whl
  install -m 0755 /src/docker/entrypoint.sh "$tree$venv/bin/hexgate-entrypoint"
  PYTHONPATH=$(echo "$tree$venv"/lib/python3*/site-packages)
  export PYTHONPATH
  "$venv/bin/python" -B -m hexgate --version
  mkdir -p "$tree$venv/share"
  "$venv/bin/python" -B /src/tools/sbom.py --timestamp "$SOURCE_DATE_EPOCH" >"$tree$venv/share/sbom.cdx.json"
  # The folder that runs write to, whoever they run as.
  install -d -m 1777 "$tree/output"
  settle "$tree"
}

case ${1-} in
  packages) packages "$2" "${3-}" ;;
  hexgate) hexgate ;;
  *) exit 2 ;;
esac
