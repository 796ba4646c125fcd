"""What all rows of ics_activity have."""

from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn, TextColumn
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets

cdef class IcsSheet:
    cdef Sheet sheet
    cdef DictColumn protocol, function, message_type, exception, object, reply_function
    cdef IntColumn function_id, transaction_id, unit_id, address, quantity, indications
    cdef IntColumn status_id
    cdef BoolColumn is_write
    cdef TextColumn value
