#!/usr/bin/env bash
# Records the comparison suite: makes the tasks, trains the full grid, the calibration of `paper` and the adaptive methods
# on each with three seeds, and writes TASK.json.gz into this directory. About an hour on two idle cores; it can be interrupted
# and continues where it stopped. Tasks whose names begin with `long` have runs of 1,200 steps and more: grid and calibrations with two
# seeds, into long/, half an hour each. Usage: benches/suite/record.sh WORK_DIRECTORY [TASK...]
# Where PICTURES is set to the data of xtask/recipes/pictures.py, long-clipart and long-shapes are made as well (pictures.md), after
# the pre-training of their model.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$1
shift
cargo build --release --manifest-path "$root/Cargo.toml" -p mars-cli
cargo run --release --manifest-path "$root/Cargo.toml" -p mars-recipes --no-default-features -- suite "$work/tasks"
if [ -n "${PICTURES:-}" ]; then
    recipes() { cargo run --release --manifest-path "$root/Cargo.toml" -p mars-recipes -- "$@"; }
    recipes pictures "$PICTURES" "$work/tasks"
    [ -f "$work/tasks/model/model.safetensors" ] || recipes pretrain-pictures "$PICTURES" "$work/tasks"
fi
for task in "${@:-both fast small vision language large alpha turned}"; do
    for name in $task; do
        case $name in
        long*)
            "$root/target/release/mars" compare --config "$work/tasks/$name/mars.toml" --out "$work/$name" --seeds 2 \
                --set run.validation_samples=512 --policies guided,paper,grid --record "$here/long/$name.json.gz"
            continue
            ;;
        esac
        "$root/target/release/mars" compare --config "$work/tasks/$name/mars.toml" --out "$work/$name" --seeds 3 \
            --policies grid,paper,adalora,geolora,hydra-style,eva,diff-lr --record "$here/$name.json.gz"
    done
done
