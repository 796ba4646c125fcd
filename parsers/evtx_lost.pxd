"""Plans for records whose template is gone."""

from libc.stdint cimport uint8_t

from tracelake.parsers.evtx_compile cimport Instance
from tracelake.parsers.evtx_plan cimport Plan


# Fills an empty plan for an instance that stands in `section`: 1, or 0 where its values do not
# say what they are.
cdef int plan_by_position(Plan* plan, const Instance* instance, uint8_t section) except -1 nogil
