#pragma once
// Properties (rapidcheck) as doctest assertions.
//
//   check_property("merge commutes", [](const Row& a, const Row& b) { RC_ASSERT(...); });
//
// A property that fails, or that gave up because its preconditions were hardly ever met, fails the
// test case, with the shrunk counterexample and the RC_PARAMS that replays exactly it. One whose
// cases are cheap, and rarely the rare one, asks for `times` as many as the usual.

#include <sstream>
#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace holdfast::tests {

template <typename Testable>
void check_property(const std::string& description, Testable&& testable, int times = 1) {
  rc::detail::TestMetadata metadata;
  metadata.id = description;
  metadata.description = description;
  const rc::detail::Configuration& usual = rc::detail::configuration();
  rc::detail::TestParams params = usual.testParams;
  params.maxSuccess *= times;
  const auto result =
      usual.reproduce.empty()
          ? rc::detail::checkTestable(std::forward<Testable>(testable), metadata, params)
          : rc::detail::checkTestable(std::forward<Testable>(testable), metadata);
  rc::detail::SuccessResult success;
  if (result.match(success)) {
    CHECK_MESSAGE(true, description);
    return;
  }
  std::ostringstream text;
  text << "property \"" << description << "\": ";
  rc::detail::printResultMessage(result, text);
  rc::detail::FailureResult failure;
  if (result.match(failure)) {
    rc::detail::Configuration replay;
    replay.testParams = rc::detail::configuration().testParams;
    replay.reproduce[metadata.id] = failure.reproduce;
    text << "\nreplay with RC_PARAMS='" << rc::detail::configToMinimalString(replay) << "'";
  }
  FAIL_CHECK(text.str());
}

}  // namespace holdfast::tests
