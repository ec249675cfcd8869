#!/usr/bin/env bash
# From a tokenizer to weights on all GPUs of a machine: data, training, exams, a Hugging Face folder.
#   tools/train/run.sh OUT SECONDS [options of train.py, such as --init OUT/innkeeper]
# SECONDS is for everything. OUT holds innkeeper.json (settings, curve, exams), innkeeper-*.bin (weights), hf/ and
# logs/. Without a GPU it runs on the processor, for tests.
# Environment, with what holds without it: MAKE_DATA build/tools/train/make_data, MODEL models/innkeeper (tokenizer),
# SHARDS and ROWS (sizes of training and exams), SEED 5001 (another one for more training), STEP 98304 (tokens of a step),
# PYTHON python3.
set -euo pipefail
begun=$(date +%s)
here=$(cd "$(dirname "$0")" && pwd)
out=$1
seconds=$2
shift 2
make_data=${MAKE_DATA:-$here/../../build/tools/train/make_data}
model=${MODEL:-$here/../../models/innkeeper}
shards=${SHARDS:-512:8 1024:24 2048:8 4096:1 8192:1 512:96 1024:290 2048:112 4096:20 8192:20}
rows=${ROWS:-200}
python=${PYTHON:-python3}
n_gpus=$(nvidia-smi -L 2>/dev/null | wc -l || true)
gpu=1
[ "$n_gpus" -gt 0 ] || gpu=0 n_gpus=1
threads=$(($(nproc) > 4 * n_gpus ? $(nproc) - 2 * n_gpus : 2))
mkdir -p "$out/logs"
data=$(mktemp -d)
jobs=()
trap 'kill "${jobs[@]}" 2>/dev/null || true; rm -rf "$data"' EXIT

# shellcheck disable=SC2086 # lists of points
{
    nice "$make_data" exam "$model/tokenizer.json" "$data" 900 "$rows" 1024:16 512:8 &&
        nice "$make_data" seen "$model/tokenizer.json" "$data" 902 "$rows" 1024:16 &&
        nice "$make_data" new "$model/tokenizer.json" "$data" 903 "$rows" 1024:16 &&
        nice "$make_data" train "$model/tokenizer.json" "$data" "${SEED:-5001}" "$threads" $shards &&
        if [ "${QUICK:-0}" = 0 ]; then
            nice "$make_data" exam "$model/tokenizer.json" "$data" 904 "$rows" 1024:1 1024:4 1024:8 1024:32 1024:48 1024:64 \
                2048:16 4096:16 8192:16 64:0 128:0 256:0 512:0 1024:0
        fi
} >"$out/logs/data.log" 2>&1 &
jobs+=($!)

# Tried: see models/README.md.
tokens=$((${STEP:-98304} / n_gpus))
if [ "$gpu" = 1 ]; then # its kernels, while the processes below start and compile the rest
    for i in 0 1 2 3; do
        parts=("forward $tokens 1024 512 2048 4096 8192" "v $tokens 1024 512 2048 4096 8192" "k $tokens 1024 512" "k $tokens 2048 4096 8192")
        # shellcheck disable=SC2086 # a list
        CUDA_VISIBLE_DEVICES=$((i % n_gpus)) "$python" "$here/warm.py" ${parts[i]} >>"$out/logs/warm.log" 2>&1 &
        jobs+=($!)
    done
fi
NCCL_NVLS_ENABLE=0 "$python" -m torch.distributed.run --nproc-per-node "$n_gpus" --master-port 29511 "$here/train.py" \
    --data "$data" --out "$out" --since "$begun" --seconds $((seconds - 8)) --exam-seconds 18 --exam-every 80 --save 60 --weights \
    --tokens "$tokens" --muon 0.015 --lr 2e-3 --flat .15 --q4 .75 \
    --plan '0.75:512,1024,1024,1024,2048 1:512,1024,1024,1024,2048,2048,4096,8192' "$@" 2>&1 | tee "$out/logs/train.log"
wait "${jobs[0]}"
jobs=()

mkdir -p "$out/hf"
cp "$model"/tokenizer*.json "$out/hf/"
"$python" "$here/export.py" "$out/innkeeper" "$out/hf"
echo "then: gsa-vk convert -m $out/hf -o innkeeper.gguf -t q8_0 --name Innkeeper, and original.py --gguf innkeeper.gguf"
