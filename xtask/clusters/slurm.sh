#!/bin/bash
# slurm.sh MARS: calibration and search on a Slurm of two virtual nodes on this machine, while a node is killed, the controller
# is killed and started again, and a task is killed by the time limit. Authentication is off, so everything listens on the
# loopback address only. Needs Debian's slurm-wlm, or the same programs; about six minutes.
for needed in slurmctld slurmd sbatch scontrol; do
    command -v "$needed" >/dev/null || { echo "skipped: Slurm is not installed ($needed)"; exit 0; }
done
source "$(dirname "$0")/common.sh"

mkdir state spool logs
port=$(shuf -i 21000-28000 -n 1)
user=$(id -un)
host=$(cat /proc/sys/kernel/hostname)
export SLURM_CONF=$place/slurm.conf
cat >slurm.conf <<CONF
ClusterName=check
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool/%n
SlurmctldPidFile=$place/ctld.pid
SlurmdPidFile=$place/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
SlurmdTimeout=10
KillWait=2
MinJobAge=3600
NodeName=n[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1))-$((port + 2)) CPUs=1 RealMemory=500 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
CONF

controller() {
    slurmctld -D "$@" >>logs/controller 2>&1 &
    controller=$!
    disown
    started_processes+=("$controller")
}
node() {
    slurmd -D -N "$1" >>"logs/$1" 2>&1 &
    node=$!
    disown
    started_processes+=("$node")
}
idle() { [ "$(sinfo -h -N -o %T | grep -cx idle)" = 2 ]; }
started() { [ "$(wc -l <started)" -ge "$1" ]; }

controller -c
node n1
node n2
second=$node
until_true 60 idle || fail "the nodes are not up: $(sinfo 2>&1)"
say "$(sbatch --version): two nodes are idle"
if command -v ss >/dev/null; then
    open=$(ss -ltn | awk '{print $4}' | grep -E ":($port|$((port + 1))|$((port + 2)))$" | grep -v '^127\.' || true)
    [ -z "$open" ] || fail "open to others: $open"
fi

options=(--out shared "${settings[@]}" --sbatch=--time=1 --sbatch=--mem=100 --warn 20)
"$program" slurm "${options[@]}" >/dev/null
for script in calibrate search; do
    bash -n "shared/slurm/$script.sbatch"
    sbatch --test-only "shared/slurm/$script.sbatch" 2>&1 | grep -q "to start at" || fail "sbatch --test-only $script"
done
job=$(sbatch --parsable shared/slurm/calibrate.sbatch)
say "array of $runs tasks is job $job"

# A node is lost with all that runs there, and comes back later.
until_true 60 started 5 || fail "no runs"
lost() { of_variable SLURMD_NODENAME=n2; }
kill -9 "$second" $(lost) 2>/dev/null || true
say "node n2 is killed after $(wc -l <started) starts"
until_true 120 started 9 || fail "the other node does not go on"
kill -9 "$controller"
say "the controller is killed after $(wc -l <started) starts"
sleep 3
controller
until_true 60 scontrol ping >/dev/null || fail "the controller is not back"
say "the controller is back"
sleep 30
node n2
say "node n2 is back"

# Slurm holds back what it has seen start twice, and the nodes on which that was.
mend() {
    for node in $(sinfo -h -N -o '%N %T' | awk '/drain/ {print $1}'); do
        say "node $node: $(scontrol show node "$node" | grep -o 'Reason=.*'); resumed"
        scontrol update nodename="$node" state=resume || true
    done
    for held in $(squeue -h -r -o '%i %r' | awk '/[Hh]eld/ {print $1}'); do
        say "task $held is held; released"
        scontrol release "$held" || true
    done
}
over() {
    mend
    [ "$(squeue -h -r -j "$1" 2>/dev/null | wc -l)" = 0 ]
}
until_true 900 over "$job" || fail "the array does not end: $(squeue)"
scontrol show job "$job" -o >logs/array
say "the array is over: $(grep -o 'JobState=[A-Z]*' logs/array | sort | uniq -c | tr -s ' \n' ' ') queued again $(grep -o 'Restarts=[0-9]*' logs/array | cut -d= -f2 | awk '{n += $1} END {print n}') times"
grep 'ArrayTaskId=18 ' logs/array | grep -q JobState=TIMEOUT || fail "task 18 was not killed by the limit"
grep 'ArrayTaskId=20 ' logs/array | grep -q Restarts=1 || fail "task 20 was not queued again after its warning"

# What the campaign lacks goes on, and the search behind it.
jobs=$("$program" slurm "${options[@]}" --pending --submit --json)
echo "$jobs" | grep -qE '"array": "([0-9,-]*,)?18[",]' || fail "run 18 is not left: $jobs"
say "left to do: $(echo "$jobs" | grep '"array"' | tr -d ' \n')"
search=$(echo "$jobs" | grep -o '"job": "[0-9]*"' | tail -1 | cut -d'"' -f4)
until_true 600 over "$search" || fail "the search does not end: $(squeue)"
"$program" status shared | head -2
[ -e shared/decision.json ] || fail "no decision: $(cat shared/slurm/search-*.log)"
compare
say "done"
