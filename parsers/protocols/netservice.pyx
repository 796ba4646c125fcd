"""What all rows of net_service_activity have (see netservice.pxd)."""

from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport put_name


cdef class ServiceSheet:
    """net_service_activity, as one protocol writes it.

    Args:
        sheets: of the capture.
    """

    def __cinit__(self, Sheets sheets):
        self.sheet = sheets.sheet("net_service_activity")
        self.rows = self.sheet.rows
        self.class_uid = self.rows.column("class_uid")
        self.status_id = self.rows.column("status_id")
        self.protocol = self.rows.column("protocol")

    cdef Py_ssize_t begin(
        self, Flow* f, const Place* p, int class_uid, int activity, const char* protocol
    ) except -1 nogil:
        """A row of an OCSF class; its number."""
        cdef Py_ssize_t row = self.sheet.begin(f, p, activity)
        self.class_uid.put(row, class_uid)
        put_name(self.protocol, row, protocol)
        return row

    cdef int done(self) except -1 nogil:
        return self.sheet.done()
