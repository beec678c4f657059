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
