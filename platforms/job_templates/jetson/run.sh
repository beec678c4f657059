#!/usr/bin/env bash
# Runs a hexgate evaluation in a container on this machine: --help says how, --dry-run what it would do.
# Made by `hexgate platforms render`. Change the job here, or give flags; leave the program below as it is.
set -euo pipefail

# ---- the job
PLATFORM=jetson
RUN_ID=''
SPEC_SHA256=e09d59358c197127fd9bf44dfb9373f712aa58ae3fddfb9937bb76a9da54c069
IMAGE=registry.example.com/hexgate:0.1.0-r36
ARGV=(hexgate run --indicator all --model /models/model.onnx --provider cuda --data /data/val.jsonl --out '{out}')
ENV=()
SECRET_ENV=()
MOUNTS=('model=type=bind,source=/srv/hexgate/models,target=/models,readonly' 'data=type=bind,source=/srv/hexgate/data,target=/data,readonly')
OUT=/srv/hexgate/output
OUTPUT=/output
GPUS=all
CPUS=4
MEMORY_MIB=6144
SHM_MIB=0
TIMEOUT_S=7200
SHARDS=1
LABELS=()
NETWORK=none
RUN_AS=''
# ---- end of the job
JOB_SHA256=e0ad8f1ee6b94781ca6047ef3c88fc137a0aa4d5337b5a5db68ebc1897685785

ME=run.sh

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

# read_power_mode: sets MODE_ID and MODE_NAME by what nvpmodel says; empty where it says nothing.
read_power_mode() {
  local said
  MODE_ID='' MODE_NAME=''
  while IFS= read -r said; do
    if [[ $said =~ ^NV\ Power\ Mode:\ *(.*[^ ])\ *$ ]]; then MODE_NAME=${BASH_REMATCH[1]}; fi
    if [[ $said =~ ^[0-9]+$ ]]; then MODE_ID=$said; fi
  done < <(nvpmodel -q 2>/dev/null </dev/null || true)
}

POWER_MODE=
JETSON_CLOCKS=0
SAMPLING=()
FIELDS=

usage_of_platform() {
  if [[ $SPEAKS == zh ]]; then
    cat <<'TEXT'
  --gpus all|none            是否使用板载 GPU
  --power-mode N             切换到 nvpmodel 模式 N（编号因模块而异，见 nvpmodel -q --verbose）；退出时切回
  --jetson-clocks            用 jetson_clocks 锁定时钟；退出时恢复
TEXT
  else
    cat <<'TEXT'
  --gpus all|none            with or without the board's GPU
  --power-mode N             go to nvpmodel's mode N (the numbers differ between modules: nvpmodel -q --verbose);
                             back on exit
  --jetson-clocks            pin the clocks with jetson_clocks; put back on exit
TEXT
  fi
}

# option FLAG VALUE: a flag of this platform. Sets TOOK to the words it took; 0 if it is none of ours.
option() {
  TOOK=2
  case $1 in
    --gpus)
      [[ $2 =~ ^(all|none)$ ]] || die 2 "--gpus: got '$2', expected all or none" "--gpus：得到'$2'，应为 all 或 none"
      change GPUS "$2"
      ;;
    --power-mode)
      [[ $2 =~ ^[0-9]+$ ]] || die 2 "--power-mode: got '$2', expected a number" "--power-mode：得到'$2'，应为编号"
      POWER_MODE=$2
      ;;
    --jetson-clocks) JETSON_CLOCKS=1 TOOK=1 ;;
    *) TOOK=0 ;;
  esac
}

power_mode_json() {
  read_power_mode
  if [[ -n $MODE_NAME ]]; then json "$MODE_NAME"; else printf null; fi
}

sampler_command() {
  FIELDS=
  SAMPLING=(tegrastats --interval "$((SAMPLE_S * 1000))")
}

# saw ROW: whether the GPU was busy.
saw() {
  [[ $1 =~ GR3D_FREQ\ ([0-9]+)% ]] || return 0
  SEEN[0]=$((${SEEN[0]:-0} + 1))
  if ((BASH_REMATCH[1] > 0)); then BUSY[0]=1; fi
}

asked_json() {
  local clocks=false
  ((JETSON_CLOCKS)) && clocks=true
  printf '"power_mode":%s,"jetson_clocks":%s' "${POWER_MODE:-null}" "$clocks"
}

