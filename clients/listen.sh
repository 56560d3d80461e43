#!/bin/sh
# sh listen.sh http://raspberrypi.local:1920/c/lamp FILE: prints what comes, line by line, and misses nothing; FILE keeps the place.
while :; do
    { curl -fsSN --keepalive-time 30 -u ":$FOGHORN_CODE" -H "Last-Event-ID: $(cat "$2" 2>/dev/null)" "$1?as=events"
      [ $? -ne 22 ] || kill $$; } |  # refused: the code is wrong
    while IFS= read -r line; do
        case $line in
        "event: "*) event=${line#event: } ;;
        "id: "*) id=${line#id: } ;;
        "data: "*) [ "$event" ] || printf '%s\n' "${line#data: }" ;;
        "") event='' && echo "$id" >"$2" ;;
        esac
    done
    sleep 2
done
