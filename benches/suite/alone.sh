#!/usr/bin/env bash
# Records runs of every module alone at four ranks, at a constant rate. Writes alone/TASK.json.gz into this directory, on which
# `cargo run --release --example exponents` compares definitions of the convergence time. It can be interrupted and continues.
#
# benches/suite/alone.sh WORK_DIRECTORY TASK SAMPLES SEED...
#   128 steps, the highest rank up to its convergence or 256; two minutes a seed on two idle cores. Recorded: long 1024 0 1 2,
#   long-fast 1024 0 1, long-few 256 0.
# STEPS=320 benches/suite/alone.sh WORK_DIRECTORY TASK SAMPLES SEED...
#   So many steps at every rank, into alone/TASK-STEPS.json.gz. Recorded: seed 0 of long, long-fast, long-turned, long-alpha and
#   long-clipart with 1024 samples, seeds 0 and 1 of long-few with 256, seed 0 of long-shapes with 1021.
#
# Seeds that are recorded already stay; a seed that is recorded again takes the place of what there was.
#
# alone/embedded.json.gz holds the runs of mars-laws/tests/fixtures/embedded_alone_curves.csv, 320 steps evaluated every 8, with the
# costs of those of `long`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$1 task=$2 samples=$3
shift 3
mars=${MARS:-$root/target/release/mars}
if [ -n "${STEPS:-}" ]; then
    name=$task-$STEPS
    # The published calibration asks for a run of all modules as well; it is left out of the recording.
    plan=(--policy paper --set calibration.rule=alone-val --set "calibration.steps=$STEPS" --set calibration.joint=1)
else
    name=$task
    plan=(--set calibration.window=128 --set calibration.steps=256 --set search.budget=9)
fi
campaigns=()
for seed in "$@"; do
    "$mars" calibrate --config "$work/tasks/$task/mars.toml" --out "$work/alone-$name-$seed" "${plan[@]}" --set "train.seed=$seed" \
        --set "calibration.seeds=[$seed]" --set "calibration.sizes=[$samples]" --set calibration.eval_every=4 \
        --set calibration.validation_samples=256
    campaigns+=("$work/alone-$name-$seed")
done
python3 "$here/alone.py" "$name" "$here/alone/$name.json.gz" "${campaigns[@]}"
