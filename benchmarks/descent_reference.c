/* Gradient descent step by step in 80-bit arithmetic on the tables of the library: the witness of the far horizon's accuracy.
   z_perp = m 2^(-4096 shift). Output rows: log |w|, s = log tan(theta/2), the sign of z_perp. */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef long double real;

static real look_up(const double *force, real r, double split, int *near)
{
    double rounded = (double)r;
    int64_t bits, octave;
    memcpy(&bits, &rounded, 8);
    const double *row = force + 9 * (bits >> 48);
    octave = bits & ((int64_t)0x7FF << 52);
    double size;
    memcpy(&size, &octave, 8);
    real t = (real)(bits & (((int64_t)1 << 48) - 1)) * 0x1p-47L - 1.0L + (r - (real)rounded) * 32.0L / (real)size, value = row[8];
    for (int j = 7; j >= 0; j--) value = value * t + row[j];
    *near = rounded < split;
    return value;
}

void descend_long(const double *force, double split, double pull, double signal, long depth, double step_size, double log_sine0,
                  double norm, double cosine0, const int64_t *record, long records, double *out)
{
    real c = pull, noise = (real)pull - (real)signal, eta = step_size;
    real layer = depth > 1 ? powl((real)norm, 1.0L / depth) : (real)norm;
    real a = depth > 1 ? layer : 1.0L, q = layer * (real)cosine0, m = layer * expl((real)log_sine0);
    long shift = 0;
    int64_t k = 0;
    for (long i = 0; i < records; i++) {
        for (; k < record[i]; k++) {
            real u_less = 1.0L, square = a;
            for (long n = depth - 2; n > 0; n >>= 1) {
                if (n & 1) u_less *= square;
                square *= square;
            }
            real u = depth > 1 ? u_less * a : 1.0L, size = fabsl(u);
            real p = shift == 0 ? m : 0.0L;
            real z = sqrtl(q * q + p * p), r = size * z;
            if (!(r < 1e300L)) { /* overflow: nan from here on */
                for (long j = 3 * i; j < 3 * records; j++) out[j] = NAN;
                return;
            }
            int near;
            real value = look_up(force, r, split, &near);
            real drag = near ? r * value : c - value, growth = near ? c - drag : value;
            real ratio = near ? size * value : drag / z, sign = u < 0 ? -1.0L : 1.0L;
            real cosine = sign * (p == 0.0L ? (q > 0 ? 1.0L : -1.0L) : q / z), sine = p / z;
            real gap = c * (cosine > 0 ? sine * sine / (1 + cosine) : 1 - cosine);
            if (depth > 1) a += eta * sign * z * u_less * (growth - gap - noise * cosine);
            q += eta * u * (gap + growth * cosine - noise);
            m *= 1 - eta * size * ratio;
            if (fabsl(m) < 0x1p-4096L && m != 0) { m *= 0x1p4096L; shift++; }
            else if (fabsl(m) > 1 && shift > 0) { m *= 0x1p-4096L; shift--; }
        }
        real log_perp = logl(fabsl(m)) - shift * 4096.0L * logl(2.0L), p = shift == 0 ? fabsl(m) : 0.0L;
        real z = sqrtl(q * q + p * p), u = depth > 1 ? powl(fabsl(a), depth - 1) : 1.0L;
        int ahead = ((depth % 2 == 0 && a < 0) ? -q : q) >= 0;
        out[3 * i] = (double)(logl(z) + logl(u));
        out[3 * i + 1] = (double)((log_perp - logl(z + fabsl(q))) * (ahead ? 1.0L : -1.0L));
        out[3 * i + 2] = m > 0 ? 1.0 : -1.0;
    }
}
