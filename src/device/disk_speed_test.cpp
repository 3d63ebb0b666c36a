#include "device/disk_speed.h"

#include <gtest/gtest.h>
#include "testing/temp_folder.h"

namespace hadal {
namespace {

class DiskSpeedTest : public ::testing::Test {
 protected:
  // A clock that goes on a tenth of a second whenever it is asked.
  DiskSpeedOptions options() {
    DiskSpeedOptions options;
    options.now_s = [this] { return now_s_ += 0.1; };
    return options;
  }

  test::TempFolder folder_;
  double now_s_ = 0;
};

TEST_F(DiskSpeedTest, the_largest_file_is_read_whole_when_it_is_small) {
  folder_.write("small", std::string(100, 'x'));
  folder_.write("large", std::string(10000, 'x'));
  const Result<DiskSpeed> speed = measure_disk_read(folder_.path(), options());
  ASSERT_TRUE(speed.ok()) << speed.error().to_string();
  EXPECT_EQ(speed->file, (folder_ / "large").string());
  EXPECT_EQ(speed->bytes, 10000u);
  EXPECT_NEAR(speed->seconds, 0.1, 1e-9);
  EXPECT_NEAR(speed->bytes_per_s(), 1e5, 1);
}

TEST_F(DiskSpeedTest, reading_ends_at_the_limit_of_bytes) {
  folder_.write("large", std::string(size_t{9} << 20, 'x'));
  DiskSpeedOptions limited = options();
  limited.bytes_max = 1;
  const Result<DiskSpeed> speed = measure_disk_read(folder_ / "large", limited);
  ASSERT_TRUE(speed.ok()) << speed.error().to_string();
  EXPECT_EQ(speed->bytes, uint64_t{4} << 20) << "one block";
}

TEST_F(DiskSpeedTest, reading_ends_at_the_limit_of_time) {
  folder_.write("large", std::string(size_t{9} << 20, 'x'));
  DiskSpeedOptions limited = options();
  limited.seconds_max = 0.15;
  const Result<DiskSpeed> speed = measure_disk_read(folder_ / "large", limited);
  ASSERT_TRUE(speed.ok()) << speed.error().to_string();
  EXPECT_EQ(speed->bytes, uint64_t{8} << 20) << "two blocks";
}

TEST_F(DiskSpeedTest, a_folder_without_files_is_named) {
  const Result<DiskSpeed> speed = measure_disk_read(folder_.path(), options());
  ASSERT_FALSE(speed.ok());
  EXPECT_EQ(speed.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(speed.error().in, folder_.path().string());
}

TEST_F(DiskSpeedTest, a_missing_folder_is_named) {
  const Result<DiskSpeed> speed = measure_disk_read(folder_ / "missing", options());
  ASSERT_FALSE(speed.ok());
  EXPECT_EQ(speed.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(speed.error().in, (folder_ / "missing").string());
}

}  // namespace
}  // namespace hadal
