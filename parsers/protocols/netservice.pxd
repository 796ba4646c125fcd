"""What all rows of net_service_activity have."""

from tracelake.native.columns cimport DictColumn, IntColumn, Rows
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets


# OCSF's classes of its rows.
cdef enum:
    NETWORK = 4001
    DHCP = 4004
    NTP = 4013
    TRAFFIC = 6                 # activity of NETWORK

cdef class ServiceSheet:
    cdef Sheet sheet
    cdef Rows rows
    cdef IntColumn class_uid, status_id
    cdef DictColumn protocol

    cdef Py_ssize_t begin(
        self, Flow* f, const Place* p, int class_uid, int activity, const char* protocol
    ) except -1 nogil
    cdef int done(self) except -1 nogil
