"""The refusals of SES v2, SNS and SQS: the operations' errors in botocore's service models, and the common errors of AWS."""

from notifyflow.channels.tables import Row, Table, Verdict, table

_SES = "SES API v2 Reference, SendEmail, Errors"
_SNS = "SNS API Reference, Publish, Errors"
_SNS_MODEL = "botocore, service model of SNS, exceptions"
_SQS = "SQS API Reference, ReceiveMessage and DeleteMessage, Errors"
_COMMON = "AWS APIs, Common Errors"
_WRONG_SIGNATURE = "our signature is wrong: the secret key, or the clock"

_COMMON_ROWS = (
    Row("AccessDenied", Verdict.OURS, "our key may not do this", _COMMON, is_general=True),
    Row("AccessDeniedException", Verdict.OURS, "our key may not do this", _COMMON, is_general=True),
    Row("ExpiredToken", Verdict.OURS, "our session token has expired", _COMMON, is_general=True),
    Row("ExpiredTokenException", Verdict.OURS, "our session token has expired", _COMMON, is_general=True),
    Row("IncompleteSignature", Verdict.OURS, "our signature is incomplete", _COMMON, is_general=True),
    Row("InternalFailure", Verdict.TEMPORARY, "AWS failed on its own side", _COMMON),
    Row("InvalidClientTokenId", Verdict.OURS, "our key does not exist", _COMMON, is_general=True),
    Row("InvalidSignatureException", Verdict.OURS, _WRONG_SIGNATURE, _COMMON, is_general=True),
    Row("MissingAuthenticationToken", Verdict.OURS, "our request carries no key", _COMMON, is_general=True),
    Row("OptInRequired", Verdict.OURS, "our account is not signed up for the service", _COMMON, is_general=True),
    Row("RequestExpired", Verdict.OURS, "our clock is wrong", _COMMON, is_general=True),
    Row("ServiceUnavailable", Verdict.TEMPORARY, "AWS is not available now", _COMMON),
    Row("SignatureDoesNotMatch", Verdict.OURS, _WRONG_SIGNATURE, _COMMON, is_general=True),
    Row("Throttling", Verdict.TEMPORARY, "AWS asks for fewer requests", _COMMON),
    Row("ThrottlingException", Verdict.TEMPORARY, "AWS asks for fewer requests", _COMMON),
    Row("UnrecognizedClientException", Verdict.OURS, "our key does not exist", _COMMON, is_general=True),
)

STS: Table = table(*_COMMON_ROWS)

SES: Table = table(
    *_COMMON_ROWS,
    Row("AccountSuspendedException", Verdict.OURS, "our account may not send mail any more", _SES, is_general=True),
    Row("BadRequestException", Verdict.OURS, "our request is not valid", _SES, is_about_content=True),
    Row("LimitExceededException", Verdict.OURS, "our account has reached a limit", _SES),
    Row("MailFromDomainNotVerifiedException", Verdict.OURS, "our sender's domain is not verified", _SES, is_general=True),
    Row(
        "MessageRejected",
        Verdict.OURS,
        "the message was refused: its content, or an address not verified (sandbox)",
        _SES,
        is_about_content=True,
    ),
    Row("NotFoundException", Verdict.OURS, "our configuration set does not exist", _SES, is_general=True),
    Row("SendingPausedException", Verdict.OURS, "our account's sending is paused", _SES, is_general=True),
    Row("TooManyRequestsException", Verdict.TEMPORARY, "SES asks for fewer requests", _SES),
    Row("404", Verdict.OURS, "our endpoint is not that of SES", _SES, is_general=True),
)

_SNS_ROWS = (
    *_COMMON_ROWS,
    Row("AuthorizationError", Verdict.OURS, "our key may not publish there", _SNS, is_general=True),
    Row("InternalError", Verdict.TEMPORARY, "SNS failed on its own side", _SNS),
    Row("InvalidParameter", Verdict.OURS, "our request is not valid", _SNS, is_about_content=True),
    Row("InvalidSecurity", Verdict.OURS, "our signature is wrong", _SNS, is_general=True),
    Row("ParameterValueInvalid", Verdict.OURS, "our request is not valid", _SNS, is_about_content=True),
    Row("ValidationException", Verdict.OURS, "our request is not valid", _SNS, is_about_content=True),
)

SNS: Table = table(
    *_SNS_ROWS,
    Row(
        "EndpointDisabled",
        Verdict.PERMANENT,
        "the device's endpoint is disabled: the app is gone, or its token has changed",
        _SNS,
    ),
    Row("InvalidParameter:TargetArn", Verdict.PERMANENT, "the device's endpoint does not exist", _SNS),
    Row("KMSAccessDenied", Verdict.OURS, "our key may not use the encryption key", _SNS),
    Row("KMSDisabled", Verdict.OURS, "the encryption key is disabled", _SNS),
    Row("KMSInvalidState", Verdict.OURS, "the encryption key cannot be used as it is", _SNS),
    Row("KMSNotFound", Verdict.OURS, "the encryption key does not exist", _SNS),
    Row("KMSOptInRequired", Verdict.OURS, "our account is not signed up for KMS", _SNS),
    Row("KMSThrottling", Verdict.TEMPORARY, "KMS asks for fewer requests", _SNS),
    Row("NotFound", Verdict.PERMANENT, "the device's endpoint does not exist", _SNS),
    Row("PlatformApplicationDisabled", Verdict.OURS, "our platform application is disabled: its credentials have expired", _SNS),
)

SNS_TEXTS: Table = table(
    *_SNS_ROWS,
    Row("InvalidParameter:PhoneNumber", Verdict.PERMANENT, "the number is not valid", _SNS),
    Row("OptedOut", Verdict.PERMANENT, "the recipient has opted out of our account's texts", _SNS_MODEL),
    Row("Throttled", Verdict.TEMPORARY, "SNS asks for fewer texts", _SNS_MODEL),
)

SQS: Table = table(
    *_COMMON_ROWS,
    Row("AWS.SimpleQueueService.NonExistentQueue", Verdict.OURS, "the queue does not exist", _SQS, is_general=True),
    Row("OverLimit", Verdict.TEMPORARY, "too many messages are in flight", _SQS),
    Row("QueueDoesNotExist", Verdict.OURS, "the queue does not exist", _SQS, is_general=True),
    Row("RequestThrottled", Verdict.TEMPORARY, "SQS asks for fewer requests", _SQS),
)
