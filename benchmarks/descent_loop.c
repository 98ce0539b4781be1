/* The arithmetic of one descent step in C, for the benchmark: the same table, no vectors. */
#include <math.h>
#include <stdint.h>
#include <string.h>

void descend(const double *force, double split, double c, long depth, double eta, double *state, long steps)
{
    double a = state[0], q = state[1], m = state[2];
    long shift = (long)state[3];
    for (long k = 0; k < steps; k++) {
        double u_less = 1.0, square = a;
        for (long n = depth - 2; n > 0; n >>= 1) {
            if (n & 1) u_less *= square;
            square *= square;
        }
        double u = depth > 1 ? u_less * a : 1.0, size = fabs(u);
        double p = shift == 0 ? m : shift == 1 ? m * 0x1p-512 : 0.0;
        double z = sqrt(q * q + p * p), inverse = 1.0 / z, r = size * z;
        int64_t bits;
        memcpy(&bits, &r, 8);
        const double *row = force + 9 * (bits >> 48);
        double t = (double)(bits & (((int64_t)1 << 48) - 1)) * 0x1p-47 - 1.0, value = row[8];
        for (int j = 7; j >= 0; j--) value = value * t + row[j];
        int near = r < split;
        double drag = near ? r * value : c - value, growth = near ? c - drag : value;
        double ratio = near ? size * value : drag * inverse, sign = u < 0 ? -1.0 : 1.0;
        double cosine = sign * q * inverse, sine = p * inverse;
        double gap = c * (cosine > 0 ? sine * sine / (1 + cosine) : 1 - cosine);
        if (depth > 1) a += eta * sign * z * u_less * (growth - gap);
        q += eta * u * (gap + growth * cosine);
        m *= 1 - eta * size * ratio;
        if (fabs(m) < 0x1p-512 && m != 0) { m *= 0x1p512; shift++; }
        else if (fabs(m) > 1 && shift > 0) { m *= 0x1p-512; shift--; }
    }
    state[0] = a; state[1] = q; state[2] = m; state[3] = (double)shift;
}
