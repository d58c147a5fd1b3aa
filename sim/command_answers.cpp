#include "sim/command_answers.h"

#include "api/table.h"

namespace holdfast::sim {

bool is_a_command(EventKind kind) {
  return kind == EventKind::receive || kind == EventKind::adjust || kind == EventKind::allow ||
         kind == EventKind::grant || kind == EventKind::failover || kind == EventKind::retire ||
         kind == EventKind::join || kind == EventKind::drain || kind == EventKind::reshard;
}

void CommandAnswers::answered(const ScenarioEvent& event, const std::string& code,
                              const std::string& told) {
  Answers& answers = of_[&event];
  if (code.empty()) {
    ++answers.done;
    answers.told += (answers.told.empty() || told.empty() ? "" : "; ") + told;
  } else {
    ++answers.refused[code];
  }
}

std::string CommandAnswers::text(const ScenarioEvent& event) const {
  if (!is_a_command(event.kind)) return "";
  const auto found = of_.find(&event);
  // Plain counters know no commands, and what comes in the last moment may not be asked any more.
  if (found == of_.end()) return "not asked";
  const Answers& answers = found->second;
  std::size_t silent = answers.asked - answers.not_sent - answers.done;
  std::string text;
  const auto add = [&](std::size_t count, const std::string& what) {
    if (count == 0) return;
    if (!text.empty()) text += ", ";
    if (answers.asked > 1) text += api::grouped(static_cast<std::int64_t>(count)) + " ";
    text += what;
  };
  add(answers.done, answers.told.empty() ? "done" : "done: " + answers.told);
  for (const auto& [code, count] : answers.refused) {
    add(count, "refused: " + code);
    silent -= count;
  }
  add(answers.not_sent, "not sent: no " + whom_ + " of the region runs");
  add(silent, "without an answer");
  return text;
}

}  // namespace holdfast::sim
