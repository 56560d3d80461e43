#!/bin/sh
# sh send.sh http://raspberrypi.local:1920/c/lamp TEXT: sends the text, and ends with 0 when all will get it.
printf %s "$2" | curl -fsS --retry 3 --retry-connrefused -u ":$FOGHORN_CODE" --data-binary @- -o /dev/null "$1"
