"""An S3 server on loopback for tests: moto's, or the one that TRACELAKE_S3_ENDPOINT names (`make
test-s3`: Ceph's). And a way to it that can be cut, slowed down, and made to lie."""

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tracelake.lake import s3

REGION = "us-east-1"
STARTS_IN = 60.0


@dataclass(frozen=True)
class Server:
    """Attributes:
    endpoint: its URL. access, secret: a key that it knows. moto: whether it is moto's.
    """

    endpoint: str
    access: str
    secret: str
    moto: bool

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.endpoint.partition("://")[2].partition(":")
        return host, int(port)

    def client(self, service: str = "s3"):
        """boto3's client, past all that tests put in the way."""
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=REGION,
            aws_access_key_id=self.access, aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """What a process needs to find it, and nothing of this machine's own configuration."""
        return {
            "AWS_ENDPOINT_URL_S3": endpoint or self.endpoint,
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """The server, while it is wanted."""
    given = os.environ.get("TRACELAKE_S3_ENDPOINT")
    if given:
        key = os.environ["TRACELAKE_S3_ACCESS_KEY"]
        yield Server(given, key, os.environ["TRACELAKE_S3_SECRET_KEY"], moto=False)
        return
    pytest.importorskip("moto.server", reason="moto is not installed: pip install '.[test]'")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from moto.server import main; main(sys.argv[1:])",
         "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + STARTS_IN
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "moto's server ended at once"
            assert time.monotonic() < end, "moto's server does not answer"
            time.sleep(0.1)
        yield Server(f"http://127.0.0.1:{port}", "key", "a-secret-of-tests", moto=True)
    finally:
        process.kill()
        process.wait()


def use(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Lets this process find its S3 by these variables."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    s3.forget()


def new_bucket(server: Server) -> str:
    """A bucket of its own."""
    name = f"t-{secrets.token_hex(6)}"
    server.client().create_bucket(Bucket=name)
    return name


@dataclass
class Request:
    """Attributes:
    method, path: of the request line. number: how many came before it.
    """

    method: str
    path: str
    number: int


Fault = Callable[[Request], str | bytes | None]
"""What happens to a request: None: it goes on; "cut": the connection ends before it is passed on;
"cut answer": it is passed on, and the connection ends before the answer; bytes: that answer."""



def answer(status: str, code: str) -> bytes:
    """An error of S3."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@dataclass
class Proxy:
    """A way to the server, one request a connection, that does to each what `fault` says.

    Attributes:
        lie: changes an answer's bytes.
    """

    server: Server
    fault: Fault = lambda _request: None
    lie: Callable[[Request, bytes], bytes] = lambda _request, data: data
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> "Proxy":
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._over = False
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._listening.close()

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def _listen(self) -> None:
        while not self._over:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(30)
            head = b""
            while b"\r\n\r\n" not in head:
                got = client.recv(65536)
                if not got:
                    return
                head += got
            head, _, body = head.partition(b"\r\n\r\n")
            method, path, _ = head.decode("latin-1").split("\r\n")[0].split(" ", 2)
            request = Request(method, path, len(self.requests))
            self.requests.append(request)
            what = self.fault(request)
            if what == "cut":
                return
            if re.search(rb"(?im)^expect: *100-continue", head):
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                head = re.sub(rb"(?im)^expect:.*\r\n", b"", head + b"\r\n").rstrip(b"\r\n")
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            wanted = int(length[1]) if length else 0
            while len(body) < wanted:
                got = client.recv(1 << 20)
                if not got:
                    return
                body += got
            if isinstance(what, bytes):
                client.sendall(what)
                return
            head = re.sub(rb"(?im)^connection:.*\r\n", b"", head + b"\r\n").rstrip(b"\r\n")
            with socket.create_connection(self.server.address, 30) as up:
                up.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
                if what == "cut answer":
                    up.recv(65536)
                    return
                data = b""
                while got := up.recv(1 << 20):
                    data += got
            client.sendall(self.lie(request, data))


def root(server: Server) -> str:
    """A lake's URI in a bucket of its own."""
    return f"s3://{new_bucket(server)}/warm"


EVIDENCE = Path(__file__).resolve().parent.parent / "examples" / "evidence"
