# What scripts/openfire, scripts/mariadb, scripts/prosody and scripts/s3 share: one server process per
# directory, known by a pid file, on ports that stay with the directory. Sourced, not run.
#
# A directory holds: pid ("PID START" of the server), state (shell assignments that
# survive a stop: ports, secret ...), watch (pid file of the watcher, see watch_owner).

set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
self=$(basename "$0")
run=$root/.run
host=127.0.0.1 # on which servers listen

say() { printf '%s: %s\n' "$self" "$*" >&2; }
die() { say "$*"; exit 1; }

# assign NAME VALUE prints one assignment that `eval` takes back unchanged.
assign() { printf "%s='%s'\n" "$1" "${2//\'/\'\\\'\'}"; }

# absolute DIR prints DIR, made if need be, as an absolute path.
absolute() { mkdir -p "$1" && (cd "$1" && pwd); }

secret() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# --- processes: a pid alone may be somebody else's by now, pid and start time are not ---

# started PID prints the start time of a live process (field 22 of its stat; the name in
# field 2 may hold blanks, so count from behind the last bracket). A zombie counts as gone, once its other threads are: they hold its ports.
started() {
    local stat pid=$1
    stat=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
    set -- ${stat##*) }
    if [ "$1" = Z ] && [ "$(ls "/proc/$pid/task" 2>/dev/null | wc -l)" -le 1 ]; then return 1; fi
    printf '%s\n' "${20}"
}

# remember FILE PID
remember() { printf '%s %s\n' "$2" "$(started "$2" || echo gone)" >"$1"; }

# living FILE prints the pid in FILE when that very process lives.
living() {
    local pid start
    [ -s "$1" ] && read -r pid start <"$1" && [ "$(started "$pid")" = "$start" ] && printf '%s\n' "$pid"
}

# end FILE SECONDS: SIGTERM, after SECONDS SIGKILL (0: at once); returns when the process is gone.
end() {
    local pid tries=$(($2 * 20))
    [ $tries = 0 ] || ! pid=$(living "$1") || kill -TERM "$pid" 2>/dev/null || true
    while pid=$(living "$1"); do
        if [ $tries -le 0 ]; then
            [ "$2" = 0 ] || say "process $pid does not end by SIGTERM, killing it"
            kill -KILL "$pid" 2>/dev/null || true
            tries=100
        fi
        tries=$((tries - 1))
        sleep 0.05
    done
    rm -f "$1"
}

# await COMMAND... runs a long command so that a signal to this script is handled at once
# (bash waits for a foreground command first) and the command ends with it.
child=
await() {
    setsid "$@" & # a group of its own, so that its children can be ended with it
    child=$!
    local rc=0
    wait "$child" || rc=$?
    child=
    return $rc
}
end_child() {
    [ -n "$child" ] || return 0
    kill -TERM -- "-$child" 2>/dev/null || kill -TERM "$child" 2>/dev/null || true
    wait "$child" || true
    local tries=60
    while [ $((tries -= 1)) -gt 0 ] && kill -0 -- "-$child" 2>/dev/null; do sleep 0.05; done
    kill -KILL -- "-$child" 2>/dev/null || true
    child=
}

# --- one starter per directory ---

# lock DIR: the rest of this script is alone with the directory. Descriptor 9 must not be
# inherited by a server, or the lock would last as long as it.
lock() {
    exec 9>"$1/lock"
    flock -n 9 || die "another start or stop is at work in $1"
}
# lock_wait DIR, for stop: waits for the other one.
lock_wait() {
    exec 9>"$1/lock"
    flock -w 180 9 || die "another start or stop is at work in $1"
}

# guard: whatever ends this script before `kept=yes`, undo() runs.
kept=
guard() {
    trap 'rc=$?; trap "" INT TERM HUP; end_child; [ -n "$kept" ] || undo; drop_ports; exit $rc' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# --- ports ---

listens() { (exec 3<>"/dev/tcp/$host/$1") 2>/dev/null; }

# Ports are taken below the range from which the kernel gives out ports for outgoing
# connections, so that nothing slips in between a stop and the next start of a directory.
# A claim is a file naming its script, so that starters side by side choose different ones.
claims=()
drop_ports() { [ ${#claims[@]} = 0 ] || rm -f "${claims[@]}"; claims=(); }
free_port() { # sets $port
    local low=10000 high rest tries=0 claim
    read -r high rest </proc/sys/net/ipv4/ip_local_port_range || high=32768
    [ "$high" -gt 12000 ] || { low=40000; high=65000; }
    mkdir -p "$run/ports"
    while tries=$((tries + 1)); [ $tries -lt 1000 ]; do
        port=$((low + (RANDOM * 32768 + RANDOM) % (high - low)))
        claim=$run/ports/$port
        if [ -e "$claim" ] && ! kill -0 "$(cat "$claim" 2>/dev/null)" 2>/dev/null; then rm -f "$claim"; fi
        (set -o noclobber; echo $$ >"$claim") 2>/dev/null || continue
        claims+=("$claim")
        listens "$port" || return 0
    done
    die "no free port found between $low and $high"
}

# await_ports PIDFILE SECONDS LOG PORT...: returns when all accept; ends the script when
# the process dies or the time is over, with the end of its log.
await_ports() {
    local file=$1 seconds=$2 log=$3 until=$((SECONDS + $2)) port
    shift 3
    for port; do
        until listens "$port"; do
            living "$file" >/dev/null || failed "$log" "the server ended while it started"
            [ $SECONDS -lt $until ] || failed "$log" "port $port does not accept after $seconds s"
            sleep 0.1
        done
        # The port may be another process's: then ours has ended, or is about to.
        living "$file" >/dev/null || failed "$log" "the server ended while it started"
    done
}

failed() { # LOG TEXT
    say "$2; the end of $1:"
    tail -n 40 "$1" >&2 || true
    exit 1
}

# --- an owner: a server started with --owner PID is stopped when that process is gone,
# however it went (a test that panics, a terminal that is closed) ---

watch_owner() { # DIR OWNER
    end "$1/watch" 5
    [ -n "$2" ] || return 0
    setsid bash -c 'tail --pid="$1" -f /dev/null & trap "kill $!; exit" TERM; wait $!; rm -f "$3/watch"; exec "$2" stop --dir "$3"' \
        watch "$2" "$root/scripts/$self" "$1" </dev/null >/dev/null 2>&1 9>&- &
    remember "$1/watch" $!
    disown
}
