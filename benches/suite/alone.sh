#!/usr/bin/env bash
# Records runs of every module alone at four ranks, at a constant rate: 128 steps, the highest rank up to its convergence or 256. Writes
# alone/TASK.json.gz into this directory, on which `cargo run --release --example exponents` compares definitions of the convergence
# time. Two minutes a seed on two idle cores; it can be interrupted and continues. Usage: benches/suite/alone.sh WORK_DIRECTORY TASK
# SAMPLES SEED... Recorded: long 1024 0 1 2, long-fast 1024 0 1, long-few 256 0. alone/embedded.json.gz holds the runs of
# mars-laws/tests/fixtures/embedded_alone_curves.csv, 320 steps evaluated every 8, with the costs of those of `long`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$1 task=$2 samples=$3
shift 3
mars=${MARS:-$root/target/release/mars}
campaigns=()
for seed in "$@"; do
    "$mars" calibrate --config "$work/tasks/$task/mars.toml" --out "$work/alone-$task-$seed" --set "train.seed=$seed" \
        --set "calibration.seeds=[$seed]" --set "calibration.sizes=[$samples]" --set calibration.window=128 \
        --set calibration.steps=256 --set calibration.eval_every=4 --set calibration.validation_samples=256 --set search.budget=9
    campaigns+=("$work/alone-$task-$seed")
done
python3 "$here/alone.py" "$task" "$here/alone/$task.json.gz" "${campaigns[@]}"
