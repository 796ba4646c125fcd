"""Texts in blobs whose form is not documented."""

MOST_UNITS = 32768


def prefixed_texts(data: object) -> list[str]:
    """UTF-16 texts that stand behind their length: units, the closing NUL among them (4 bytes).

    Args:
        data: the blob; what is no bytes has none.
    """
    texts: list[str] = []
    if not isinstance(data, bytes):
        return texts
    at = 0
    while at + 8 <= len(data):
        units = int.from_bytes(data[at : at + 4], "little")
        end = at + 4 + 2 * units
        if 3 < units <= MOST_UNITS and end <= len(data) and data[end - 2 : end] == b"\0\0":
            try:
                text = data[at + 4 : end - 2].decode("utf-16-le")
            except UnicodeDecodeError:
                text = ""
            if text and text.isprintable():
                texts.append(text)
                at = end
                continue
        at += 1
    return texts