pin_power_mode() {
  read_power_mode
  local was=$MODE_ID name=$MODE_NAME
  if [[ -z $was ]]; then
    note_lock power_mode false "nvpmodel does not say which mode is on"
    return 0
  fi
  if [[ $was == "$POWER_MODE" ]]; then
    note_lock power_mode true "mode $POWER_MODE, $name, was on already"
    return 0
  fi
  will_change "power_mode $was"
  act nvpmodel -m "$POWER_MODE" || true
  ((DRY_RUN)) && return 0
  read_power_mode
  if [[ $MODE_ID == "$was" ]]; then unchanged; fi
  if [[ $MODE_ID == "$POWER_MODE" ]]; then
    note_lock power_mode true "mode $POWER_MODE, $MODE_NAME"
  elif [[ ${SAID,,} == *reboot* ]]; then
    die 2 "--power-mode $POWER_MODE needs a reboot, so nothing was changed: $name is still on; change the mode and reboot, then run again" \
      "--power-mode $POWER_MODE 需要重启，因此未做任何更改：当前仍为 $name；请先切换模式并重启，再运行"
  else
    note_lock power_mode false "$(because)"
  fi
}

pin_jetson_clocks() {
  local kept=$STATE_DIR/$RUN_ID.clocks
  ((DRY_RUN)) || open_state
  if ! act jetson_clocks --store "$kept"; then
    note_lock jetson_clocks false "$(because)"
    return 0
  fi
  will_change "jetson_clocks $kept"
  if act jetson_clocks; then
    note_lock jetson_clocks true "as jetson_clocks sets them"
  else
    note_lock jetson_clocks false "$(because)"
  fi
}

# The mode comes before all else: it says which CPUs are on, and jetson_clocks stores the clocks of the mode that is on.
pin_mode() {
  [[ -z $POWER_MODE ]] || pin_power_mode
}

pin_clocks() {
  ((!JETSON_CLOCKS)) || pin_jetson_clocks
}

# accelerators GPUS: sets ACCELERATORS. On a Jetson either flag alone fails, or starts without libcuda.
accelerators() {
  ACCELERATORS=()
  if [[ $1 != none ]]; then ACCELERATORS=(--runtime nvidia --gpus all); fi
}

# bound GPUS: a Jetson has one NUMA node.
bound() { BOUND=(); }

