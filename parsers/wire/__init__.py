"""The layers of a captured packet below its transport's payload (see parsers/packet.pxd)."""
