"""The use cases, each exactly one transaction.

Every function takes a ``Tools`` (``ports``) first, runs one transaction, and returns values: nothing here calls a provider, rings a
bell or writes a log line. What a transaction led to comes back as ``Consequences``: its caller rings for ``due`` (the rows are
marked as rung already), and logs each of ``failed`` at WARNING and each of ``critical`` at ERROR. Where more than one transaction is
needed (a sweep), a function says so and is made of functions that are one each.

===============================================================================  ====================================================
``notify.notify(tools, incident, recipients, *, policy, strict=False)``          ``Accepted(notified, consequences)``; InvalidIncident
``claim.claim(tools, channel, wish, *, limit, providers, has_receipts)``         ``Claims(claimed, consequences)``
``record.record(tools, attempt_id, token, outcome)``                             ``Consequences``; Fenced
``record.release(tools, attempt_id, token)``                                     ``Consequences``; Fenced
``receive.receive(tools, receipt, *, raw)``                                      ``Received(fate, incident_id, consequences)``
``acknowledge.acknowledge(tools, key, *, by, via)``                              ``Taken(incident_id, is_late, consequences)``; NotFound
``acknowledge.acknowledge_incident(tools, incident_id, *, by, via)``             the same, for a link that was checked already
``resolve.resolve(tools, key, *, by, via)``                                      ``Taken``; NotFound
``page_again.page_again(tools, key, recipient_id, *, by, via)``                  ``Consequences``; NotFound, RecipientNotFound,
                                                                                 IncidentResolved
``operations.tell(tools, reason, provider)``                                     ``Consequences``: something else operations should
                                                                                 know, once a day per reason and provider
``sweep.sweep(tools, *, limit=200)``                                             ``Consequences``: several transactions; rings
                                                                                 (``due``) what is due and never rung, takes expired
                                                                                 leases back, looks at escalations, starts rounds
``sweep.next_wake_at(tools)``                                                    when the next sweep has something to do, or None
===============================================================================  ====================================================
"""
