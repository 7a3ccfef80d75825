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
assert channels["sms"].providers and channels["push"].providers and channels["slack"].providers
print([name for name in ("twilio", "boto3", "botocore", "slack_sdk", "cryptography") if name in sys.modules])
"""


def test_the_sdks_wait_until_a_process_sends_or_serves() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
