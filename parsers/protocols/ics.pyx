"""What all rows of ics_activity have (see ics.pxd)."""

from tracelake.parsers.protocols.sheet cimport Sheets


cdef class IcsSheet:
    """ics_activity.

    Args:
        sheets: of the capture.
    """

    def __cinit__(self, Sheets sheets):
        self.sheet = sheets.sheet("ics_activity")
        rows = self.sheet.rows
        self.status_id = rows.column("status_id")
        self.protocol = rows.column("protocol")
        self.function = rows.column("function")
        self.function_id = rows.column("function_id")
        self.message_type = rows.column("message_type")
        self.transaction_id = rows.column("transaction_id")
        self.is_write = rows.column("is_write")
        self.unit_id = rows.column("unit_id")
        self.address = rows.column("address")
        self.quantity = rows.column("quantity")
        self.value = rows.column("value")
        self.exception = rows.column("exception")
        self.object = rows.column("object")
        self.reply_function = rows.column("reply_function")
        self.indications = rows.column("indications")
