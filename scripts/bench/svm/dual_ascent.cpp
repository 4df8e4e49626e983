// Epochs of exact block coordinate ascent on the dual of the Weston-Watkins hinge, without a bias:
//
//     minimise  mean_i sum_{j != y} max(0, s_j - s_y + 1) + l2 ||W||^2,     s = W x_i
//
// beta (N, C) holds the dual rows, 0 in the label's column, and W = -V / (2 l2) belongs to it all
// the time. The block of an example is maximised exactly: with q = ||x||^2 / (2 l2 N) and
// u_j = (1 + s_j - s_y) / q by the scores that leave the example out,
//
//     beta_j = clip(u_j - sigma, 0, 1),     sigma = sum_j beta_j.

#include <cstdint>
#include <utility>
#include <vector>

namespace {

// A small generator (splitmix64): the order is the same in each run, and a new one each epoch.
struct Random {
    uint64_t state;
    uint64_t next() {
        uint64_t z = (state += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
};

double clip(double z) { return z < 0.0 ? 0.0 : z > 1.0 ? 1.0 : z; }

// The root of sigma - sum_j clip(u_j - sigma, 0, 1), which rises by 1 at least: Newton's steps on
// its pieces, kept between bounds of the root. The step from the root's own piece is exact.
double root(const double *u, int64_t count, double sigma) {
    double low = 0.0, high = double(count);
    for (int step = 0; step < 100; ++step) {
        double value = sigma, slope = 1.0;
        for (int64_t j = 0; j < count; ++j) {
            const double z = u[j] - sigma;
            value -= clip(z);
            slope += z > 0.0 && z < 1.0;
        }
        if (value == 0.0) return sigma;
        (value > 0.0 ? high : low) = sigma;
        double next = sigma - value / slope;
        if (next < low || next > high) next = 0.5 * (low + high);
        if (next == sigma) return sigma;
        sigma = next;
    }
    return sigma;
}

}  // namespace

extern "C" void epochs(int64_t n, int64_t d, int64_t c, int64_t count, int64_t done, double l2,
                       const float *x, const int32_t *labels, double *W, double *beta) {
    const double rate = 1.0 / (2.0 * l2 * double(n));
    std::vector<double> row(d), scores(c), u(c), next(c);
    std::vector<int64_t> order(n);
    for (int64_t epoch = done; epoch < done + count; ++epoch) {
        Random random{uint64_t(epoch)};
        for (int64_t k = 0; k < n; ++k) order[k] = k;
        for (int64_t k = n - 1; k > 0; --k) std::swap(order[k], order[random.next() % (k + 1)]);
        for (int64_t k = 0; k < n; ++k) {
            const int64_t i = order[k];
            const int64_t y = labels[i];
            const float *features = x + i * d;
            double *own = beta + i * c;
            double square = 0.0;
#pragma omp simd reduction(+ : square)
            for (int64_t f = 0; f < d; ++f) {
                row[f] = features[f];
                square += row[f] * row[f];
            }
            const double q = square * rate;
            if (q == 0.0) {  // no features: the block does not move W, and each margin is 1
                for (int64_t j = 0; j < c; ++j) own[j] = j == y ? 0.0 : 1.0;
                continue;
            }
            for (int64_t j = 0; j < c; ++j) {
                const double *w = W + j * d;
                double sum = 0.0;
#pragma omp simd reduction(+ : sum)
                for (int64_t f = 0; f < d; ++f) sum += w[f] * row[f];
                scores[j] = sum;
            }
            double sigma = 0.0;
            for (int64_t j = 0; j < c; ++j) sigma += own[j];
            // Without the example: the others' scores rise by q beta_j, the label's falls by q sigma.
            int64_t others = 0;
            for (int64_t j = 0; j < c; ++j) {
                if (j == y) continue;
                u[others++] = (1.0 + scores[j] - scores[y]) / q + own[j] + sigma;
            }
            const double found = root(u.data(), others, sigma);
            double moved = 0.0;
            others = 0;
            for (int64_t j = 0; j < c; ++j) {
                if (j == y) continue;
                const double to = clip(u[others++] - found);
                const double step = to - own[j];
                if (step == 0.0) continue;
                own[j] = to;
                moved += step;
                double *w = W + j * d;
                const double scale = -rate * step;
#pragma omp simd
                for (int64_t f = 0; f < d; ++f) w[f] += scale * row[f];
            }
            if (moved != 0.0) {
                double *w = W + y * d;
                const double scale = rate * moved;
#pragma omp simd
                for (int64_t f = 0; f < d; ++f) w[f] += scale * row[f];
            }
        }
    }
}
