// The stream of weights of a lane: where its next two units come from. WORKERS is a multiple of every split, so that a
// subgroup has the same part of each of its pairs.
struct Loader {
    uint at; // the phase's record
    uint pair, n_pairs, left; // units of the pair, the current one counted
    uint unit, units, stride;
    uint row, second; // vecs: where the pair's first row begins, and from there to the second
};

// The lane's first unit of each of its pairs; the rest follow LANES << split apart.
uint first_unit(uint at)
{
    return (subgroup & (1u << field(at, GSA_RESIDENT_SPLIT)) - 1u) * LANES + gl_SubgroupInvocationID;
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

// What only a new pair needs is read again from shared memory: registers are for weights.
void begin_pair(inout Loader l)
{
    l.left = field(l.at, GSA_RESIDENT_LOADS);
    l.unit = first_unit(l.at);
    l.row = pair_index(l.at, l.pair) * field(l.at, GSA_RESIDENT_PAIR_ROWS) * field(l.at, GSA_RESIDENT_ROW_VECS);
}

// To the beginning of the phase whose record is at.
void aim(out Loader l, uint at)
{
    weights = WeightVecs(address(at, GSA_RESIDENT_WEIGHTS));
    l.at = at;
    l.pair = subgroup >> field(at, GSA_RESIDENT_SPLIT);
    l.n_pairs = subgroup < WORKERS ? n_pairs(at) : 0u;
    l.second = field(at, GSA_RESIDENT_SECOND_ROW) * field(at, GSA_RESIDENT_ROW_VECS);
    l.units = weight_units(field(at, GSA_RESIDENT_X_VECS));
    l.stride = LANES << field(at, GSA_RESIDENT_SPLIT);
    begin_pair(l);
}

// The next two units to held[2 D] and the one behind; lanes beyond the row's last unit load what they will not use. A
// macro, because arrays that functions write may leave registers.
#define LOAD_STEP(L, D)                                                      \
    if (L.pair < L.n_pairs) {                                                \
        const uint from = min(L.unit, L.units - 1u);                         \
        held[2u * (D)] = weight_unit(L.row, L.units, from);                  \
        held[2u * (D) + 1u] = weight_unit(L.row + L.second, L.units, from);  \
    }                                                                        \
    L.unit += L.stride;                                                      \
    if (--L.left == 0u) {                                                    \
        L.pair += WORKERS >> field(L.at, GSA_RESIDENT_SPLIT);                \
        begin_pair(L);                                                       \
    }

#if defined(WEIGHT_BLOCKS)
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
#if defined(WEIGHT_BLOCKS)
    WeightPart of_unit[2] = WeightPart[](WeightPart(0.0), WeightPart(0.0));
    [[unroll]] for (uint run = 0u; run < WEIGHT_RUNS; run++) {
        const uint at_0 = weight_at(u, run * 2u), at_1 = weight_at(u, run * 2u + 1u);
        const vec4 x_0 = staged[at_0 + at_0 / WEIGHT_QUAD_VECS * 2u], x_1 = staged[at_1 + at_1 / WEIGHT_QUAD_VECS * 2u];
        const float of_x = run_sums[run * units + u];
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
