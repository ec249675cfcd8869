// Reductions over the whole workgroup (GROUP invocations, a multiple of 32), giving the same value to each of them. Two
// short levels instead of a tree: the order of summands depends on GROUP alone, so results repeat bit for bit, and a
// call costs three barriers. All invocations call together, any number of times.
//
// REDUCE_DEFINE(name, type, combine) defines  type name(type value);  combine(a, b) is a macro or function.
const uint REDUCE_FAN = GROUP >= 512u ? 32u : 16u;

#define REDUCE_DEFINE(NAME, TYPE, COMBINE)                                                   \
    shared TYPE NAME##_part[GROUP];                                                          \
    TYPE NAME(TYPE value)                                                                    \
    {                                                                                        \
        const uint lane = gl_LocalInvocationIndex;                                           \
        barrier(); /* the previous call has been read */                                     \
        NAME##_part[lane] = value;                                                           \
        barrier();                                                                           \
        if (lane < REDUCE_FAN) {                                                             \
            for (uint i = lane + REDUCE_FAN; i < GROUP; i += REDUCE_FAN)                     \
                value = COMBINE(value, NAME##_part[i]);                                      \
            NAME##_part[lane] = value;                                                       \
        }                                                                                    \
        barrier();                                                                           \
        value = NAME##_part[0];                                                              \
        for (uint i = 1u; i < REDUCE_FAN; i++) value = COMBINE(value, NAME##_part[i]);       \
        return value;                                                                        \
    }

// The same for several rows at once, in the same order each, with as many barriers: ROWS REDUCE_FAN invocations at least
// call. Value i of row r is put into name_part[r * REDUCE_PITCH + i] before the call, i < GROUP; behind it the row's result
// is name_part[r * REDUCE_PITCH].
const uint REDUCE_PITCH = GROUP + REDUCE_FAN; // neighbouring rows lie in different banks

#define REDUCE_ROWS_DEFINE(NAME, TYPE, COMBINE, ROWS)                                        \
    shared TYPE NAME##_part[ROWS * REDUCE_PITCH];                                            \
    void NAME()                                                                              \
    {                                                                                        \
        const uint lane = gl_LocalInvocationIndex % REDUCE_FAN;                              \
        uint row = gl_LocalInvocationIndex / REDUCE_FAN;                                     \
        barrier();                                                                           \
        if (row < ROWS) {                                                                    \
            TYPE value = NAME##_part[row * REDUCE_PITCH + lane];                             \
            for (uint i = lane + REDUCE_FAN; i < GROUP; i += REDUCE_FAN)                     \
                value = COMBINE(value, NAME##_part[row * REDUCE_PITCH + i]);                 \
            NAME##_part[row * REDUCE_PITCH + lane] = value;                                  \
        }                                                                                    \
        barrier();                                                                           \
        row = gl_LocalInvocationIndex;                                                       \
        if (row < ROWS) {                                                                    \
            TYPE value = NAME##_part[row * REDUCE_PITCH];                                    \
            for (uint i = 1u; i < REDUCE_FAN; i++)                                           \
                value = COMBINE(value, NAME##_part[row * REDUCE_PITCH + i]);                 \
            NAME##_part[row * REDUCE_PITCH] = value;                                         \
        }                                                                                    \
        barrier();                                                                           \
    }

#define REDUCE_ADD(a, b) ((a) + (b))
#define REDUCE_MAX(a, b) max(a, b)
