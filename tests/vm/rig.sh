# shellcheck shell=bash disable=SC2154,SC2034,SC2100
# The rig of scripts/vm: what it needs, what it leaves behind (nothing), and the course of a run.
# Sourced by scripts/vm, which sets top, hosts, devices, accel, memory and timeout.

qemu=qemu-system-x86_64
boot_limit=300   # seconds; an emulated guest on a loaded machine is slow
others_limit=10  # seconds that the other hosts have after host 0's command
guest_share=/run/waybill-vm
export_skip='^(WB_VM(_.*)?|PWD|OLDPWD|SHLVL|_)$'

say() {
    echo "scripts/vm: $*" >&2
}

# die STATUS WORDS: ends the guests, lets their output through, then says why.
die() {
    local status=$1
    shift
    end_hosts
    say "$@"
    exit "$status"
}

check_needs() {
    local tool
    [ "$(uname -m)" = x86_64 ] || { say "the guests run on x86-64 machines only"; exit 125; }
    for tool in $qemu busybox modprobe depmod cpio ip rdma setpriv setsid flock; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
            { say "$tool is missing here; scripts/setup installs it"; exit 125; }
    done
}

# The folder of a run is removed at its end by this process, or, should that be killed, by a guard,
# which waits in a session of its own for this process's end of a pipe to close. No other process
# may hold that end.
make_folder() {
    folder=$(mktemp -d "${TMPDIR:-/tmp}/waybill-vm.XXXXXX") || exit 125
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # shellcheck disable=SC2016
    exec {guard}> >(exec setsid bash -c '
        read -r _
        for _ in {1..50}; do
            rm -rf "$1" && break
            sleep 0.2
        done' guard "$folder" >/dev/null 2>&1)
    mkdir -p "$folder/share/control" "$folder/share/.rig" "$folder/net"
    share=$folder/share rig=$folder/share/.rig
    mkfifo "$folder/never"
    exec {never}<>"$folder/never"
}

clean_up() {
    trap '' HUP INT TERM
    kill_all
    rm -rf "$folder"
}

# Sleeping without a process.
pause() {
    read -r -t 0.1 -u "$never" || true
}

# own_child COMMAND...: a background process that the kernel kills when this one is gone.
own_child() {
    # shellcheck disable=SC2016
    exec setpriv --pdeathsig KILL -- \
        sh -c '[ "$PPID" -eq "$1" ] && shift && exec "$@"' sh $$ "$@" {guard}>&- {never}>&-
}

# Sets kernel, initramfs, and accel in place of auto. One rig at a time works on the cache.
prepare() {
    local cache=$top/build/vm lock
    mkdir -p "$cache" || exit 125
    exec {lock}>"$cache/lock"
    flock "$lock"
    kernel=$("$top/tests/vm/kernel" "$cache" {guard}>&-)
    initramfs=$("$top/tests/vm/initramfs" "$kernel" {guard}>&-)
    [ "$accel" != auto ] || choose_accel "$cache/accel"
    exec {lock}>&-
    accel_words=$accel
    [ "$accel" != tcg ] || accel_words=tcg,thread=multi
}

can_open_kvm() {
    [ -c /dev/kvm ] && { : <>/dev/kvm; } 2>/dev/null
}

# A /dev/kvm that opens may yet run no guest, so the first run on a machine tries one that only
# boots.
choose_accel() {
    local outcome=$1 where now
    if ! can_open_kvm; then
        accel=tcg
        return
    fi
    where="$(uname -nr) $($qemu --version | sed -n 1p)"
    if [ -e "$outcome" ] && { read -r now && read -r accel; } <"$outcome" && [ "$now" = "$where" ]; then
        return
    fi
    accel=tcg
    ! try_kvm || accel=kvm
    printf '%s\n' "$where" "$accel" >"$outcome"
}

try_kvm() {
    (own_child "$qemu" "${machine[@]}" -accel kvm -cpu max -m 512 -kernel "$kernel/vmlinuz" \
        -initrd "$initramfs" -serial "file:$folder/trial" -append "$kernel_words WB_VM_TRIAL=1" \
        </dev/null >/dev/null 2>&1 {lock}>&-) &
    pids=($!)
    for _ in {1..300}; do
        is_alive "${pids[0]}" || break
        pause
    done
    kill_all
    grep -q waybill-trial-done "$folder/trial" 2>/dev/null
}

# What bash in the guest is to run: the environment, the folder and the command of here.
write_job() {
    local name host addresses=()
    for ((host = 0; host < hosts; host++)); do
        addresses+=("10.77.0.$((host + 1))")
    done
    {
        while read -r name; do
            [[ $name =~ $export_skip || ${!name@a} == *r* ]] || declare -p "$name"
        done < <(compgen -e)
        printf 'export %s=%q\n' WB_VM 1 WB_VM_ADDRESSES "${addresses[*]}"
        printf 'cd -- %q || exit 125\n' "$PWD"
        printf 'exec --'
        printf ' %q' "$@"
        echo
    } >"$rig/job"
    cp "$top/tests/vm/guest" "$rig/guest"
}

run_rig() {
    check_needs
    [ "$accel" != kvm ] || can_open_kvm || { say "/dev/kvm does not open here"; exit 125; }
    make_folder
    write_job "$@"
    prepare
    run_hosts
}
