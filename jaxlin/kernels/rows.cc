// Scores and gradients of a minibatch that is drawn from rows of a larger array.
//
// Both are products with few columns, one for each class, over many features. Each operation hands out
// fixed pieces of work to whatever threads there are, so that a result does not depend on which of
// them comes first: rows for the scores; rows, or features, for the gradient. No piece is summed by
// two threads. How many pieces of rows a gradient has, and so its last bits, depends on the size of
// the pool.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <type_traits>

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include "xla/ffi/api/c_api.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kRows = 4, kColumns = 5;  // 20 sums of the 32 registers
#elif defined(__AVX__)
constexpr int kLanes = 8, kRows = 2, kColumns = 5;  // 10 of 16
#else
constexpr int kLanes = 4, kRows = 4, kColumns = 5;  // 20 of 32 (NEON)
#endif
constexpr int kTile = 4;         // vectors of features that a piece of a gradient holds
constexpr int kWidth = kTile * kLanes;
constexpr int kFewColumns = 64;
constexpr int kPanelRows = 64;   // rows that are converted at a time for it
constexpr int kGroupRows = 32;  // rows that a piece of the scores holds

typedef float Vector __attribute__((vector_size(kLanes * 4)));
typedef int32_t Mask __attribute__((vector_size(kLanes * 4)));
typedef float LooseVector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

inline Vector Load(const float* p) { return *reinterpret_cast<const LooseVector*>(p); }
inline void Store(float* p, Vector v) { *reinterpret_cast<LooseVector*>(p) = v; }
inline Vector Broadcast(float f) { return f - Vector{}; }

inline float Sum(Vector v) {
  float sum = 0.0f;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

// The sums of four vectors.
inline void Sum4(Vector a, Vector b, Vector c, Vector d, float* out) {
#if defined(__AVX512F__)
  const auto in_lanes = [](__m512 p, __m512 q) {
    return _mm512_add_ps(_mm512_unpacklo_ps(p, q), _mm512_unpackhi_ps(p, q));
  };
  const __m512d ab = (__m512d)in_lanes((__m512)a, (__m512)b);
  const __m512d cd = (__m512d)in_lanes((__m512)c, (__m512)d);
  const __m512 all = _mm512_add_ps((__m512)_mm512_unpacklo_pd(ab, cd), (__m512)_mm512_unpackhi_pd(ab, cd));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)all, 1)));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
#elif defined(__AVX__)
  const __m256 all = _mm256_hadd_ps(_mm256_hadd_ps((__m256)a, (__m256)b), _mm256_hadd_ps((__m256)c, (__m256)d));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
#else
  out[0] = Sum(a), out[1] = Sum(b), out[2] = Sum(c), out[3] = Sum(d);
#endif
}

// Keeps the compiler from loading a vector again for each of its uses.
inline void InRegister(Vector& v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__AVX__)
  asm("" : "+x"(v));
#endif
}

// Pieces of work that threads take one by one: the caller from the front, helpers from the back, so
// that a product finds rows in the cache of the core that has read them for the product before. Once
// all are taken nobody looks at `run` again: a thread that comes too late does no harm.
struct Job {
  std::atomic<int64_t> taken{0}, from_front{0}, from_back{0}, done{0};
  std::atomic<bool> failed{false};
  int64_t count;
  std::function<void(int64_t)> run;

  void Work(bool is_caller) {
    for (; taken.fetch_add(1) < count; done.fetch_add(1)) {
      try {
        run(is_caller ? from_front.fetch_add(1) : count - 1 - from_back.fetch_add(1));
      } catch (...) {  // no memory: a thread of the pool must not end of it
        failed.store(true);
      }
    }
  }
};

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The threads of XLA's pool that have helped and stay for a moment, in case there is more to do: in
// a loop of small steps the next product comes after some microseconds, and waking a thread that
// sleeps takes longer than the product.
class Team {
 public:
  static Team& Get() {
    static Team* team = new Team;  // never destroyed: a thread may wait as the process ends
    return *team;
  }

