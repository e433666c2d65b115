#!/bin/bash
# hyperqueue.sh MARS: the same on a HyperQueue of two workers, with a worker killed, the server killed and started again from
# its journal, and tasks killed by the time limit. Needs `hq`; about two minutes.
command -v hq >/dev/null || { echo "skipped: HyperQueue is not installed (hq)"; exit 0; }
source "$(dirname "$0")/common.sh"
say "$(hq --version)"
export HQ_SERVER_DIR=$place/server
mkdir logs

server() {
    hq server start --host 127.0.0.1 --journal "$place/journal" --journal-flush-period 1s >>logs/server 2>&1 &
    server=$!
    disown
    started_processes+=("$server")
    until_true 60 hq server info >/dev/null 2>&1 || fail "the server is not up: $(tail -3 logs/server)"
}
worker() {
    WORKER=$1 hq worker start --cpus 1 --detect-resources none >>"logs/$1" 2>&1 &
    worker=$!
    disown
    started_processes+=("$worker")
}
started() { [ "$(wc -l <started)" -ge "$1" ]; }
finished() { hq job info "$1" --output-mode json 2>/dev/null | grep -q '"running": 0' && ! hq job task-ids "$1" --filter waiting,running | grep -q .; }

server
worker w1
worker w2
second=$worker
# The number of the task is the number of the run.
submit=(hq submit --name mars --cpus 1 --time-limit 20s --stdout none --stderr "$place/logs/%{TASK_ID}.%{INSTANCE_ID}")
call=("$program" calibrate --out shared "${settings[@]}")
"${submit[@]}" --array "0-$((runs - 1))" -- "${call[@]}" >/dev/null
say "array of $runs tasks is job 1"

until_true 60 started 5 || fail "no runs: $(hq job info 1)"
kill -9 "$second" $(of_variable WORKER=w2) 2>/dev/null || true
say "worker w2 is killed after $(wc -l <started) starts"
worker w3
until_true 60 started 9 || fail "the other worker does not go on"
kill -9 "$server"
say "the server is killed after $(wc -l <started) starts"
sleep 3
server
worker w4
worker w5
say "the server and two workers are back"
until_true 300 finished 1 || fail "the array does not end: $(hq job info 1)"
failed=$(hq job task-ids 1 --filter failed)
say "the array is over; failed: $failed"
[ "$failed" = 18,20 ] || fail "not tasks 18 and 20 were killed by the limit"
"${submit[@]}" --array "$failed" -- "${call[@]}" >/dev/null
until_true 300 finished 2 || fail "the rest does not end: $(hq job info 2)"
# A single task has a number too: the search asks for none.
hq submit --cpus 1 --stdout none --stderr "$place/logs/search" -- "$program" search --out shared "${settings[@]}" >/dev/null
until_true 300 finished 3 || fail "the search does not end"
[ -e shared/decision.json ] || fail "no decision: $(tail -5 logs/search)"
compare
say "done"
