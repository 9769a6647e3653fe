#!/bin/bash
# Two machines with four GPUs each, and a worker for each GPU: sbatch slurm.sh
# The data and saved_models lie in a folder that all machines see.
#SBATCH --job-name=novel
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail

workers=()
for host in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
    for ((task = 0; task < SLURM_NTASKS_PER_NODE; task++)); do
        workers+=("\"$host:$((20000 + SLURM_JOB_ID % 10000 + task))\"")
    done
done
WORKERS=$(IFS=,; echo "${workers[*]}")
export WORKERS

srun --kill-on-bad-exit=1 bash -c '
    TF_CONFIG="{\"cluster\": {\"worker\": [$WORKERS]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
    export TF_CONFIG
    exec textrnn recipe text_generation --distribute multi_worker --data my_novel.txt --name novel --batch_size 256
'
