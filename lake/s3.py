"""Objects on S3: how they are reached, and a path to one that behaves like `pathlib.Path`.

Endpoint, region, path style, profile and role come from where every AWS tool takes them: boto3
reads the environment and `~/.aws`, and refreshes credentials that expire. deltalake and DuckDB are
given what it found (`delta_options`, `duckdb_secret`), so that all three mean the same.

Requests are retried by boto3 ("standard": exponential, with jitter). What remains is raised as
OSError, with what the user can do.
"""

import errno
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from tracelake.lake.errors import LakeError
from tracelake.version import VERSION

if TYPE_CHECKING:
    from io import RawIOBase

TRIES = 8
"""Attempts at a request, unless AWS_MAX_ATTEMPTS says another number."""

THREADS = 16
"""Requests of a process at the same time."""

_URI = re.compile(
    r"(?i:s3a?)://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<key>.*))?", re.DOTALL
)

_GONE = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_WHAT_TO_DO: tuple[tuple[int, tuple[str, ...], str], ...] = (
    (errno.ENOENT, ("NoSuchBucket",), "there is no such bucket at this endpoint"),
    (
        errno.EACCES,
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
         "InvalidToken", "UnauthorizedSSOToken", "SSOTokenLoad", "TokenRetrieval",
         "CredentialRetrieval"),
        "the AWS credentials have expired: renew them and run the same command again; "
        "what was committed stays",
    ),
    (
        errno.EACCES,
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId",
         "UnrecognizedClientException"),
        "S3 does not know this access key, or the secret is another: look at AWS_PROFILE and "
        "AWS_ACCESS_KEY_ID",
    ),
    (
        errno.EACCES,
        ("AccessDenied", "Forbidden", "AllAccessDisabled", "403"),
        "S3 denies it to these credentials (docs/s3.md has the policy that is needed)",
    ),
    (
        errno.EBUSY,
        ("SlowDown", "Throttling", "RequestLimitExceeded", "TooManyRequests", "ServiceUnavailable",
         "503", "429", "BandwidthLimit"),
        "S3 asks to slow down and went on asking: run the same command again, later or with fewer "
        "--workers; what was committed stays",
    ),
    (
        errno.EINVAL,
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint",
         "BucketRegionError"),
        "the bucket is in another region: set AWS_REGION to it",
    ),
    (errno.EIO, ("BadDigest", "InvalidDigest"), "S3 received other bytes than were sent"),
    (
        errno.EACCES,
        ("NoCredentials", "PartialCredentials", "NoAuthToken"),
        "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY",
    ),
    (
        errno.ENETUNREACH,
        ("EndpointConnection", "Connect", "ReadTimeout", "ResponseStreaming", "IncompleteRead",
         "HTTPClient", "Proxy", "SSLError", "ProtocolError", "TimeoutError", "InternalError", "500",
         "502", "504", "RequestTimeout"),
        "the S3 service cannot be reached: run the same command again when it can; "
        "what was committed stays",
    ),
)

T = TypeVar("T")
R = TypeVar("R")


def is_s3(uri: str) -> bool:
    """Whether a text names something on S3."""
    return uri[:6].lower().startswith(("s3://", "s3a://"))


