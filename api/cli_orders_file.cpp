#include "api/cli_orders_file.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

namespace holdfast::api {

absl::StatusOr<std::string> read_orders_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::NotFoundError(path + " is a directory; name a file of orders (.csv or .csv.gz)");
  }
  errno = 0;
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rbe"), gzclose);
  if (file == nullptr)
    return absl::NotFoundError("cannot read " + path + ": " + std::strerror(errno));
  gzbuffer(file.get(), 256u << 10);
  std::string text;
  std::string block(256u << 10, '\0');
  for (;;) {
    const int count = gzread(file.get(), block.data(), static_cast<unsigned>(block.size()));
    if (count > 0) text.append(block, 0, static_cast<std::size_t>(count));
    if (text.size() > kOrdersBytesMax) {
      return absl::ResourceExhaustedError(path + " is longer than 1 GiB; split it by day");
    }
    if (count == static_cast<int>(block.size())) continue;
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    if (code == Z_ERRNO)
      return absl::InternalError("cannot read " + path + ": " + std::strerror(errno));
    if (count < 0 || code == Z_BUF_ERROR) {
      return absl::DataLossError(path +
                                 " is cut or damaged: " + (*reason ? reason : "unexpected end"));
    }
    if (count == 0) return text;
  }
}

}  // namespace holdfast::api
