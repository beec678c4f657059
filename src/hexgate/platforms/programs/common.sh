# Seconds between SIGTERM and SIGKILL, to keep what was measured.
GRACE_S=60

# json WORD: the word as a JSON string. Control characters become spaces.
json() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//[[:cntrl:]]/ }"
}

# ---- what is changed on this machine, and put back

STATE_DIR=${HEXGATE_STATE_DIR:-${XDG_STATE_HOME:-${HOME:-/var/tmp}/.local/state}/hexgate}
STATE=
DRY_RUN=0

# act COMMAND...: do it as root and keep what it says in SAID; a dry run prints it instead.
SAID=
act() {
  if ((DRY_RUN)); then
    quoted "$@"
    return 0
  fi
  local code=0
  SAID=$(as_root "$@" 2>&1 </dev/null) || code=$?
  return "$code"
}

# because: the first line of what the last command said, for a reason.
because() {
  local first
  IFS= read -r first <<<"$SAID" || true
  printf '%s' "${first:-it did not say why}"
}

# open_state: where it is written down what to put back, before it is changed.
open_state() {
  [[ -z $STATE ]] || return 0
  local other pid='' start=''
  (umask 077 && mkdir -p "$STATE_DIR") || die 2 "$STATE_DIR cannot be made" "无法创建 $STATE_DIR"
  for other in "$STATE_DIR"/*.state; do
    [[ -e $other ]] || continue
    { read -r _ && read -r _ pid start; } <"$other" || true
    if alive "$pid" "$start"; then
      die 2 "another run.sh (process $pid) has pinned this machine" "另一个 run.sh（进程 $pid）已锁定本机状态"
    fi
    die 2 "a run that was killed left this machine pinned; put it back first: $0 --restore $other" \
      "上次运行被强行终止，本机仍处于锁定状态；请先恢复：$0 --restore $other"
  done
  STATE=$STATE_DIR/$RUN_ID.state
  printf 'hexgate-run-state 1\npid %s %s\n' "$$" "$(started_at $$)" >"$STATE"
  say "what is pinned stands in $STATE; should this program be killed outright: $0 --restore $STATE" \
    "锁定内容记录在 $STATE；若本程序被强行终止，请执行：$0 --restore $STATE"
}

# will_change WORD...: note a change before it is made.
will_change() {
  ((DRY_RUN)) && return 0
  open_state
  printf '%s\n' "$*" >>"$STATE"
}

# unchanged: the change that was noted last did not happen.
unchanged() {
  local -a lines
  ((DRY_RUN)) && return 0
  mapfile -t lines <"$STATE"
  unset 'lines[-1]'
  if ((${#lines[@]} == 2)); then
    rm -f "$STATE"
    STATE=
  else
    printf '%s\n' "${lines[@]}" >"$STATE.new"
    mv "$STATE.new" "$STATE"
  fi
}

# put_back FILE: undo its lines, the last one first. Its lines were checked by read_state.
put_back() {
  local -a lines
  local index kind value cpus cpu failed=0
  mapfile -t lines <"$1"
  for ((index = ${#lines[@]} - 1; index >= 0; index--)); do
    read -r kind value cpus <<<"${lines[index]}"
    SAID=
    case $kind in
      governor)
        local -a files=()
        for cpu in ${cpus//,/ }; do files+=("$ROOT/sys/devices/system/cpu/cpu$cpu/cpufreq/scaling_governor"); done
        SAID=$(as_root tee "${files[@]}" <<<"$value" 2>&1 >/dev/null)
        ;;
      gpu_clocks) act nvidia-smi "--id=$value" --reset-gpu-clocks ;;
      memory_clocks) act nvidia-smi "--id=$value" --reset-memory-clocks ;;
      jetson_clocks) [[ ! -e $value ]] || { act jetson_clocks --restore "$value" && rm -f "$value"; } ;;
      power_mode) act nvpmodel -m "$value" ;;
      *) continue ;;
    esac || {
      failed=1
      say "NOT put back: ${lines[index]}: $(because)" "未能恢复：${lines[index]}：$(because)"
    }
  done
  ((failed)) && return 1
  rm -f "$1"
  say "clocks, governor and power mode are put back" "时钟、调频策略和功耗模式已恢复"
}

STATE_LINE='^(governor [a-z_]+ [0-9]+(,[0-9]+)*|(gpu_clocks|memory_clocks|power_mode) [0-9]+'
STATE_LINE+='|jetson_clocks /[^ ]+\.clocks|container [A-Za-z0-9_.-]+)$'

# restore FILE: mend what a killed run left.
restore() {
  local line kind name pid='' start='' number=0
  [[ -f $1 && -r $1 ]] || die 2 "there is no such file: $1" "没有这个文件：$1"
  while IFS= read -r line; do
    number=$((number + 1))
    case $number in
      1) [[ $line == 'hexgate-run-state 1' ]] || die 2 "$1 was not written by run.sh" "$1 不是 run.sh 写的文件" ;;
      2) read -r _ pid start <<<"$line" ;;
      *) [[ $line =~ $STATE_LINE ]] || die 2 "$1, line $number: not a line of run.sh" \
        "$1 第 $number 行不是 run.sh 写的" ;;
    esac
  done <"$1"
  ((number >= 2)) || die 2 "$1 was not written by run.sh" "$1 不是 run.sh 写的文件"
  if alive "$pid" "$start"; then
    die 2 "the run is still going on (process $pid): stop it, and it puts everything back itself" \
      "运行仍在进行（进程 $pid）：请停止它，它会自行恢复"
  fi
  if ((DRY_RUN)); then
    say "would put back, the last line first:" "将恢复（自下而上）："
    tail -n +3 -- "$1"
    return 0
  fi
  while read -r kind name; do
    if [[ $kind == container && -n $(docker ps --quiet --filter "name=^/$name\$" 2>/dev/null) ]]; then
      say "stopping the container $name" "正在停止容器 $name"
      docker stop --time "$GRACE_S" "$name" >/dev/null || true
    fi
  done <"$1"
  put_back "$1" || exit 5
}

# ---- what is observed, and recorded for the artifact

RECORD=
SAMPLER=
RECORDER=
WORK=
declare -A SEEN=() BUSY=()

# record JSON-MEMBERS: one line of the record, with the time.
record() {
  [[ -n $RECORD ]] || return 0
  printf '{"at":%(%s)T,%s}\n' -1 "$1" >>"$RECORD"
}

# record_host PHASE: governors, and where there is one, the power mode. Without a fork but for the power mode.
record_host() {
  local file governor counts='' mode=null
  local -A by=()
  for file in "$ROOT"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
    { IFS= read -r governor <"$file"; } 2>/dev/null || continue
    [[ -n $governor ]] && by[$governor]=$((${by[$governor]:-0} + 1))
  done
  for governor in "${!by[@]}"; do counts+="${counts:+,}$(json "$governor"):${by[$governor]}"; done
  if [[ $1 != during ]]; then mode=$(power_mode_json); fi
  record "\"kind\":\"host\",\"phase\":\"$1\",\"governor\":{$counts},\"power_mode\":$mode"
}

# note_lock WHAT true|false|null WHY
note_lock() {
  if ((DRY_RUN)) && [[ $2 == true ]]; then return 0; fi
  record "\"kind\":\"locked\",\"what\":\"$1\",\"locked\":$2,\"why\":$(json "$3")"
  if [[ $2 == true ]]; then say "$1: locked ($3)" \
    "$1：已锁定（$3）"; else say "$1: not locked ($3)" "$1：未锁定（$3）"; fi
}

# recorder: rows of the sampler to lines of the record, until it ends; then what was seen of each GPU.
recorder() {
  local row gpu parent rows=0
  trap '' INT TERM HUP
  while IFS= read -r row; do
    # Nobody ends the sampler of a run that was killed outright.
    { read -r _ _ _ parent _ <"/proc/$BASHPID/stat"; } 2>/dev/null && [[ $parent == "$$" ]] || break
    [[ -n $row ]] || continue
    record "\"kind\":\"sample\",\"row\":$(json "$row")"
    saw "$row"
    rows=$((rows + 1))
    if ((rows % 10 == 0)); then record_host during; fi
  done
  for gpu in "${!SEEN[@]}"; do printf '%s %s %s\n' "$gpu" "${SEEN[$gpu]}" "${BUSY[$gpu]:-0}"; done >"$WORK/seen"
}

start_sampler() {
  sampler_command
  ((${#SAMPLING[@]})) || return 0
  if ! command -v "${SAMPLING[0]}" >/dev/null; then
    record "\"kind\":\"unsampled\",\"why\":\"there is no ${SAMPLING[0]} on this machine\""
    return 0
  fi
  record "\"kind\":\"source\",\"name\":\"${SAMPLING[0]}\",\"fields\":$(json "$FIELDS")"
  mkfifo "$WORK/rows"
  recorder <"$WORK/rows" >/dev/null 2>&1 &
  RECORDER=$!
  "${SAMPLING[@]}" >"$WORK/rows" 2>/dev/null </dev/null &
  SAMPLER=$!
}

stop_sampler() {
  [[ -n $SAMPLER ]] || return 0
  kill "$SAMPLER" 2>/dev/null || true
  local _
  for _ in {1..20}; do
    kill -0 "$SAMPLER" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$SAMPLER" 2>/dev/null || true
  wait "$SAMPLER" 2>/dev/null || true
  wait "$RECORDER" || true
  SAMPLER=
}

# idle_gpus: the GPUs that were sampled often enough and never did anything.
idle_gpus() {
  local gpu seen busy
  [[ -s $WORK/seen ]] || return 0
  while read -r gpu seen busy; do
    if ((seen >= 3 && busy == 0)); then printf '%s ' "$gpu"; fi
  done <"$WORK/seen"
}

# ---- governor

pin_governor() {
  local file governor cpu now
  local -a files=()
  local -A before=()
  for file in "$ROOT"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
    [[ -e $file ]] || continue
    cpu=${file#"$ROOT"/sys/devices/system/cpu/cpu}
    { IFS= read -r governor <"$file"; } 2>/dev/null || continue
    files+=("$file")
    before[$governor]+="${before[$governor]:+,}${cpu%%/*}"
  done
  if ((${#files[@]} == 0)); then
    note_lock governor false "this machine shows no CPU governor"
    return 0
  fi
  for governor in "${!before[@]}"; do will_change "governor $governor ${before[$governor]}"; done
  if ((DRY_RUN)); then
    printf 'tee %s <<<%s\n' "$ROOT/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor" "$GOVERNOR"
    return 0
  fi
  if SAID=$(as_root tee "${files[@]}" <<<"$GOVERNOR" 2>&1 >/dev/null); then
    note_lock governor true "$GOVERNOR on ${#files[@]} CPUs"
  else
    note_lock governor false "$(because)"
    for governor in "${!before[@]}"; do
      for cpu in ${before[$governor]//,/ }; do
        { IFS= read -r now <"$ROOT/sys/devices/system/cpu/cpu$cpu/cpufreq/scaling_governor"; } 2>/dev/null || continue
        [[ $now == "$governor" ]] || return 0
      done
    done
    for governor in "${!before[@]}"; do unchanged; done
  fi
}