def said(error: Exception, where: str) -> OSError:
    """What S3 or the way to it said, as an OSError: its number, what to do, and the place.

    Args:
        error: of boto3: S3's own code in its answer, or an exception whose name says it.
    """
    response = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", "")) or type(error).__name__
    text = " ".join(str(error).split())
    if code in _GONE:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where)
    for number, codes, what in _WHAT_TO_DO:
        if code.startswith(codes):
            return OSError(number, f"{what} ({code}: {text[:300]})", where)
    return OSError(errno.EIO, f"{code}: {text[:300]}", where)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a bucket is and how it is spoken to, for those who are not boto3.

    Attributes:
        endpoint: URL without the bucket; None: AWS's own of the region.
        virtual: the bucket is part of the host's name.
    """

    region: str
    endpoint: str | None
    virtual: bool


class _Connection:
    """boto3's client of this process, and the credentials behind it."""

    def __init__(self) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        try:
            self.session = boto3.Session()
            tries = os.environ.get("AWS_MAX_ATTEMPTS", "")
            self.client: Any = self.session.client(
                "s3",
                config=Config(
                    retries={
                        "mode": "standard",
                        "total_max_attempts": int(tries) if tries.isdecimal() else TRIES,
                    },
                    connect_timeout=10,
                    read_timeout=60,
                    max_pool_connections=2 * THREADS,
                    # Ceph of 2021 does not know the trailers that are the default now; each upload
                    # carries its MD5, and is compared by ourselves (upload.py).
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    user_agent_extra=f"tracelake/{VERSION}",
                ),
            )
            self.credentials = self.session.get_credentials()
            self.addresses: dict[str, Address] = {}
        except (BotoCoreError, ValueError) as error:
            # A profile that is not there, an endpoint that is no URL, a source profile in a circle.
            raise LakeError(f"the AWS configuration cannot be used: {error}") from error

    def frozen(self, where: str) -> tuple[str, str, str | None]:
        """Access key, secret and session token as they hold now; refreshed where they must be.

        Raises:
            OSError: there are none, or they cannot be refreshed.
        """
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            if self.credentials is None:
                raise NoCredentialsError
            keys = self.credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise said(error, where) from error
        return keys.access_key, keys.secret_key, keys.token


_lock = threading.Lock()
_asking = threading.Lock()
_connections: dict[str, _Connection] = {}
_pools: dict[str, ThreadPoolExecutor] = {}
_inside = threading.local()


def forget() -> None:
    """Lets go of connections and credentials: of a parent's, in a forked child, which must not use
    its sockets; and where the environment says something else now."""
    global _lock, _asking
    _lock = threading.Lock()
    _asking = threading.Lock()
    _connections.clear()
    _pools.clear()


os.register_at_fork(after_in_child=forget)


def connection() -> _Connection:
    """This process's connection, made when it is asked for first.

    Raises:
        LakeError: the AWS configuration is wrong.
    """
    with _lock:
        if "s3" not in _connections:
            _connections["s3"] = _Connection()
        return _connections["s3"]


def _pool(name: str) -> ThreadPoolExecutor:
    with _lock:
        if name not in _pools:
            _pools[name] = ThreadPoolExecutor(THREADS, thread_name_prefix=f"s3-{name}")
        return _pools[name]


def requests() -> ThreadPoolExecutor:
    """The threads that send requests and wait for nothing else."""
    return _pool("requests")


def side_by_side(do: Callable[[T], R], each: Iterable[T]) -> list[R]:
    """`do` of each, at the same time, in their order. Within one of these it is one by one: who
    waits for threads must not be one of them."""
    items = list(each)
    if len(items) < 2 or getattr(_inside, "pool", False):
        return [do(item) for item in items]

    def one(item: T) -> R:
        _inside.pool = True
        return do(item)

    return list(_pool("work").map(one, items))


