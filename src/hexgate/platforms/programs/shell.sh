if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  echo "$ME: bash 4.4 or newer is needed, this is $BASH_VERSION" >&2
  exit 2
fi

# ---- words

SPEAKS=en
case ${HEXGATE_LANG:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}} in zh* | ZH*) SPEAKS=zh ;; esac

# say ENGLISH CHINESE: a message for the person; a closed terminal must not end the run.
say() {
  if [[ $SPEAKS == zh ]]; then printf '%s: %s\n' "$ME" "$2"; else printf '%s: %s\n' "$ME" "$1"; fi >&2 || true
}

# die CODE ENGLISH CHINESE
die() {
  say "$2" "$3"
  exit "$1"
}

# quoted WORD...: the words as one shell line.
quoted() {
  local word line=
  for word in "$@"; do
    if [[ ! $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]]; then word="'${word//\'/\'\\\'\'}'"; fi
    line+="${line:+ }$word"
  done
  printf '%s\n' "$line"
}

# ---- this machine

# A root of another system, for tests of this program.
ROOT=${HEXGATE_HOST_ROOT:-}

# A password that sudo remembers now may be forgotten when it is time to put things back: -k leaves it aside.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n -k "$@"; fi
}

# started_at PID: when it was started, in ticks since the boot: a number that is used again is another process.
started_at() {
  local line
  local -a fields
  { line=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # Field 22 of the line; two stand before the bracket.
  read -r -a fields <<<"${line##*) }"
  printf '%s' "${fields[19]}"
}

# alive PID START: whether that very process is there.
alive() {
  [[ ${1:-} =~ ^[0-9]+$ && ${2:-} =~ ^[0-9]+$ && $(started_at "$1") == "$2" ]]
}
