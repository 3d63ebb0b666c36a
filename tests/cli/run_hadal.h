// Runs the binary and returns what it wrote and how it ended.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <initializer_list>
#include <optional>
#include <string>

#include "base/check.h"
#include "base/io.h"
#include "base/json.h"
#include "testing/temp_folder.h"

namespace hadal::test {

struct Run {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Arguments are passed as they are: single quotes around each.
inline Run run_hadal(std::initializer_list<std::string> arguments) {
  const TempFolder folder;
  std::string command = HADAL_BINARY;
  for (const std::string& argument : arguments) {
    HADAL_CHECK(argument.find('\'') == std::string::npos, "an argument with a quote", argument);
    command += " '" + argument + "'";
  }
  command += " 2>'" + (folder / "err").string() + "' </dev/null";
  Run run;
  FILE* pipe = ::popen(command.c_str(), "r");
  HADAL_CHECK(pipe != nullptr, "cannot run", command);
  std::array<char, 4096> buffer;
  for (size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) run.out.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  constexpr uint64_t kErrBytesMax = 1 << 20;
  Result<std::string> err = read_file(folder / "err", kErrBytesMax);
  if (err.ok()) run.err = *err;
  return run;
}

// The number behind a path of keys; a check that fails when there is none.
inline double number_at(const json::Value& value, std::initializer_list<const char*> keys) {
  const json::Value* at = &value;
  for (const char* key : keys) {
    at = at->find(key);
    HADAL_CHECK(at != nullptr, "no key", key);
  }
  const std::optional<double> number = at->as_double();
  HADAL_CHECK(number.has_value(), "no number");
  return *number;
}

inline json::Value parsed(const Run& run) {
  Result<json::Value> value = json::parse(run.out, "standard output");
  HADAL_CHECK(value.ok(), "no JSON", run.out, run.err);
  return std::move(*value);
}

}  // namespace hadal::test
