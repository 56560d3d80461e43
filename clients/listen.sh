#!/bin/sh
# sh listen.sh http://raspberrypi.local:1920/c/lamp FILE: prints what comes, line by line, and misses nothing; FILE keeps the place.
while :; do
    { said=$(curl -fsSN --keepalive-time 30 -u ":$FOGHORN_CODE" -H "Last-Event-ID: $(cat "$2" 2>/dev/null)" "$1?as=events" \
          -w '%{stderr}%{http_code}' 2>&1 >&3)
      case $said in *40[134]) echo "$said" >&2 && kill $$ ;; esac; } 3>&1 |  # the same would be refused again: the code is wrong
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
