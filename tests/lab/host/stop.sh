#!/bin/sh
# stop.sh STATE: ends every process of the lab whose state is in the folder STATE, and removes what the lab
# keeps elsewhere. All of them carry the folder's name in their environment.
state=$1

of_this_lab() {
    grep -lzxF "PSEXEC_LAB=$state" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n'
}

tries=0
while pids=$(of_this_lab) && [ -n "$pids" ]; do
    # A process that is ending is seen once more; one that cannot be ended is a fault.
    tries=$((tries + 1))
    if [ $tries -gt 500 ]; then
        echo "these processes of the lab cannot be ended:" $pids >&2
        exit 1
    fi
    kill -9 $pids 2>/dev/null
    sleep 0.02
done

if [ -s "$state/display" ]; then
    display=$(cat "$state/display")
    rm -f "/tmp/.X$display-lock" "/tmp/.X11-unix/X$display"
fi
if [ -L "$state/sockets" ]; then
    rm -rf "$(readlink "$state/sockets")" "$state/sockets"
fi
if [ -d "$state/prefix" ]; then
    # Where wineserver keeps its socket, named by the prefix's device and inode.
    rm -rf "/tmp/.wine-$(id -u)/server-$(stat -c %D "$state/prefix")-$(printf %x "$(stat -c %i "$state/prefix")")"
fi
