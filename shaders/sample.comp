// One token per row by rules 2 to 6 of gsa/sampler.h (penalty.comp has applied rule 1).
//
//   x      [n_rows, n_vocab] f32 logits, in fours
//   params [n_rows][GSA_SAMPLE_STRIDE] words at push.params
//   tokens [n_rows] i32
//
// A workgroup owns a row. Thresholds come from bisection on the logits' order keys, two bits a pass: the largest key
// such that the tokens at or above it reach a count (top_k) or a mass (top_p). The draw then narrows an index range,
// sixteenth by sixteenth, to the token whose running mass passes u times the kept mass. All sums run in an order fixed
// by GROUP, so a row's token repeats exactly. A NaN logit has no mass.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/order.glsl"
#include "common/reduce.glsl"

layout(push_constant) uniform Push { gsa_pick_push push; };
layout(std430, set = 0, binding = 0) readonly buffer X { uvec4 x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Params { uint params[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Tokens { uint tokens[]; };

#include "common/argmax.glsl"

REDUCE_DEFINE(group_counts, uvec3, REDUCE_ADD)
REDUCE_DEFINE(group_masses, vec3, REDUCE_ADD)

const uint PARTS = 16u;
const uint PART_LANES = GROUP / PARTS;
shared float part_lane[GROUP];
shared float part_mass[PARTS];

// What weighs a token; set once per row.
uint from;          // first logit of the row
uint n_quads;       // of the row
uint top_key;       // of the largest logit
float top;          // that logit
float temperature;
uint least_key;     // below: dropped
float least_weight; // below: dropped

// exp((logit - top) / temperature) where kept. The largest has weight 1 even when it is infinite.
float weight(uint bits, uint key)
{
    if (key == 0u || key < least_key) return 0.0;
    const float exponent = (uintBitsToFloat(bits) - top) / temperature;
    const float w = key == top_key ? 1.0 : exponent > -100.0 ? exp(exponent) : 0.0;
    return w < least_weight ? 0.0 : w;
}

vec4 weights(uvec4 bits, uvec4 keys)
{
    return vec4(weight(bits.x, keys.x), weight(bits.y, keys.y), weight(bits.z, keys.z), weight(bits.w, keys.w));
}

vec4 quad_weights(uint quad)
{
    const uvec4 bits = row_quad(from, push.n_vocab, quad);
    return weights(bits, order_keys(bits));
}

float sum_of(vec4 v)
{
    return (v.x + v.y) + (v.z + v.w);
}

// Largest key such that at least k tokens have it or a larger one.
uint key_of_count(uint k)
{
    uint key = 0u;
    for (int shift = 30; shift >= 0; shift -= 2) {
        const uvec3 tries = key | (uvec3(1u, 2u, 3u) << shift);
        uvec3 n = uvec3(0u);
        for (uint quad = gl_LocalInvocationIndex; quad < n_quads; quad += GROUP) {
            const uvec4 keys = order_keys(row_quad(from, push.n_vocab, quad));
            n += uvec3(greaterThanEqual(keys.xxx, tries)) + uvec3(greaterThanEqual(keys.yyy, tries)) +
                uvec3(greaterThanEqual(keys.zzz, tries)) + uvec3(greaterThanEqual(keys.www, tries));
        }
        n = group_counts(n);
        key = n.z >= k ? tries.z : n.y >= k ? tries.y : n.x >= k ? tries.x : key;
    }
    return key;
}

// Largest key such that the tokens with it or a larger one weigh share of all kept ones at least.
uint key_of_mass(float share)
{
    float sum = 0.0;
    for (uint quad = gl_LocalInvocationIndex; quad < n_quads; quad += GROUP) sum += sum_of(quad_weights(quad));
    const float wanted = share * group_masses(vec3(sum)).x;

    uint key = 0u;
    for (int shift = 30; shift >= 0; shift -= 2) {
        const uvec3 tries = key | (uvec3(1u, 2u, 3u) << shift);
        vec3 mass = vec3(0.0);
        for (uint quad = gl_LocalInvocationIndex; quad < n_quads; quad += GROUP) {
            const uvec4 bits = row_quad(from, push.n_vocab, quad), keys = order_keys(bits);
            if (all(lessThan(keys, tries.xxxx))) continue;
            const vec4 w = weights(bits, keys);
            mass += vec3(sum_of(mix(vec4(0.0), w, greaterThanEqual(keys, tries.xxxx))),
                sum_of(mix(vec4(0.0), w, greaterThanEqual(keys, tries.yyyy))),
                sum_of(mix(vec4(0.0), w, greaterThanEqual(keys, tries.zzzz))));
        }
        mass = group_masses(mass);
        key = mass.z >= wanted ? tries.z : mass.y >= wanted ? tries.y : mass.x >= wanted ? tries.x : key;
    }
    return key;
}

// Mass of each sixteenth of the quads begin .. end - 1, into part_mass.
void weigh_parts(uint begin, uint end, uint size)
{
    const uint lane = gl_LocalInvocationIndex, part = lane / PART_LANES;
    const uint part_end = min(begin + (part + 1u) * size, end);
    float sum = 0.0;

    for (uint quad = begin + part * size + lane % PART_LANES; quad < part_end; quad += PART_LANES)
        sum += sum_of(quad_weights(quad));
    barrier(); // the previous part_mass has been read
    part_lane[lane] = sum;
    barrier();
    if (lane < PARTS) {
        sum = 0.0;
        for (uint i = 0u; i < PART_LANES; i++) sum += part_lane[lane * PART_LANES + i];
        part_mass[lane] = sum;
    }
    barrier();
}

// First token in id order whose running share of the kept mass exceeds u. Rounding may leave the last sums short of
// what is wanted: then the last part, or token, with any mass.
uint draw(float u)
{
    uint begin = 0u, end = n_quads;
    float wanted = -1.0; // running mass to exceed, counted from begin

    do {
        const uint size = (end - begin + PARTS - 1u) / PARTS;
        weigh_parts(begin, end, size);
        if (wanted < 0.0) {
            wanted = 0.0;
            for (uint i = 0u; i < PARTS; i++) wanted += part_mass[i];
            wanted *= u;
        }

        float running = 0.0, before = 0.0;
        uint chosen = 0u;
        for (uint i = 0u; i < PARTS; i++) {
            if (!(part_mass[i] > 0.0)) continue;
            chosen = i;
            before = running;
            running += part_mass[i];
            if (running > wanted) break;
        }
        wanted = max(wanted - before, 0.0);
        end = min(begin + (chosen + 1u) * size, end);
        begin += chosen * size;
    } while (end - begin > 1u);

    const vec4 w = quad_weights(begin);
    float running = 0.0;
    uint token = 0u;
    for (uint i = 0u; i < 4u; i++) {
        if (!(w[i] > 0.0)) continue;
        token = i;
        running += w[i];
        if (running > wanted) break;
    }
    return begin * 4u + token;
}

// Philox-4x32-10 (Salmon and others, 2011), first word's upper 24 bits, as gsai_sampler_uniform.
float uniform_number(uvec2 key, uvec2 count)
{
    uvec4 c = uvec4(count, 0u, 0u);
    for (uint i = 0u; i < 10u; i++) {
        uvec2 a, b; // (low, high)
        umulExtended(0xD2511F53u, c.x, a.y, a.x);
        umulExtended(0xCD9E8D57u, c.z, b.y, b.x);
        c = uvec4(b.y ^ c.y ^ key.x, b.x, a.y ^ c.w ^ key.y, a.x);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return float(c.x >> 8) / 16777216.0;
}

void main()
{
    const uint t = grid_group();
    if (t >= push.n_rows) return;

    const uint at = push.params + t * GSA_SAMPLE_STRIDE;
    from = push.x_offset + t * push.x_stride;
    n_quads = (push.n_vocab + 3u) / 4u;
    temperature = uintBitsToFloat(params[at + GSA_SAMPLE_TEMPERATURE]);
    const uvec2 best = argmax_row(from, push.n_vocab);
    uint token = best.y;

    if (temperature > 0.0 && best.x != 0u) {
        const uint top_k = params[at + GSA_SAMPLE_TOP_K];
        const float top_p = uintBitsToFloat(params[at + GSA_SAMPLE_TOP_P]);
        top_key = best.x;
        top = uintBitsToFloat(row_quad(from, push.n_vocab, best.y / 4u)[best.y % 4u]);
        least_key = 0u;
        least_weight = 0.0;
        if (top_k > 0u && top_k < push.n_vocab) least_key = key_of_count(top_k);
        if (top_p > 0.0 && top_p < 1.0) least_key = max(least_key, key_of_mass(top_p));
        least_weight = uintBitsToFloat(params[at + GSA_SAMPLE_MIN_P]);
        token = draw(uniform_number(uvec2(params[at + GSA_SAMPLE_SEED_LO], params[at + GSA_SAMPLE_SEED_HI]),
            uvec2(params[at + GSA_SAMPLE_DRAW_LO], params[at + GSA_SAMPLE_DRAW_HI])));
    }
    if (gl_LocalInvocationIndex == 0u) tokens[t] = token;
}
