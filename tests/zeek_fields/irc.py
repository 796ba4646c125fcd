"""irc.log: a client's command."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None:
        assert own is not None
        if own["command"] in ("PRIVMSG", "NOTICE", "TOPIC"):
            return "what is said is no line of Zeek's"
    elif name == "addl" and theirs["command"] == "USER":
        assert own is not None
        if theirs["addl"].replace(" ", "") == own["additional"].replace(" ", ""):
            return "Zeek leaves out the blanks of a real name"
    elif name == "addl" and theirs["command"] == "NICK":
        return "Zeek repeats what the command before said"
    return None


LOG = Log(
    name="irc",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "irc",
    fields={
        "ts": "time", "nick": "nick", "user": "user_name", "command": "command",
        "value": "value", "addl": "additional",
    },
    intended=intended,
)
