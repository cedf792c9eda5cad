# shellcheck shell=bash disable=SC2154
# The networks between the hosts of a run: one for each device, joined by one more QEMU process, the
# hub, which has no machine. So each host can come and go, and one that is frozen holds up nobody.
# A cable is a Unix socket from QEMU 7.2 on, before that a TCP port of 127.0.0.1.
# Sourced by scripts/vm after rig.sh.

hub='' first_port=''

port() {
    echo $((first_port + $1 * hosts + $2))
}

# cable DEVICE HOST END: one end of it, for -netdev; END is hub or host.
cable() {
    local path=net/$1.$2
    case "$3 ${first_port:+tcp}" in
    "hub ") echo "stream,server=on,addr.type=unix,addr.path=$path" ;;
    "host ") echo "stream,server=off,addr.type=unix,addr.path=$path" ;;
    "hub tcp") echo "socket,listen=127.0.0.1:$(port "$1" "$2")" ;;
    "host tcp") echo "socket,connect=127.0.0.1:$(port "$1" "$2")" ;;
    esac
}

# is_ready DEVICE HOST: whether the hub listens there. A port may be another process's.
is_ready() {
    local inode
    if [ -z "$first_port" ]; then
        [ -S "$folder/net/$1.$2" ]
        return
    fi
    inode=$(awk -v port="$(printf '0100007F:%04X' "$(port "$1" "$2")")" \
        '$2 == port && $4 == "0A" { print $10 }' /proc/net/tcp)
    [ -n "$inode" ] && find "/proc/$hub/fd" -lname "socket:\[$inode\]" | grep -q .
}

# try_hub: starts it, and returns when it listens everywhere; fails if it ends instead.
try_hub() {
    local words=() device host
    for ((device = 0; device < devices; device++)); do
        for ((host = 0; host < hosts; host++)); do
            words+=(-netdev "$(cable "$device" "$host" hub),id=s$device-$host"
                -netdev "hubport,hubid=$device,netdev=s$device-$host,id=p$device-$host")
        done
    done
    (cd "$folder" && own_child "$qemu" -M none -nodefaults -no-user-config -display none \
        "${words[@]}" </dev/null >"$rig/hub" 2>&1) &
    hub=$!
    for ((device = 0; device < devices; device++)); do
        for ((host = 0; host < hosts; host++)); do
            until is_ready "$device" "$host"; do
                is_alive "$hub" || return
                pause
            done
        done
    done
}

start_hub() {
    local turn
    if "$qemu" -netdev help 2>/dev/null | grep -qx stream; then
        try_hub || die 125 "the network between the hosts fails: $(tail -n 1 "$rig/hub")"
        return
    fi
    for turn in {1..20}; do
        first_port=$((20000 + RANDOM % 12000))
        ! try_hub || return 0
    done
    die 125 "the network between the hosts fails after $turn attempts: $(tail -n 1 "$rig/hub")"
}

# cables HOST: sets words to the host's NICs.
cables() {
    local device
    words=()
    [ "$hosts" -gt 1 ] || return 0
    for ((device = 0; device < devices; device++)); do
        words+=(-netdev "$(cable "$device" "$1" host),id=n$device" -device
            "virtio-net-pci,netdev=n$device,romfile=,mac=$(printf '52:54:00:77:%02x:%02x' "$device" "$1")")
    done
}
