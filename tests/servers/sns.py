"""Amazon's side of SNS over HTTP: a host with a certificate of a test authority, behind a proxy, and the key that signs messages.

Whatever is asked of ``https://sns.REGION.amazonaws.com`` goes through the proxy, which is this server: it answers for every host,
and notes which were asked for.
"""

import base64
import contextlib
import datetime
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

REGION = "eu-central-1"
HOST = f"sns.{REGION}.amazonaws.com"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:notifyflow"
CERTIFICATE_PATH = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
_SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_ONLY_SIGNED_IN_CONFIRMATIONS = ("SubscribeURL", "Token")
_OTHER_USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("crl_sign", "encipher_only", "decipher_only"),
)


@dataclass
class Sns:
    """What stands in for SNS.

    Attributes:
        responses: The status and body of each path's response, by the path without its query.
        requests: Host and path of every request, in order.
        settings: What makes a flow reach it.
    """

    responses: dict[str, tuple[int, bytes]]
    settings: Mapping[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def message(self, text: str, **changes: str) -> dict[str, str]:
        """Make a notification as SNS writes it, signed; changes are made before."""
        fields = {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Message": text,
            "Timestamp": "2026-11-25T03:00:00.000Z",
            "SignatureVersion": "2",
            "SigningCertURL": f"https://{HOST}{CERTIFICATE_PATH}",
            "UnsubscribeURL": f"https://{HOST}/?Action=Unsubscribe",
        }
        return signed(fields | changes)

    def confirmation(self, **changes: str) -> dict[str, str]:
        """Make the message that asks for a confirmation, signed."""
        fields = {
            "Type": "SubscriptionConfirmation",
            "Token": "t0ken",
            "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription",
        }
        return self.message("You have chosen to subscribe.", **fields | changes)


def signed(fields: dict[str, str]) -> dict[str, str]:
    """Sign a message as SNS does, in version 2."""
    names = (
        _SIGNED if fields["Type"] != "Notification" else [name for name in _SIGNED if name not in _ONLY_SIGNED_IN_CONFIRMATIONS]
    )
    text = "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)
    key, _ = _pairs()["signer"]
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return fields | {"Signature": base64.b64encode(signature).decode()}


def body_of(fields: Mapping[str, object]) -> bytes:
    """Write a message as it is posted."""
    return json.dumps(fields, indent=2).encode()


@cache
def _pairs() -> Mapping[str, tuple[rsa.RSAPrivateKey, x509.Certificate]]:
    """Make the keys and certificates of a process: the authority, the host, and who signs messages."""
    keys = {name: rsa.generate_private_key(65537, 2048) for name in ("authority", "host", "signer")}
    names = {"authority": "Test authority", "host": HOST, "signer": "sns.amazonaws.com"}
    return {name: (key, _certificate(names[name], key, keys["authority"])) for name, key in keys.items()}


def _certificate(name: str, key: rsa.RSAPrivateKey, by: rsa.RSAPrivateKey) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    public = by.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=key is by, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    if key is by:  # without it Python 3.13 takes no authority for one (RFC 5280, section 4.2.1.3)
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, **dict.fromkeys(_OTHER_USES, False)), critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(by, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@contextlib.contextmanager
def sns(folder: Path) -> Iterator[Sns]:
    """Serve, with certificates in a folder."""
    pairs = _pairs()
    key, certificate = pairs["host"]
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "host.pem").write_bytes(key.private_bytes(*form) + _pem(certificate))
    (folder / "authority.pem").write_bytes(_pem(pairs["authority"][1]))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "host.pem")
    script = Sns(responses={CERTIFICATE_PATH: (200, _pem(pairs["signer"][1])), "/": (200, b"<ConfirmSubscriptionResponse/>")})

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                host = _read_head(self.rfile)[1]
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with tls.wrap_socket(self.request, server_side=True) as inner, inner.makefile("rb") as lines:
                    path = _read_head(lines)[1]
                    script.requests.append((host, path))
                    status, body = script.responses.get(path.partition("?")[0], (404, b""))
                    head = f"HTTP/1.1 {status} Said\r\nLocation: /e\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                    inner.sendall(head.encode() + body)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False

    with Server(("127.0.0.1", 0), Handler) as server:
        script.settings = {
            "NOTIFYFLOW_HTTPS_PROXY": f"http://127.0.0.1:{server.server_address[1]}",
            "NOTIFYFLOW_CA_BUNDLE": str(folder / "authority.pem"),
            "NOTIFYFLOW_SNS_TOPICS": TOPIC,
        }
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()


def _read_head(lines: object) -> list[str]:
    """Read a request's head; give the words of its first line."""
    first = lines.readline().decode().split()  # type: ignore[attr-defined]
    while lines.readline().strip():  # type: ignore[attr-defined]
        pass
    return first
