"""ntp.log: a message."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and own["ntp_mode"] in (6, 7):
        return "Zeek does not log control and private messages"
    if theirs is not None and name.endswith("_time") and theirs[name] == 0.0:
        return "a time that is not set is null here; Zeek says 1970"
    return None


LOG = Log(
    name="ntp",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "ntp",
    fields={
        "ts": "time", "version": lambda row: int(row["protocol_version"]), "mode": "ntp_mode",
        "stratum": "stratum", "poll": "poll_s", "precision": "precision_s",
        "root_delay": "root_delay_s", "root_disp": "root_dispersion_s", "ref_id": "ref_id",
        "ref_time": "reference_time", "org_time": "origin_time", "rec_time": "receive_time",
        "xmt_time": "transmit_time", "num_exts": "extensions",
    },
    intended=intended,
)
