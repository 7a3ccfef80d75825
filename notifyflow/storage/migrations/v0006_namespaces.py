"""Schema 6: incidents and API keys belong to a namespace; a key names one unresolved incident of its namespace.

It only adds, and allows more than before: what exists, and what older code stores, belongs to the empty namespace.
"""

VERSION = 6
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    "ALTER TABLE notifyflow_incident ADD COLUMN namespace TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE notifyflow_api_key ADD COLUMN namespace TEXT NOT NULL DEFAULT ''",
    # one unresolved incident a key and namespace
    "DROP INDEX notifyflow_incident_key",
    "CREATE UNIQUE INDEX notifyflow_incident_key ON notifyflow_incident (namespace, key) WHERE state <> 'RESOLVED'",
    # the incidents that an API key may read, the newest first
    "CREATE INDEX notifyflow_incident_namespace ON notifyflow_incident (namespace, id)",
    # a key is also looked up in all namespaces
    "CREATE INDEX notifyflow_incident_open_key ON notifyflow_incident (key) WHERE state <> 'RESOLVED'",
)
