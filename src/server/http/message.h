// A request that came and an answer that goes, as everything but http_server.cpp sees them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hadal::http {

using Headers = std::vector<std::pair<std::string, std::string>>;  // names in lower case

struct Request {
  std::string method;
  std::string path;   // percent-decoded, without the query
  std::string query;  // behind '?', as it came
  Headers headers;
  std::string body;
  std::string peer;  // address of the client

  // The first header of that (lower-case) name; empty when there is none.
  std::string_view header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  Headers headers;
  bool closes = false;  // the connection, behind it
};

// "%2F" and the like undone; a broken escape stays what it is.
std::string percent_decoded(std::string_view text);

}  // namespace hadal::http
