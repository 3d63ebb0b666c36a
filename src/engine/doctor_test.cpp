#include "engine/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hadal {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A machine with nothing to mend.
Examination healthy() {
  Examination e;
  e.host.cpu_name = "A Processor";
  e.host.level = CpuLevel::kAvx512;
  e.host.processors_online = 16;
  e.host.processors_usable = 16;
  e.host.cores = 16;
  e.host.memory = {.total_bytes = uint64_t{64} << 30, .available_bytes = uint64_t{60} << 30};
  e.host.huge_pages = "madvise";
  e.host.open_files_max = 4096;
  e.host.locked_bytes_max = HostFacts::kUnlimited;
  e.n_threads = 16;
  e.read_bytes_per_s = 100e9;
  e.f32_flops = 1e12;
  e.bf16_flops = 2e12;
  e.int8_ops = 4e12;
  return e;
}

// The only finding of a machine that was healthy but for one change.
std::string only_finding(const Examination& e) {
  const std::vector<Finding> found = findings(e);
  EXPECT_THAT(found, SizeIs(1));
  return found.empty() ? "" : found.front().slow + " | " + found.front().mend;
}

TEST(Doctor, a_machine_that_is_set_up_well_gets_no_advice) {
  EXPECT_THAT(findings(healthy()), IsEmpty());
  EXPECT_THAT(examination_text(healthy()), HasSubstr("Nothing to mend."));
}

TEST(Doctor, each_thing_that_is_slow_is_named_with_what_to_do) {
  struct Case {
    void (*spoil)(Examination& e);
    const char* want;
  };
  const Case cases[] = {
      {[](Examination& e) { e.host.level = CpuLevel::kPortable; }, "no AVX2"},
      {[](Examination& e) { e.host.level = CpuLevel::kAvx2; }, "no AVX-512"},
      {[](Examination& e) { e.host.processors_usable = 4; }, "only 4 of 16 processors"},
      {[](Examination& e) {
         e.host.has_smt = true;
         e.host.cores = 8;
       },
       "--threads 8"},
      {[](Examination& e) { e.host.numa_nodes = 2; }, "numactl --interleave=all"},
      {[](Examination& e) { e.model_bytes = uint64_t{149} << 30; }, "the model is 149.0 GiB, but only 60.0 GiB"},
      {[](Examination& e) { e.read_bytes_per_s = 9e9; }, "9.0 GB/s"},
      {[](Examination& e) { e.read_bytes_per_s = 0; }, "not enough memory to measure"},
      {[](Examination& e) { e.host.huge_pages = "never"; }, "transparent_hugepage/enabled"},
      {[](Examination& e) { e.disk = DiskSpeed{.file = "f", .bytes = 1000000000, .seconds = 4}; }, "0.25 GB/s"},
      {[](Examination& e) { e.host.open_files_max = 256; }, "ulimit -n 1024"},
  };
  for (const Case& c : cases) {
    Examination e = healthy();
    c.spoil(e);
    EXPECT_THAT(only_finding(e), HasSubstr(c.want));
  }
}

TEST(Doctor, a_slow_disk_is_turned_into_the_time_that_loading_takes) {
  Examination e = healthy();
  e.model_bytes = 20000000000;
  e.disk = DiskSpeed{.file = "f", .bytes = 1000000000, .seconds = 2};
  EXPECT_THAT(only_finding(e), HasSubstr("the first load takes 40.0 s"));
}

TEST(Doctor, a_small_model_may_lie_on_a_slow_disk) {
  Examination e = healthy();
  e.model_bytes = 25000000;
  e.disk = DiskSpeed{.file = "f", .bytes = 25000000, .seconds = 0.1};
  EXPECT_THAT(findings(e), IsEmpty());
}

TEST(Doctor, what_is_not_known_is_no_finding) {
  Examination e = healthy();
  e.host.memory = {};
  e.host.huge_pages = "";
  e.host.open_files_max = 0;
  e.host.cores = 0;
  e.host.has_smt = true;
  e.model_bytes = 1;
  EXPECT_THAT(findings(e), IsEmpty());
}

TEST(Doctor, programs_get_the_same_findings) {
  Examination e = healthy();
  e.host.numa_nodes = 2;
  const json::Value value = examination_to_json(e);
  ASSERT_NE(value.find("findings"), nullptr);
  EXPECT_THAT(value.find("findings")->items(), SizeIs(1));
  EXPECT_EQ(value.find("cpu_level")->as_string(), "avx512");
  EXPECT_TRUE(value.find("locked_bytes_max")->is_null()) << "no limit";
}

}  // namespace
}  // namespace hadal
