#!/usr/bin/env bash
# Everything that is measured and compared on a GPU, by one command: parity with the CPU's tests, steps beside PyTorch with PEFT on the
# same card at the sizes of three published models, adapters stacked beside one after the other, and their low-rank path fused beside
# batched products. Writes a dated table. Usage: benches/gpu.sh BINARIES [DEVICE] > docs/results/gpu.md
#
# BINARIES is a folder with programs that were built elsewhere, from this revision and at the same path:
#   cargo build --release -p mars-cli --features cuda,autotune            -> mars
#   cargo test --no-run --workspace --features mars-cli/cuda,mars-cli/autotune
#       the executables of mars-lora/tests/laws, mars-vlm/tests/model, gpu_steps -> laws, model, gpu_steps
#   cargo bench --no-run --bench low_rank --features cuda,autotune       -> low_rank
# and, where they were built without LLVM, libllvm_stub.so. DEVICE is a name of `mars devices`, cuda unless it is given. The steps
# need Python with PyTorch, PEFT and transformers, which make the models too; PyTorch with CUDA is the peer.
set -euo pipefail
binaries=$(cd "$1" && pwd)
device=${2:-cuda}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -e "$binaries/libllvm_stub.so" ] && export LD_PRELOAD="$binaries/libllvm_stub.so"
mars=$binaries/mars
# Otherwise every shape compiles dozens of kernels.
export CUBECL_AUTOTUNE_LEVEL=${CUBECL_AUTOTUNE_LEVEL:-minimal}

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
for suite in "laws ops:: quantised:: stacking::stacked stacking::padding" "model architectures:: checkpointing:: idefics3:: features:: quantised::" "gpu_steps"; do
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
echo "## Steps at the sizes of published models, and adapters stacked, beside PyTorch with PEFT"
echo
python3 "$root/benches/gpu_step.py" --binary "$mars" --device "$device" --work "$work/models" || echo "the steps failed"

echo
echo "## The low-rank path of stacked adapters, fused beside batched products"
echo
if [ -x "$binaries/low_rank" ]; then
    "$binaries/low_rank" --device "$device" || echo "low_rank: failed"
else
    echo "low_rank: not in $binaries"
fi
