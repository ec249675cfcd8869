#!/usr/bin/env bash
# From a tokenizer to weights on all GPUs of a machine: data, training, exams, a Hugging Face folder.
#   tools/train/run.sh OUT SECONDS [options of train.py, such as --init OUT/innkeeper]
# SECONDS is for everything. OUT holds innkeeper.json (settings, curve, exams), innkeeper-*.bin (weights), hf/ and
# logs/. Without a GPU it runs on the processor, for tests.
# Environment, with what holds without it: MAKE_DATA build/tools/train/make_data, MODEL models/innkeeper (tokenizer),
# SHARDS and ROWS (sizes of training and exams), PYTHON python3.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
seconds=$2
shift 2
make_data=${MAKE_DATA:-$here/../../build/tools/train/make_data}
model=${MODEL:-$here/../../models/innkeeper}
shards=${SHARDS:-512:4 1024:8 2048:4 4096:1 8192:1 512:58 1024:177 2048:68 4096:12 8192:12}
rows=${ROWS:-200}
python=${PYTHON:-python3}
n_gpus=$(nvidia-smi -L 2>/dev/null | wc -l || true)
[ "$n_gpus" -gt 0 ] || n_gpus=1
threads=$(($(nproc) > 4 * n_gpus ? $(nproc) - 2 * n_gpus : 2))
mkdir -p "$out/logs" "$out/hf"
data=$(mktemp -d)
job=
trap 'kill $job 2>/dev/null || true; rm -rf "$data"' EXIT

# shellcheck disable=SC2086 # lists of points
{
    "$make_data" exam "$model/tokenizer.json" "$data" 900 "$rows" 1024:16 512:8 &&
        "$make_data" seen "$model/tokenizer.json" "$data" 902 "$rows" 1024:16 &&
        "$make_data" new "$model/tokenizer.json" "$data" 903 "$rows" 1024:16 &&
        "$make_data" train "$model/tokenizer.json" "$data" 5001 "$threads" $shards &&
        if [ "${QUICK:-0}" = 0 ]; then
            "$make_data" exam "$model/tokenizer.json" "$data" 904 "$rows" 1024:1 1024:4 1024:8 1024:32 1024:48 1024:64 \
                2048:16 4096:16 8192:16 64:0 128:0 256:0 512:0 1024:0
        fi
} >"$out/logs/data.log" 2>&1 &
job=$!

# A step takes 65,536 tokens. Tried: see models/README.md.
tokens=$((65536 / n_gpus))
NCCL_NVLS_ENABLE=0 "$python" -m torch.distributed.run --nproc-per-node "$n_gpus" --master-port 29511 "$here/train.py" \
    --data "$data" --out "$out" --seconds $((seconds - 10)) --exam-seconds 15 --exam-every 60 --save 90 --weights \
    --tokens "$tokens" --muon 0.015 --lr 2e-3 --flat .15 \
    --plan '0.75:512,1024,1024,1024,2048 1:512,1024,1024,1024,2048,2048,4096,8192' "$@" 2>&1 | tee "$out/logs/train.log"
wait "$job"
job=

cp "$model"/tokenizer*.json "$out/hf/"
"$python" "$here/export.py" "$out/innkeeper" "$out/hf"
echo "then: gsa-vk convert -m $out/hf -o innkeeper.gguf -t q8_0 --name Innkeeper, and original.py --gguf innkeeper.gguf"
