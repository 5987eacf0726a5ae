// Downloads with many threads and small pieces, from a hub in a process of its own: what sanitizers
// should see. What can go wrong besides is tested with the program (hub_transfer_test.py).
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error_of.h"
#include "hub/digest.h"
#include "hub/hub.h"
#include "temporary_folder.h"

namespace mistral::hub {
namespace {

using test::error_of;
using testing::HasSubstr;

class LoopbackHub {
 public:
  LoopbackHub() {
    const char* data = std::getenv("MISTRAL_TEST_DATA");
    if (data == nullptr) throw std::runtime_error("MISTRAL_TEST_DATA is not set");
    const std::string script = std::string(data) + "/hub/loopback_hub.py";
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
      throw std::runtime_error("pipe failed");
    }
    child_ = fork();
    if (child_ == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      execl(MISTRAL_PYTHON, MISTRAL_PYTHON, "-B", script.c_str(), nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    char c = 0;
    while (read(out[0], &c, 1) == 1 && c != '\n') endpoint_ += c;
    close(out[0]);
  }
  ~LoopbackHub() {
    close(input_);
    waitpid(child_, nullptr, 0);
  }
  LoopbackHub(const LoopbackHub&) = delete;
  LoopbackHub& operator=(const LoopbackHub&) = delete;

  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

 private:
  pid_t child_ = -1;
  int input_ = -1;
  std::string endpoint_;
};

class Fetch : public testing::Test {
 protected:
  [[nodiscard]] HubOptions options() const {
    HubOptions options;
    options.settings.cache = folder_.path();
    options.settings.endpoint = hub_.endpoint();
    options.token_source = TokenSource("none");
    options.retry.first_wait = std::chrono::milliseconds(1);
    options.retry.attempts = 20;
    options.download.piece_bytes = 100'000;
    return options;
  }
  static FetchRequest request(const std::string& id) {
    FetchRequest request;
    request.id = *parse_model_id(id);
    request.wanted.kind = Wanted::Kind::kFiles;
    for (int i = 0; i < 20; ++i)
      request.wanted.files.push_back("part-" + std::to_string(i) + ".json");
    request.wanted.files.emplace_back("model-Q8_0.gguf");
    return request;
  }

  test::TemporaryFolder folder_;
  LoopbackHub hub_;
};

TEST_F(Fetch, ManyPiecesAndFilesSideBySide) {
  HubOptions options = this->options();
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  options.on_progress = [&](std::uint64_t done, std::uint64_t all) {
    last = done;
    total = all;
  };
  const LocalModel local = Hub(options).fetch(request("org/noise"));
  EXPECT_EQ(last, total);
  EXPECT_GT(total, 3'000'000U);
  for (const auto& entry : std::filesystem::directory_iterator(local.folder)) {
    const std::string etag = std::filesystem::read_symlink(entry.path()).filename().string();
    EXPECT_EQ(file_digest(entry.path(), *digest_kind(etag)), etag) << entry.path();
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(local.folder), {}), 21);
}

TEST_F(Fetch, CancellingEndsAllThreadsAndTheNextCallGoesOn) {
  HubOptions options = this->options();
  std::atomic<bool> cancel{false};
  options.cancelled = [&] { return cancel.load(); };
  options.on_progress = [&](std::uint64_t done, std::uint64_t) { cancel = done > 1'000'000; };
  EXPECT_EQ(error_of([&] { return Hub(options).fetch(request("org/noise")); }).kind(),
            ErrorKind::kCancelled);
  cancel = false;
  std::uint64_t first = 0;
  options.on_progress = [&](std::uint64_t done, std::uint64_t) {
    if (first == 0) first = done;
  };
  const LocalModel local = Hub(options).fetch(request("org/noise"));
  EXPECT_GE(first, 500'000U);
  EXPECT_EQ(std::filesystem::file_size(local.folder / "model-Q8_0.gguf"), 3'000'000U);
}

TEST_F(Fetch, TheErrorOfOneThreadIsThatOfTheCall) {
  const Error error = error_of([&] { return Hub(options()).fetch(request("org/wrong")); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
  EXPECT_THAT(error.what(), HasSubstr("org/wrong/part-7.json: the checksum differs"));
}

TEST_F(Fetch, TwoAtOnceInOneProcess) {
  LocalModel other;
  std::thread thread([&] { other = Hub(options()).fetch(request("org/noise")); });
  const LocalModel local = Hub(options()).fetch(request("org/noise"));
  thread.join();
  EXPECT_EQ(local.folder, other.folder);
}

}  // namespace
}  // namespace mistral::hub
