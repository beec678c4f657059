LOCK_CLOCKS=
SAMPLING=()
FIELDS=

usage_of_platform() {
  if [[ $SPEAKS == zh ]]; then
    cat <<'TEXT'
  --gpus all|0,1|none        使用哪些 GPU
  --per-gpu                  每个 GPU 一个容器，并行运行，各自产出一个部分 gpu-<编号>；退出码取最大者
  --vary FLAG=V1,V2,...      与 --per-gpu 合用：第 i 个 GPU 的命令使用 --FLAG Vi
  --lock-clocks[=MHZ[,MEM]]  锁定 SM 时钟（及显存时钟）；不带数值时取驱动的默认应用时钟；退出时复位
  --numa auto|NODE|off       绑定到 GPU 所在（或指定）NUMA 节点的 CPU 与内存
TEXT
  else
    cat <<'TEXT'
  --gpus all|0,1|none        which GPUs
  --per-gpu                  one container a GPU, in parallel, each with a part gpu-<index> of its own;
                             the exit code is the highest
  --vary FLAG=V1,V2,...      with --per-gpu: the command of the i-th GPU gets --FLAG Vi
  --lock-clocks[=MHZ[,MEM]]  lock the SM clock (and the memory clock), at the driver's default application
                             clock if none is named; reset on exit
  --numa auto|NODE|off       bind to the CPUs and the memory of the GPU's NUMA node, or of the one named
TEXT
  fi
}

# option FLAG VALUE: a flag of this platform. Sets TOOK to the words it took; 0 if it is none of ours.
option() {
  TOOK=2
  case $1 in
    --gpus)
      [[ $2 =~ ^(all|none|[0-9]+(,[0-9]+)*)$ ]] || die 2 "--gpus: got '$2', expected all, none or 0,1" \
        "--gpus：得到'$2'，应为 all、none 或 0,1"
      change GPUS "$2"
      ;;
    --numa)
      [[ $2 =~ ^(auto|off|[0-9]+)$ ]] || die 2 "--numa: got '$2', expected auto, off or a node" \
        "--numa：得到'$2'，应为 auto、off 或节点号"
      NUMA=$2
      ;;
    --lock-clocks)
      LOCK_CLOCKS=default
      if [[ $2 =~ ^[0-9]+(,[0-9]+)?$ ]]; then LOCK_CLOCKS=$2; else TOOK=1; fi
      ;;
    --lock-clocks=*)
      LOCK_CLOCKS=${1#*=} TOOK=1
      [[ $LOCK_CLOCKS =~ ^[0-9]+(,[0-9]+)?$ ]] ||
        die 2 "--lock-clocks: got '$LOCK_CLOCKS', expected MHZ or MHZ,MHZ" \
          "--lock-clocks：得到'$LOCK_CLOCKS'，应为 MHZ 或 MHZ,MHZ"
      ;;
    --per-gpu) PER_GPU=1 TOOK=1 ;;
    --vary)
      [[ $2 =~ ^[a-z][a-z0-9-]*=[^,]+(,[^,]+)*$ ]] || die 2 "--vary: got '$2', expected FLAG=V1,V2" \
        "--vary：得到'$2'，应为 FLAG=V1,V2"
      VARY=$2
      ;;
    *) TOOK=0 ;;
  esac
}

# smi FIELD [GPU]: what nvidia-smi says, one line a GPU; nothing where it does not answer.
smi() {
  nvidia-smi ${2:+"--id=$2"} "--query-gpu=$1" --format=csv,noheader,nounits 2>/dev/null || true
}

# gpu_list: the indices behind GPUS. With none, every GPU of the node: a server beside the container may use them.
gpu_list() {
  if [[ $GPUS =~ ^[0-9] ]]; then printf '%s\n' "${GPUS//,/$'\n'}"; else smi index; fi
}

power_mode_json() { printf null; }

sampler_command() {
  local reasons=clocks_throttle_reasons.active help ids=''
  help=$(nvidia-smi --help-query-gpu 2>/dev/null || true)
  if [[ $help == *clocks_event_reasons.active* ]]; then reasons=clocks_event_reasons.active; fi
  if [[ $GPUS =~ ^[0-9] ]]; then ids=$GPUS; fi
  FIELDS="index,clocks.sm,clocks.mem,utilization.gpu,$reasons"
  SAMPLING=(nvidia-smi ${ids:+"--id=$ids"} "--query-gpu=$FIELDS" "--format=csv,noheader,nounits" "--loop=$SAMPLE_S")
}

# saw ROW: whether its GPU was busy.
saw() {
  local gpu util
  IFS=', ' read -r gpu _ _ util _ <<<"$1"
  [[ $gpu =~ ^[0-9]+$ && $util =~ ^[0-9]+$ ]] || return 0
  SEEN[$gpu]=$((${SEEN[$gpu]:-0} + 1))
  if ((util > 0)); then BUSY[$gpu]=1; fi
}

