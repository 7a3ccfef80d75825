"""The use cases, each exactly one transaction.

Every function takes ``Dependencies`` (``ports``) first, runs one transaction, and returns values: nothing here calls a provider,
rings a bell or writes a log line. What a transaction led to comes back as ``Consequences``: its caller rings for ``due`` (the
rows are marked as rung already), logs each of ``failed`` at WARNING, and each of ``critical`` and ``broken`` at ERROR.

``notify.notify(deps, incident, recipients, *, policy, strict=False)``
    → ``Accepted(notified, consequences)``; raises InvalidIncident. ``notify.store_admitted(deps, admitted, *, policy)``
    stores what was validated already.
``claim.claim(deps, channel, requested_ids, *, limit, providers, reporting)``
    → ``Claims(claimed, consequences)``; rows that can be sent no more are ended, each in a transaction of its own, and those
    that get no slot are deferred.
``record.record(deps, attempt_id, token, outcome, *, has_alternative=False)``, ``record.release(deps, attempt_id, token)``
    → ``Consequences``; raise Fenced.
``receive.receive(deps, receipt, *, raw)``
    → ``Received(fate, incident_id, consequences)``; also makes the acknowledgement of a key.
``acknowledge.acknowledge(deps, key, *, by, via)``, ``acknowledge.acknowledge_incident(deps, incident_id, *, by, via)``
    → ``PagingStopped(stopped, consequences)``; the first raises NotFound.
``replies.handle_reply(deps, reply, *, raw)``
    → ``Handled(reply, consequences)``; acknowledges, blocks, unblocks; each event of a provider once.
``resolve.resolve(deps, key, *, by, via)``
    → ``PagingStopped``; raises NotFound.
``page_again.page_again(deps, key, recipient_id, *, by, via)``
    → ``Consequences``; raises NotFound, RecipientNotFound, IncidentResolved.
``notices.add_notice(deps, reason, provider)``
    → ``Consequences``; what else operations should know, counted once a day per reason and provider.
``adopt.survey(deps)``, ``adopt.adopt(deps, environment)``, ``adopt.release(deps)``, ``adopt.cancel(deps)``
    → how many incidents are held, go on, are resolved; the last one in a transaction an incident.
``forget.forget(deps, recipient_id)``
    → from how many incidents a recipient was removed; raises RecipientInUse.
``pause.pause(deps, pause)``, ``pause.resume(deps, scope, name)``, ``pause.pauses(deps)``
    The kill switch; the claim heeds it.
``sweep.sweep(deps, *, limit=200, ring_again_after=30 s)``
    → ``Consequences``; a row of transactions: marks as rung what is due and unrung (it stands in ``due``), expires leases
    back, decides escalations whose timer is due, starts rounds. What it stumbles over stands in ``broken``, and keeps
    nothing else waiting; a database that stops answering stands in ``cut_short``, and ends it.
``sweep.next_wake_at(deps)``
    → when the next sweep will have something to do; None when nothing waits for time.
"""
