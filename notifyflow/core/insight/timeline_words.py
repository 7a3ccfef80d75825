"""Words for the history of an incident: a sentence for each entry, with the names of the people."""

from collections.abc import Callable, Mapping
from datetime import datetime

from notifyflow.core.delivery.model import (
    NO_ADDRESS,
    DeferralReason,
    EscalationState,
    IncidentState,
    Kind,
    NotificationState,
    StepState,
    Via,
)
from notifyflow.core.insight import bundled_words, chain_words
from notifyflow.core.insight.timeline import ALERTED, CRITICAL, HELD_UP, NOTED, SILENCED, UNHEARD, UNTOLD, TimelineEntry
from notifyflow.core.insight.told import NO_RECIPIENTS, NOT_YET
from notifyflow.core.messages.ways import message, messages
from notifyflow.core.text import listed

HOW: Mapping[str, str] = {
    Via.LINK: "with the link",
    Via.KEY: "by phone",
    Via.CLI: "on the command line",
    Via.API: "over the API",
    Via.DASHBOARD: "on the dashboard",
    Via.LIBRARY: "from the application",
    Via.ALERTMANAGER: "through Alertmanager",
    Via.PAGERDUTY: "through PagerDuty's API",
    Via.CLOUDEVENTS: "through CloudEvents",
    Via.HEARTBEAT: "by its heartbeat",
    Via.DIRECTORY: "by leaving the directory",
    "sms": "by text",
    "slack": "in Slack",
}
"""How an incident was acknowledged, resolved or paged again, in words."""
DEFERRED: Mapping[DeferralReason, str] = {
    DeferralReason.LIMIT: "by a limit",
    DeferralReason.RETRY_AFTER: "since the provider asked to wait",
    DeferralReason.CIRCUIT: "by an open circuit",
    DeferralReason.SUSPENSION: "since the provider refuses us",
    DeferralReason.PAUSE: "by a pause",
    DeferralReason.QUIET: "by their quiet hours",
    DeferralReason.SILENCE: "by a silence",
}
"""Why a page is deferred, after ``deferred``."""
_ACCEPTED = frozenset({"accepted", "acceptance_reported"})
_STOPPED = "step {step} is stopped"
_NO_LONGER_PAGED = "{who} is no longer paged"
_REACHED = "{who} counts as reached"
_EXHAUSTED = "all ways to {who} have failed"
_RESUMED = "{who} is paged further"
_IN_DOUBT = "{message} in doubt{provider}"
_FAILED = "{message} failed{provider}{because}{follows}"
_CANCELLED = "{message} cancelled"
_DECISIONS: Mapping[str, str] = {
    EscalationState.ACTIVE: _RESUMED,
    EscalationState.REACHED: _REACHED,
    EscalationState.EXHAUSTED: _EXHAUSTED,
}
_SENTENCES: Mapping[tuple[str, ...], str] = {
    ("incident", "opened"): "opened as {severity}",
    ("incident", "repeated"): "it came again",
    ("incident", "severity_raised"): "severity raised to {severity}: everybody is paged anew",
    ("incident", "paged_again"): "{by} paged {who} again{via}",
    ("incident", "step_due"): "nobody has acknowledged: its chain goes on",
    ("incident", "acknowledged"): "{by} acknowledged{via}",
    ("incident", "acknowledged", IncidentState.OPEN): "{by} acknowledged{via}, for themselves only",
    ("incident", "resolved"): "{by} resolved it{via}",
    ("incident", SILENCED): "silenced by {by} until {until}{because}",
    ("escalation", "started"): "{round}{who} is paged: {messages}",
    ("escalation", "informed"): "a message for {who} is queued",
    ("escalation", "started", EscalationState.EXHAUSTED): "{round}{who} cannot be paged{because}",
    ("escalation", "tier_opened"): "tier {tier} opened for {who}: {messages}, since {why}",
    **{
        ("escalation", event, state): text
        for event in ("recorded", "received", "timer_due", "address_added")
        for state, text in _DECISIONS.items()
    },
    ("escalation", "round_due"): "{round}nobody has acknowledged in time",
    ("escalation", "acknowledged"): _NO_LONGER_PAGED,
    ("escalation", "resolved"): _NO_LONGER_PAGED,
    ("escalation", "replaced"): "a new round for {who} replaces this one",
    ("escalation", HELD_UP): "every way that is left to {who} is held up",
    ("escalation", CRITICAL): "critical failure for {who}",
    ("escalation", ALERTED): "operations was told about {who}",
    ("escalation", UNTOLD): f"operations is to be told about {{who}}: {NOT_YET}",
    ("escalation", UNHEARD): f"{NO_RECIPIENTS}, and is not told about {{who}}",
    ("step", "planned"): "step {step} is planned",
    ("step", "step_due"): "step {step} starts{begun}: {people}",
    ("step", "step_due", StepState.SKIPPED): "step {step} ({people}) is skipped: {skipped}",
    ("step", "chain_over"): "the chain is over{begun}",
    ("step", "acknowledged"): _STOPPED,
    ("step", "resolved"): _STOPPED,
    ("step", "restarted"): "the time until step {step} begins anew",
    ("notification", "queued"): "{message} queued",
    ("notification", "claimed"): "{message}: attempt {attempt}{provider}{again}",
    ("notification", "deferred"): "{message} deferred {deferral} until {until}{provider}",
    ("notification", "postponed"): "{message} waits for {awaited} until {until} at the latest",
    ("notification", "accepted"): "{message} accepted{provider}{follows}",
    ("notification", "refused"): "{message} refused for now{provider}{because}{follows}",
    ("notification", "refused", NotificationState.FAILED): _FAILED,
    ("notification", "refused_for_good"): "{message} refused{provider}{because}{follows}",
    ("notification", "doubted"): f"{_IN_DOUBT}{{because}}{{follows}}",
    ("notification", "lease_expired"): f"{_IN_DOUBT}: its worker gave no result in time{{follows}}",
    ("notification", "released"): "{message} was not sent yet{provider}{because}",
    ("notification", NOTED): "{message}, a report{provider}{because}",
    ("notification", "acceptance_reported"): "{message} accepted after all{provider}",
    ("notification", "temporary_failure_reported"): "{message} did not arrive{provider}{because}{follows}",
    ("notification", "delivery_reported"): "{message} delivered{provider}{because}",
    ("notification", "permanent_failure_reported"): "{message} did not arrive{provider}{because}{follows}",
    ("notification", "expired"): "{message} given up: its round started too long ago{follows}",
    ("notification", "beyond_retry_window"): "{message} given up: the next attempt would come too late{follows}",
    ("notification", "no_provider"): "{message} given up: no provider is configured for it{follows}",
    ("notification", "no_provider", NO_ADDRESS): "{message} given up: they have no address for it any more{follows}",
    ("notification", "capped"): "{message} given up: the hourly limit is used up{follows}",
    ("notification", "opted_out"): "{message} given up: they have said STOP to every number that could text them{follows}",
    ("notification", "acknowledged"): _CANCELLED,
    ("notification", "resolved"): _CANCELLED,
    ("notification", "replaced"): _CANCELLED,
}


