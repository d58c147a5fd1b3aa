#include "sim/page.h"

#include <cstdint>

// The file is found on the include path, as headers are: its root is the repository's.
asm(R"(
  .pushsection .rodata
  .balign 8
  .hidden holdfast_report_page_size
  .globl holdfast_report_page_size
holdfast_report_page_size:
  .quad 2f - 1f
  .hidden holdfast_report_page
  .globl holdfast_report_page
holdfast_report_page:
1:
  .incbin "sim/report/bundle.html"
2:
  .popsection
)");

extern "C" {
extern const std::uint64_t holdfast_report_page_size;
extern const char holdfast_report_page[];
}

namespace holdfast::sim {

std::string_view report_page() { return {holdfast_report_page, holdfast_report_page_size}; }

}  // namespace holdfast::sim
