// The stream of weights of a lane: where its next two units come from. WORKERS is a multiple of every split, so that a
// subgroup has the same part of each of its pairs.
struct Loader {
    uint pair, n_pairs, pair_step, pair_vecs;
    uint first, n_first, then; // the pairs' numbers in the matrix: two runs
    uint left, loads;          // units of the pair, the current one counted
    uint unit, first_unit, units, stride;
    uint row, second; // vecs: where the pair's first row begins, and from there to the second
};

// The lane's first unit of each of its pairs; the rest follow LANES << split apart.
uint first_unit(uint split)
{
    return (subgroup & (1u << split) - 1u) * LANES + gl_SubgroupInvocationID;
}

// Pairs: n_first of one run, then another.
uint pair_index(uint at, uint i)
{
    const uint from = at * GSA_RESIDENT_SHARE, n_first = share[from + 1u];
    return i < n_first ? share[from] + i : share[from + 2u] + i - n_first;
}

uint n_pairs(uint at)
{
    return share[at * GSA_RESIDENT_SHARE + 1u] + share[at * GSA_RESIDENT_SHARE + 3u];
}

void begin_part(inout Loader l)
{
    l.left = l.loads;
    l.unit = l.first_unit;
    l.row = (l.pair < l.n_first ? l.pair + l.first : l.pair + l.then) * l.pair_vecs;
}

// To the beginning of the phase whose record is at.
void aim(out Loader l, uint at)
{
    const uint split = field(at, GSA_RESIDENT_SPLIT), row_vecs = field(at, GSA_RESIDENT_ROW_VECS);
    const uint from = at * GSA_RESIDENT_SHARE;
    weights = WeightVecs(address(at, GSA_RESIDENT_WEIGHTS));
    l.first = share[from];
    l.n_first = share[from + 1u];
    l.then = share[from + 2u] - l.n_first;
    l.n_pairs = subgroup < WORKERS ? n_pairs(at) : 0u;
    l.pair = subgroup >> split;
    l.pair_step = WORKERS >> split;
    l.pair_vecs = field(at, GSA_RESIDENT_PAIR_ROWS) * row_vecs;
    l.second = field(at, GSA_RESIDENT_SECOND_ROW) * row_vecs;
    l.units = weight_units(field(at, GSA_RESIDENT_X_VECS));
    l.first_unit = first_unit(split);
    l.stride = LANES << split;
    l.loads = field(at, GSA_RESIDENT_LOADS);
    begin_part(l);
}

// The next two units to held[2 D] and the one behind; a macro, because arrays that functions write may leave registers.
#define LOAD_STEP(L, D)                                                       \
    if (L.pair < L.n_pairs && L.unit < L.units) {                             \
        held[2u * (D)] = weight_unit(L.row, L.units, L.unit);                 \
        held[2u * (D) + 1u] = weight_unit(L.row + L.second, L.units, L.unit); \
    } else {                                                                  \
        held[2u * (D)] = weight_nothing();                                    \
        held[2u * (D) + 1u] = weight_nothing();                               \
    }                                                                         \
    L.unit += L.stride;                                                       \
    if (--L.left == 0u) {                                                     \
        L.pair += L.pair_step;                                                \
        begin_part(L);                                                        \
    }

// Two units of a pair times x at unit u; sums in the order of staged_matvec.comp.
void multiply(WeightUnit first, WeightUnit second, uint u, uint units, inout SUM sum[2])
{
#if defined(WEIGHT_BLOCKS)
    WeightPart of_unit[2] = WeightPart[](WeightPart(0.0), WeightPart(0.0));
    [[unroll]] for (uint run = 0u; run < WEIGHT_RUNS; run++) {
        const uint at_0 = weight_at(u, run * 2u), at_1 = weight_at(u, run * 2u + 1u);
        const vec4 x_0 = staged[at_0 + at_0 / WEIGHT_QUAD_VECS * 2u], x_1 = staged[at_1 + at_1 / WEIGHT_QUAD_VECS * 2u];
#if defined(WEIGHT_Q8_0)
        const float of_x = 0.0; // not asked for
#else
        const float of_x = run_sums[run * units + u];
#endif
        [[unroll]] for (uint r = 0u; r < 2u; r++) {
            const vec4 n_0 = weight_numbers(r == 0u ? first : second, run * 2u);
            const vec4 n_1 = weight_numbers(r == 0u ? first : second, run * 2u + 1u);
            precise float product = weight_start(of_x);
            [[unroll]] for (uint k = 0u; k < 4u; k++) product = fma(n_0[k], x_0[k], product);
            [[unroll]] for (uint k = 0u; k < 4u; k++) product = fma(n_1[k], x_1[k], product);
            of_unit[r] = weight_add(r == 0u ? first : second, run, product, of_x, of_unit[r]);
        }
    }
    sum[0] = weight_end(first, of_unit[0], sum[0]);
    sum[1] = weight_end(second, of_unit[1], sum[1]);
#else
    [[unroll]] for (uint v = 0u; v < WEIGHT_VECS; v++) {
        const vec4 x = staged[v * units + u];
        precise const vec4 a = fma(weight_vec4(first.words, v), x, sum[0]), b = fma(weight_vec4(second.words, v), x, sum[1]);
        sum[0] = a;
        sum[1] = b;
    }
#endif
}
