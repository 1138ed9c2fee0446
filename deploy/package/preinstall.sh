#!/bin/sh
# Before the files are there, some of which belong to the user. deb calls it with a word, rpm with a number.
set -e
getent group tlim >/dev/null || groupadd --system tlim
if ! getent passwd tlim >/dev/null; then
    shell=/usr/sbin/nologin
    [ -x "$shell" ] || shell=/sbin/nologin
    useradd --system --gid tlim --home-dir /var/lib/tlim --no-create-home --shell "$shell" --comment "tlim, chat component" tlim
fi
