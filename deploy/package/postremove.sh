#!/bin/sh
# After the files are gone. deb: "remove", later perhaps "purge"; rpm, which knows no purge: how many versions stay. Data is never removed.
set -e
case $1 in
remove | 0 | purge)
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl reset-failed tlim.service >/dev/null 2>&1 || true # it may not be known any more
    fi
    ;;
esac
[ "$1" = purge ] || exit 0

rm -f /etc/tlim/xmpp.secret
[ ! -d /etc/tlim ] || rmdir /etc/tlim 2>/dev/null || echo "/etc/tlim is not empty and stays" >&2
if [ -d /var/lib/tlim ] && ! rmdir /var/lib/tlim 2>/dev/null; then
    echo "the data in /var/lib/tlim stays, and so does its user tlim: rm -r /var/lib/tlim && userdel tlim" >&2
    exit 0
fi
if getent passwd tlim >/dev/null; then userdel tlim; fi
if getent group tlim >/dev/null; then groupdel tlim; fi
