"""The use cases, each exactly one transaction.

Every transaction that writes begins here. Every function takes ``Dependencies`` (``ports``) first, or ``Transactions`` where it
needs no more, runs one transaction, and returns values: nothing here calls a provider, rings a bell or writes a log line. What a
transaction led to is returned as ``Consequences``: the caller rings for ``due`` (the rows are marked as rung already), logs each
of ``failed`` at WARNING, and each of ``critical`` and ``broken`` at ERROR. Where a use case also returns a value, both come as
``Committed(value, consequences)``.

An incident is named by an ``IncidentRef`` (``core.references``): ``ByKey`` or ``ById``.

A use case of many items is a ``SetUseCase`` and returns ``Settled``: for each item its result, or the error that concerns it.

A few need several transactions, each complete in itself: ``claim.claim`` ends and defers rows that it does not claim,
``replies.handle_reply`` ends texts after an opt-out, ``adopt.resolve_quarantined`` takes one for each incident, and
``sweep.sweep`` one for each kind of due work.
"""