def sentence(entry: TimelineEntry, *, name: Callable[[str], str], brief: Callable[[datetime], str]) -> str:
    """Return an entry as a sentence.

    Such as ``text to Ada refused (twilio): the number is a landline (30006); the call went out instead``.

    Args:
        entry: The entry.
        name: Returns the name of a recipient's id; any other text as it is.
        brief: Writes a time.
    """
    place = entry.machine, entry.event
    template = _SENTENCES.get((*place, entry.state)) or _SENTENCES.get((*place, entry.reason)) or _SENTENCES[place]
    who = "everybody" if entry.recipient_id is None else name(entry.recipient_id)
    return template.format(
        who=who,
        by=name(entry.by) or "notifyflow",
        via=how(entry.via),
        severity=entry.severity,
        round=f"round {entry.round}: " if entry.round and (entry.round > 1 or entry.event == "round_due") else "",
        tier=entry.tier,
        messages=listed([*map(message, entry.channels), *(f"the {message(each)} from the start" for each in entry.adopted)])
        or "nothing yet",
        why=_why(entry),
        message=_message(entry, who),
        provider=_provider(entry),
        attempt=entry.attempt,
        again=", after a doubt: it may arrive twice" if entry.is_repeated else "",
        because=_because(entry),
        follows=_follows(entry),
        deferral="" if entry.deferred_by is None else DEFERRED[entry.deferred_by],
        **_of_step(entry, name),
        awaited=bundled_words.waiting_for(entry.channel),
        until="" if entry.until is None else brief(entry.until),
    )


