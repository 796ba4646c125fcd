"""http.log."""

from typing import Any

from tests.zeek_fields.log import Log, Row


def uri(row: Row) -> str | None:
    """The target as it was asked for."""
    if row.get("url") is not None:
        return str(row["url"])
    if row.get("url_path") is None:
        return None
    query = row.get("url_query")
    return str(row["url_path"]) + ("" if query is None else f"?{query}")


def types(column: str) -> Any:
    return lambda row: row[column].split(",") if row.get(column) else None


def count(column: str) -> Any:
    return lambda row: len(row[column]) if row.get(column) else None


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is not None and theirs.get("method") == "PRI":
        return "HTTP/2 is read as such; to Zeek its preface is a request"
    if own is not None and own.get("http_version") == "2":
        return "HTTP/2 is read as such; Zeek's default scripts do not"
    if theirs is None and own is not None and (own.get("parse_flags") or 0) & 1:
        return "the flow's beginning is not in the capture: Zeek reads no HTTP there"
    if own is None and theirs is not None:
        if theirs.get("version") == "0.9" and theirs.get("method") != "GET":
            return "HTTP/0.9 knows GET alone: to Zeek commands of IRC and NATS are such requests"
        if "method" not in theirs and "status_code" not in theirs:
            return "the rest of a body whose end Zeek does not find: here it is by Content-Length"
    if theirs is None or own is None:
        return None
    if name in ("request_body_len", "response_body_len") and (
        theirs[name] - own["request_len" if name[2] == "q" else "response_len"] == 2
    ):
        return "Zeek counts an end of line behind the last boundary also where none is"
    return None


LOG = Log(
    name="http",
    table="http_activity",
    fields={
        "trans_depth": "trans_depth", "method": "http_method", "host": "url_hostname", "uri": uri,
        "referrer": "referrer", "version": "http_version", "user_agent": "user_agent",
        "origin": "origin", "request_body_len": "request_len", "response_body_len": "response_len",
        "status_code": "status_code", "status_msg": "status_text", "info_code": "info_code",
        "info_msg": "info_text", "username": "user_name", "proxied": "proxied",
        "orig_filenames": "req_file_names", "resp_filenames": "file_names",
        "orig_mime_types": types("req_mime"), "resp_mime_types": types("resp_mime"),

    },
    intended=intended,
)
