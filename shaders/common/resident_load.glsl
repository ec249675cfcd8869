// The stream of weights of a lane: where its next units come from. A team takes its pairs in turn, each in chunks of STEPS
// steps, of which the last may have fewer; a step is a unit of either row. SUBGROUPS is a multiple of every split, so that
// a subgroup has the same part of each of its pairs.
struct Stream {
    uvec2 weights; // address
    uint pair, n_pairs, pairs; // pairs: from one of the subgroup's to the next
    uint chunk, chunks;        // of the pair
    uint first_unit, stride;   // units of a row or of a window, as of x_units
    uint begin, x_units;       // first unit of the window, and units that x has
    uint units, window;        // with windows: of a row; GSA_RESIDENT_WINDOW
    uint n_first, first, second; // pairs below n_first lie from first on, others from second on
    uint pair_vecs, other; // vecs from pair to pair, and from a pair's first row to its second
};

// Pairs: n_first of one run, then another.
uint pair_index(Phase p, uint i)
{
    const uint from = p.i * GSA_RESIDENT_SHARE, n_first = share[from + 1u];
    return i < n_first ? share[from] + i : share[from + 2u] + i - n_first;
}

uint n_pairs(Phase p)
{
    return share[p.i * GSA_RESIDENT_SHARE + 1u] + share[p.i * GSA_RESIDENT_SHARE + 3u];
}

// From the beginning of a phase on.
Stream stream_of(Phase p)
{
    const uint from = p.i * GSA_RESIDENT_SHARE, split = field(p, GSA_RESIDENT_SPLIT);
    Stream s;
    s.weights = address(p, GSA_RESIDENT_WEIGHTS);
    s.pair = subgroup >> split;
    s.n_pairs = n_pairs(p);
    s.pairs = SUBGROUPS >> split;
    s.chunk = 0u;
    s.chunks = (field(p, GSA_RESIDENT_LOADS) + STEPS - 1u) / STEPS;
    s.first_unit = (subgroup & (1u << split) - 1u) * LANES + gl_SubgroupInvocationID;
    s.x_units = weight_units(field(p, GSA_RESIDENT_X_VECS));
    s.begin = WINDOWED ? field(p, GSA_RESIDENT_FIRST_UNIT) : 0u;
    s.units = WINDOWED ? field(p, GSA_RESIDENT_UNITS) : 0u;
    s.window = WINDOWED ? field(p, GSA_RESIDENT_WINDOW) : 0u;
    s.stride = LANES << split;
    s.first = share[from];
    s.n_first = share[from + 1u];
    s.second = share[from + 2u] - s.n_first;
    s.pair_vecs = field(p, GSA_RESIDENT_PAIR_ROWS) * field(p, GSA_RESIDENT_ROW_VECS);
    s.other = field(p, GSA_RESIDENT_SECOND_ROW) * field(p, GSA_RESIDENT_ROW_VECS);
    return s;
}

// Chunks that the subgroup has in all.
uint n_chunks(Phase p, Stream s)
{
    const uint n_parts = s.n_pairs << field(p, GSA_RESIDENT_SPLIT);
    return subgroup < n_parts ? (n_parts - subgroup + SUBGROUPS - 1u) / SUBGROUPS * s.chunks : 0u;
}

// The next chunk of the stream: its first row, and the lane's first unit. Subgroups without another pair and lanes beyond
// the row load what they will not use, for nothing here may be a branch: some compilers wait at once for what is loaded
// under a condition.
struct Chunk {
    uint row, other, unit, most;
};

Chunk next_chunk(inout Stream s)
{
    const bool mine = s.pair < s.n_pairs, is_last = s.chunk + 1u == s.chunks;
    Chunk c;
    c.row = mine ? (s.pair + (s.pair < s.n_first ? s.first : s.second)) * s.pair_vecs : 0u;
    c.other = c.row + s.other;
    c.unit = s.begin + s.first_unit + s.chunk * STEPS * s.stride;
    c.most = mine ? s.begin + s.x_units - 1u : 0u;
    s.pair += is_last ? s.pairs : 0u;
    s.chunk = is_last ? 0u : s.chunk + 1u;
    return c;
}

// The steps of chunk C of stream S to TO. Macros, because arrays that functions write may leave registers.
#define LOAD_CHUNK(TO, S, C)                                              \
    [[unroll]] for (uint d_ = 0u; d_ < STEPS; d_++) {                     \
        const uint from = min(C.unit + d_ * S.stride, C.most);            \
        const uint of_row = WINDOWED ? S.units : S.x_units;               \
        weights = WeightVecs(S.weights);                                  \
        TO[2u * d_] = weight_unit(C.row, of_row, from);                   \
        TO[2u * d_ + 1u] = weight_unit(C.other, of_row, from);            \
    }
#define KEEP_CHUNK(TO, FROM)                                              \
    [[unroll]] for (uint d_ = 0u; d_ < 2u * STEPS; d_++) TO[d_] = FROM[d_];

