#!/bin/sh
# After the files are there. deb: "configure" and the version before, or nothing; rpm: how many versions are installed now.
set -e
case $1 in
configure) [ -n "$2" ] && upgrade=yes || upgrade= ;;
[0-9]*) [ "$1" -gt 1 ] && upgrade=yes || upgrade= ;;
*) exit 0 ;;
esac

# The owners of a first installation; what an administrator has changed since stays.
if [ -z "$upgrade" ]; then
    chown root:tlim /etc/tlim /etc/tlim/tlim.yaml
    chown tlim:tlim /var/lib/tlim
    chmod 0750 /etc/tlim /var/lib/tlim
    chmod 0640 /etc/tlim/tlim.yaml
fi
# The file of the component secret, empty until an administrator has written it, so that it has its owner and mode from the beginning.
if [ ! -e /etc/tlim/xmpp.secret ]; then
    (umask 077 && : >/etc/tlim/xmpp.secret)
    chown tlim:tlim /etc/tlim/xmpp.secret
    chmod 0600 /etc/tlim/xmpp.secret
fi

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    if [ -n "$upgrade" ]; then
        systemctl try-restart tlim.service || echo "tlim did not start again: systemctl status tlim" >&2
    fi
fi
if [ -z "$upgrade" ]; then
    echo "tlim is installed and not started: write xmpp.domain into /etc/tlim/tlim.yaml and the secret into /etc/tlim/xmpp.secret, then: systemctl enable --now tlim"
fi
