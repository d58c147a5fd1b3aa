#pragma once
// A directory of its own for a test case, removed with all that is in it. For edge tests.

#include <stdlib.h>

#include <filesystem>
#include <string>

#include <doctest/doctest.h>

namespace holdfast::tests {

struct TemporaryDirectory {
  TemporaryDirectory() {
    char name[] = "/tmp/holdfast-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string path;
};

}  // namespace holdfast::tests
