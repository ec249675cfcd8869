// What the gsa_* shaders share. Sizes of the model come as push constants, so that one pipeline serves all models. The
// including shader has declared push.
layout(local_size_x = GSA_MIXER_GROUP) in;

uint heads()
{
    return push.R * push.G;
}

// columns of g and of s
uint gm()
{
    return push.G * push.M;
}

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
