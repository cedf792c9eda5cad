# shellcheck shell=bash disable=SC2154
# The hosts of a run: their QEMU processes, what becomes of them, and what they ask for.
# Sourced by scripts/vm after rig.sh and hub.sh.

machine=(-M pc -smp 2 -nodefaults -no-user-config -display none -no-reboot)
kernel_words='console=ttyS0 loglevel=4 panic=-1 oops=panic'

# Of host K: pid of its QEMU, while that is not known to be gone, how often it booted, when it must
# be up ($SECONDS), its state:
#   booting -> up -> ended, or from any of them killed -> booting
# and its command's status, if it ended by itself.
pids=() boots=() limits=() states=() results=()
readers=() reader=

is_alive() {
    kill -0 "$1" 2>/dev/null
}

# kill_process PID: gone when this returns.
kill_process() {
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# Prefixes what it copies, without waiting for more than a line.
label() {
    LC_ALL=C exec sed -u "s/^/[host $1] /" {guard}>&- {never}>&-
}

follow() {
    own_child tail -s 0.1 --pid="$1" -c +1 -f "$2" 2>/dev/null
}

# Passes on what a host writes, until its QEMU is gone and all is read.
read_output() {
    local host=$1 me=$1.${boots[$1]}
    if [ "$host" -eq 0 ]; then
        follow "${pids[0]}" "$rig/out.$me" &
        reader=$!
        follow "${pids[0]}" "$rig/err.$me" >&2 &
        readers+=("$reader" $!)
    else
        follow "${pids[host]}" "$rig/out.$me" | label "$host" &
        readers+=($!)
        follow "${pids[host]}" "$rig/err.$me" | label "$host" >&2 &
        readers+=($!)
    fi
}

start_host() {
    local host=$1 me words
    boots[host]=$((${boots[host]-0} + 1))
    states[host]=booting
    results[host]=
    limits[host]=$((SECONDS + boot_limit))
    me=$host.${boots[host]}
    : >"$rig/out.$me"
    : >"$rig/err.$me"
    cables "$host"
    (cd "$folder" && own_child "$qemu" "${machine[@]}" -name "waybill$host" \
        -accel "$accel_words" -cpu max -m "$memory" \
        -kernel "$kernel/vmlinuz" -initrd "$initramfs" -serial "file:console.$me" \
        -append "$kernel_words WB_VM_HOST=$host WB_VM_HOSTS=$hosts WB_VM_DEVICES=$devices \
WB_VM_BOOT=${boots[host]} WB_VM_SHARE=$guest_share" \
        -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
        -device virtio-9p-pci,fsdev=root,mount_tag=root \
        -fsdev local,id=share,path=share,security_model=none \
        -device virtio-9p-pci,fsdev=share,mount_tag=share \
        "${words[@]}" </dev/null >"$rig/qemu.$me" 2>&1) &
    pids[host]=$!
    read_output "$host"
}

kill_guest() {
    kill_process "${pids[$1]}"
    unset "pids[$1]"
}

kill_all() {
    local pid
    for pid in "${pids[@]}" $hub; do
        kill_process "$pid"
    done
    pids=() hub=
}

# Ends all guests, and returns when all that they wrote has been passed on.
end_hosts() {
    kill_all
    [ ${#readers[@]} -eq 0 ] || wait "${readers[@]}" 2>/dev/null || true
    readers=()
}

# Prints what the guest's console says of its end, in a line.
last_words() {
    local console=$folder/console.$1
    grep -m 1 -oa 'Kernel panic.*' "$console" 2>/dev/null || tail -n 1 "$rig/qemu.$1" | grep . ||
        tail -n 1 "$console" 2>/dev/null | grep . || echo "its console says nothing"
}

# Looks at a host that runs, and moves its state on.
look_at() {
    local host=$1 me=$1.${boots[$1]} alive=1
    is_alive "${pids[host]}" || alive=0
    if [ -s "$rig/status.$me" ]; then
        read -r "results[host]" <"$rig/status.$me"
        kill_guest "$host"
        states[host]=ended
    elif [ -s "$rig/failed.$me" ]; then
        die 125 "host $host: $(<"$rig/failed.$me")"
    elif [ $alive -eq 0 ]; then
        kill_guest "$host"
        die 125 "host $host died before its command ended: $(last_words "$me" | tr -d '\r')"
    elif [ "${states[host]}" = booting ] && [ -e "$rig/up.$me" ]; then
        states[host]=up
    elif [ "${states[host]}" = booting ] && [ $SECONDS -ge "${limits[host]}" ]; then
        die 125 "host $host did not boot within $boot_limit s: $(last_words "$me" | tr -d '\r')"
    fi
}

is_running() {
    [[ ${states[$1]} =~ ^(booting|up)$ ]]
}

look_at_all() {
    local host
    for ((host = 0; host < hosts; host++)); do
        ! is_running "$host" || look_at "$host"
    done
}

# Usage: none STATE...; true if no host is in one of these states.
none() {
    local state
    for state in "${states[@]}"; do
        [[ " $* " != *" $state "* ]] || return 1
    done
}

kill_host() {
    is_running "$1" || return 0
    kill_guest "$1"
    states[$1]=killed
}

signal() {
    ! is_running "$2" || kill -"$1" "${pids[$2]}" 2>/dev/null || true
}

# obey VERB HOST: does what a guest asked for, and answers.
obey() {
    local verb=$1 host=$2 answer
    case "$verb" in
    kill) kill_host "$host"; answer=killed ;;
    boot)
        if is_running "$host"; then
            say "host $host runs, so it cannot boot"
            return
        fi
        start_host "$host"
        answer=booted
        ;;
    stop) signal STOP "$host"; answer=stopped ;;
    cont) signal CONT "$host"; answer=continued ;;
    esac
    : >"$share/control/$answer.$host"
}

obey_all() {
    local file request
    for file in "$share"/control/{kill,boot,stop,cont}.*; do
        [ -e "$file" ] || continue
        rm -f "$file"
        request=${file##*/}
        if [[ ${request#*.} =~ ^[0-9]$ ]] && ((${request#*.} < hosts)); then
            obey "${request%%.*}" "${request#*.}"
        else
            say "a guest asks for $request, and there is no such host"
        fi
    done
}

# A reader that is gone before its host has nobody to write to.
check_output() {
    [ "${states[0]}" != up ] || is_alive "$reader" || ! is_alive "${pids[0]}" || exit 141
}

# Runs the hosts to their end, and exits with the status of the first that failed.
run_hosts() {
    local host end='' others=''
    [ "$hosts" -eq 1 ] || start_hub
    for ((host = 0; host < hosts; host++)); do
        start_host "$host"
    done
    while ! none booting up; do
        pause
        look_at_all
        obey_all
        check_output
        [ -z "$hub" ] || is_alive "$hub" || die 125 "the network between the hosts failed"
        if [ -z "$end" ] && none booting; then
            : >"$rig/go"
            end=$((SECONDS + timeout))
        fi
        if [ "${states[0]}" = ended ]; then
            [ -n "$others" ] || others=$((SECONDS + others_limit))
            [ $SECONDS -lt $others ] || break
        else
            others=''
        fi
        [ -z "$end" ] || [ $SECONDS -lt "$end" ] ||
            die 124 "the command did not end within $timeout s"
    done
    end_hosts
    for ((host = 0; host < hosts; host++)); do
        [[ ${results[host]:-0} -eq 0 ]] || exit "${results[host]}"
    done
}
