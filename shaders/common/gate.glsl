// log decay from the slot gate: logsigmoid(f) / normalizer, with its relative accuracy where it is tiny. Include exp.glsl
// before. The write strength is one_minus_exp of it.
float log_decay(float f, float normalizer)
{
    return (min(f, 0.0) - log1p_unit(exp_neg(-abs(f)))) / normalizer;
}