def _of_step(entry: TimelineEntry, name: Callable[[str], str]) -> Mapping[str, object]:
    """Return the words for a step of a chain: its number, its people, and why it began or paged nobody."""
    step = entry.step
    if step is None:
        return dict.fromkeys(("step", "people", "begun", "skipped"), "")
    before = listed([name(each) for each in entry.before])
    begun = "" if entry.because is None else chain_words.begun(entry.because, after=step.after, before=before)
    return {
        "step": step.number,
        "people": chain_words.who(step, name=name),
        "begun": f", since {begun}" if begun else "",
        "skipped": chain_words.SKIPPED.get(entry.reason, entry.reason),
    }


def how(via: str) -> str:
    """Return how something was done, after a blank: `` by phone``; empty if that is unknown."""
    return f" {HOW.get(via, f'through {via}')}" if via else ""


def _provider(entry: TimelineEntry) -> str:
    number = f", attempt {entry.attempt}" if entry.attempt and entry.attempt > 1 and entry.event != "claimed" else ""
    together = f", {_in_one_message(entry)}" if entry.others else ""
    return f" ({entry.provider}{number}{together})" if entry.provider else ""


def _in_one_message(entry: TimelineEntry) -> str:
    return bundled_words.in_one_message(
        entry.channel,
        entry.others,
        is_named=entry.is_named,
        is_accepted=entry.event in _ACCEPTED,
        is_delivered=entry.event == "delivery_reported",
    )


def _instead(entry: TimelineEntry) -> str:
    """Return the replacement of a failed page: ``the text went out, and the call was queued``."""
    queued = [channel for channel in entry.channels if channel not in entry.accepted]
    parts = [(entry.accepted, "went out"), (queued, "was queued" if len(queued) == 1 else "were queued")]
    return ", and ".join(f"the {messages(channels)} {what}" for channels, what in parts if channels)


def _message(entry: TimelineEntry, who: str) -> str:
    said = message(entry.channel)
    match entry.kind:
        case Kind.STATUS_UPDATE:
            return f"status update to {who} ({said})"
        case Kind.INCIDENT_EVENT:
            return f"{entry.incident_event} for {entry.subscriber}"
        case _:
            return f"{said} to {who}"


def _why(entry: TimelineEntry) -> str:
    match entry.why:
        case "unacknowledged":
            return "nobody has acknowledged"
        case "no_address":
            return "the tier before has no address"
        case "shut":
            return "the tier before is not used for this severity"
        case _:
            return _failures(entry.failed, entry.suspected, entry.pages)


def _failures(failed: int, suspected: int, pages: int) -> str:
    """Return how many ways have failed: ``2 of 3 ways failed``."""
    if failed == pages:
        return "the only way failed" if pages == 1 else f"all {pages} ways failed"
    if not failed:
        return "the only way counts as failed" if pages == 1 else f"{suspected} of {pages} ways count as failed"
    return f"{failed} of {pages} ways failed" + (f", and {suspected} more counted as failed" if suspected else "")


def _because(entry: TimelineEntry) -> str:
    reason = entry.reason or entry.code
    if not reason:
        return ""
    fault = "a fault of ours, " if entry.is_our_fault else ""
    return f": {fault}{reason}{f' ({entry.code})' if entry.code and entry.reason else ''}"


def _follows(entry: TimelineEntry) -> str:
    """Return the consequence of the end of an attempt."""
    match entry.state:
        case NotificationState.QUEUED if entry.is_halved:
            return "; its message leaves again in two halves"
        case NotificationState.QUEUED:
            return "; it is tried again"
        case NotificationState.CANCELLED:
            return "; it is not tried again"
        case NotificationState.FAILED if entry.channels:
            return f"; {_instead(entry)} instead"
        case _:
            return ""
