#!/bin/sh
# Runs a job, and lets notifyflow page if it fails, takes too long, or does not run: watched-job.sh URL COMMAND…
# The URL ends with the key of the job's heartbeat: https://notify.example.com/v1/heartbeats/nf_…
url=$1
shift
run=$(cat /proc/sys/kernel/random/uuid)
ping() { curl -fsS -m 10 --retry 5 -o /dev/null "$@"; }

ping "$url/start?rid=$run"
said=$("$@" 2>&1)
ended=$?
printf '%s' "$said" | tail -c 1000 | ping --data-binary @- "$url/$ended?rid=$run"
exit "$ended"
