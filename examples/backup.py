"""Pages the person on call when a backup fails, and waits until somebody was reached.

NOTIFYFLOW_SMTP_URL=smtp://mail.example.com … python examples/backup.py pg_dump orders
"""

import subprocess
import sys

from notifyflow import Incident, NotifyFlow, Recipient, Severity

ON_CALL = Recipient(id="ada", name="Ada", email="ada@example.com", phone="+15005550006", timezone="Europe/Berlin")


def main(command: list[str]) -> int:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return 0
    with NotifyFlow.from_env() as flow:
        flow.notify(
            Incident(
                key="backup/orders",  # the same key again is the same incident, until it is resolved
                title=f"backup failed: {command[0]} ended with {done.returncode}",
                body=done.stderr[-2_000:],
                severity=Severity.CRITICAL,
                labels={"team": "orders"},
            ),
            [ON_CALL],
        )
        flow.wait("backup/orders", timeout_s=120)
        for escalation in flow.status("backup/orders").escalations:
            print(f"{escalation.recipient_id}: {escalation.state}", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
