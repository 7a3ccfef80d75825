"""Slack's refusals: the Web API's errors and the incoming webhooks' short texts."""

from notifyflow.channels.tables import Row, Table, Verdict, table

_POST = "docs.slack.dev, chat.postMessage, Errors"
_HOOK = "docs.slack.dev, Sending messages using incoming webhooks, Handling errors"

SLACK: Table = table(
    Row("400", Verdict.TEMPORARY, "Slack says a word that is not in our table", _POST),
    Row("access_denied", Verdict.OURS, "our app may not do this", _POST),
    Row("accesslimited", Verdict.OURS, "the method is not allowed from our network", _POST),
    Row("account_inactive", Verdict.OURS, "our token belongs to a deleted user or workspace", _POST),
    Row("channel_not_found", Verdict.PERMANENT, "the channel does not exist, or our app does not see it", _POST),
    Row("deprecated_endpoint", Verdict.OURS, "the method is no longer there", _POST),
    Row("ekm_access_denied", Verdict.OURS, "administrators have suspended posting", _POST),
    Row("enterprise_is_restricted", Verdict.OURS, "the method cannot be called from an Enterprise organisation", _POST),
    Row("fatal_error", Verdict.UNKNOWN, "Slack failed, and part of it may have happened", _POST),
    Row("internal_error", Verdict.UNKNOWN, "Slack failed, and part of it may have happened", _POST),
    Row("invalid_arguments", Verdict.OURS, "Slack does not understand our message", _POST, is_about_content=True),
    Row("invalid_auth", Verdict.OURS, "our token is not accepted", _POST),
    Row("invalid_blocks", Verdict.OURS, "Slack does not understand our message's blocks", _POST, is_about_content=True),
    Row("is_archived", Verdict.PERMANENT, "the channel is archived", _POST),
    Row("missing_scope", Verdict.OURS, "our token lacks a scope (chat:write)", _POST),
    Row("msg_too_long", Verdict.OURS, "our message is too long", _POST, is_about_content=True),
    Row("no_permission", Verdict.OURS, "our token may not do this", _POST),
    Row("no_text", Verdict.OURS, "our message has no text", _POST, is_about_content=True),
    Row("not_allowed_token_type", Verdict.OURS, "our token is not that of a bot", _POST),
    Row("not_authed", Verdict.OURS, "no token was given", _POST),
    Row("not_in_channel", Verdict.PERMANENT, "our bot is not in the channel", _POST),
    Row("org_login_required", Verdict.TEMPORARY, "the workspace is moving to an Enterprise organisation", _POST),
    Row("rate_limited", Verdict.TEMPORARY, "Slack asks for fewer messages", _POST),
    Row("ratelimited", Verdict.TEMPORARY, "Slack asks for fewer requests", _POST),
    Row("request_timeout", Verdict.TEMPORARY, "Slack did not get the whole request", _POST),
    Row("restricted_action", Verdict.OURS, "a preference of the workspace keeps us from posting there", _POST),
    Row("restricted_action_read_only_channel", Verdict.PERMANENT, "the channel is read-only", _POST),
    Row("service_unavailable", Verdict.TEMPORARY, "Slack is not available now", _POST),
    Row("team_access_not_granted", Verdict.OURS, "our app was not granted to the workspace", _POST),
    Row("team_added_to_org", Verdict.TEMPORARY, "the workspace is moving to an Enterprise organisation", _POST),
    Row("token_expired", Verdict.OURS, "our token has expired", _POST),
    Row("token_revoked", Verdict.OURS, "our token was revoked", _POST),
    Row("user_not_found", Verdict.PERMANENT, "the user does not exist", _POST),
    Row("action_prohibited", Verdict.PERMANENT, "a preference of the workspace keeps the webhook from posting there", _HOOK),
    Row("channel_is_archived", Verdict.PERMANENT, "the channel is archived", _HOOK),
    Row("invalid_payload", Verdict.OURS, "Slack does not understand our message", _HOOK, is_about_content=True),
    Row("invalid_token", Verdict.PERMANENT, "the webhook is not, or no longer, valid", _HOOK),
    Row("no_active_hooks", Verdict.PERMANENT, "the webhook is disabled", _HOOK),
    Row("no_service", Verdict.PERMANENT, "the webhook was removed or disabled", _HOOK),
    Row("no_service_id", Verdict.PERMANENT, "the webhook's URL is incomplete", _HOOK),
    Row("no_team", Verdict.PERMANENT, "the webhook's workspace does not exist", _HOOK),
    Row("posting_to_general_channel_denied", Verdict.PERMANENT, "the webhook may not post to #general", _HOOK),
    Row("rollup_error", Verdict.TEMPORARY, "Slack failed on its own side", _HOOK),
    Row("team_disabled", Verdict.PERMANENT, "the webhook's workspace is disabled", _HOOK),
    Row("too_many_attachments", Verdict.OURS, "our message has too many attachments", _HOOK, is_about_content=True),
)
# A webhook belongs to one recipient, so its refusals do not affect others.
WEBHOOK: Table = {
    **SLACK,
    **table(
        Row("3xx", Verdict.PERMANENT, "the webhook answers with a redirect, which is never followed", _HOOK),
        Row("401", Verdict.PERMANENT, "the webhook is not, or no longer, valid", _HOOK),
        Row("403", Verdict.PERMANENT, "the webhook may not be used", _HOOK),
        Row("404", Verdict.PERMANENT, "the webhook does not exist", _HOOK),
        Row("410", Verdict.PERMANENT, "the webhook's channel is gone", _HOOK),
    ),
}