  // Throws std::bad_alloc where a piece found no memory, once nobody works any more.
  void Run(ffi::ThreadPool& pool, int64_t count, std::function<void(int64_t)> run) {
    const int64_t helpers = std::min<int64_t>(pool.num_threads(), count) - 1;
    if (helpers <= 0) {
      for (int64_t i = 0; i < count; ++i) run(i);
      return;
    }
    auto job = std::make_shared<Job>();
    job->count = count;
    job->run = std::move(run);
    {
      std::lock_guard<std::mutex> hold(lock_);
      job_ = job;
      posts_.fetch_add(1);
    }
    try {
      for (int64_t i = waiting_.load(); i < helpers; ++i) pool.Schedule([this, job] { Help(job); });
    } catch (const std::bad_alloc&) {  // then with fewer: those that came use what is on this stack
    }
    job->Work(true);
    for (int spins = 0; job->done.load() < count; ++spins) {
      Pause();
      if (spins > 10000) std::this_thread::yield();
    }
    if (job->failed.load()) throw std::bad_alloc();
  }

 private:
  static constexpr std::chrono::microseconds kPatience{60};

  void Help(std::shared_ptr<Job> job) {
    while (job) {
      const uint64_t seen = posts_.load();
      job->Work(false);
      job = Next(seen);
    }
  }

  // The job that is posted after `seen`, or null where none comes soon.
  std::shared_ptr<Job> Next(uint64_t seen) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    waiting_.fetch_add(1);
    while (posts_.load() == seen && std::chrono::steady_clock::now() < end) Pause();
    waiting_.fetch_sub(1);
    std::lock_guard<std::mutex> hold(lock_);
    return posts_.load() == seen ? nullptr : job_;
  }

  std::mutex lock_;
  std::shared_ptr<Job> job_;
  std::atomic<uint64_t> posts_{0};
  std::atomic<int64_t> waiting_{0};
};

