#!/usr/bin/env bash
# A real Slurm on this machine alone: controller and one node on loopback. For tests; run it as root.
#     tests/launch/one_machine_slurm.sh start FOLDER [CPUS]     writes FOLDER/slurm.conf; then: export SLURM_CONF=FOLDER/slurm.conf
#     tests/launch/one_machine_slurm.sh stop FOLDER
# Needs Debian's packages slurm-wlm and munge.
set -euo pipefail
what=$1 folder=$(realpath -m "$2") cpus=${3:-4}
PATH=$PATH:/usr/sbin:/sbin

if [ "$what" = stop ]; then
  for daemon in slurmd slurmctld munged; do
    [ -f "$folder/$daemon.pid" ] && kill "$(cat "$folder/$daemon.pid")" 2>/dev/null || true
  done
  exit 0
fi

port=$((20000 + 2 * ($$ % 10000)))  # several may run at once
mkdir -p "$folder/state" "$folder/spool"
# The key is for this Slurm alone, and so is the daemon that checks it.
head -c 1024 /dev/urandom >"$folder/munge.key"
chmod 400 "$folder/munge.key"
munged --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
  --log-file "$folder/munged.log" --seed-file "$folder/munge.seed" --force 2>/dev/null

cat >"$folder/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
SlurmUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,defer_batch
JobRequeue=1
KillWait=5
MinJobAge=3600
ReturnToService=2
# More CPUs than the machine has may be shared out: the tests want workers, not speed.
SlurmdParameters=config_overrides
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE OverTimeLimit=0 State=UP
CONF
slurmctld -f "$folder/slurm.conf" -c
slurmd -f "$folder/slurm.conf" -N "$(hostname)"
for _ in $(seq 60); do
  SLURM_CONF=$folder/slurm.conf sinfo -h -o %t 2>/dev/null | grep -q '^idle$' && exit 0
  sleep 0.5
done
echo "Slurm did not come up; see $folder/slurmctld.log and $folder/slurmd.log" >&2
exit 1