check_host() {
  local release host tag=${IMAGE##*/}
  tag=${tag%%@*}
  [[ $tag == *:* && ${tag#*:} =~ (^|[^a-z0-9])r([0-9]{2})([^0-9]|$) ]] || return 0
  local image=${BASH_REMATCH[2]}
  { IFS= read -r release <"$ROOT/etc/nv_tegra_release"; } 2>/dev/null ||
    die 2 "the image is for L4T R$image, and this machine has no /etc/nv_tegra_release: it is no Jetson" \
      "镜像面向 L4T R$image，但本机没有 /etc/nv_tegra_release：不是 Jetson"
  [[ $release =~ ^#\ R([0-9]+) ]] && host=${BASH_REMATCH[1]}
  [[ ${host:-} == "$image" ]] ||
    die 2 "the image is for L4T R$image, and this machine has R${host:-?}: take the image of this machine's release" \
      "镜像面向 L4T R$image，而本机为 R${host:-?}：请使用与本机版本一致的镜像"
}

# ---- the command line

usage() {
  if [[ $SPEAKS == zh ]]; then
    cat <<'TEXT'
用法：run.sh [选项] [-- 命令 ...]

在本机的容器中运行一次 hexgate 评测。不带选项时运行文件开头写定的作业。

  --model PATH|URL           模型：文件、文件夹，或服务地址（需 --network host）
  --data PATH                数据文件
  --out DIR                  输出文件夹；各部分位于 DIR/<run_id>/<部分>/<次数>/
  --image REF                容器镜像
  --indicator NAME|all       测量哪项指标
TEXT
    usage_of_platform
    cat <<'TEXT'
  --governor NAME            将所有 CPU 的调频策略设为 NAME（如 performance）；退出时恢复
  --cpus N                   容器的 CPU 核数
  --memory-mib N             容器的内存，MiB
  --network none|host        容器网络
  --env NAME                 将本机环境变量 NAME 传入容器；其值不出现在命令行中
  --timeout-s N              N 秒后结束作业
  --sample-s N               每 N 秒记录一次 GPU 状态（默认 1）
  --run-id ID                运行编号，形如 20261121T021951Z-0a1b2c3d；默认新建
  --dry-run                  打印将要执行的内容，不做任何更改
  --restore FILE             运行被强行终止（SIGKILL）后，恢复其锁定的状态
  --lang en|zh               语言
  --help                     显示本帮助
  -- 命令 ...                替换容器中的命令；{out} 代表输出文件夹

只有在要求并且有权限（root 或免密码 sudo）时才锁定；否则提示"未锁定"并继续。
退出码：作业自身的退出码；124 超时；2 用法或本机不满足要求；4 要求使用 GPU 但其始终空闲；
5 未能恢复锁定，或容器中没有可用的 CUDA；125 至 127 docker 无法启动容器。
TEXT
  else
    cat <<'TEXT'
Usage: run.sh [OPTIONS] [-- COMMAND ...]

Runs one hexgate evaluation in a container on this machine. Without options: the job at the top of this file.

  --model PATH|URL           model: a file, a folder, or a server's address (which needs --network host)
  --data PATH                data file
  --out DIR                  output folder; each part lies in DIR/<run_id>/<part>/<attempt>/
  --image REF                container image
  --indicator NAME|all       what is measured
TEXT
    usage_of_platform
    cat <<'TEXT'
  --governor NAME            set the governor of every CPU, such as performance; put back on exit
  --cpus N                   CPU cores of the container
  --memory-mib N             memory of the container, MiB
  --network none|host        network of the container
  --env NAME                 hand the environment variable NAME in; its value stands in no command line
  --timeout-s N              end the job after N seconds
  --sample-s N               note the state of the GPU every N seconds (default 1)
  --run-id ID                the run, such as 20261121T021951Z-0a1b2c3d; a new one without it
  --dry-run                  print what would be done, and change nothing
  --restore FILE             put back what a run pinned that was killed outright (SIGKILL)
  --lang en|zh               language
  --help                     this text
  -- COMMAND ...             another command in the container; {out} stands for the output folder

Things are pinned only when asked and when allowed (root, or sudo without a password); else it says
"not locked" and goes on.
Exit code: the job's own; 124 timed out; 2 usage, or this machine cannot; 4 a GPU was asked for and idle
all through; 5 something was not put back, or no CUDA in the container; 125 to 127 docker could not start it.
TEXT
  fi
}

CHANGED=0
PER_GPU=0
VARY=
GOVERNOR=
SAMPLE_S=1
MODEL=
DATA=
INDICATOR=
RESTORE=

# change NAME VALUE: another value than the job's, so that it is not this spec's job any more.
change() {
  if [[ ${!1} != "$2" ]]; then CHANGED=1; fi
  printf -v "$1" '%s' "$2"
}

# whole FLAG VALUE: a whole number from 1.
whole() {
  [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || die 2 "$1: got '$2', expected a whole number from 1" "$1：得到'$2'，应为正整数"
}

parse() {
  local flag value word
  local -a words=("$@")
  # The language first, so that mistakes are told in it.
  for word in "${!words[@]}"; do
    [[ ${words[word]} != -- ]] || break
    case ${words[word]} in
      --lang) value=${words[word + 1]:-} ;;
      --lang=*) value=${words[word]#*=} ;;
      *) continue ;;
    esac
    [[ $value =~ ^(en|zh)$ ]] || die 2 "--lang: got '$value', expected en or zh" \
      "--lang：得到'$value'，应为 en 或 zh"
    SPEAKS=$value
  done
  while (($#)); do
    if [[ $1 == --*=* && $1 != --lock-clocks=* ]]; then
      flag=${1%%=*} value=${1#*=}
      shift
      set -- "$flag" "$value" "$@"
    fi
    flag=$1 value=${2-}
    case $flag in
      --help | -h)
        usage
        exit 0
        ;;
      --dry-run)
        DRY_RUN=1
        shift
        continue
        ;;
      --)
        shift
        (($#)) || die 2 "nothing stands behind --" "-- 之后没有命令"
        ARGV=("$@") CHANGED=1
        return 0
        ;;
    esac
    option "$flag" "$value"
    if ((TOOK == 0)); then
      case $flag in
        --model | --data | --out | --image | --indicator | --governor | --cpus | --memory-mib | --network) TOOK=2 ;;
        --env | --timeout-s | --sample-s | --run-id | --restore | --lang) TOOK=2 ;;
        *) die 2 "no such option: $flag; --help lists them" "没有这个选项：$flag；见 --help" ;;
      esac
    fi
    ((TOOK <= $#)) && [[ $TOOK == 1 || -n $value ]] || die 2 "$flag needs a value" "$flag 需要一个值"
    case $flag in
      --model) MODEL=$value CHANGED=1 ;;
      --data) DATA=$value CHANGED=1 ;;
      --out) OUT=$value ;;
      --image) change IMAGE "$value" ;;
      --indicator) INDICATOR=$value CHANGED=1 ;;
      --governor)
        [[ $value =~ ^[a-z_]+$ ]] || die 2 "--governor: got '$value', expected a name such as performance" \
          "--governor：得到'$value'，应为 performance 之类的名称"
        GOVERNOR=$value
        ;;
      --cpus)
        [[ $value =~ ^[0-9]+(\.[0-9]+)?$ ]] || die 2 "--cpus: got '$value', expected a number" \
          "--cpus：得到'$value'，应为数值"
        change CPUS "$value"
        ;;
      --memory-mib)
        whole "$flag" "$value"
        change MEMORY_MIB "$value"
        ;;
      --network)
        [[ $value =~ ^(none|host)$ ]] || die 2 "--network: got '$value', expected none or host" \
          "--network：得到'$value'，应为 none 或 host"
        change NETWORK "$value"
        ;;
      --env)
        [[ $value =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] ||
          die 2 "--env: expected a name alone: a value would stand in the process list; export it and name it" \
            "--env：只应给出变量名：值会出现在进程列表中；请先 export 再给出名称"
        SECRET_ENV+=("$value") CHANGED=1
        ;;
      --timeout-s)
        whole "$flag" "$value"
        change TIMEOUT_S "$value"
        ;;
      --sample-s)
        whole "$flag" "$value"
        SAMPLE_S=$value
        ;;
      --run-id) RUN_ID=$value ;;
      --restore) RESTORE=$value ;;
    esac
    shift "$TOOK"
  done
}