inline float Widen(float v) { return v; }
inline float Widen(uint8_t v) { return v; }
inline float Widen(int8_t v) { return v; }
#if defined(__FLT16_MAX__)
typedef _Float16 Float16;
inline float Widen(Float16 v) { return v; }
#else  // older compilers
struct Float16 { uint16_t bits; };
inline float Widen(Float16 v) {
  const uint32_t exponent = v.bits >> 10 & 31, fraction = v.bits & 1023;
  float f = fraction * 0x1p-24f;  // below the normal numbers
  if (exponent) {
    const uint32_t bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    std::memcpy(&f, &bits, 4);
  }
  return v.bits >> 15 ? -f : f;
}
#endif
struct BFloat16 { uint16_t bits; };
inline float Widen(BFloat16 v) {
  uint32_t bits = uint32_t{v.bits} << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

// Rows that are wanted soon, brought from memory a few lines at a time between other work. Not many:
// lines that are under way take the places of those that the work itself waits for.
struct Fetch {
  const char* x;
  const int32_t* rows;
  int64_t at, end, step, bytes;  // every so many rows from `at` to `end`, so many bytes each
  int64_t lines = 0, calls = 1;  // of each, in all
  int64_t line = 0, owed = 0;

  Fetch(const void* x, const int32_t* rows, int64_t at, int64_t end, int64_t step, int64_t bytes,
        int64_t calls)
      : x(static_cast<const char*>(x)), rows(rows), at(at), end(end), step(step), bytes(bytes) {
    if (end > at) lines = (end - at + step - 1) / step * (bytes / 64 + 1);
    this->calls = std::max<int64_t>(1, calls);
  }

  // One of so many calls, over which the lines are spread evenly.
  inline void Some() {
    for (owed += lines; owed >= calls && at < end; owed -= calls) {
      __builtin_prefetch(x + rows[at] * bytes + line);
      if ((line += 64) >= bytes) line = 0, at += step;
    }
  }
};

// Products of kR rows with kC columns; the rows that come next are fetched on the way. Where the size
// is no multiple of the lanes, the last vector reaches back, and has zeros for what was counted: the
// columns' in `tails`, and the row's too, as it may be infinite.
template <int kR, int kC>
void Dots(const float* const* x, Fetch& fetch, const float* w, const float* tails,
          int64_t size, int64_t batch, float* out) {
  Vector sums[kC][kR] = {};
  const float* rows[kR];
  for (int r = 0; r < kR; ++r) rows[r] = x[r];
  const int64_t whole = size / kLanes * kLanes;
  for (int64_t d = 0; d < whole; d += kLanes) {
    Vector wide[kC];
#pragma GCC unroll 8
    for (int c = 0; c < kC; ++c) {
      wide[c] = Load(w + c * size + d);
      InRegister(wide[c]);
    }
    fetch.Some();
#pragma GCC unroll 8
    for (int r = 0; r < kR; ++r) {
      const Vector row = Load(rows[r] + d);
#pragma GCC unroll 8
      for (int c = 0; c < kC; ++c) sums[c][r] += row * wide[c];
    }
  }
  if (whole < size) {
    Mask is_new = {};
    for (int lane = 0; lane < kLanes; ++lane) is_new[lane] = lane < whole + kLanes - size ? 0 : -1;
#pragma GCC unroll 8
    for (int r = 0; r < kR; ++r) {
      const Vector row = (Vector)((Mask)Load(rows[r] + size - kLanes) & is_new);
#pragma GCC unroll 8
      for (int c = 0; c < kC; ++c) sums[c][r] += row * Load(tails + c * kLanes);
    }
  }
  for (int c = 0; c < kC; ++c) {
    if constexpr (kR == 4) {
      Sum4(sums[c][0], sums[c][1], sums[c][2], sums[c][3], out + c * batch);
    } else {
      for (int r = 0; r < kR; ++r) out[c * batch + r] = Sum(sums[c][r]);
    }
  }
}

// The rows of a batch: where they lie, and how they become float32.
template <typename T>
struct Batch {
  const T* x;
  const int32_t* rows;
  const int32_t* upcoming;  // of the next batch, as many; or null
  int64_t count, size;
  const float* shift;  // null where nothing is scaled
  const float* scale;

  static constexpr bool kIsFloat = std::is_same_v<T, float>;
  bool IsReady() const { return kIsFloat && scale == nullptr; }
  const T* Source(int64_t i) const { return x + rows[i] * size; }

  // Features d to d + width of row i as float32: as they lie, or made in `scratch`.
  const float* Features(int64_t i, int64_t d, int64_t width, float* __restrict scratch) const {
    const T* from = Source(i) + d;
    if constexpr (kIsFloat) {
      if (scale == nullptr) return from;
    }
    if (width == kWidth) {  // a number that the compiler knows
      Convert(from, d, kWidth, scratch);
    } else {
      Convert(from, d, width, scratch);
    }
    return scratch;
  }

 private:
  inline void Convert(const T* __restrict from, int64_t d, int64_t width,
                      float* __restrict to) const {
    if (scale == nullptr) {
      for (int64_t j = 0; j < width; ++j) to[j] = Widen(from[j]);
    } else {
      const float* __restrict by = scale + d;
      const float* __restrict less = shift + d;
      for (int64_t j = 0; j < width; ++j) to[j] = (Widen(from[j]) - less[j]) * by[j];
    }
  }
};

// The scores of kC columns for some rows: the columns' weights stay in the nearest cache.
template <int kC>
void DotsOfRows(const float* const* rows, int64_t count, Fetch& fetch, const float* w,
                const float* tails, int64_t size, int64_t batch, float* out) {
  int64_t i = 0;
  for (; i + kRows <= count; i += kRows)
    Dots<kRows, kC>(rows + i, fetch, w, tails, size, batch, out + i);
  for (; i < count; ++i) Dots<1, kC>(rows + i, fetch, w, tails, size, batch, out + i);
}

template <typename T>
void ScoresOfGroup(const Batch<T>& batch, int64_t first, int64_t count, const float* w,
                   const float* tails, int64_t columns, float* scratch, float* scores) {
  const int64_t size = batch.size;
  const float* rows[kGroupRows];
  for (int64_t i = 0; i < count; ++i)
    rows[i] = batch.Features(first + i, 0, size, scratch + i * size);
  // One half of the next batch's rows at these places; the gradient fetches the other. Where nobody
  // knows the next batch, the rows of this one that come next.
  const bool knows = batch.upcoming != nullptr;
  const int64_t from = knows ? first : first + kGroupRows;
  Fetch fetch(batch.x, knows ? batch.upcoming : batch.rows, from,
              std::min(from + kGroupRows, batch.count), knows ? 2 : 1, size * sizeof(T),
              size / kLanes * ((columns + kColumns - 1) / kColumns) * ((count + kRows - 1) / kRows));
  int64_t k = 0;
  const auto run = [&](auto width) {
    constexpr int kC = decltype(width)::value;
    for (; k + kC <= columns; k += kC)
      DotsOfRows<kC>(rows, count, fetch, w + k * size, tails + k * kLanes, size, batch.count,
                     scores + k * batch.count + first);
  };
  run(std::integral_constant<int, kColumns>());
  run(std::integral_constant<int, 2>());
  run(std::integral_constant<int, 1>());
}

template <typename T>
void Scores(ffi::ThreadPool& threads, const Batch<T>& batch, const float* w, int64_t columns,
            float* scores) {
  const int64_t size = batch.size, rest = size % kLanes;
  std::unique_ptr<float[]> tails(new float[columns * kLanes]);
  for (int64_t k = 0; k < columns; ++k)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      tails[k * kLanes + lane] = lane < kLanes - rest ? 0.0f : w[k * size + size - kLanes + lane];
  Team::Get().Run(threads, (batch.count + kGroupRows - 1) / kGroupRows, [&](int64_t group) {
    const int64_t first = group * kGroupRows;
    const int64_t count = std::min<int64_t>(kGroupRows, batch.count - first);
    std::unique_ptr<float[]> scratch(batch.IsReady() ? nullptr : new float[count * size]);
    ScoresOfGroup(batch, first, count, w, tails.get(), columns, scratch.get(), scores);
  });
}

// Adds to the gradient of kC columns by kT vectors of features what some rows give.
template <int kT, int kC>
void Outer(const float* const* rows, int64_t count, const float* slopes, int64_t batch,
           int64_t size, Fetch& fetch, float* out) {
  Vector sums[kC][kT];
#pragma GCC unroll 8
  for (int c = 0; c < kC; ++c)
#pragma GCC unroll 8
    for (int t = 0; t < kT; ++t) sums[c][t] = Load(out + c * size + t * kLanes);
  for (int64_t i = 0; i < count; ++i) {
    fetch.Some();
    Vector row[kT];
#pragma GCC unroll 8
    for (int t = 0; t < kT; ++t) {
      row[t] = Load(rows[i] + t * kLanes);
      InRegister(row[t]);
    }
#pragma GCC unroll 8
    for (int c = 0; c < kC; ++c) {
      const Vector slope = Broadcast(slopes[c * batch + i]);
#pragma GCC unroll 8
      for (int t = 0; t < kT; ++t) sums[c][t] += slope * row[t];
    }
  }
#pragma GCC unroll 8
  for (int c = 0; c < kC; ++c)
#pragma GCC unroll 8
    for (int t = 0; t < kT; ++t) Store(out + c * size + t * kLanes, sums[c][t]);
}

template <int kT>
void OuterOfColumns(const float* const* rows, int64_t count, const float* slopes, int64_t batch,
                    int64_t columns, int64_t size, Fetch& fetch, float* out) {
  int64_t k = 0;
  for (; k + kColumns <= columns; k += kColumns)
    Outer<kT, kColumns>(rows, count, slopes + k * batch, batch, size, fetch, out + k * size);
  for (; k + 2 <= columns; k += 2)
    Outer<kT, 2>(rows, count, slopes + k * batch, batch, size, fetch, out + k * size);
  for (; k < columns; ++k) Outer<kT, 1>(rows, count, slopes + k * batch, batch, size, fetch, out + k * size);
}

// The gradient by features `begin` to `end` that `count` rows from `first` give. Half of the rows of
// the batch to come at these places are fetched meanwhile: this product takes its own rows from the
// cache, and leaves memory idle.
template <typename T>
void PartOfGradient(const Batch<T>& batch, int64_t first, int64_t count, int64_t begin, int64_t end,
                    const float* slopes, int64_t columns, float* gradient) {
  alignas(64) float scratch[kPanelRows * kWidth];
  const float* rows[kPanelRows];
  const int64_t size = batch.size;
  const int64_t blocks = (columns + kColumns - 1) / kColumns;
  const int64_t tiles = (end - begin + kWidth - 1) / kWidth;
  Fetch fetch(batch.x, batch.upcoming, first + 1,
              batch.upcoming && begin == 0 ? first + count : 0, 2, size * sizeof(T),
              count * blocks * tiles);
  for (int64_t k = 0; k < columns; ++k)
    std::memset(gradient + k * size + begin, 0, (end - begin) * sizeof(float));
  for (const int64_t last = first + count; first < last; first += kPanelRows) {
    const int64_t panel = std::min<int64_t>(kPanelRows, last - first);
    const float* by = slopes + first;
    for (int64_t d = begin; d < end; d += kWidth) {
      const int64_t width = std::min<int64_t>(kWidth, end - d);
      for (int64_t i = 0; i < panel; ++i)
        rows[i] = batch.Features(first + i, d, width, scratch + i * kWidth);
      float* out = gradient + d;
      if (width == kWidth) {
        OuterOfColumns<kTile>(rows, panel, by, batch.count, columns, size, fetch, out);
        continue;
      }
      int64_t e = 0;
      for (; e + kLanes <= width; e += kLanes) {
        OuterOfColumns<1>(rows, panel, by, batch.count, columns, size, fetch, out + e);
        for (int64_t i = 0; i < panel; ++i) rows[i] += kLanes;
      }
      for (int64_t k = 0; k < columns; ++k)
        for (int64_t j = 0; j < width - e; ++j) {
          float sum = out[k * size + e + j];
          for (int64_t i = 0; i < panel; ++i) sum += by[k * batch.count + i] * rows[i][j];
          out[k * size + e + j] = sum;
        }
    }
  }
}

// With few columns each thread takes its own rows, which its core's cache has, and their gradients
// are added up. With many that sum would cost more than fetching rows: it takes features of its own.
template <typename T>
void Gradient(ffi::ThreadPool& threads, const Batch<T>& batch, const float* slopes, int64_t columns,
              float* gradient) {
  const int64_t count = batch.count, size = batch.size;
  if (columns > kFewColumns) {
    const int64_t tiles = (size + kWidth - 1) / kWidth;
    Team::Get().Run(threads, tiles, [&](int64_t tile) {
      const int64_t begin = tile * kWidth, end = std::min<int64_t>(begin + kWidth, size);
      PartOfGradient(batch, 0, count, begin, end, slopes, columns, gradient);
    });
    return;
  }
  const int64_t most = (count + kGroupRows - 1) / kGroupRows;
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(threads.num_threads(), most));
  const int64_t numbers = columns * size;
  std::unique_ptr<float[]> others(new float[(parts - 1) * numbers]);
  Team::Get().Run(threads, parts, [&](int64_t part) {
    const int64_t first = count * part / parts, end = count * (part + 1) / parts;
    float* out = part == 0 ? gradient : &others[(part - 1) * numbers];
    PartOfGradient(batch, first, end - first, 0, size, slopes, columns, out);
  });
  for (int64_t part = 1; part < parts; ++part) {
    const float* more = &others[(part - 1) * numbers];
    for (int64_t i = 0; i < numbers; ++i) gradient[i] += more[i];
  }
}

