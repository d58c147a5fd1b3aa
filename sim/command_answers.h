#pragma once
// What the shop said to the operators' commands of a scenario, for its report. Pure.

#include <map>
#include <string>

#include "sim/scenario.h"

namespace holdfast::sim {

class CommandAnswers {
 public:
  // `whom`: who must run to be sent a command.
  explicit CommandAnswers(std::string whom) : whom_(std::move(whom)) {}
  // A command is one call for each SKU that it names.
  void asked(const ScenarioEvent& event) { ++of_[&event].asked; }
  void not_sent(const ScenarioEvent& event) { ++of_[&event].not_sent; }  // of those asked
  // `code`: the problem's; empty: it is done, and `told` is what else the answer says.
  void answered(const ScenarioEvent& event, const std::string& code, const std::string& told = "");

  // "done", "refused: insufficient_rights", "97 done, 2 refused: unknown_sku, 1 without an answer",
  // "done: seized 1,234, open holds 56";
  // empty: no command.
  std::string text(const ScenarioEvent& event) const;

 private:
  struct Answers {
    std::size_t asked = 0, not_sent = 0, done = 0;
    std::map<std::string, std::size_t> refused;  // by code
    std::string told;                            // by all, one after the other
  };
  const std::string whom_;
  std::map<const ScenarioEvent*, Answers> of_;  // looked up, never gone through
};

bool is_a_command(EventKind kind);  // of an operator; else a fault

}  // namespace holdfast::sim
