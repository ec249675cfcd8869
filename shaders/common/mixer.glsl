// What the gsa_* shaders share: sizes of the model and where things lie. R query heads read the state of one kv head.
layout(local_size_x = GSA_MIXER_GROUP) in;
layout(constant_id = GSA_SPEC_R) const uint R = 1u;
layout(constant_id = GSA_SPEC_G) const uint G = 4u;
layout(constant_id = GSA_SPEC_K) const uint K = 64u;
layout(constant_id = GSA_SPEC_V) const uint V = 64u;
layout(constant_id = GSA_SPEC_M) const uint M = 64u;
layout(push_constant) uniform Push { gsa_mixer_push push; };

const uint H = R * G;
const uint GM = G * M;

// Entry of the work table: slot, first chunk, number of chunks
uint span_entry(uint span)
{
    return push.spans + GSA_WORK_STRIDE * span;
}

// Entry of the work table: first row, number of rows, slot, span
uint chunk_entry(uint chunk)
{
    return push.chunks + GSA_WORK_STRIDE * chunk;
}
