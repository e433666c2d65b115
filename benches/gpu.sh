#!/usr/bin/env bash
# Everything that is measured and compared on a GPU, by one command: parity with the CPU's tests, steps beside PyTorch with PEFT on the
# same card, adapters stacked beside one after the other. Writes a dated table. Usage: benches/gpu.sh BINARIES [DEVICE] > docs/results/gpu.md
#
# BINARIES is a folder with programs that were built elsewhere, from this revision and at the same path:
#   cargo build --release -p mars-cli --features cuda,autotune            -> mars
#   cargo test --no-run --workspace --features mars-cli/cuda,mars-cli/autotune
#       the executables of mars-lora/tests/laws, mars-vlm/tests/model     -> laws, model
# and, where they were built without LLVM, libllvm_stub.so. DEVICE is a name of `mars devices`, cuda unless it is given. PyTorch,
# PEFT and transformers with CUDA are wanted for the peer; without them its rows say so. Needs Python.
set -euo pipefail
binaries=$(cd "$1" && pwd)
device=${2:-cuda}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -e "$binaries/libllvm_stub.so" ] && export LD_PRELOAD="$binaries/libllvm_stub.so"
mars=$binaries/mars

echo "# MARS on a GPU, $(date -u +%F)"
echo
git -C "$root" log -1 --format='Revision %h.' 2>/dev/null || true
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no nvidia-smi"
echo
echo '```'
"$mars" devices
echo '```'

echo
echo "## Parity: the tests of operations and models, losses and gradients beside transformers and PEFT within their tolerances"
echo
echo '```'
for suite in "laws ops::" "model architectures:: checkpointing:: idefics3:: half::"; do
    set -- $suite
    name=$1
    shift
    if [ -x "$binaries/$name" ]; then
        MARS_TEST_DEVICE=gpu "$binaries/$name" --test-threads 2 "$@" 2>&1 | grep -E '^test |panicked|differs|result' || echo "$name: failed"
    else
        echo "$name: not in $binaries"
    fi
done
echo '```'

echo
python3 "$root/benches/smolvlm_step.py" --binary "$mars" --device "$device" --rounds 3 --steps 10 --work "$work/models" || echo "the steps failed"

echo "## Adapters stacked, a search by grid on the language model of the embedded task, ranks 2 to 16, 60 steps"
echo
echo "| runs | in one pass | seconds of training, all runs |"
echo "|---|---|---|"
for runs in "8" "4,8,12,16" "2,4,6,8,10,12,14,16"; do
    for stack in 1 8; do
        out=$work/stack-$stack-${runs//,/_}
        "$mars" search --policy grid --device "$device" --out "$out" --set run.stack="$stack" --set run.workers=1 --set 'lora.modules=["llm"]' \
            --set search.reference=llm --set "search.ranks=[$runs]" --set search.default_rank=8 --set train.steps=60 \
            --set train.eval_every=60 --set train.keep=last >"$out.log" 2>&1 || { echo "| $runs | $stack | failed: $(tail -n 1 "$out.log") |"; continue; }
        python3 - "$out" "$runs" "$stack" <<'PY'
import json, sys
from pathlib import Path
out, runs, stack = sys.argv[1:]
records = [json.loads(path.read_text())["record"] for path in Path(out).glob("runs/*/result.json")]
print(f"| {len(runs.split(','))} | {stack} | {sum(record['wall_s'] for record in records):.2f} |")
PY
    done
done
