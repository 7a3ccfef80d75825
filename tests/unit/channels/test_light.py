"""Finding and building the channels loads no SDK."""

import subprocess
import sys

SCRIPT = """
import sys
from notifyflow.channels.registry import load
from notifyflow.settings import Settings
channels = load(Settings.from_variables({
    "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0", "NOTIFYFLOW_TWILIO_AUTH_TOKEN": "t", "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
    "NOTIFYFLOW_SNS_IS_CONFIGURED": "true", "NOTIFYFLOW_AWS_REGION": "eu-central-1", "NOTIFYFLOW_SLACK_BOT_TOKEN": "xoxb-1",
}))
from notifyflow.channels.sns_messages import SnsReceiver
topics = "arn:aws:sns:eu-central-1:123456789012:t"
assert SnsReceiver.from_settings(Settings.from_variables({"NOTIFYFLOW_SNS_TOPICS": topics}), None)
assert channels["sms"].providers and channels["push"].providers and channels["slack"].providers
print([name for name in ("twilio", "boto3", "botocore", "slack_sdk", "cryptography") if name in sys.modules])
"""


def test_the_sdks_wait_for_the_first_message() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
