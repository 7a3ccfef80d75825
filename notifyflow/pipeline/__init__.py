"""The use cases, each exactly one transaction.

Every transaction that writes begins here. Every function takes ``Dependencies`` (``ports``) first, or ``Transactions`` where it
needs no more, runs one transaction, and returns values: nothing here calls a provider, rings a bell or writes a log line. What a
transaction led to is returned as ``Consequences``: the caller rings for ``due`` (the rows are marked as rung already), logs each
of ``failed`` at WARNING, and each of ``critical`` and ``broken`` at ERROR. Where a use case also returns a value, both come as
``Committed(value, consequences)``.

An incident is named by an ``IncidentRef`` (``core.references``): ``ByKey`` or ``ById``.

``notify.notify(deps, incident, recipients, *, policy, strict=False)``
    → ``Committed[Notified]``; raises InvalidIncident. ``notify.store_all(deps, submitted)`` → ``Settled[Notified]``; stores
    validated incidents.
``claim.claim(deps, channel, requested_ids, *, limit, providers, reporting)``
    → ``Claims(claimed, consequences)``; rows that can no longer be sent end, each in a transaction of its own, and rows
    without a slot are deferred.
``record.record(deps, recordings)``, ``record.release(deps, releases)``
    → ``Settled[None]``: for each, None or its own error, Fenced among them; raise CommitUnknown.
``receive.receive_all(deps, received)``, ``receive.receive(deps, receipt, *, raw)``
    → ``Settled[Fate]``, ``Committed[Fate]``; acknowledges if a receipt reports key 1.
``acknowledge.acknowledge(deps, ref, *, by, via)``, ``resolve.resolve(deps, ref, *, by, via)``
    → ``Committed[Stopped]``; raise NotFound, AmbiguousKey.
``page_again.page_again(deps, ref, recipient_id, *, by, via)``
    → ``Committed[None]``; raises NotFound, AmbiguousKey, RecipientNotFound, IncidentResolved.
``replies.handle_reply(deps, reply, *, raw)``
    → ``Committed[HandledReply]``; acknowledges, opts out, opts in; each event of a provider once.
``inbound.handle(deps, requests, *, by, via, namespace)``
    → ``Committed[int]``: how many of the requests one transaction handled.
``notices.add_notice(deps, reason, provider)``
    → ``Committed[None]``; a problem to tell operations of, counted once a day per reason and provider.
``adopt.survey(deps)``, ``adopt.adopt(deps, environment)``, ``adopt.release_from_quarantine(deps)``,
``adopt.resolve_quarantined(deps)``
    → how many incidents are quarantined, go on, are resolved; the last one in a transaction an incident.
``adopt.claim_environment(transactions, name, *, now)``
    → the environment that the database belongs to.
``keys.add(transactions, key)``, ``keys.rotate(transactions, key_id, …)``, ``keys.revoke(transactions, key_id, *, now)``,
``keys.note_use(transactions, key_id, *, now)``
    API keys.
``prune.prune_incidents(deps, place, *, before)``, ``prune.prune_strays(deps, *, before)``, ``prune.prune_policies(deps)``
    One step each of the deletion of old rows.
``rings.unring(transactions, notification_ids)``
    Takes back the marks of rings that nobody hears.
``forget.forget(deps, recipient_id)``
    → from how many incidents a recipient was removed; raises RecipientInUse.
``pause.pause(deps, pause)``, ``pause.resume(deps, scope, name)``, ``pause.pauses(deps)``
    Pauses of sending, which the claim checks.
``sweep.sweep(deps, *, limit=200, ring_again_after=30 s)``
    → ``Consequences``; several transactions: marks due, unrung rows as rung (they are in ``due``), expires leases, decides
    escalations whose timer is due, starts rounds. Errors of damaged rows are in ``broken`` and hold up no others; a database
    that stops answering ends it, and is in ``cut_short``.
``sweep.next_wake_at(deps)``
    → when the next sweep has work; None while no timer runs.
"""
