#!/usr/bin/env bash
# Pages, looks, acknowledges and resolves over HTTP. Needs a running service and a key:
#
#   notifyflow keys create --name trial --scope ingest --scope read --scope operate
#   URL=http://127.0.0.1:8000 KEY=nf_… examples/curl.sh
set -euo pipefail

call() { # METHOD PATH [BODY]
  curl --silent --show-error --fail-with-body --request "$1" "$URL$2" --header "Authorization: Bearer $KEY" \
    --header "Content-Type: application/json" --header "Idempotency-Key: $(date +%s%N)" ${3:+--data "$3"}
  echo
}

incident=$(call POST /v1/incidents '{
  "key": "db-1",
  "title": "orders db is down",
  "severity": "CRITICAL",
  "recipients": [{"id": "ada", "email": "ada@example.com", "phone": "+15005550006"}]
}' | sed -E 's/.*"incident_id": ?"([0-9a-f]+)".*/\1/')
echo "opened $incident"

call GET "/v1/incidents/$incident"
call POST "/v1/incidents/$incident/acknowledge" '{"by": "ada"}'
call POST "/v1/incidents/$incident/resolve" '{"by": "ada"}'
