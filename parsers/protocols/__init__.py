"""Application protocols: one file each, recognised by what is said and not by the port."""