const float* OrNull(const ffi::Buffer<ffi::F32>& b) {
  return b.element_count() ? b.typed_data() : nullptr;
}

// Calls run(batch) with the batch's own type.
template <typename Run>
ffi::Error WithBatch(const ffi::AnyBuffer& x, const ffi::Buffer<ffi::S32>& rows,
                     const ffi::Buffer<ffi::S32>& upcoming, const ffi::Buffer<ffi::F32>& shift,
                     const ffi::Buffer<ffi::F32>& scale, const Run& run) {
  const auto typed = [&](auto zero) {
    using T = decltype(zero);
    const Batch<T> batch{static_cast<const T*>(x.untyped_data()), rows.typed_data(),
                         upcoming.element_count() == rows.element_count() ? upcoming.typed_data() : nullptr,
                         static_cast<int64_t>(rows.element_count()), x.dimensions()[1], OrNull(shift),
                         OrNull(scale)};
    try {
      run(batch);
    } catch (const std::bad_alloc&) {
      return ffi::Error(ffi::ErrorCode::kResourceExhausted, "no memory for a minibatch's products");
    }
    return ffi::Error::Success();
  };
  switch (x.element_type()) {
    case ffi::F32: return typed(float{});
    case ffi::U8: return typed(uint8_t{});
    case ffi::S8: return typed(int8_t{});
    case ffi::F16: return typed(Float16{});
    case ffi::BF16: return typed(BFloat16{});
    default: return ffi::Error::InvalidArgument("features of this dtype have no kernel");
  }
}