# ---- what is run

# set_flag NAME VALUE: a flag of the command in the container, put in place of the job's own or added to it.
set_flag() {
  local index
  [[ ${ARGV[0]} == hexgate && ${ARGV[1]:-} == run ]] ||
    die 2 "--$1: the command is not hexgate run: give the whole command behind --" \
      "--$1：容器中的命令不是 hexgate run：请在 -- 之后给出完整命令"
  for index in "${!ARGV[@]}"; do
    if [[ ${ARGV[index]} == "--$1" ]]; then
      ARGV[index + 1]=$2
      return 0
    fi
  done
  ARGV+=("--$1" "$2")
}

# without_flag NAME: the command in the container without a flag and its value.
without_flag() {
  local -a kept=()
  local index=0
  while ((index < ${#ARGV[@]})); do
    if [[ ${ARGV[index]} == "--$1" ]]; then
      index=$((index + 2))
    else
      kept+=("${ARGV[index]}")
      index=$((index + 1))
    fi
  done
  ARGV=("${kept[@]}")
}

# job_digest: of the job at the top of this file. One that was changed is not the job of its spec any more.
job_digest() {
  local digest
  digest=$(sed -n '/^# ---- the job$/,/^# ---- end of the job$/p' -- "${BASH_SOURCE[0]}" | sha256sum)
  printf '%s' "${digest%% *}"
}

# place NAME PATH INSIDE: bind the folder of a model or of data read only, in place of the job's own mount.
place() {
  local path folder inside=$3 index
  path=$(realpath -e -- "$2" 2>/dev/null) || die 2 "--$1: there is no such file: $2" "--$1：没有这个文件：$2"
  if [[ -d $path ]]; then folder=$path; else folder=${path%/*}; fi
  folder=${folder:-/}
  for index in "${!MOUNTS[@]}"; do
    if [[ ${MOUNTS[index]} == "$1="* ]]; then
      inside=${MOUNTS[index]##*,target=}
      inside=${inside%%,*}
      unset "MOUNTS[index]"
    fi
  done
  MOUNTS+=("$1=type=bind,source=$folder,target=$inside,readonly")
  if [[ -d $path ]]; then set_flag "$1" "$inside"; else set_flag "$1" "$inside/${path##*/}"; fi
}

prepare() {
  local mount source name
  command -v docker >/dev/null || die 2 "there is no docker on this machine" "本机没有 docker"
  if [[ -z $RUN_ID ]]; then
    name=$(</proc/sys/kernel/random/uuid)
    printf -v RUN_ID '%(%Y%m%dT%H%M%SZ)T-%s' -1 "${name%%-*}"
  fi
  [[ $RUN_ID =~ ^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$ ]] ||
    die 2 "--run-id: got '$RUN_ID', expected the form 20261121T021951Z-0a1b2c3d" \
      "--run-id：得到'$RUN_ID'，应形如 20261121T021951Z-0a1b2c3d"
  case $MODEL in
    '') ;;
    demo | demo:*) set_flag model "$MODEL" ;;
    *://*)
      set_flag model "$MODEL"
      [[ $NETWORK == host ]] || die 2 "--model: a server needs --network host" "--model：服务地址需要 --network host"
      ;;
    *) place model "$MODEL" /models ;;
  esac
  case $DATA in '') ;; demo | demo:*) set_flag data "$DATA" ;; *) place data "$DATA" /data ;; esac
  [[ -z $INDICATOR ]] || set_flag indicator "$INDICATOR"
  if ((CHANGED)) || [[ $(job_digest) != "$JOB_SHA256" ]]; then SPEC_SHA256=; fi
  if [[ -n $OUT ]]; then
    OUT=$(realpath -m -- "$OUT")
    MOUNTS+=("output=type=bind,source=$OUT,target=$OUTPUT")
    MOUNTS+=("observed=type=bind,source=$OUT/observed/$RUN_ID,target=/observed,readonly")
  fi
  for mount in "${MOUNTS[@]}"; do
    source=${mount#*source=}
    name=${mount%%=*}
    source=${source%,target=*}
    [[ $source != *[,\"]* ]] || die 2 "$name: docker cannot mount a path with a comma or a quote: $source" \
      "$name：docker 无法挂载含逗号或引号的路径：$source"
    [[ $name == output || $name == observed || -d $source ]] ||
      die 2 "there is no such folder: $source (mount $name)" \
        "没有这个文件夹：$source（挂载 $name）"
  done
  for name in "${SECRET_ENV[@]+"${SECRET_ENV[@]}"}"; do
    [[ -n ${!name+set} ]] || die 2 "the environment variable $name is not set" "环境变量 $name 未设置"
  done
  if [[ -z $RUN_AS ]]; then
    RUN_AS=$UID:$(id -g)
    if ((EUID == 0)) && [[ -n ${SUDO_UID:-} ]]; then RUN_AS=$SUDO_UID:${SUDO_GID:-$SUDO_UID}; fi
  fi
  check_host
}

# open_output: the output folder, which the user of the job can write to, and the record in it.
open_output() {
  local -a as_user=()
  [[ -n $OUT ]] || return 0
  if [[ ! -d $OUT ]] && mkdir -p -- "$OUT" 2>/dev/null && ((EUID == 0)); then chown "$RUN_AS" "$OUT"; fi
  # In the container root has no right to pass over permissions, so it has none here.
  if ((EUID == 0)); then
    as_user=(setpriv "--reuid=${RUN_AS%:*}" "--regid=${RUN_AS#*:}" --clear-groups --bounding-set=-all)
  fi
  "${as_user[@]+"${as_user[@]}"}" test -w "$OUT" || die 2 "--out: the user $RUN_AS cannot write there: $OUT" \
    "--out：用户 $RUN_AS 无法写入：$OUT"
  mkdir -p -- "$OUT/observed/$RUN_ID" 2>/dev/null || die 2 "--out: nothing can be written there: $OUT" \
    "--out：无法写入：$OUT"
  RECORD=$OUT/observed/$RUN_ID/state.jsonl
  # What an earlier try at the same run observed is not what this one does.
  : >"$RECORD"
}

# ---- the containers

# lanes: sets LANE_GPUS, one entry a container.
lanes() {
  local index
  LANE_GPUS=()
  if ((PER_GPU)); then
    ((SHARDS == 1)) || die 2 "--per-gpu: this job has shards" "--per-gpu：该作业已分片"
    [[ $GPUS != none ]] || die 2 "--per-gpu: no GPU is asked for" "--per-gpu：未要求使用 GPU"
    mapfile -t LANE_GPUS < <(gpu_list)
    ((${#LANE_GPUS[@]})) || die 2 "--per-gpu: nvidia-smi names no GPU" "--per-gpu：nvidia-smi 未列出任何 GPU"
  else
    for ((index = 0; index < SHARDS; index++)); do LANE_GPUS+=("$GPUS"); done
  fi
  if [[ -n $VARY ]]; then
    ((PER_GPU)) || die 2 "--vary goes with --per-gpu" "--vary 须与 --per-gpu 合用"
    IFS=, read -r -a VALUES <<<"${VARY#*=}"
    ((${#VALUES[@]} == ${#LANE_GPUS[@]})) ||
      die 2 "--vary: got ${#VALUES[@]} values for ${#LANE_GPUS[@]} GPUs" \
        "--vary：${#LANE_GPUS[@]} 个 GPU 对应 ${#VALUES[@]} 个值"
  fi
}

lane_name() {
  local number="-$1"
  if ((${#LANE_GPUS[@]} == 1 && !PER_GPU)); then number=''; fi
  printf 'hexgate-%s%s' "$RUN_ID" "$number"
}

# docker_command LANE: sets COMMAND.
docker_command() {
  local -a part=()
  local given=${LANE_GPUS[$1]} label name mount
  local -a ARGV=("${ARGV[@]}")
  # Without a GPU the model runs on the CPU; that it was asked to run elsewhere would be refused.
  if [[ $given == none ]]; then without_flag provider; fi
  accelerators "$given"
  bound "$given"
  COMMAND=(docker run --name "$(lane_name "$1")" --label "hexgate.run_id=$RUN_ID")
  COMMAND+=(--label "hexgate.platform=$PLATFORM" --label "hexgate.shards=${#LANE_GPUS[@]}")
  for label in "${LABELS[@]+"${LABELS[@]}"}"; do COMMAND+=(--label "$label"); done
  COMMAND+=(--init --user "$RUN_AS" --read-only --tmpfs /tmp:exec --cap-drop ALL --security-opt no-new-privileges)
  COMMAND+=(--network "$NETWORK" --cpus "$CPUS" --memory "${MEMORY_MIB}m")
  if ((SHM_MIB)); then COMMAND+=(--shm-size "${SHM_MIB}m"); elif [[ $given != none ]]; then COMMAND+=(--ipc host); fi
  if [[ $given != none ]]; then COMMAND+=(--ulimit memlock=-1 --ulimit stack=67108864); fi
  COMMAND+=("${ACCELERATORS[@]+"${ACCELERATORS[@]}"}" "${BOUND[@]+"${BOUND[@]}"}")
  for mount in "${MOUNTS[@]}"; do COMMAND+=(--mount "${mount#*=}"); done
  for name in "${ENV[@]+"${ENV[@]}"}"; do COMMAND+=(--env "$name"); done
  COMMAND+=(--env "HEXGATE_PLATFORM=$PLATFORM" --env "HEXGATE_RUN_ID=$RUN_ID")
  if [[ -n $SPEC_SHA256 ]]; then COMMAND+=(--env "HEXGATE_SPEC_SHA256=$SPEC_SHA256"); fi
  COMMAND+=(--env "HEXGATE_IMAGE=$IMAGE")
  if ((SHARDS > 1)); then COMMAND+=(--env "HEXGATE_SHARDS=$SHARDS"); fi
  COMMAND+=(--env "HEXGATE_JOB_ID=hexgate-$RUN_ID")
  if ((SHARDS > 1)); then COMMAND+=(--env "HEXGATE_SHARD=$1/$SHARDS"); fi
  if [[ -n $OUT ]]; then COMMAND+=(--env HEXGATE_OBSERVED=/observed/state.jsonl); fi
  for name in "${SECRET_ENV[@]+"${SECRET_ENV[@]}"}"; do COMMAND+=(--env "$name"); done
  if ((PER_GPU)); then part=(--part "gpu-$given"); fi
  if [[ -n $VARY ]]; then set_flag "${VARY%%=*}" "${VALUES[$1]}"; fi
  COMMAND+=("$IMAGE" timeout --foreground --signal=TERM "--kill-after=$GRACE_S" "$TIMEOUT_S")
  COMMAND+=(hexgate platforms run --output "$OUTPUT" "${part[@]+"${part[@]}"}" -- "${ARGV[@]}")
}

# probe_command: sets COMMAND to a container that only looks whether CUDA is there. A wrong flag must not look like a
# slow model.
probe_command() {
  accelerators "$GPUS"
  COMMAND=(docker run --rm --network none "${ACCELERATORS[@]}" "$IMAGE" python3 -c
    'import ctypes, sys; sys.exit(ctypes.CDLL("libcuda.so.1").cuInit(0))')
}

CHILDREN=()
RELAYS=()
STARTED=()
SIGNALLED=0
STOPPED=0

on_signal() {
  local child
  SIGNALLED=1 STOPPED=1
  say "SIG$1: stopping; what was measured is kept" "收到 SIG$1：正在停止；已测得的内容会保留"
  ((${#CHILDREN[@]})) || exit $((128 + $2))
  for child in "${CHILDREN[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
}

finish() {
  local code=$? name
  trap '' INT TERM HUP
  trap - EXIT
  # shellcheck disable=SC2046 # one word a process
  kill -TERM $(jobs -p) 2>/dev/null || true
  for name in "${STARTED[@]+"${STARTED[@]}"}"; do
    docker stop --time "$GRACE_S" "$name" >/dev/null 2>&1 || true
    docker rm --force "$name" >/dev/null 2>&1 || true
  done
  stop_sampler
  if [[ -n $STATE && -e $STATE ]]; then
    put_back "$STATE" || {
      say "put it back by hand: $0 --restore $STATE" "请手动恢复：$0 --restore $STATE"
      code=5
    }
  fi
  if [[ -n $RECORD ]]; then record_host put_back; fi
  [[ -z $WORK ]] || rm -rf -- "$WORK"
  exit "$code"
}

# wait_for PID: its exit code, also where signals came in between.
wait_for() {
  local code
  while :; do
    SIGNALLED=0 code=0
    wait "$1" || code=$?
    ((SIGNALLED)) || return "$code"
  done
}

# parts: the names of the parts that the run has to leave.
parts() {
  local lane names=''
  for lane in "${!LANE_GPUS[@]}"; do
    if ((PER_GPU)); then
      names+=,gpu-${LANE_GPUS[lane]}
    elif ((SHARDS > 1)); then
      names+=,shard-$lane-of-$SHARDS
    else
      names+=,main
    fi
  done
  printf '%s' "${names#,}"
}

# relay PREFIX: pass lines on, and read on where nobody takes them: the client must not end with its terminal.
relay() {
  local line
  trap '' INT TERM HUP PIPE
  while IFS= read -r line || [[ -n $line ]]; do printf '%s%s\n' "$1" "$line" || true; done
}

show() {
  local lane
  if [[ -n $GOVERNOR$(asked_anything) ]]; then
    say "would pin, as root, and put back on exit:" "将以 root 身份锁定，并在退出时恢复："
    pin
  fi
  say "would run:" "将运行："
  if [[ $GPUS != none ]]; then
    probe_command
    quoted "${COMMAND[@]}"
  fi
  for lane in "${!LANE_GPUS[@]}"; do
    docker_command "$lane"
    quoted "${COMMAND[@]}"
  done
}

asked_anything() {
  case $(asked_json) in *[0-9]* | *true* | *default*) printf yes ;; esac
}

pin() {
  pin_mode
  [[ -z $GOVERNOR ]] || pin_governor
  pin_clocks
}

run() {
  local lane name code=0 gravest=0 idle prefix governor=null collect
  trap 'on_signal INT 2' INT
  trap 'on_signal TERM 15' TERM
  trap 'on_signal HUP 1' HUP
  # A terminal that is gone: the words are lost, and nothing else.
  trap 'SIGNALLED=1' PIPE
  trap finish EXIT
  WORK=$(mktemp -d)
  open_output
  for lane in "${!LANE_GPUS[@]}"; do
    name=$(lane_name "$lane")
    if docker container inspect "$name" >/dev/null 2>&1; then
      die 2 "the run $RUN_ID has a container already: docker logs $name" "运行 $RUN_ID 已有容器：docker logs $name"
    fi
  done
  say "run $RUN_ID" "运行编号 $RUN_ID"
  if [[ -n $GOVERNOR ]]; then governor=$(json "$GOVERNOR"); fi
  record "\"kind\":\"asked\",\"governor\":$governor,$(asked_json)"
  record_host before
  if [[ $GPUS != none ]]; then
    probe_command
    "${COMMAND[@]}" >"$WORK/probe" 2>&1 </dev/null || {
      code=$?
      cat "$WORK/probe" >&2 || true
      ((code == 125 || code == 126 || code == 127)) && exit "$code"
      die 5 "there is no CUDA in the container, so nothing would be measured on the GPU" \
        "容器中没有可用的 CUDA，无法在 GPU 上测量"
    }
  fi
  pin
  record_host pinned
  start_sampler
  code=0
  for lane in "${!LANE_GPUS[@]}"; do
    docker_command "$lane"
    STARTED+=("$(lane_name "$lane")")
    [[ -z $STATE ]] || will_change "container $(lane_name "$lane")"
    # Should the engine hang, the client does not wait for ever.
    local -a patience=(timeout --signal=TERM "--kill-after=$GRACE_S" "$((TIMEOUT_S + 2 * GRACE_S))")
    mkfifo "$WORK/out-$lane" "$WORK/err-$lane"
    prefix=
    if ((${#LANE_GPUS[@]} > 1)); then prefix="[$lane] "; fi
    relay "$prefix" <"$WORK/out-$lane" 2>/dev/null &
    RELAYS+=($!)
    relay "$prefix" <"$WORK/err-$lane" >&2 2>/dev/null &
    RELAYS+=($!)
    "${patience[@]}" "${COMMAND[@]}" </dev/null >"$WORK/out-$lane" 2>"$WORK/err-$lane" &
    CHILDREN+=($!)
  done
  for lane in "${!CHILDREN[@]}"; do
    code=0
    wait_for "${CHILDREN[lane]}" || code=$?
    if ((code == 137)) && [[ $(docker inspect --format '{{.State.OOMKilled}}' "${STARTED[lane]}" 2>/dev/null) == true ]]; then
      say "the container ran out of its memory: --memory-mib gives it more" "容器内存耗尽：可用 --memory-mib 调大"
    elif ((code == 124)); then
      say "ended after $TIMEOUT_S s: --timeout-s gives it more" "运行超过 $TIMEOUT_S 秒而被终止：可用 --timeout-s 调大"
    fi
    # Where a signal meets timeout(1) just as it starts its child it ends with 143 by itself, and the container goes on:
    # that is a run that was stopped, and not the job's own exit code.
    if ((STOPPED && code == 143)) && [[ $(docker inspect --format '{{.State.Running}}' "${STARTED[lane]}" 2>/dev/null) == true ]]; then
      code=130
    fi
    if ((${#CHILDREN[@]} > 1)); then say "container $lane ended with $code" "容器 $lane 的退出码为 $code"; fi
    if ((code > gravest)); then gravest=$code; fi
  done
  CHILDREN=()
  # Such a timeout(1) leaves its child behind; the container must not go on.
  if ((STOPPED)); then
    for name in "${STARTED[@]}"; do docker stop --time "$GRACE_S" "$name" >/dev/null 2>&1 || true; done
  fi
  for lane in "${!RELAYS[@]}"; do wait_for "${RELAYS[lane]}" || true; done
  stop_sampler
  record_host after
  idle=$(idle_gpus)
  if [[ $GPUS != none && -n $idle ]]; then
    say "GPU ${idle% } was idle all through" "GPU ${idle% } 始终空闲"
    if ((gravest == 0)) && { ((PER_GPU)) || [[ $(wc -l <"$WORK/seen") == "$(wc -w <<<"$idle")" ]]; }; then
      say "a GPU was asked for and nothing ran on it, so the run counts as failed; --gpus none measures without" \
        "要求使用 GPU 却没有任何计算在其上运行，本次运行视为失败；不用 GPU 请加 --gpus none"
      gravest=4
    fi
  fi
  if [[ -n $OUT ]]; then
    collect="hexgate platforms collect --from $OUT --run-id $RUN_ID --expect $(parts) --out collected"
    say "exit code $gravest; next: $collect" "退出码 $gravest；下一步：$collect"
  fi
  exit "$gravest"
}

parse "$@"
if [[ -n $RESTORE ]]; then
  restore "$RESTORE"
  exit 0
fi
prepare
lanes
if ((DRY_RUN)); then show; else run; fi
