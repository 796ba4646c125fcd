"""Strings of JSON: where they end, and what they say (RFC 8259, 7).

    q = json_plain(p, end, limit, &high)        # the first byte that is not itself
    q = json_unescape(p, end, limit, &out, &seen)

`end` is the end of the text; up to `limit`, which may lie behind it, bytes may be read (and are
not looked at): sixteen are taken at once.
"""

from libc.stdint cimport uint8_t, uint32_t


cdef enum:
    SEEN_HIGH = 1               # bytes that are not ASCII: to be checked
    SEEN_LONE = 2               # half of a surrogate pair: now U+FFFD
    UNESCAPE_SLACK = 32         # room that json_unescape needs beyond the text's own length


cdef extern from * nogil:
    """
    #ifndef TL_JSON_TEXT
    #define TL_JSON_TEXT
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    /* A bit for each of sixteen bytes that is a quote, a backslash or a control character. */
    static inline unsigned tl_json_marks(__m128i v) {
        const __m128i low = _mm_set1_epi8(0x1f);
        __m128i found = _mm_cmpeq_epi8(_mm_min_epu8(v, low), v);
        found = _mm_or_si128(found, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\\\')));
        return (unsigned)_mm_movemask_epi8(found);
    }
    #endif

    static inline const uint8_t *tl_json_plain(const uint8_t *p, const uint8_t *end,
                                               const uint8_t *limit, unsigned *high) {
        unsigned seen = 0;
    #if defined(__SSE2__)
        while (limit - p >= 16) {
            const __m128i v = _mm_loadu_si128((const __m128i *)p);
            const unsigned marks = tl_json_marks(v), tops = (unsigned)_mm_movemask_epi8(v);
            if (marks) {
                *high |= seen | (tops & ((marks & -marks) - 1));
                p += __builtin_ctz(marks);
                return p < end ? p : end;
            }
            seen |= tops;
            p += 16;
            if (p >= end) { *high |= seen; return end; }
        }
    #endif
        while (p < end && *p != '"' && *p != '\\\\' && *p >= 0x20) seen |= *p++ & 0x80;
        *high |= seen;
        return p;
    }

    static inline int tl_json_hex(const uint8_t *p) {
        int value = 0, i;
        for (i = 0; i < 4; i++) {
            const uint8_t c = p[i];
            if (c >= '0' && c <= '9') value = value << 4 | (c - '0');
            else if ((c | 32) >= 'a' && (c | 32) <= 'f') value = value << 4 | ((c | 32) - 'a' + 10);
            else return -1;
        }
        return value;
    }

    static inline uint8_t *tl_json_utf8(uint8_t *out, uint32_t c) {
        if (c < 0x80) { *out++ = (uint8_t)c; return out; }
        if (c < 0x800) { *out++ = (uint8_t)(0xC0 | c >> 6); }
        else {
            if (c < 0x10000) *out++ = (uint8_t)(0xE0 | c >> 12);
            else {
                *out++ = (uint8_t)(0xF0 | c >> 18);
                *out++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
            }
            *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        }
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
        return out;
    }

    /* The character of the escape at `p` (a backslash), and where it ends; NULL: it is none. */
    static inline const uint8_t *tl_json_escape(const uint8_t *p, const uint8_t *end,
                                                uint32_t *c, unsigned *seen) {
        int a, b;
        if (end - p < 2) return NULL;
        switch (p[1]) {
            case '"': case '\\\\': case '/': *c = p[1]; return p + 2;
            case 'b': *c = 8; return p + 2;
            case 'f': *c = 12; return p + 2;
            case 'n': *c = 10; return p + 2;
            case 'r': *c = 13; return p + 2;
            case 't': *c = 9; return p + 2;
            case 'u': break;
            default: return NULL;
        }
        if (end - p < 6 || (a = tl_json_hex(p + 2)) < 0) return NULL;
        p += 6;
        if (a >= 0xD800 && a < 0xE000) {
            if (a < 0xDC00 && end - p >= 6 && p[0] == '\\\\' && p[1] == 'u'
                && (b = tl_json_hex(p + 2)) >= 0xDC00 && b < 0xE000) {
                *c = 0x10000 + ((uint32_t)(a - 0xD800) << 10) + (uint32_t)(b - 0xDC00);
                return p + 6;
            }
            a = 0xFFFD;
            *seen |= 2;
        }
        *c = (uint32_t)a;
        return p;
    }

    static const uint8_t tl_json_short[256] = {
        [34] = 34, [92] = 92, [47] = 47,
        ['b'] = 8, ['f'] = 12, ['n'] = 10, ['r'] = 13, ['t'] = 9,
    };

    /* What stands between `p` and the closing quote, which is returned, as it is meant; NULL where
       there is none, or something else is wrong. `out` is moved on; its room: end - p + 32. */
    static inline const uint8_t *tl_json_unescape(const uint8_t *p, const uint8_t *end,
                                                  const uint8_t *limit, uint8_t **into,
                                                  unsigned *seen) {
        uint8_t *out = *into;
        unsigned high = 0;
        uint32_t c;
        for (;;) {
    #if defined(__SSE2__)
            while (limit - p >= 16) {
                const __m128i v = _mm_loadu_si128((const __m128i *)p);
                const unsigned marks = tl_json_marks(v), tops = (unsigned)_mm_movemask_epi8(v);
                _mm_storeu_si128((__m128i *)out, v);
                if (marks) {
                    const int n = __builtin_ctz(marks);
                    high |= tops & ((1u << n) - 1);
                    p += n;
                    out += n;
                    break;
                }
                high |= tops;
                p += 16;
                out += 16;
                if (p >= end) return NULL;
            }
    #endif
            while (p < end && *p != '"' && *p != '\\\\' && *p >= 0x20) {
                high |= *p & 0x80;
                *out++ = *p++;
            }
            if (p >= end || *p < 0x20) return NULL;
            if (*p == '"') {
                *into = out;
                if (high) *seen |= 1;
                return p;
            }
            /* Most escapes are two characters, and stand for one. */
            if (end - p >= 2 && (c = tl_json_short[p[1]]) != 0) {
                *out++ = (uint8_t)c;
                p += 2;
                continue;
            }
            p = tl_json_escape(p, end, &c, seen);
            if (p == NULL) return NULL;
            out = tl_json_utf8(out, c);
        }
    }
    #endif
    """
    # The first quote, backslash or control character, or `end`; `high` is not 0 where what stands
    # before it is not all ASCII.
    const uint8_t* json_plain "tl_json_plain"(
        const uint8_t* p, const uint8_t* end, const uint8_t* limit, unsigned int* high
    )
    const uint8_t* json_escape "tl_json_escape"(
        const uint8_t* p, const uint8_t* end, uint32_t* c, unsigned int* seen
    )
    uint8_t* json_utf8 "tl_json_utf8"(uint8_t* out, uint32_t c)
    const uint8_t* json_unescape "tl_json_unescape"(
        const uint8_t* p, const uint8_t* end, const uint8_t* limit, uint8_t** into,
        unsigned int* seen
    )
