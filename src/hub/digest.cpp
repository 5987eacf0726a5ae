#include "hub/digest.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "core/error.h"
#include "hub/file_handle.h"

namespace mistral::hub {
namespace {

constexpr std::size_t kSha256Digits = 64;
constexpr std::size_t kSha1Digits = 40;
constexpr std::size_t kBlockBytes = std::size_t{1} << 20U;

class Digest {
 public:
  explicit Digest(const EVP_MD* algorithm) : context_(EVP_MD_CTX_new()) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), algorithm, nullptr) == 1);
  }
  void update(const void* data, std::size_t size) {
    check(EVP_DigestUpdate(context_.get(), data, size) == 1);
  }
  std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context_.get(), bytes.data(), &size) == 1);
    std::string hex;
    for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", bytes[i]);
    return hex;
  }

 private:
  static void check(bool done) {
    if (!done) throw Error(ErrorKind::kResource, "the checksum cannot be computed (OpenSSL)");
  }
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace

std::optional<DigestKind> digest_kind(std::string_view etag) {
  const bool hex = std::ranges::all_of(
      etag, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (hex && etag.size() == kSha256Digits) return DigestKind::kSha256;
  if (hex && etag.size() == kSha1Digits) return DigestKind::kGitSha1;
  return std::nullopt;
}

std::string file_digest(const std::filesystem::path& file, DigestKind kind,
                        const std::function<bool()>& cancelled) {
  const FileHandle handle = FileHandle::open(file, O_RDONLY);
  Digest digest(kind == DigestKind::kSha256 ? EVP_sha256() : EVP_sha1());
  if (kind == DigestKind::kGitSha1) {
    const std::string header = fmt::format("blob {}", handle.size());
    digest.update(header.c_str(), header.size() + 1);
  }
  std::vector<std::byte> block(kBlockBytes);
  std::uint64_t offset = 0;
  while (true) {
    if (cancelled && cancelled()) throw Error(ErrorKind::kCancelled, "interrupted");
    const std::size_t count = handle.read_at(offset, block);
    if (count == 0) return digest.finish();
    digest.update(block.data(), count);
    offset += count;
  }
}

}  // namespace mistral::hub
