#include "server/web_files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace mistral::server {
namespace {

namespace fs = std::filesystem;

fs::path sources() {
  return fs::path(std::getenv("MISTRAL_TEST_DATA")) / "../src/server/web";
}

TEST(WebFiles, HoldEveryFileOfTheFolder) {
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(sources())) {
    const std::string name = entry.path().filename().string();
    const WebFile* file = find_web_file(name == "index.html" ? "/" : "/web/" + name);
    ASSERT_NE(file, nullptr) << name;
    std::ifstream stream(entry.path(), std::ios::binary);
    std::ostringstream bytes;
    bytes << stream.rdbuf();
    EXPECT_EQ(file->bytes, bytes.str()) << name;
    ++files;
  }
  EXPECT_GE(files, 8U);
  EXPECT_EQ(web_files().size(), files);
}

TEST(WebFiles, HaveTypesAndTags) {
  EXPECT_EQ(find_web_file("/")->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(find_web_file("/web/app.js")->content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(find_web_file("/web/style.css")->content_type, "text/css; charset=utf-8");
  EXPECT_EQ(find_web_file("/web/icon.svg")->content_type, "image/svg+xml");
  std::set<std::string_view> tags;
  for (const WebFile& file : web_files()) {
    EXPECT_EQ(file.etag.size(), 34U);
    EXPECT_TRUE(file.etag.starts_with('"') && file.etag.ends_with('"'));
    tags.insert(file.etag);
  }
  EXPECT_EQ(tags.size(), web_files().size());
}

TEST(WebFiles, NothingElseIsFound) {
  for (const char* path : {"", "/web", "/web/", "/web/index.html", "web/app.js",
                           "/web/../web/app.js", "/index.html", "/web/app.js?x"}) {
    EXPECT_EQ(find_web_file(path), nullptr) << path;
  }
}

}  // namespace
}  // namespace mistral::server
