#!/bin/sh
# Switches a lamp:   foghorn listen :/c/lamp --history 1 --exec recipes/lamp/lamp.sh
#
# The message is on standard input, and is compared with two words. It is never part of a command, so whatever a stranger sends,
# the shell does not run it. Keep that when you change this: no `eval`, no "$word" in what is executed.

# The green LED of a Raspberry Pi. Older systems call it led0, and `ls /sys/class/leds` has all that there are.
LED=${LED:-/sys/class/leds/ACT/brightness}

read -r word
case $word in
    on) echo 1 >"$LED" ;;
    off) echo 0 >"$LED" ;;
esac

# Another lamp: put its two commands in place of the two above.
#
#   a relay at pin 17 (Raspberry Pi OS)   pinctrl set 17 op dh                                 pinctrl set 17 op dl
#   a Tasmota plug                        curl -sS 'http://192.168.1.9/cm?cmnd=Power%20On'     …Power%20Off
#   a Shelly plug                         curl -sS 'http://192.168.1.9/relay/0?turn=on'        …turn=off
#   a relay at line 17 (any Linux; libgpiod 2; it holds the line until the next command)
#                                         gpioset -z -c gpiochip0 17=1                         gpioset -z -c gpiochip0 17=0