def call(operation: str, where: str, **arguments: Any) -> dict[str, Any]:
    """One request, with its retries.

    Raises:
        FileNotFoundError: there is no such object.
        OSError: S3 or the way to it failed; `strerror` says what to do.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer: dict[str, Any] = getattr(connection().client, operation)(**arguments)
    except (BotoCoreError, ClientError) as error:
        raise said(error, where) from error
    return answer


def address(bucket: str) -> Address:
    """A bucket's address as boto3 understood the configuration.

    Raises:
        OSError: there are no credentials.
    """
    known = connection()
    known.frozen(f"s3://{bucket}")
    found = known.addresses.get(bucket)
    if found is None:
        meta = known.client.meta
        own = re.search(r"\.amazonaws\.com(\.cn)?$", meta.endpoint_url) is not None
        found = known.addresses[bucket] = Address(
            meta.region_name or "us-east-1",
            None if own else meta.endpoint_url.rstrip("/"),
            _url(known.client, bucket).partition("://")[2].startswith(f"{bucket}."),
        )
    return found


def _url(client: Any, bucket: str) -> str:
    """Where a request for a bucket would go. What boto3 does tells more than the setting, whose
    default is "it depends"; nothing is sent."""
    from botocore.awsrequest import AWSResponse

    seen: list[str] = []

    def instead(request: Any, **_: Any) -> AWSResponse:
        seen.append(str(request.url))
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda: iter(())))

    event = "before-send.s3.HeadBucket"
    with _asking:
        client.meta.events.register_first(event, instead)
        try:
            client.head_bucket(Bucket=bucket)
        finally:
            client.meta.events.unregister(event, instead)
    return seen[0]


def delta_options(bucket: str) -> dict[str, str]:
    """deltalake's storage options: boto3's address and present credentials."""
    at = address(bucket)
    key, secret, token = connection().frozen(f"s3://{bucket}")
    options = {
        "AWS_REGION": at.region,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": str(at.virtual).lower(),
        # Put if absent: two commits of one version cannot both succeed.
        "AWS_CONDITIONAL_PUT": "etag",
        "max_retries": str(TRIES),
        "retry_timeout": "60s",
        "connect_timeout": "10s",
        "timeout": "60s",
    }
    if token:
        options["AWS_SESSION_TOKEN"] = token
    if at.endpoint is not None:
        scheme, _, host = at.endpoint.partition("://")
        # Its library wants the bucket in the name of the endpoint.
        options["AWS_ENDPOINT_URL"] = f"{scheme}://{bucket}.{host}" if at.virtual else at.endpoint
        if scheme == "http":
            options["AWS_ALLOW_HTTP"] = "true"
    return options


@dataclass(frozen=True, slots=True)
class Stat:
    """As of a file: bytes, and seconds since 1970."""

    st_size: int
    st_mtime: float


class S3Path:
    """An object, or the prefix of some: what the lake uses of `pathlib.Path`.

    Attributes:
        bucket: its name. key: without a slash at either end; empty: the bucket itself.
    """

    __slots__ = ("_stat", "bucket", "key")

    def __init__(self, bucket: str, key: str, stat: Stat | None = None) -> None:
        self.bucket = bucket
        self.key = key
        self._stat = stat

    @classmethod
    def of(cls, uri: str) -> "S3Path":
        """The path that a URI names.

        Raises:
            ValueError: it is none.
        """
        match = _URI.fullmatch(uri)
        if match is None:
            raise ValueError(f"{uri}: it is s3://bucket/prefix that is wanted")
        return cls(match["bucket"], (match["key"] or "").rstrip("/"))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def __repr__(self) -> str:
        return f"S3Path({str(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (S3Path, (self.bucket, self.key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, S3Path) and str(self) == str(other)

    def __lt__(self, other: "S3Path") -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash((self.bucket, self.key))

    def __truediv__(self, name: str) -> "S3Path":
        return S3Path(self.bucket, f"{self.key}/{name}".lstrip("/"))

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "S3Path":
        """The prefix that it is in."""
        return S3Path(self.bucket, self.key.rpartition("/")[0])

    def as_uri(self) -> str:
        """As `s3://bucket/key`."""
        return str(self)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a prefix is there when something is in it."""

    def stat(self) -> Stat:
        """Size and time of writing; from the listing that it came from, if it did.

        Raises:
            FileNotFoundError: there is no such object.
        """
        if self._stat is None:
            head = call("head_object", str(self), Bucket=self.bucket, Key=self.key)
            return Stat(head["ContentLength"], head["LastModified"].timestamp())
        return self._stat

    @property
    def is_prefix(self) -> bool:
        """Of what `iterdir` gives: whether it stands for objects below it."""
        return self._stat is None

    def is_file(self) -> bool:
        """Whether there is such an object."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether there is anything below it."""
        found = call(
            "list_objects_v2", str(self), Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1
        )
        return bool(found.get("KeyCount", len(found.get("Contents", ()))))

    def exists(self) -> bool:
        """Whether it is an object, or a prefix of some."""
        return self.is_file() or self.is_dir()

    @property
    def _prefix(self) -> str:
        return f"{self.key}/" if self.key else ""

    def _pages(self, deep: bool) -> Iterator[dict[str, Any]]:
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self._prefix}
        if not deep:
            arguments["Delimiter"] = "/"
        while True:
            page = call("list_objects_v2", str(self), **arguments)
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def iterdir(self) -> Iterator["S3Path"]:
        """What is directly below it: objects, and prefixes of more."""
        for page in self._pages(deep=False):
            for found in page.get("CommonPrefixes", ()):
                yield S3Path(self.bucket, found["Prefix"].rstrip("/"))
            yield from self._objects(page)

    def names_from(self, name: str, most: int) -> list[str]:
        """Names of objects directly below it, in order, from this one on; `most` at most."""
        # The last key before it: nothing of ours is between the two.
        before = f"{self._prefix}{name[:-1]}"
        page = call(
            "list_objects_v2", str(self), Bucket=self.bucket, Prefix=self._prefix, Delimiter="/",
            StartAfter=before, MaxKeys=most,
        )
        return [path.name for path in self._objects(page)]

    def walk(self) -> Iterator["S3Path"]:
        """All objects below it, in the order of their keys."""
        for page in self._pages(deep=True):
            yield from self._objects(page)

    def _objects(self, page: dict[str, Any]) -> Iterator["S3Path"]:
        for found in page.get("Contents", ()):
            if not found["Key"].endswith("/"):  # what consoles make for a folder
                stat = Stat(found["Size"], found["LastModified"].timestamp())
                yield S3Path(self.bucket, found["Key"], stat)

    def glob(self, pattern: str) -> Iterator["S3Path"]:
        """What is below it and matches, each part of the pattern its part of the key."""
        first, _, rest = pattern.partition("/")
        if not rest:
            yield from (path for path in self.iterdir() if fnmatchcase(path.name, first))
            return
        below = [self / first]
        if "*" in first:
            found = (path for path in self.iterdir() if path.is_prefix)
            below = [path for path in found if fnmatchcase(path.name, first)]
        if "*" in rest:
            for path in below:
                yield from path.glob(rest)
            return
        named = [path / rest for path in below]
        there = side_by_side(S3Path.exists, named)
        yield from (path for path, is_there in zip(named, there, strict=True) if is_there)

    def with_name(self, name: str) -> "S3Path":
        """Its neighbour of another name."""
        return self.parent / name

    def open(self, mode: str) -> "RawIOBase":
        """The object as a file that is read by ranges."""
        from tracelake.lake.ranges import S3File

        if mode != "rb":
            raise ValueError(f"an object on S3 is only opened for reading, not {mode!r}")
        return S3File(self)

    def read_bytes(self) -> bytes:
        """The whole object.

        Raises:
            FileNotFoundError: there is no such object.
            OSError: it cannot be read.
        """
        from botocore.exceptions import BotoCoreError

        for attempt in range(TRIES):
            answer = call("get_object", str(self), Bucket=self.bucket, Key=self.key)
            try:
                data: bytes = answer["Body"].read()
            except (BotoCoreError, OSError) as error:
                # It broke off in the middle, which boto3 does not try again.
                if attempt + 1 == TRIES:
                    raise said(error, str(self)) from error
                continue
            return data
        raise AssertionError

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        """Puts the object, in place of one that is there."""
        self._put(text.encode(encoding))

    def write_bytes(self, data: bytes) -> None:
        """Puts the object, in place of one that is there."""
        self._put(data)

    def put_if_absent(self, data: bytes) -> bool:
        """Puts the object; False where there is another already, which stays.

        Raises:
            OSError: it cannot be written.
        """
        for _ in range(TRIES):
            try:
                self._put(data, IfNoneMatch="*")
            except OSError as error:
                code = _code(error)
                if code in ("ConditionalRequestConflict", "409"):
                    continue  # another is writing it at this moment
                if code not in ("PreconditionFailed", "412"):
                    raise
                # Ours, if an answer was lost and the request sent again.
                return self.read_bytes() == data
            return True
        raise OSError(errno.EBUSY, "others went on writing it: run the command again", str(self))

    def _put(self, data: bytes, **conditions: str) -> None:
        import base64
        import hashlib

        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        call(
            "put_object", str(self), Bucket=self.bucket, Key=self.key, Body=data,
            ContentMD5=base64.b64encode(md5).decode(), **conditions,
        )

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the object."""
        if not missing_ok:
            self.stat()
        call("delete_object", str(self), Bucket=self.bucket, Key=self.key)


def _code(error: OSError) -> str:
    """S3's own code of an error that `said` made."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
