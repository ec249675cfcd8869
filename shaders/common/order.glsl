// Floats, given by their bits, as unsigned integers in the same order: a < b exactly when order_key(a) < order_key(b),
// -0 equal to +0, NaN below everything. Integer arithmetic only, so that no driver's float shortcuts matter.
uint order_key(uint bits)
{
    const uint magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0u;
    if (magnitude == 0u) return 0x80000000u;
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}
