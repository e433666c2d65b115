# What the checks on real engines share: a campaign of 24 calibration runs whose trainer is a script that waits, a search in
# one process to compare with, and the comparison. To be sourced with `mars` in $1; works in a directory of its own.
set -eu
program=$(realpath "$1")
place=$(mktemp -d)
started_processes=()

say() { echo "[$SECONDS s] $*"; }

fail() {
    echo "wrong: $*" >&2
    exit 1
}

# Ends what was started here, by its process ids, and removes the directory.
clean() {
    code=$?
    for process in "${started_processes[@]}"; do kill -9 "$process" 2>/dev/null || true; done
    for process in $(of_variable "CLUSTER_CHECK=$place"); do kill -9 "$process" 2>/dev/null || true; done
    if [ "$code" = 0 ] && [ -z "${KEEP:-}" ]; then rm -rf "$place"; else echo "left in $place" >&2; fi
    exit "$code"
}

# The processes that have a variable in their environment, which they give to all that they start.
of_variable() {
    for environment in /proc/[0-9]*/environ; do
        process=${environment#/proc/}
        process=${process%/environ}
        if [ "$process" != $$ ] && [ "$process" != "$BASHPID" ] && { tr '\0' '\n' <"$environment"; } 2>/dev/null | grep -qxF "$1"; then
            echo "$process"
        fi
    done
}

# Waits up to $1 seconds until the rest of the arguments succeed.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.3
    done
}

trap clean EXIT
export CLUSTER_CHECK=$place
cd "$place"

# Loss curves by planted laws. Every start and every end of a run is a line. On their first try, the run named in `hang` keeps
# `mars` itself stopped, as a machine that hangs does, and the run named in `slow` takes longer than the limit.
cat >train.sh <<'TRAINER'
id=$6
echo "$id" >>started
first=$(grep -cx "$id" started)
if [ ! -e fast ]; then
    if [ "$first" = 1 ] && [ "$(cat hang 2>/dev/null)" = "$id" ]; then
        trap '' TERM
        while kill -STOP "$PPID" 2>/dev/null; do sleep 0.05; done
        exit 1
    fi
    if [ "$first" = 1 ] && [ "$(cat slow 2>/dev/null)" = "$id" ]; then sleep 600; fi
    sleep "${RUN_SECONDS:-2}"
fi
awk -v ve="$1" -v llm="$2" -v d="$3" -v steps="$4" -v every="$5" 'BEGIN {
    print "step,loss,split";
    for (step = 0; step <= steps; step += every) {
        loss = 3;
        if (ve > 0) loss -= 0.8 * (1 - 0.4 * ve ^ -0.3) * (1 - exp(-step / (0.66 * ve ^ -0.4 * d ^ 0.5)));
        if (llm > 0) loss -= 1.2 * (1 - 0.4 * llm ^ -0.3) * (1 - exp(-step / (0.5 * llm ^ -0.4 * d ^ 0.5)));
        printf "%d,%.9f,val\n", step, loss;
    }
}' >"$7/curve.csv"
echo "$id" >>ended
TRAINER
settings=(--policy paper --trainer 'sh train.sh {r.ve} {r.llm} {samples} {steps} {eval_every} {id} {out}')
for setting in trainer.samples=2048 train.steps=120 search.default_rank=8 'search.ranks=[4,8,16,32]' \
    'calibration.ranks=[4,8,16]' 'calibration.sizes=[64,512]' calibration.joint=6 calibration.steps=120 calibration.eval_every=1 \
    calibration.rule=alone-val; do
    settings+=(--set "$setting")
done
runs=24

# The search in one process, which is what the cluster has to equal.
touch fast
"$program" search -q --out single "${settings[@]}" >/dev/null
rm fast
[ "$("$program" status single --json | grep -cE '"role": "(alone|joint)"')" = "$runs" ] || fail "not $runs calibration runs"
id_of() { "$program" status single --json | grep -o '"id": "[0-9a-f]*"' | sed -n "$(($1 + 1))p" | cut -d'"' -f4; }
id_of 20 >slow
id_of 18 >hang
: >started
: >ended

# Every run of the search in one process has ended once on the cluster, and curves, fits and decision are the same to the bit.
compare() {
    twice=$(sort ended | uniq -d)
    [ -z "$twice" ] || fail "ended twice: $twice"
    ls single/runs | sort >expected
    sort ended | diff expected - || fail "not every run has ended"
    while read -r run; do
        cmp "single/runs/$run/curve.csv" "shared/runs/$run/curve.csv" || fail "the curve of $run"
    done <expected
    for directory in single shared; do "$program" fit --campaign "$directory" --json >"$directory.fit"; done
    cmp single.fit shared.fit || fail "the fits"
    # What a run took is no property of its result.
    for directory in single shared; do grep -v '"wall_s"' "$directory/decision.json" >"$directory.decision"; done
    cmp single.decision shared.decision || fail "the decision"
    again=$(sort started | uniq -d | wc -l)
    say "$(wc -l <ended) runs ended once each, $again of them after a start that was cut short; curves, fits and decision equal those of one process"
}