ffi::Error RowScores(ffi::ThreadPool threads, ffi::AnyBuffer x, ffi::Buffer<ffi::S32> rows,
                     ffi::Buffer<ffi::S32> upcoming, ffi::Buffer<ffi::F32> shift, ffi::Buffer<ffi::F32> scale,
                     ffi::Buffer<ffi::F32> w, ffi::ResultBuffer<ffi::F32> scores) {
  return WithBatch(x, rows, upcoming, shift, scale, [&](const auto& batch) {
    Scores(threads, batch, w.typed_data(), w.dimensions()[0], scores->typed_data());
  });
}

ffi::Error RowGradient(ffi::ThreadPool threads, ffi::AnyBuffer x, ffi::Buffer<ffi::S32> rows,
                       ffi::Buffer<ffi::S32> upcoming, ffi::Buffer<ffi::F32> shift, ffi::Buffer<ffi::F32> scale,
                       ffi::Buffer<ffi::F32> slopes, ffi::ResultBuffer<ffi::F32> gradient) {
  return WithBatch(x, rows, upcoming, shift, scale, [&](const auto& batch) {
    Gradient(threads, batch, slopes.typed_data(), slopes.dimensions()[0], gradient->typed_data());
  });
}

}  // namespace

#define JAXLIN_ROWS(name, function)                                  \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(name, function,                      \
                                ffi::Ffi::Bind()                     \
                                    .Ctx<ffi::ThreadPool>()          \
                                    .Arg<ffi::AnyBuffer>()           \
                                    .Arg<ffi::Buffer<ffi::S32>>()    \
                                    .Arg<ffi::Buffer<ffi::S32>>()    \
                                    .Arg<ffi::Buffer<ffi::F32>>()    \
                                    .Arg<ffi::Buffer<ffi::F32>>()    \
                                    .Arg<ffi::Buffer<ffi::F32>>()    \
                                    .Ret<ffi::Buffer<ffi::F32>>())

JAXLIN_ROWS(jaxlin_row_scores, RowScores);
JAXLIN_ROWS(jaxlin_row_gradient, RowGradient);