#if defined(WEIGHT_BLOCKS) && !defined(DOTS)
WeightPart add_run(WeightUnit unit, uint run, vec4 x_0, vec4 x_1, float of_x, WeightPart part)
{
    const vec4 n_0 = weight_numbers(unit, run * 2u), n_1 = weight_numbers(unit, run * 2u + 1u);
    precise float product = weight_start(of_x);
    [[unroll]] for (uint k = 0u; k < 4u; k++) product = fma(n_0[k], x_0[k], product);
    [[unroll]] for (uint k = 0u; k < 4u; k++) product = fma(n_1[k], x_1[k], product);
    return weight_add(unit, run, product, of_x, part);
}
#endif

// Two units of a pair times x at unit u; sums in the order of staged_matvec.comp.
void multiply(WeightUnit first, WeightUnit second, uint u, uint units, inout SUM sum[2])
{
#if defined(DOTS)
    float part[2] = float[](0.0, 0.0);
    [[unroll]] for (uint run = 0u; run < WEIGHT_RUNS; run++) {
        const uint kept = run * units + u;
        const uvec4 high = DOT_HIGH(kept);
        const uvec2 low = DOT_LOW(kept);
        const float of_run = DOT_SCALES > 1u ? DOT_SCALE(kept) : 1.0;
        part[0] = dot_run(first, run, high, low, of_run, part[0]);
        part[1] = dot_run(second, run, high, low, of_run, part[1]);
    }
    const float scale = DOT_SCALES > 1u ? 1.0 : DOT_SCALE(u);
    sum[0] = dot_end(part[0], scale, sum[0]);
    sum[1] = dot_end(part[1], scale, sum[1]);
#elif defined(WEIGHT_BLOCKS)
    WeightPart of_unit[2] = WeightPart[](WeightPart(0.0), WeightPart(0.0));
    const WEIGHT_RUN_SUMS sums = run_sums[u];
    [[unroll]] for (uint run = 0u; run < WEIGHT_RUNS; run++) {
        const vec4 x_0 = staged[weight_staged(u, run * 2u)], x_1 = staged[weight_staged(u, run * 2u + 1u)];
        const float of_x = sums[run];
        of_unit[0] = add_run(first, run, x_0, x_1, of_x, of_unit[0]);
        of_unit[1] = add_run(second, run, x_0, x_1, of_x, of_unit[1]);
    }
    sum[0] = weight_end(first, of_unit[0], sum[0]);
    sum[1] = weight_end(second, of_unit[1], sum[1]);
#else
    [[unroll]] for (uint v = 0u; v < WEIGHT_VECS; v++) {
        const vec4 x = staged[v * units + u];
        precise const vec4 a = fma(weight_vec4(first.words, v), x, sum[0]);
        precise const vec4 b = fma(weight_vec4(second.words, v), x, sum[1]);
        sum[0] = a;
        sum[1] = b;
    }
#endif
}

// What a subgroup has summed of its part of a pair.
struct Sums {
    uint part;        // which part of the workgroup's
    uint chunk, unit; // of the pair, and the lane's first of it
    SUM sum[2];
};

#define MULTIPLY_CHUNK(FROM, S, SUMS)                                                                      \
    [[unroll]] for (uint d_ = 0u; d_ < STEPS; d_++) {                                                      \
        const uint unit = SUMS.unit + d_ * S.stride;                                                       \
        if (unit < S.x_units) multiply(FROM[2u * d_], FROM[2u * d_ + 1u], unit, S.x_units, SUMS.sum);      \
    }

// True: the pair has ended, and what the lane has summed of the window is for TAKE_TURNS.
bool end_chunk(Stream s, inout Sums sums)
{
    sums.unit += STEPS * s.stride;
    if (++sums.chunk < s.chunks) return false;
    if ((s.window & GSA_RESIDENT_MORE) == 0u) {
        precise const float first = subgroupAdd(sum_of(sums.sum[0])), second = subgroupAdd(sum_of(sums.sum[1]));
        if (gl_SubgroupInvocationID == 0u) {
            part_sums[2u * sums.part] = first;
            part_sums[2u * sums.part + 1u] = second;
        }
    }
    sums.part += SUBGROUPS;
    sums.chunk = 0u;
    sums.unit = s.first_unit;
    if (s.window != 0u) return true;
    sums.sum = SUM[](SUM(0.0), SUM(0.0));
    return false;
}

// Sums of pairs that go on in the next window take turns: the next pair's come out of the row, this pair's go to its end.
// After CARRIED turns each pair's are where they were. A macro, as above.
#define TAKE_TURNS(SUMS)                                     \
    if (CARRIED > 1u) {                                      \
        const SUM first = SUMS.sum[0], second = SUMS.sum[1]; \
        SUMS.sum[0] = waiting_first[0];                      \
        SUMS.sum[1] = waiting_second[0];                     \
        [[unroll]] for (uint i_ = 1u; i_ < WAITING; i_++) {  \
            waiting_first[i_ - 1u] = waiting_first[i_];      \
            waiting_second[i_ - 1u] = waiting_second[i_];    \
        }                                                    \
        waiting_first[WAITING - 1u] = first;                 \
        waiting_second[WAITING - 1u] = second;               \
    }
