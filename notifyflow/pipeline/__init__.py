"""The use cases, each exactly one transaction.

Every transaction that writes begins here. Every function takes ``Dependencies`` (``ports``) first, or ``Transactions`` if that is
enough, runs one transaction, and returns values: nothing here calls a provider, rings, or writes a log line. A transaction
returns its ``FollowUps``: the caller rings for ``due`` (the rows are marked as rung already), logs each of ``failed`` at
WARNING, and each of ``critical`` and ``broken`` at ERROR. A use case with a result returns ``Committed(value, follow_ups)``.

An incident is named by an ``IncidentRef`` (``core.references``): ``ByKey`` or ``ById``.

A use case of many items is a ``SetUseCase`` and returns ``SetResult``: each item's result or error.

A few use several transactions, each complete in itself: ``claim.claim`` ends and defers rows that it does not claim,
``replies.handle_reply`` ends texts after an opt-out, and acknowledges several incidents in sets, ``adopt.resolve_quarantined``
takes one for each incident, and ``sweep.sweep`` one for each kind of due work.
"""
