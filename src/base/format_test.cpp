#include "base/format.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace hadal {
namespace {

TEST(Format, bytes_have_one_decimal_and_the_largest_unit_below_them) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes((uint64_t{1} << 20) - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(159609485896), "148.6 GiB");
  EXPECT_EQ(format_bytes(std::numeric_limits<uint64_t>::max()), "16384.0 PiB");
}

TEST(Format, counts_are_grouped_by_three) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1048576), "1,048,576");
}

TEST(Format, seconds_are_shown_as_long_as_they_are) {
  EXPECT_EQ(format_seconds(0.0123), "12 ms");
  EXPECT_EQ(format_seconds(0.84), "0.8 s");
  EXPECT_EQ(format_seconds(200), "3 min 20 s");
  EXPECT_EQ(format_seconds(7260), "2 h 1 min");
}

TEST(Format, shapes_stand_in_brackets) {
  EXPECT_EQ(format_shape(std::vector<int64_t>{512, 4096}), "[512, 4096]");
  EXPECT_EQ(format_shape({}), "[]");
}

}  // namespace
}  // namespace hadal