asked_json() {
  local sm=null memory=null
  # At the driver's own choice, the clock is written down when it is known: see pin_clocks.
  if [[ $LOCK_CLOCKS =~ ^[0-9] ]]; then
    sm=${LOCK_CLOCKS%,*}
    [[ $LOCK_CLOCKS == *,* ]] && memory=${LOCK_CLOCKS#*,}
  elif [[ -n $LOCK_CLOCKS ]]; then
    sm='"default"'
  fi
  printf '"gpu_clock_mhz":%s,"memory_clock_mhz":%s' "$sm" "$memory"
}

# lock_one KIND FLAG GPU MHZ: returns 1 with the reason in SAID if it is not locked.
lock_one() {
  will_change "$1 $3"
  # nvidia-smi ends with 0 where a board cannot do it.
  if act nvidia-smi "--id=$3" "$2=$4,$4" && [[ ${SAID,,} != *"not supported"* && ${SAID,,} != *warning* ]]; then return 0; fi
  unchanged
  return 1
}

# supported KIND GPU MHZ: whether the GPU names this clock. One that names none is asked anyway.
supported() {
  local named
  named=$(nvidia-smi "--id=$2" "--query-supported-clocks=$1" --format=csv,noheader,nounits 2>/dev/null || true)
  [[ ! $named =~ [0-9] ]] || grep -qxF "$3" <<<"$named"
}

pin_clocks() {
  local gpu sm memory=''
  [[ -n $LOCK_CLOCKS ]] || return 0
  local -a gpus
  mapfile -t gpus < <(gpu_list)
  if ((${#gpus[@]} == 0)); then
    note_lock gpu_clock false "nvidia-smi names no GPU"
    return 0
  fi
  sm=${LOCK_CLOCKS%,*}
  [[ $LOCK_CLOCKS == *,* ]] && memory=${LOCK_CLOCKS#*,}
  if [[ $sm == default ]]; then
    sm=$(smi clocks.default_applications.graphics "${gpus[0]}")
    if [[ ! $sm =~ ^[0-9]+$ ]]; then
      note_lock gpu_clock false "the driver names no default application clock: name one, --lock-clocks=MHZ"
      return 0
    fi
    record "\"kind\":\"asked\",\"gpu_clock_mhz\":$sm"
  fi
  for gpu in "${gpus[@]}"; do
    supported graphics "$gpu" "$sm" ||
      die 2 "--lock-clocks: GPU $gpu has no SM clock of $sm MHz (nvidia-smi --id=$gpu --query-supported-clocks=graphics --format=csv)" \
        "--lock-clocks：GPU $gpu 没有 $sm MHz 的 SM 时钟（见 nvidia-smi --id=$gpu --query-supported-clocks=graphics --format=csv）"
    [[ -z $memory ]] || supported memory "$gpu" "$memory" ||
      die 2 "--lock-clocks: GPU $gpu has no memory clock of $memory MHz" \
        "--lock-clocks：GPU $gpu 没有 $memory MHz 的显存时钟"
  done
  lock_all gpu_clock gpu_clocks --lock-gpu-clocks "$sm" "${gpus[@]}"
  [[ -z $memory ]] || lock_all memory_clock memory_clocks --lock-memory-clocks "$memory" "${gpus[@]}"
}

# lock_all WHAT KIND FLAG MHZ GPU...: locked is what is locked on every one of them.
lock_all() {
  local what=$1 kind=$2 flag=$3 mhz=$4 gpu
  shift 4
  for gpu in "$@"; do
    if ! lock_one "$kind" "$flag" "$gpu" "$mhz"; then
      note_lock "$what" false "GPU $gpu: $(because)"
      return 0
    fi
  done
  note_lock "$what" true "$mhz MHz on GPU ${*}"
}

pin_mode() { :; }

# accelerators GPUS: sets ACCELERATORS, the flags that hand these GPUs to a container.
accelerators() {
  ACCELERATORS=()
  case $1 in
    none) return 0 ;;
    all) ACCELERATORS=(--gpus all) ;;
    # docker reads the value as CSV: without the inner quotes only the first device would be asked for.
    *) ACCELERATORS=(--gpus "\"device=$1\"") ;;
  esac
}

# bound GPUS: sets BOUND, the flags that bind a container to a NUMA node.
bound() {
  local gpu bus node cpus='' nodes=''
  local -a wanted=() devices
  local -A seen=()
  BOUND=()
  case $NUMA in
    off) return 0 ;;
    auto)
      [[ $1 != none ]] || return 0
      mapfile -t devices < <(GPUS=$1 gpu_list)
      for gpu in "${devices[@]}"; do
        bus=$(smi pci.bus_id "$gpu")
        bus=${bus,,}
        node=$(cat "$ROOT/sys/bus/pci/devices/${bus: -12}/numa_node" 2>/dev/null || echo -1)
        if [[ ! $node =~ ^[0-9]+$ ]]; then
          say "NUMA: not bound: the machine does not say which node GPU $gpu is on" \
            "NUMA：未绑定：无法得知 GPU $gpu 所在节点"
          return 0
        fi
        wanted+=("$node")
      done
      ;;
    *) wanted=("$NUMA") ;;
  esac
  for node in "${wanted[@]}"; do
    [[ -z ${seen[$node]:-} ]] || continue
    seen[$node]=1
    [[ -r $ROOT/sys/devices/system/node/node$node/cpulist ]] ||
      die 2 "--numa: this machine has no NUMA node $node" \
        "--numa：本机没有 NUMA 节点 $node"
    cpus+="${cpus:+,}$(<"$ROOT/sys/devices/system/node/node$node/cpulist")"
    nodes+="${nodes:+,}$node"
  done
  if [[ -n $nodes ]]; then BOUND=(--cpuset-cpus "$cpus" --cpuset-mems "$nodes"); fi
}

check_host() {
  [[ $GPUS == none ]] || command -v nvidia-smi >/dev/null ||
    die 2 "a GPU is asked for, and there is no nvidia-smi on this machine; --gpus none measures without" \
      "要求使用 GPU，但本机没有 nvidia-smi；不用 GPU 请加 --gpus none"
}
