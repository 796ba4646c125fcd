"""A DuckDB connection to an engagement on S3: the extension, the credentials, the lock.

The extension comes from its wheel and is loaded by its path: nothing is downloaded. DuckDB follows
the address and the credentials that boto3 found (lake/s3.py).

The lock names the files one by one. A prefix would not do: DuckDB compares texts, and the HTTP
library resolves `..` afterwards, so that `s3://bucket/lake/mine/../other/x.parquet` passed. Nor may
a URL carry `?s3_endpoint=...`, which would send what is asked to another host.
"""

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

import duckdb

from tracelake.analysis.views import quote
from tracelake.lake.errors import LakeError
from tracelake.lake.s3 import THREADS, S3Path, address, connection

SECRET = "lake"
PACKAGE = "duckdb_extension_httpfs"


def extension() -> Path:
    """The httpfs extension of this very version of DuckDB.

    Raises:
        LakeError: its wheel is not there, or of another version.
    """
    found = importlib.util.find_spec(PACKAGE)
    version = f"v{duckdb.__version__}"
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        path = Path(folder, "extensions", version, "httpfs.duckdb_extension")
        if path.is_file():
            return path
    raise LakeError(
        f"DuckDB {duckdb.__version__} needs its httpfs extension to read from S3: "
        f"pip install duckdb-extension-httpfs=={duckdb.__version__}"
    )


class Remote:
    """What a session on S3 has besides.

    Args:
        root: the engagement's prefix.

    Raises:
        LakeError: the extension is missing.
        OSError: there are no credentials.
    """

    def __init__(self, root: str) -> None:
        self._root = S3Path.of(root)
        self._keys: tuple[str, str, str | None] | None = None

    def prepare(self, connection_: duckdb.DuckDBPyConnection) -> None:
        """Loads the extension, and puts the credentials where only the engagement's files use
        them. To be done before the connection is locked."""
        run = connection_.execute
        run(f"LOAD {quote.text(str(extension()))}")
        # Credentials of the environment would be in the settings, which everybody may read.
        for name in ("s3_access_key_id", "s3_secret_access_key", "s3_session_token"):
            run(f"SET {name} = ''")
        run("SET enable_global_s3_configuration = false")
        run("SET allow_persistent_secrets = false")
        run("SET s3_url_compatibility_mode = true")
        run("SET enable_server_cert_verification = true")
        authorities = os.environ.get("AWS_CA_BUNDLE")
        if authorities:
            run(f"SET ca_cert_file = {quote.text(authorities)}")
        # A file of the lake never changes: no need to ask whether it has.
        run("SET enable_http_metadata_cache = true")
        run("SET validate_external_file_cache = 'NO_VALIDATION'")
        run("SET httpfs_connection_caching = true")
        # They wait for S3 more than they compute.
        run(f"SET threads = {max(THREADS, os.cpu_count() or 1)}")
        self.renew(connection_)

    def renew(self, connection_: duckdb.DuckDBPyConnection) -> None:
        """Gives DuckDB the credentials that hold now, where they are others than before.

        Raises:
            OSError: they cannot be refreshed.
        """
        keys = connection().frozen(str(self._root))
        if keys == self._keys:
            return
        at = address(self._root.bucket)
        scheme, _, host = (at.endpoint or "").partition("://")
        options = {
            "KEY_ID": keys[0],
            "SECRET": keys[1],
            "SESSION_TOKEN": keys[2] or "",
            "REGION": at.region,
            "URL_STYLE": "vhost" if at.virtual else "path",
            # Of nothing else: a session of this engagement has no business there.
            "SCOPE": f"{self._root}/",
        }
        if at.endpoint is not None:
            options["ENDPOINT"] = host.rstrip("/")
        said = ", ".join(f"{name} {quote.text(value)}" for name, value in options.items() if value)
        secure = "false" if scheme == "http" else "true"
        connection_.execute(
            f"CREATE OR REPLACE TEMPORARY SECRET {SECRET} "
            f"(TYPE s3, PROVIDER config, {said}, USE_SSL {secure})"
        )
        self._keys = keys

    def has(self, name: str) -> bool:
        """Whether there is a file of this name in the engagement."""
        return (self._root / name).is_file()

    @staticmethod
    def allowed(files: Iterable[str]) -> str:
        """The statement that allows these files, and nothing else."""
        return f"SET allowed_paths = [{', '.join(map(quote.text, files))}]"
