#!/bin/sh
# Runs a job, pages if it fails, resolves when it succeeds again, and ends as the job did. In a crontab:
#
#   MAILTO=ada@example.com
#   NOTIFYFLOW_DATABASE_URL=sqlite:////var/lib/oncall/pages.db
#   NOTIFYFLOW_SMTP_URL=smtp://mail.example.com
#   15 2 * * *  /opt/oncall/page-on-failure.sh /opt/oncall/recipients.json orders-backup pg_dump --file /backup/orders.sql orders
recipients=$1
job=$2
shift 2

"$@"
ended=$?
if [ "$ended" -eq 0 ]; then
    notifyflow resolve "cron/$job" --by cron >/dev/null 2>&1 # fails if there is nothing to resolve
    exit 0
fi

notifyflow send - --recipients "$recipients" <<EOT
{"key": "cron/$job", "title": "$job ended with $ended on $(hostname)", "severity": "ERROR"}
EOT
case $? in
    0) ;; # everybody was reached
    1) echo "$job: somebody was not reached" >&2 ;;
    2) echo "$job: the incident or $recipients is invalid, and nobody was paged" >&2 ;;
    *) echo "$job: notifyflow's database is unavailable, and nobody was paged" >&2 ;;
esac
exit "$ended"
