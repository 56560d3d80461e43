#!/bin/sh
# A sensor: how busy this machine is, and how warm where it can tell, every 5 s.   sh sensor.sh http://raspberrypi.local:1920
board=${1:-http://localhost:1920}
name=$(uname -n)
while true; do
    read -r load _ </proc/loadavg
    printf '%s-load %s\n' "$name" "$load"
    milli=$(cat /sys/class/thermal/thermal_zone0/temp 2>/dev/null) && printf '%s-cpu %s °C\n' "$name" "$((milli / 1000))"
    sleep 5
done | while read -r reading; do
    curl -fsS -m 10 -o /dev/null ${FOGHORN_CODE:+-u ":$FOGHORN_CODE"} -d "$reading" "$board/c/dashboard"
done
