#include "terminal/output.h"

#include <gtest/gtest.h>

#include <memory>

namespace hadal {
namespace {

TEST(Output, a_full_disk_is_an_error_and_not_a_crash) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> full(std::fopen("/dev/full", "w"), std::fclose);
  ASSERT_NE(full, nullptr);
  const Result<void> written = write_output(full.get(), "text");
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kIo);
}

TEST(Output, nothing_is_written_without_an_error) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  ASSERT_NE(file, nullptr);
  EXPECT_TRUE(write_output(file.get(), "").ok());
  EXPECT_EQ(std::ftell(file.get()), 0);
}

}  // namespace
}  // namespace hadal
