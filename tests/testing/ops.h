// What the tests of ops share: random numbers of a seed, every version that this machine can run, and the promise that
// a row gives the same bits alone, in a batch and with any number of threads.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"
#include "ops/versions.h"
#include "testing/compare.h"

namespace hadal::test {

// Normally distributed around zero.
inline std::vector<float> random_floats(uint64_t seed, int64_t n, float deviation = 1) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(generator);
  return values;
}

// body(version) for every version up to this machine's level, with its name on failures.
template <class Op, class Body>
void for_each_version(std::span<const ops::Version<Op>> versions, const Body& body) {
  for (const ops::Version<Op>& version : versions) {
    if (version.level > detected_cpu_level()) continue;
    SCOPED_TRACE("version " + std::string(cpu_level_name(version.level)));
    body(version);
  }
}

// A Problem holds the inputs of T rows and can run any part of them:
//
//   int64_t T;
//   std::vector<float> run(void (*version)(CpuDevice&, const Op&), CpuDevice& cpu, int64_t first, int64_t n) const;
//
// run gives all outputs of rows [first, first + n), row after row.
template <class Op, class Problem>
void expect_rows_do_not_depend_on_company(std::span<const ops::Version<Op>> versions, const Problem& problem) {
  CpuDevice one({.n_threads = 1});
  CpuDevice three({.n_threads = 3});
  for_each_version(versions, [&](const ops::Version<Op>& version) {
    const std::vector<float> whole = problem.run(version.run, one, 0, problem.T);
    EXPECT_TRUE(same_bits(problem.run(version.run, three, 0, problem.T), whole)) << "three threads";
    std::vector<float> alone;
    for (int64_t t = 0; t < problem.T; ++t) {
      const std::vector<float> row = problem.run(version.run, one, t, 1);
      alone.insert(alone.end(), row.begin(), row.end());
    }
    EXPECT_TRUE(same_bits(alone, whole)) << "row by row";
  });
}

// The vector versions are one kernel compiled twice.
template <class Op, class Problem>
void expect_vector_versions_agree_to_the_bit(std::span<const ops::Version<Op>> versions, const Problem& problem) {
  CpuDevice cpu({.n_threads = 1});
  std::vector<float> first;
  for_each_version(versions, [&](const ops::Version<Op>& version) {
    if (version.level == CpuLevel::kPortable) return;
    const std::vector<float> outputs = problem.run(version.run, cpu, 0, problem.T);
    if (first.empty()) first = outputs;
    EXPECT_TRUE(same_bits(outputs, first));
  });
}

}  // namespace hadal::test
