#!/bin/sh
# Before the files go. deb: "remove" or "upgrade"; rpm: how many versions stay.
set -e
case $1 in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now tlim.service >/dev/null 2>&1 || systemctl stop tlim.service
else
    rm -f /etc/systemd/system/multi-user.target.wants/tlim.service
fi
