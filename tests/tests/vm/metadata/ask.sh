#!/bin/bash
# Asks for the metadata for a time, and writes each change of the answer: ask NAME [SECONDS]
then=
while
    said=$( (exec 3<>/dev/tcp/169.254.169.254/80 && cat <&3) 2>&1)
    case $said in
    *credentials*) now=read ;;
    *refused*) now=refused ;;
    *) now=${said##*: } ;;
    esac
    [ "$now" = "$then" ] || echo "$(id -un) $1 $now" >>/var/tmp/asked
    then=$now
    [ "$SECONDS" -lt "${2:-10}" ]
do :; done
