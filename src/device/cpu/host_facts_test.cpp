#include "device/cpu/host_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hadal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kTwoCoresFourProcessors =
    "processor\t: 0\nmodel name\t: A Processor\nphysical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu fma avx2 avx512f\n\n"
    "processor\t: 1\nmodel name\t: A Processor\nphysical id\t: 0\ncore id\t\t: 1\nflags\t\t: fpu fma avx2 avx512f\n\n"
    "processor\t: 2\nmodel name\t: A Processor\nphysical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu fma avx2 avx512f\n\n"
    "processor\t: 3\nmodel name\t: A Processor\nphysical id\t: 0\ncore id\t\t: 1\nflags\t\t: fpu fma avx2 avx512f\n";

TEST(HostFacts, a_list_of_processors_is_counted) {
  EXPECT_EQ(count_of_list("0"), 1);
  EXPECT_EQ(count_of_list("0-3,8\n"), 5);
  EXPECT_EQ(count_of_list("0-1,4-7,9"), 7);
}

TEST(HostFacts, what_is_no_list_counts_as_not_known) {
  for (const std::string_view text : {"", "x", "0-", "1,,2", "-", "3-1"}) {
    EXPECT_LE(count_of_list(text), 1) << text;
    EXPECT_GE(count_of_list(text), 0) << text;
  }
}

TEST(HostFacts, the_chosen_word_stands_in_brackets) {
  EXPECT_EQ(chosen_in_brackets("always [madvise] never\n"), "madvise");
  EXPECT_EQ(chosen_in_brackets("never"), "");
  EXPECT_EQ(chosen_in_brackets("]["), "");
  EXPECT_EQ(chosen_in_brackets(""), "");
}

TEST(HostFacts, processors_of_one_core_count_once) {
  EXPECT_EQ(cores_of(kTwoCoresFourProcessors), 2);
}

TEST(HostFacts, features_come_in_order_of_importance) {
  EXPECT_THAT(features_of(kTwoCoresFourProcessors), ElementsAre("avx512f", "avx2", "fma"));
  EXPECT_THAT(features_of("Features\t: fp asimddp i8mm\n"), ElementsAre("i8mm", "asimddp"));
  EXPECT_THAT(features_of(""), IsEmpty());
}

TEST(HostFacts, the_name_is_the_first_processors) {
  EXPECT_EQ(cpuinfo_value(kTwoCoresFourProcessors, "model name"), "A Processor");
}

TEST(HostFacts, this_host_has_processors_and_memory) {
  const HostFacts facts = host_facts();
  EXPECT_GE(facts.processors_online, facts.processors_usable);
  EXPECT_GE(facts.processors_usable, 1);
  EXPECT_GE(facts.numa_nodes, 1);
  EXPECT_GT(facts.memory.total_bytes, 0u);
}

TEST(HostMemory, a_peak_that_was_reset_begins_at_what_is_resident) {
  if (!reset_peak_resident_bytes()) GTEST_SKIP() << "this system does not reset the peak";
  // Counters of several threads are summed up lazily, so both figures are off by some pages.
  constexpr uint64_t kSlackBytes = 4 << 20;
  EXPECT_LE(peak_resident_bytes(), resident_bytes() + kSlackBytes);
  EXPECT_LE(resident_anonymous_bytes(), resident_bytes() + kSlackBytes);
}

}  // namespace
}  // namespace hadal
